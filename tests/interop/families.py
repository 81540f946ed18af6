"""Small random models of every family, each with a tokenizer trained here. Sizes differ from those of the
parity references, and no two sizes of a model are equal."""
import json
import math
import unicodedata
from collections import Counter
from functools import cache

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
)

torch.set_num_threads(1)

CORPUS = """Sea otters sleep on their backs and hold hands, so that no wave takes one of them away.
The grey heron stands still in shallow water; it waits for a meal and never hurries.
In 1973 the price of oil rose from 3 to 12 dollars, and 40 years later it hadn't come back.
Was the festival of stilts first held in Vostwell? It's said that a great wheel of straw was burnt.
Naïve cafés, Ångströms and Οδυσσεύς: words from elsewhere keep their accents. 東京 too; so does “that”.
She'll write, they've read, we're waiting, I'd ask: what follows the question isn't always an answer.
Which animal keeps hold of its neighbour?  Two spaces, then a tab\tand a new line.
""" * 3

#: What the models are asked. Two of them have the same number of tokens for nobody: rows are ragged.
PROMPTS = ["The otter sleeps on the water", "In 1973, which heron", "Naïve cafés aren't"]

CHAT = (
    "{{ bos_token or '' }}{% for message in messages %}<|{{ message.role }}|>\n{{ message.content | trim }}"
    "{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
WORDS = Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+")


def byte_level(size, special, *, split=False, begin=None, normalizer=None):
    """A byte-level BPE as GPT-2 has it, or with the pattern, the normaliser and the first token of later ones."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split)
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.Split(WORDS, "isolated"), bytes_only]) if split else bytes_only
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS.splitlines(True), trainer)
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", pair=f"{begin} $A $B", special_tokens=[(begin, tokenizer.token_to_id(begin))]
        )
    return tokenizer


def of_class(kind, tokenizer, **special):
    """A tokenizer of one of transformers' own classes, which bring their own cutting into words."""
    model = json.loads(tokenizer.to_str())["model"]
    return kind(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], **special)


def unigram(size):
    """Pieces of a Unigram model. The library's trainer gives other ones in every run, so these are the
    commonest parts of words, each as likely as it is common and long."""
    counts = Counter()
    for word in unicodedata.normalize("NFKC", CORPUS).split():
        word = "\u2581" + word
        for start in range(len(word)):
            counts.update(word[start:end] for end in range(start + 1, min(start + 6, len(word)) + 1))
    letters = [(piece, n) for piece, n in counts.items() if len(piece) == 1]
    longer = [(piece, n * len(piece) ** 2) for piece, n in counts.items() if len(piece) > 1]
    longer.sort(key=lambda item: (-item[1], item[0]))
    pieces = sorted(letters) + longer[: size - 3 - len(letters)]
    total = sum(n for _, n in pieces)
    return [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(piece, math.log(n / total)) for piece, n in pieces]


def randomise(model, seed):
    """Numbers that leave no parameter at 0 or 1, and make logits far from flat."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.ndim == 1:
                p.copy_(0.2 * noise + ("bias" not in name))
            elif "relative_attention_bias" in name:
                p.copy_(0.5 * noise)
            elif "shared" in name:
                p.copy_(noise)
            elif any(part in name for part in ("wte", "wpe", "embed_tokens", "lm_head")):
                p.copy_(0.4 * noise)
            else:
                fan_in = p.shape[0] if model.config.model_type == "gpt2" else p.shape[1]
                p.copy_(1.3 * noise / math.sqrt(fan_in))
            if name.endswith("Attention.q.weight"):  # T5 does not divide by the root of the width of a head
                p.mul_(model.config.d_kv**-0.5)


LLAMA = dict(
    hidden_size=48, intermediate_size=88, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
    head_dim=10, max_position_embeddings=256, rms_norm_eps=1e-5,
)
SCALED = dict(
    rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=16,
)
T5 = dict(
    d_model=44, d_kv=12, num_heads=5, num_layers=3, num_decoder_layers=2, d_ff=76,
    relative_attention_num_buckets=12, relative_attention_max_distance=20, dropout_rate=0.0,
    decoder_start_token_id=0,
)


@cache
def families():
    """Per name: the model's class, its configuration, its tokenizer, how it is saved."""
    gpt2 = byte_level(380, ["<|endoftext|>", "<|pad|>"])
    gpt2 = of_class(GPT2Tokenizer, gpt2, eos_token="<|endoftext|>", pad_token="<|pad|>",
                    bos_token="<|endoftext|>", unk_token="<|endoftext|>")
    llama = byte_level(420, ["<|begin|>", "<|end|>", "<|pad|>"], split=True, begin="<|begin|>")
    llama = PreTrainedTokenizerFast(tokenizer_object=llama, bos_token="<|begin|>", eos_token="<|end|>",
                                    pad_token="<|pad|>", chat_template=CHAT)
    qwen = byte_level(450, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], split=True, normalizer=normalizers.NFC())
    qwen = of_class(Qwen2Tokenizer, qwen, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=CHAT)
    t5 = T5Tokenizer(vocab=unigram(300), extra_ids=6)

    def tokens(tokenizer):
        return dict(vocab_size=len(tokenizer), bos_token_id=tokenizer.bos_token_id,
                    eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)

    def llama_of(**more):
        return LlamaForCausalLM, LlamaConfig(**{**LLAMA, **tokens(llama), **more}), llama

    def t5_of(**more):
        return T5ForConditionalGeneration, T5Config(**{**T5, **tokens(t5), **more}), t5

    gpt2_config = GPT2Config(n_embd=52, n_layer=3, n_head=4, n_inner=100, n_positions=96, resid_pdrop=0.0,
                             embd_pdrop=0.0, attn_pdrop=0.0, **tokens(gpt2))
    qwen_config = Qwen2Config(hidden_size=40, intermediate_size=72, num_hidden_layers=3, num_attention_heads=5,
                              num_key_value_heads=1, max_position_embeddings=128, tie_word_embeddings=False,
                              use_sliding_window=False, **tokens(qwen))
    return {
        "gpt2": (GPT2LMHeadModel, gpt2_config, gpt2, {}),
        "llama_tied": (*llama_of(tie_word_embeddings=True), {}),
        "llama_scaled": (*llama_of(tie_word_embeddings=False, rope_parameters=SCALED), {"max_shard_size": "60KB"}),
        "llama_biased": (*llama_of(attention_bias=True, mlp_bias=True, num_key_value_heads=6), {"dtype": "bfloat16"}),
        "qwen2_untied": (Qwen2ForCausalLM, qwen_config, qwen, {}),
        "t5_relu": (*t5_of(feed_forward_proj="relu", tie_word_embeddings=True), {}),
        "t5_gated": (*t5_of(feed_forward_proj="gated-gelu", tie_word_embeddings=False), {"max_shard_size": "100KB"}),
    }


def make(name):
    """A model of a family in float32, in the state it is saved in, and its tokenizer."""
    kind, config, tokenizer, saving = families()[name]
    config._attn_implementation = "eager"
    model = kind(config).eval()
    randomise(model, seed=len(name))
    if saving.get("dtype") == "bfloat16":
        model = model.to(torch.bfloat16)
    return model, tokenizer, {k: v for k, v in saving.items() if k != "dtype"}
