import type { DecoderConfig, DecoderFamily } from "./decoder_config.ts";

/** Names of the parameters of a decoder, without `.weight` and `.bias`, and how they are stored. */
export interface DecoderNames {
  /** Are projections stored as [I, O], which GPT-2 calls "Conv1D", instead of [O, I]? */
  readonly isConv1d: boolean;
  /** Embedding table of tokens. */
  readonly tokens: string;
  /** Embedding table of learned positions. */
  readonly positions: string;
  /** Layer `i`. */
  readonly layer: (i: number) => string;
  /** Norm before the attention, within a layer. */
  readonly attentionNorm: string;
  /** Queries, keys and values: three projections, or one whose outputs stand side by side. */
  readonly query: readonly [string] | readonly [string, string, string];
  /** One projection in the place of the three, where a model was packed. */
  readonly packedQuery?: string;
  /** Output of the attention. */
  readonly output: string;
  /** Norm before the feed-forward layer. */
  readonly innerNorm: string;
  /** Into the feed-forward layer: one projection, or a gate and what it lets through. */
  readonly inner: readonly [string] | readonly [string, string];
  /** One projection in the place of the two, where a model was packed. */
  readonly packedInner?: string;
  /** Out of the feed-forward layer. */
  readonly back: string;
  /** Norm after the last layer. */
  readonly finalNorm: string;
  /** Output layer of a model that is not tied. */
  readonly head: string;
}

const GPT2: DecoderNames = {
  isConv1d: true,
  tokens: "transformer.wte",
  positions: "transformer.wpe",
  layer: (i) => `transformer.h.${i}`,
  attentionNorm: "ln_1",
  query: ["attn.c_attn"],
  output: "attn.c_proj",
  innerNorm: "ln_2",
  inner: ["mlp.c_fc"],
  back: "mlp.c_proj",
  finalNorm: "transformer.ln_f",
  head: "lm_head",
};

const LLAMA: DecoderNames = {
  isConv1d: false,
  tokens: "model.embed_tokens",
  positions: "",
  layer: (i) => `model.layers.${i}`,
  attentionNorm: "input_layernorm",
  query: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
  packedQuery: "self_attn.qkv_proj",
  output: "self_attn.o_proj",
  innerNorm: "post_attention_layernorm",
  inner: ["mlp.gate_proj", "mlp.up_proj"],
  packedInner: "mlp.gate_up_proj",
  back: "mlp.down_proj",
  finalNorm: "model.norm",
  head: "lm_head",
};

const NAMES: Readonly<Record<DecoderFamily, DecoderNames>> = {
  gpt2: GPT2,
  llama: LLAMA,
  qwen2: LLAMA,
};

/** Names of the parameters of a family. */
export const decoderNames = ({ family }: Pick<DecoderConfig, "family">): DecoderNames =>
  NAMES[family];
