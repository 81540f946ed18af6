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
from transformers import LogitsProcessor, LogitsProcessorList

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
        scores[:, retrieve].masked_fill_(self.is_used_up | has_answered, -torch.inf)
        return scores


def turn(texts, retrievals):
    """What the policy writes behind each text, up to a retrieval, the end or the most there may be."""
    width = max(map(len, texts))
    ids = torch.tensor([[pad] * (width - len(text)) + text for text in texts])
    is_token = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts])
    is_used_up = torch.tensor([count >= rules["budget"] for count in retrievals])
    written = model.generate(
        input_ids=ids,
        attention_mask=is_token,
        max_new_tokens=rules["turn_tokens"],
        do_sample=False,
        pad_token_id=pad,
        eos_token_id=[retrieve, end],
        suppress_tokens=rules["forbidden"],
        logits_processor=LogitsProcessorList([Budget(is_used_up, width)]),
    )[:, width:].tolist()
    # The pad token is forbidden: it stands only behind the end.
    return [row[:row.index(pad)] if pad in row else row for row in written]


def play(prompts, rows):
    """Asks for documents by yielding; returns the texts."""
    texts = [list(prompt) for prompt in prompts]
    waiting = sorted(range(len(texts)), key=lambda e: len(texts[e]))
    # Full batches of similar length: everybody's first turn, then the second of those that have one.
    retrievals = 0
    while waiting:
        asking = []
        for at in range(0, len(waiting), rows):
            batch = waiting[at:at + rows]
            written = turn([texts[e] for e in batch], [retrievals] * len(batch))
            for e, tokens in zip(batch, written):
                texts[e] += tokens
                if tokens[-1] == retrieve:
                    asking.append((e, retrievals, tokens[:-1]))
        if asking:
            for (e, _, _), given in zip(asking, (yield asking)):
                texts[e] += given
        retrievals += 1
        waiting = sorted((e for e, _, _ in asking), key=lambda e: len(texts[e]))
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
