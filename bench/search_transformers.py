"""Peer of search.ts: times transformers' generate with prefix_allowed_tokens_fn.

Arguments: folder with the model and docids.json, beam, threads. Reads one batch of questions a line,
{"ids": [[...]], "mask": [[...]]}, answers {"ms", "doc", "logProb"}.
"""
import json
import sys
import time

import torch
import transformers

folder, beam, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
model = transformers.T5ForConditionalGeneration.from_pretrained(folder).eval()
docids = json.load(open(f"{folder}/docids.json"))
length = len(docids[0])
allowed = {}
for docid in docids:
    for i in range(length):
        allowed.setdefault(tuple(docid[:i]), set()).add(docid[i])
allowed = {prefix: sorted(tokens) for prefix, tokens in allowed.items()}
index = {tuple(docid): i for i, docid in enumerate(docids)}
# Every docid has the same number of digits, so the length ends it, not a token.
model.generation_config.eos_token_id = None


@torch.inference_mode()
def search(ids, mask):
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        num_beams=beam,
        num_return_sequences=beam,
        max_new_tokens=length,
        length_penalty=0.0,
        do_sample=False,
        prefix_allowed_tokens_fn=lambda _, sent: allowed[tuple(sent[1:].tolist())],
        output_scores=True,
        return_dict_in_generate=True,
    )
    return out.sequences, out.sequences_scores


print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__}), flush=True)
for line in sys.stdin:
    batch = json.loads(line)
    ids, mask = torch.tensor(batch["ids"]), torch.tensor(batch["mask"], dtype=torch.long)
    start = time.perf_counter()
    sequences, scores = search(ids, mask)
    ms = (time.perf_counter() - start) * 1e3
    doc = [index.get(tuple(s[1:].tolist()), -1) for s in sequences]
    print(json.dumps({"ms": ms, "doc": doc, "logProb": scores.tolist()}), flush=True)
