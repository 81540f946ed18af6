"""Ask an exported index from Python.

    pip install onnxruntime tokenizers
    python search.py FOLDER "a question" "another question"

Prints one line of JSON for each question.
"""
import json
import math
import sys

import numpy
import onnxruntime
from tokenizers import Tokenizer

MAX_TOKENS = 256

folder, *questions = sys.argv[1:]
session = onnxruntime.InferenceSession(f"{folder}/search.onnx")
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
with open(f"{folder}/documents.json", encoding="utf-8") as file:
    documents = json.load(file)


def search(question):
    ids = tokenizer.encode(question).ids[:MAX_TOKENS]
    # A question without a single known word is one position that holds no token.
    inputs = {
        "inputIds": numpy.array([ids or [0]], numpy.int32),
        "isToken": numpy.array([[1] * len(ids) or [0]], numpy.float32),
    }
    doc, log_prob, dropped = session.run(["doc", "logProb", "droppedMass"], inputs)
    return {
        "question": question,
        "documents": [
            {**documents[d], "probability": math.exp(p)}
            for d, p in zip(doc[0].tolist(), log_prob[0].tolist())
            if d >= 0
        ],
        "droppedMass": float(dropped[0]),
    }


for question in questions:
    print(json.dumps(search(question), ensure_ascii=False))
