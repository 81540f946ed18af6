"""Write models with tokenizers, and what transformers and PEFT compute from them.

    python make_references.py FOLDER

FOLDER/<name> is a model as `save_pretrained` writes it; <name>/values, <name>/adapter and
<name>/generations.json hold the numbers; FOLDER/texts.json what the tokenizers give.
"""
import json
import os
import sys

import torch
from adapters import ADAPTERS, write_adapter
from families import PROMPTS, families, make
from generations import generations
from transformers.utils import logging
from values import write_values

logging.set_verbosity_error()
logging.disable_progress_bar()

CHATS = [
    [dict(role="user", content="  Where do otters sleep? ")],
    [dict(role="system", content="Answer."), dict(role="user", content="Naïve café?"),
     dict(role="assistant", content="東京"), dict(role="user", content="Why\n not?")],
]

folder = sys.argv[1]
texts = {}
for name in families():
    path = f"{folder}/{name}"
    model, tokenizer, saving = make(name)
    model.save_pretrained(path, **saving)
    tokenizer.save_pretrained(path)
    # As it is on the disk. A model that is turned to bfloat16 loses digits of its rotary frequencies, too.
    model = type(model).from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    os.makedirs(f"{path}/values")
    write_values(model, f"{path}/values")
    with open(f"{path}/generations.json", "w", encoding="utf-8") as file:
        json.dump(generations(model, tokenizer), file)
    texts[name] = dict(
        ids=[tokenizer(prompt).input_ids for prompt in PROMPTS],
        chats=[
            dict(
                messages=messages,
                prompt=prompt,
                ids=tokenizer.apply_chat_template(messages, add_generation_prompt=prompt, return_dict=False),
            )
            for messages in CHATS
            for prompt in (False, True)
            if tokenizer.chat_template
        ],
    )
    if name in ADAPTERS:
        write_adapter(model, name, f"{path}/adapter")
with open(f"{folder}/texts.json", "w", encoding="utf-8") as file:
    json.dump(dict(prompts=PROMPTS, models=texts), file)
