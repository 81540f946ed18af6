"""The same T5 in PyTorch, as a peer: one JSON command per line in, one JSON answer per line out.

    train_step_torch.py FOLDER THREADS eager|compile

FOLDER holds config.json, model.safetensors and batch.json. Commands: {"do": "gradients", "to": PATH},
{"do": "step", "count": N}, {"do": "memory"}.
"""
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file


class T5:
    def __init__(self, config, weights):
        self.c, self.w = config, weights

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"])

    def norm(self, x, name):
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c["layer_norm_epsilon"])
        return self.w[name + ".layer_norm.weight"] * (x * scale)

    def final_norm(self, x, stack):
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c["layer_norm_epsilon"])
        return self.w[stack + ".final_layer_norm.weight"] * (x * scale)

    def bias(self, stack, length):
        buckets, far = self.c["relative_attention_num_buckets"], self.c["relative_attention_max_distance"]
        name = stack + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        place = torch.arange(length, device=self.w[name].device)
        distance = place[None, :] - place[:, None]
        result = torch.zeros_like(distance)
        if stack == "encoder":
            buckets //= 2
            result = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = -distance.clamp(max=0)
        exact = buckets // 2
        ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(far / exact)
        large = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
        result = result + torch.where(distance < exact, distance, large)
        return F.embedding(result, self.w[name]).permute(2, 0, 1)[None]

    def heads(self, x):
        return x.view(x.shape[0], x.shape[1], self.c["num_heads"], -1).transpose(1, 2)

    def attention(self, x, layer, kind, bias, memory=None):
        h = self.norm(x, layer)
        m = h if memory is None else memory
        name = f"{layer}.{kind}"
        q, k, v = (self.heads(self.linear(y, f"{name}.{p}")) for y, p in ((h, "q"), (m, "k"), (m, "v")))
        p = torch.softmax(q @ k.transpose(-1, -2) + bias, -1)
        o = (p @ v).transpose(1, 2).reshape(x.shape[0], x.shape[1], -1)
        return x + self.linear(o, name + ".o")

    def feed_forward(self, x, layer):
        name = layer + ".DenseReluDense"
        h = self.norm(x, layer)
        return x + self.linear(torch.relu(self.linear(h, name + ".wi")), name + ".wo")

    def loss(self, input_ids, is_token, labels):
        w, c = self.w, self.c
        padding = (is_token - 1)[:, None, None, :] * 1e9
        x = F.embedding(input_ids, w["shared.weight"])
        bias = self.bias("encoder", input_ids.shape[1]) + padding
        for i in range(c["num_layers"]):
            layer = f"encoder.block.{i}.layer"
            x = self.feed_forward(self.attention(x, layer + ".0", "SelfAttention", bias), layer + ".1")
        memory = self.final_norm(x, "encoder")
        T = labels.shape[1]
        ids = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1].clamp(min=0)], 1)
        x = F.embedding(ids, w["shared.weight"])
        bias = self.bias("decoder", T) + torch.full((T, T), -1e9, device=x.device).triu(1)
        for i in range(c["num_decoder_layers"]):
            layer = f"decoder.block.{i}.layer"
            x = self.attention(x, layer + ".0", "SelfAttention", bias)
            x = self.attention(x, layer + ".1", "EncDecAttention", padding, memory)
            x = self.feed_forward(x, layer + ".2")
        x = self.final_norm(x, "decoder") * c["d_model"] ** -0.5
        logits = F.linear(x, w["shared.weight"])
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), labels.reshape(-1))


def main():
    folder, threads, mode = sys.argv[1:4]
    torch.set_num_threads(int(threads))
    config = json.load(open(folder + "/config.json"))
    weights = {k: v.requires_grad_() for k, v in load_file(folder + "/model.safetensors").items()}
    batch = json.load(open(folder + "/batch.json"))
    batch = {k: torch.tensor(v) for k, v in batch.items()}
    batch["is_token"] = batch["is_token"].float()
    model = T5(config, weights)
    loss_of = torch.compile(model.loss) if mode == "compile" else model.loss
    # fused is the fastest AdamW that PyTorch has on CPU.
    optimizer = torch.optim.AdamW(weights.values(), lr=1e-3, weight_decay=0.01, fused=True)

    def answer(**x):
        print(json.dumps(x), flush=True)

    answer(torch=torch.__version__)
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "gradients":
            optimizer.zero_grad()
            loss = loss_of(**batch)
            loss.backward()
            save_file({k: v.grad.contiguous() for k, v in weights.items()}, command["to"])
            answer(loss=loss.item())
            del loss
            # Peaks count from here.
            open("/proc/self/clear_refs", "w").write("5")
        elif command["do"] == "step":
            times = []
            for _ in range(command["count"]):
                start, cpu = time.perf_counter(), time.process_time()
                optimizer.zero_grad()
                loss = loss_of(**batch)
                loss.backward()
                middle = time.perf_counter()
                optimizer.step()
                end = time.perf_counter()
                cpu = time.process_time() - cpu
                times.append([(end - start) * 1e3, (end - middle) * 1e3, cpu * 1e3])
            answer(times=times, loss=loss.item())
        else:
            peak = next(l for l in open("/proc/self/status") if l.startswith("VmHWM"))
            answer(megabytes=int(peak.split()[1]) / 1024)


if __name__ == "__main__":
    main()
