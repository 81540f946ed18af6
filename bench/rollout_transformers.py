"""Peer of rollout.ts: the same agent on transformers' greedy generate.

Arguments: model folder, threads, rules (JSON: ids of special tokens, forbidden ones, budget, turn_tokens).

{"do": "play", "prompts": [[...]], "rows": n} begins episodes, n at once. The answer is either {"find":
[[episode, retrievals before, written tokens], ...]}, to which {"do": "found", "given": [[...]]} brings the
tokens of the documents, or {"ms", "episodes": [[...]]}. The clock stands while documents are looked for.
{"do": "reset"} forgets the peak of the memory, {"do": "memory"} tells it.
"""
import json
import re
import sys
import time

import torch
import transformers
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList

folder, threads, rules = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
retrieve, answer, end, pad = (rules[name] for name in ("retrieve", "answer", "end", "pad"))
torch.set_num_threads(threads)
model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


class Budget(LogitsProcessor):
    """No retrieval where the budget is used up, and none behind the answer token."""

    def __init__(self, is_used_up, start):
        self.is_used_up, self.start = is_used_up, start

    def __call__(self, input_ids, scores):
        has_answered = (input_ids[:, self.start:] == answer).any(1)
        scores[:, retrieve].masked_fill_(has_answered | self.is_used_up, -torch.inf)
        return scores


def padded(rows):
    """Rows padded on the left, and 1 where a token stands."""
    width = max(map(len, rows))
    ids = [[pad] * (width - len(row)) + row for row in rows]
    return torch.tensor(ids), torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])


def written(row):
    """The pad token is forbidden: it stands only behind the end."""
    return row[:row.index(pad)] if pad in row else row


def play(prompts, rows):
    """Asks for documents by yielding; returns the texts."""
    texts = [list(prompt) for prompt in prompts]
    by_length = sorted(range(len(texts)), key=lambda e: len(texts[e]))
    for at in range(0, len(texts), rows):
        batch = by_length[at:at + rows]
        ids, is_token = padded([texts[e] for e in batch])
        cache = DynamicCache(config=model.config)
        retrievals = 0
        while True:
            width = ids.shape[1]
            is_used_up = retrievals >= rules["budget"]
            ids = model.generate(
                input_ids=ids,
                attention_mask=is_token,
                past_key_values=cache,
                max_new_tokens=rules["turn_tokens"],
                do_sample=False,
                pad_token_id=pad,
                eos_token_id=[retrieve, end],
                suppress_tokens=rules["forbidden"],
                logits_processor=LogitsProcessorList([Budget(is_used_up, width)]),
            )
            new = [written(row) for row in ids[:, width:].tolist()]
            for e, tokens in zip(batch, new):
                texts[e] += tokens
            going = [i for i, tokens in enumerate(new) if tokens[-1] == retrieve]
            if not going:
                break
            given = yield [(batch[i], retrievals, new[i][:-1]) for i in going]
            if len(going) < len(batch):
                cache.batch_select_indices(torch.tensor(going))
            # What stands behind a retrieve token, while others of the batch wrote on, is padding.
            columns = ids.shape[1] - width
            is_new = torch.tensor([[int(t < len(new[i])) for t in range(columns)] for i in going])
            given_ids, is_given = padded(given)
            ids = torch.cat([ids[going], given_ids], 1)
            is_token = torch.cat([is_token[going], is_new, is_given], 1)
            batch = [batch[i] for i in going]
            for e, tokens in zip(batch, given):
                texts[e] += tokens
            retrievals += 1
    return texts


def say(**reply):
    print(json.dumps(reply), flush=True)


say(torch=torch.__version__, transformers=transformers.__version__)
for line in sys.stdin:
    question = json.loads(line)
    if question["do"] == "reset":
        open("/proc/self/clear_refs", "w").write("5")
        say()
        continue
    if question["do"] == "memory":
        status = open("/proc/self/status").read()
        say(megabytes=int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024)
        continue
    if question["do"] == "play":
        game, ms, given = play(question["prompts"], question["rows"]), 0, None
    else:
        given = question["given"]
    start = time.perf_counter()
    try:
        with torch.inference_mode():
            asking = game.send(given)
        ms += (time.perf_counter() - start) * 1e3
        say(find=asking)
    except StopIteration as ended:
        ms += (time.perf_counter() - start) * 1e3
        say(ms=ms, episodes=ended.value)
