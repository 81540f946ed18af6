"""Peer of decode.ts: times transformers' greedy generate.

Arguments: model folder, threads. Reads {"ids": [[...]], "tokens": n} a line, answers {"ms", "ids"}.
"""
import json
import sys
import time

import torch
import transformers

folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
model.generation_config.eos_token_id = None
print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    ids = torch.tensor(question["ids"])
    start = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=question["tokens"],
            do_sample=False,
            pad_token_id=0,
        )
    ms = (time.perf_counter() - start) * 1e3
    print(json.dumps({"ms": ms, "ids": out[:, ids.shape[1]:].tolist()}), flush=True)
