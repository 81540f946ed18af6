"""Losses, logits and gradients of a model for batches padded on either side."""
import torch
from safetensors.torch import save_file


def batch_of(model, side):
    """Two rows of 26 and 15 tokens; labels leave some out, and all padding."""
    config = model.config
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(3, config.vocab_size, (2, 26), generator=generator)
    mask = torch.ones_like(ids)
    gap = slice(15, None) if side == "right" else slice(None, 11)
    mask[1, gap] = 0
    ids[mask == 0] = config.pad_token_id
    if config.is_encoder_decoder:
        labels = torch.randint(3, config.vocab_size, (2, 9), generator=generator)
        labels[1, 6:] = -100
        return dict(input_ids=ids, attention_mask=mask, labels=labels)
    labels = ids.masked_fill(mask == 0, -100)
    labels[1, 11] = -100  # the first of a row padded on the left: nothing is read before it
    labels[0, 5:8] = -100
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return dict(input_ids=ids, attention_mask=mask, labels=labels, position_ids=positions)


def write_values(model, path):
    """What a float32 model computes, as `path`/right.safetensors and left.safetensors."""
    for side in ("right", "left"):
        batch = batch_of(model, side)
        model.zero_grad()
        output = model(**batch)
        output.loss.backward()
        tensors = {name: tensor.to(torch.int32) for name, tensor in batch.items()}
        tensors |= {"loss": output.loss.detach().reshape(1), "logits": output.logits.detach()}
        tensors |= {f"grad:{name}": p.grad.clone() for name, p in model.named_parameters()}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{path}/{side}.safetensors")
