/** Whole models of every family with a tokenizer of twenty words, drawn at random, in a thousand numbers. */
import type { LoadedModel, PretrainedModel } from "../../../src/hub/mod.ts";
import { type ModelConfig, modelParamSpecs, parseModelConfig } from "../../../src/model/mod.ts";
import { loadTokenizer } from "../../../src/text/mod.ts";
import { drawn, TINY as DECODERS } from "../model/_tiny_decoder.ts";

/** Tokens that are no words of a text. */
export const SPECIALS = ["<pad>", "</s>", "<unk>"];

/** Every token, at its id. The models have three rows more. */
export const TOKENS = [
  ...SPECIALS,
  ...["system", "user", "assistant"],
  ...["otter", "heron", "sea", "river", "sleeps", "wades", "in", "the", "a", "on", "its", "back"],
  ...["who", "?"],
];

/** Rows of the tiny models. */
export const VOCAB_SIZE = TOKENS.length + 3;

/** Id of a token. */
export const idOf = (token: string): number => TOKENS.indexOf(token);

/** `tokenizer.json` of a model that reads words; an encoder-decoder's sources end with `</s>`. */
export const tinyTokenizer = (isSeq2Seq = false): Record<string, unknown> => ({
  version: "1.0",
  added_tokens: SPECIALS.map((content, id) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  })),
  pre_tokenizer: { type: "Whitespace" },
  ...isSeq2Seq && {
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
  },
  model: {
    type: "WordLevel",
    unk_token: "<unk>",
    vocab: Object.fromEntries(TOKENS.map((token, id) => [token, id])),
  },
});

const SPECIAL_IDS = { pad_token_id: 0, eos_token_id: 1 };
const T5 = {
  model_type: "t5",
  d_model: 8,
  d_kv: 4,
  num_heads: 2,
  d_ff: 12,
  num_layers: 1,
  relative_attention_num_buckets: 8,
  relative_attention_max_distance: 16,
};

/** By name, in the words of `config.json`. */
export const TINY: Readonly<Record<string, Record<string, unknown>>> = {
  t5: T5,
  flan_t5: { ...T5, feed_forward_proj: "gated-gelu", tie_word_embeddings: false },
  gpt2: { ...DECODERS.gpt2, n_positions: 32 },
  llama: { ...DECODERS.llama, num_hidden_layers: 1 },
  qwen2: { ...DECODERS.qwen2, num_hidden_layers: 1 },
};

/** Names of the tiny models. */
export const NAMES: readonly string[] = Object.keys(TINY);

/** A configuration of one of them, with overrides in the words of `config.json`. */
export const tinyConfig = (name: string, over: Record<string, unknown> = {}): ModelConfig =>
  parseModelConfig({ ...TINY[name], ...SPECIAL_IDS, vocab_size: VOCAB_SIZE, ...over });

/** A model with its tokenizer. */
export function tinyModel(name: string, over: Record<string, unknown> = {}): PretrainedModel {
  const config = tinyConfig(name, over);
  return {
    config,
    tensors: drawn(modelParamSpecs(config)),
    tokenizerJson: tinyTokenizer(config.family === "t5"),
  };
}

/** Overrides that give every matrix a thousand numbers: smaller ones are always exported as float32. */
export function wide(name: string): Record<string, unknown> {
  if (name === "gpt2") return { vocab_size: 48, n_embd: 32, initializer_range: 0.2 };
  if (name.endsWith("t5")) return { vocab_size: 48, d_model: 32, d_kv: 16, d_ff: 32 };
  const sizes = { hidden_size: 32, head_dim: 16, intermediate_size: 32 };
  return { vocab_size: 48, ...sizes, initializer_range: 0.2 };
}

/** The same as if it had been loaded. */
export function tinyLoaded(name: string, over: Record<string, unknown> = {}): LoadedModel {
  const model = tinyModel(name, over);
  return {
    ...model,
    source: `tiny/${name}`,
    folder: `tiny/${name}`,
    tokenizer: loadTokenizer(model.tokenizerJson, {}),
  };
}
