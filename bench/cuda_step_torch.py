"""The T5 of train_step_torch.py on a GPU, as a peer: one JSON command per line in, one answer per line out.

    cuda_step_torch.py CONFIG BATCH eager|compile|graphs bfloat16|tf32|float32

CONFIG is the path of a config.json, BATCH is B,S,T. With bfloat16 the model runs under autocast, its
weights and AdamW stay float32: what transformers' Trainer does. "graphs" is torch.compile with
mode="reduce-overhead", which replays CUDA graphs. Commands: {"do": "step", "count": N},
{"do": "losses", "count": N}.
"""
import json
import sys
import time

import torch

from train_step_torch import T5

DEVICE = "cuda"


def shapes(c):
    """Names and shapes of T5's weights, tied, with a relu feed-forward."""
    d, f, v, h = c["d_model"], c["d_ff"], c["vocab_size"], c["num_heads"]
    inner = h * c["d_kv"]
    out = {"shared.weight": (v, d)}
    for stack, layers in (("encoder", c["num_layers"]), ("decoder", c["num_decoder_layers"])):
        for i in range(layers):
            parts = ["SelfAttention"] + (["EncDecAttention"] if stack == "decoder" else [])
            for k, part in enumerate(parts):
                name = f"{stack}.block.{i}.layer.{k}"
                for p in "qkv":
                    out[f"{name}.{part}.{p}.weight"] = (inner, d)
                out[f"{name}.{part}.o.weight"] = (d, inner)
                if i == 0 and k == 0:
                    out[f"{name}.{part}.relative_attention_bias.weight"] = (
                        c["relative_attention_num_buckets"], h)
                out[f"{name}.layer_norm.weight"] = (d,)
            name = f"{stack}.block.{i}.layer.{len(parts)}"
            out[f"{name}.DenseReluDense.wi.weight"] = (f, d)
            out[f"{name}.DenseReluDense.wo.weight"] = (d, f)
            out[f"{name}.layer_norm.weight"] = (d,)
        out[f"{stack}.final_layer_norm.weight"] = (d,)
    return out


def main():
    path, batch, mode, precision = sys.argv[1:5]
    config = json.load(open(path))
    B, S, T = (int(n) for n in batch.split(","))
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    weights = {
        name: (torch.ones(shape, device=DEVICE) if "layer_norm" in name
               else torch.randn(shape, device=DEVICE) * 0.05).requires_grad_()
        for name, shape in shapes(config).items()
    }
    model = T5(config, weights)
    ids = torch.randint(2, config["vocab_size"], (B, S), device=DEVICE)
    lengths = S - torch.randint(0, max(1, S // 4), (B,), device=DEVICE)
    is_token = (torch.arange(S, device=DEVICE)[None, :] < lengths[:, None]).float()
    labels = torch.randint(2, config["vocab_size"], (B, T), device=DEVICE)

    def loss_of():
        with torch.autocast(DEVICE, torch.bfloat16, enabled=precision == "bfloat16"):
            return model.loss(ids, is_token, labels)

    loss_of_ = loss_of
    if mode == "compile":
        loss_of_ = torch.compile(loss_of)
    elif mode == "graphs":
        loss_of_ = torch.compile(loss_of, mode="reduce-overhead")
    optimizer = torch.optim.AdamW(weights.values(), lr=1e-4, weight_decay=0.01, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of_()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        return loss

    def answer(**x):
        print(json.dumps(x), flush=True)

    start = time.perf_counter()
    for _ in range(4):
        step()
    torch.cuda.synchronize()
    answer(torch=torch.__version__, device=torch.cuda.get_device_name(), warm=time.perf_counter() - start)
    for line in sys.stdin:
        command = json.loads(line)
        times = []
        for _ in range(command["count"]):
            torch.cuda.synchronize()
            start = time.perf_counter()
            loss = step()
            torch.cuda.synchronize()
            times.append((time.perf_counter() - start) * 1e3)
        answer(times=times, loss=loss.item(), megabytes=torch.cuda.max_memory_allocated() / 2**20)


if __name__ == "__main__":
    main()
