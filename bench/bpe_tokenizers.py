"""One run of Python's BpeTrainer: texts (a JSON list) and vocabulary size in, seconds and merges out."""
import json
import sys
import time

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

with open(sys.argv[1], encoding="utf-8") as file:
    texts = json.load(file)
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trainer = trainers.BpeTrainer(
    vocab_size=int(sys.argv[2]),
    min_frequency=2,
    special_tokens=["<pad>", "</s>", "<unk>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
start = time.perf_counter()
tokenizer.train_from_iterator(texts, trainer)
seconds = time.perf_counter() - start
merges = [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
json.dump({"seconds": seconds, "merges": merges}, sys.stdout)
