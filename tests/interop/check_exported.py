"""Run exported folders with ONNX Runtime and transformers' tokenizers, in a plain loop.

    python check_exported.py REQUESTS

The answers are written beside it as answers.json.
"""
import json
import os
import sys

import numpy
import onnx
import onnxruntime
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging

logging.disable_progress_bar()


def open_file(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def empty_past(session, rows):
    """Keys and values of nothing: axes with names are the rows and the positions."""
    past = {}
    for entry in session.get_inputs():
        if entry.name.startswith("past_key_values."):
            shape = [size if isinstance(size, int) else rows if at == 0 else 0 for at, size in enumerate(entry.shape)]
            past[entry.name] = numpy.zeros(shape, numpy.float32)
    return past


def renewed(session, outputs, past):
    """Keys and values after a step. Those of the source are only given by the first one."""
    named = {entry.name: value for entry, value in zip(session.get_outputs(), outputs)}
    fresh = {}
    for name, old in past.items():
        new = named[name.replace("past_key_values", "present")]
        fresh[name] = old if ".encoder." in name and old.shape[2] else new
    return named["logits"], fresh


def greedy(folder, suffix, tokenizer, prompts, new_tokens):
    """The rows that are written after prompts, and the logits after the first one."""
    config = AutoConfig.from_pretrained(folder)
    inputs = tokenizer(prompts, return_tensors="np", padding=True)
    ids, mask = inputs["input_ids"].astype(numpy.int64), inputs["attention_mask"].astype(numpy.int64)
    rows, feed = len(prompts), {}
    if config.is_encoder_decoder:
        encoder = open_file(f"{folder}/onnx/encoder_model{suffix}.onnx")
        (states,) = encoder.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask})
        session = open_file(f"{folder}/onnx/decoder_model_merged{suffix}.onnx")
        feed = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
        ids = numpy.full((rows, 1), config.decoder_start_token_id, numpy.int64)
    else:
        session = open_file(f"{folder}/onnx/model{suffix}.onnx")
    names = {entry.name for entry in session.get_inputs()}
    past, written, first = empty_past(session, rows), numpy.zeros((rows, 0), numpy.int64), None
    is_done = numpy.zeros(rows, bool)
    for step in range(new_tokens):
        if config.is_encoder_decoder:
            feed["use_cache_branch"] = numpy.array([step > 0])
        else:
            positions = numpy.maximum(mask.cumsum(-1) - 1, 0)[:, -ids.shape[1] :]
            feed = {"attention_mask": mask} | ({"position_ids": positions} if "position_ids" in names else {})
        logits, past = renewed(session, session.run(None, {"input_ids": ids, **feed, **past}), past)
        if first is None:
            first = logits[0, -1].tolist()
        ids = numpy.where(is_done, tokenizer.pad_token_id, logits[:, -1].argmax(-1))[:, None]
        written = numpy.concatenate([written, ids], 1)
        mask = mask if config.is_encoder_decoder else numpy.concatenate([mask, numpy.ones_like(ids)], 1)
        is_done |= ids[:, 0] == config.eos_token_id
        if is_done.all():
            break
    return tokenizer.batch_decode(written, skip_special_tokens=True), first


def check(folder, suffix, prompts, new_tokens):
    """Whether the files are sound, and the texts that come of them, one by one and in one batch."""
    names = ("model", "encoder_model", "decoder_model_merged")
    files = [path for name in names if os.path.exists(path := f"{folder}/onnx/{name}{suffix}.onnx")]
    for path in files:
        onnx.checker.check_model(path, full_check=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    texts, logits = [], None
    for prompt in prompts:
        (text,), first = greedy(folder, suffix, tokenizer, [prompt], new_tokens)
        texts.append(text)
        logits = logits or first
    batch, _ = greedy(folder, suffix, tokenizer, prompts, new_tokens)
    return dict(files=len(files), texts=texts, batch=batch, logits=logits)


with open(sys.argv[1], encoding="utf-8") as file:
    requests = json.load(file)
answers = {name: check(**request) for name, request in requests.items()}
with open(os.path.join(os.path.dirname(sys.argv[1]), "answers.json"), "w", encoding="utf-8") as file:
    json.dump(answers, file)
