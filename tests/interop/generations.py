"""What `generate` writes, greedily and in beams, with one option or another."""
import torch
from families import PROMPTS

NEW_TOKENS = 20


def variants(stops):
    """Options of `generate` by name; `stops` are tokens that the model likes to write."""
    greedy = dict(num_beams=1)
    beam = dict(num_beams=4, num_return_sequences=4, eos_token_id=stops)
    yield "greedy", greedy
    yield "greedy, several ends", greedy | dict(eos_token_id=stops)
    yield "greedy, at least 9 tokens", greedy | dict(eos_token_id=stops, min_new_tokens=9)
    yield "greedy, repetition penalty", greedy | dict(repetition_penalty=1.7)
    for early in (True, False, "never"):
        for penalty in (-0.5, 0.0, 1.0, 2.0):
            yield f"beams, early stopping {early}, length penalty {penalty}", beam | dict(
                early_stopping=early, length_penalty=penalty
            )
    yield "beams, no end", beam | dict(eos_token_id=[stops[0]], min_new_tokens=NEW_TOKENS)
    yield "beams, at least 9 tokens", beam | dict(min_new_tokens=9)
    yield "beams, repetition penalty", beam | dict(repetition_penalty=1.7)
    yield "beams, one returned of 3", beam | dict(num_beams=3, num_return_sequences=1)
    yield "beams, at least 5 tokens and repetition penalty", beam | dict(min_new_tokens=5, repetition_penalty=1.3)


def generate(model, inputs, options):
    """Generated tokens of every text, with padding, and its score."""
    # transformers punishes the padding of a prompt, and the start token of a T5, for being repeated; here they
    # are no part of the text. As long as neither can be written, that makes no difference.
    output = model.generate(
        **inputs, max_new_tokens=NEW_TOKENS, do_sample=False, return_dict_in_generate=True, output_scores=True,
        pad_token_id=model.config.pad_token_id, suppress_tokens=[model.config.pad_token_id], **options,
    )
    start = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    return dict(
        tokens=output.sequences[:, start:].tolist(),
        scores=output.sequences_scores.tolist() if output.get("sequences_scores") is not None else None,
    )


def favourites(model, inputs, count=4):
    """Tokens that stand late in what the model likes to write."""
    tokens = generate(model, inputs, dict(num_beams=4, num_return_sequences=4, eos_token_id=None))["tokens"]
    counts = {}
    for row in tokens:
        for token in row[3:]:
            counts[token] = counts.get(token, 0) + 1
    return sorted(counts, key=lambda token: (-counts[token], token))[1 : 1 + count]


def generations(model, tokenizer):
    """Prompts as rows of ids, and everything written after them."""
    tokenizer.padding_side = "left"
    inputs = dict(tokenizer(PROMPTS, return_tensors="pt", padding=True))
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    rows = [tokenizer(prompt).input_ids for prompt in PROMPTS]
    stops = favourites(model, inputs)
    cases = [
        dict(name=name, options=options, **generate(model, inputs, options)) for name, options in variants(stops)
    ]
    return dict(prompts=rows, max_new_tokens=NEW_TOKENS, pad_token=model.config.pad_token_id, cases=cases)
