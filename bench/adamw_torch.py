"""Peer of adamw.ts: times torch.optim.AdamW. Reads one number of steps a line, answers milliseconds."""
import json
import sys
import time

import torch

floats, threads = int(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)
# About as many tensors as T5-small has, so that neither side profits from one huge tensor.
parts = 64
parameters = [torch.nn.Parameter(torch.zeros(floats // parts)) for _ in range(parts)]
for p in parameters:
    p.grad = torch.full_like(p, 0.01)
variants = {
    "eager": torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01),
    "fused": torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, fused=True),
}
print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    ms = {name: [] for name in variants}
    for _ in range(int(line)):
        for name, optimizer in variants.items():
            start = time.perf_counter()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            ms[name].append((time.perf_counter() - start) * 1e3)
    print(json.dumps(ms), flush=True)
