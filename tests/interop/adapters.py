"""Low-rank adapters as PEFT makes, stores and merges them."""
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import T5ForConditionalGeneration
from values import batch_of

# PEFT 0.21 asks an encoder-decoder for a method that transformers 5.18 calls something else.
T5ForConditionalGeneration._prepare_encoder_decoder_kwargs_for_generation = (
    T5ForConditionalGeneration._prepare_text_encoder_decoder_kwargs_for_generation
)

#: Which projections get an adapter, per model.
ADAPTERS = {
    "gpt2": dict(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True),
    "llama_scaled": dict(target_modules="all-linear", use_rslora=True),
    "llama_biased": dict(target_modules=["q_proj", "v_proj"]),
    "t5_relu": dict(target_modules=["q", "v"]),
    "t5_gated": dict(target_modules=["q", "k", "v", "o", "wi_0", "wi_1", "wo"]),
}


def write_adapter(model, name, path):
    """A random adapter at `path`; logits, gradients and merged weights in files of their own beside it."""
    task = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    config = LoraConfig(r=3, lora_alpha=5, lora_dropout=0.0, task_type=task, **ADAPTERS[name])
    adapted = get_peft_model(model, config).eval()
    generator = torch.Generator().manual_seed(3)
    trained = {n: p for n, p in adapted.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for p in trained.values():
            p.copy_(0.12 * torch.randn(p.shape, generator=generator))
    adapted.save_pretrained(path)
    batch = batch_of(model, "left")
    output = adapted(**batch)
    output.loss.backward()
    tensors = {name: tensor.to(torch.int32) for name, tensor in batch.items()}
    tensors |= {"loss": output.loss.detach().reshape(1), "logits": output.logits.detach()}
    tensors |= {f"grad:{n.replace('.default', '')}": p.grad for n, p in trained.items()}
    save_file({n: t.contiguous() for n, t in tensors.items()}, f"{path}/values.safetensors")
    merged = adapted.merge_and_unload()
    save_file({n: p.detach().contiguous() for n, p in merged.named_parameters()}, f"{path}/merged.safetensors")
