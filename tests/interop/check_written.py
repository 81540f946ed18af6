"""Load what was written here with transformers and PEFT.

    python check_written.py MANIFEST

MANIFEST lists folders; the answers are written beside it as answers.json.
"""
import json
import logging
import os
import sys

import torch
from adapters import T5ForConditionalGeneration
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging as transformers_logging
from values import batch_of

transformers_logging.disable_progress_bar()
complaints = []


class Complaints(logging.Handler):
    """Keeps what transformers warns of."""

    def emit(self, record):
        complaints.append(record.getMessage())


transformers_logging.get_logger().addHandler(Complaints(logging.WARNING))


def load(path, **options):
    """A model in float32, and what it complained about."""
    complaints.clear()
    kind = T5ForConditionalGeneration if AutoConfig.from_pretrained(path).model_type == "t5" else AutoModelForCausalLM
    model, info = kind.from_pretrained(
        path, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **options
    )
    found = [f"{what}: {sorted(names)}" for what, names in info.items() if names]
    return model.eval(), found + list(complaints)


def logits_of(model):
    with torch.no_grad():
        return model(**batch_of(model, "left")).logits


def relative_max(actual, expected):
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def saved(folder, original, dtype):
    """A saved model against the original, rounded as the file is."""
    model, problems = load(folder)
    expected, _ = load(original)
    with torch.no_grad():
        for p in expected.parameters():
            p.copy_(p.to(getattr(torch, dtype)).float())
    ours, theirs = dict(model.named_parameters()), dict(expected.named_parameters())
    tokenizer, reference = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(original)
    text = "It's the café’s 1973 heron.  </s>"
    return dict(
        problems=problems,
        different=[name for name in theirs if name not in ours or not torch.equal(ours[name], theirs[name])],
        error=relative_max(logits_of(model), logits_of(expected)),
        tokenizer=type(tokenizer).__name__,
        tokens_equal=tokenizer(text).input_ids == reference(text).input_ids
        and tokenizer.decode(tokenizer(text).input_ids) == reference.decode(reference(text).input_ids)
        and tokenizer.chat_template == reference.chat_template
        and tokenizer.special_tokens_map == reference.special_tokens_map,
        generation_equal=GenerationConfig.from_pretrained(folder) == GenerationConfig.from_pretrained(original),
    )


def adapter(folder, original):
    """A saved adapter on its model, against the one that PEFT saved."""
    model, _ = load(original)
    complaints.clear()
    adapted = PeftModel.from_pretrained(model, folder).eval()
    expected = load_file(f"{original}/adapter/values.safetensors")["logits"]
    return dict(problems=list(complaints), error=relative_max(logits_of(adapted), expected))


def added(folder, texts):
    """A model with more tokens."""
    model, problems = load(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tensors = {name: tensor.to(torch.int32) for name, tensor in batch_of(model, "left").items()}
    save_file({**tensors, "logits": logits_of(model).contiguous()}, f"{folder}/values.safetensors")
    return dict(
        problems=problems,
        ids={token: tokenizer.convert_tokens_to_ids(token) for token in ("<RET>", "<DOC>", "</DOC>")},
        encoded=[tokenizer(text).input_ids for text in texts],
        decoded=[tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) for text in texts],
        special=[token for token in ("<RET>", "<DOC>", "</DOC>") if token in tokenizer.all_special_tokens],
        size=len(tokenizer),
        rows=model.get_input_embeddings().weight.shape[0],
        outputs=model.get_output_embeddings().weight.shape[0],
    )


with open(sys.argv[1], encoding="utf-8") as file:
    manifest = json.load(file)
answers = {
    kind: {name: check(**what) for name, what in manifest[kind].items()}
    for kind, check in (("saved", saved), ("adapters", adapter), ("added", added))
}
with open(os.path.join(os.path.dirname(sys.argv[1]), "answers.json"), "w", encoding="utf-8") as file:
    json.dump(answers, file)
