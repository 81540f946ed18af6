/** Sizes and choices of GPT-2, Llama and Qwen2, from and to Hugging Face's `config.json`. @module */
import { ConfigError } from "../errors.ts";
import type { RotaryOptions } from "../nn/mod.ts";
import { readRotary, type Report, rotaryToJson } from "./_rotary_config.ts";
import { type ConfigTables, isInteger, placeFields, readConfig, RULES } from "./config_reader.ts";

/** Families of decoders. */
export type DecoderFamily = "gpt2" | "llama" | "qwen2";

/** Activations of the feed-forward layer. */
export type Activation = "gelu_new" | "gelu" | "relu" | "silu";

/** Sizes and choices of a decoder: a transformer that continues a text. */
export interface DecoderConfig {
  /** Which family's names and layout the parameters have. */
  readonly family: DecoderFamily;
  /** V */
  readonly vocabSize: number;
  /** D */
  readonly modelWidth: number;
  /** E, width of one head. */
  readonly headWidth: number;
  /** H */
  readonly heads: number;
  /** J, heads of keys and values; divides H. */
  readonly keyValueHeads: number;
  /** F, inner width of the feed-forward layer. */
  readonly innerWidth: number;
  /** Number of layers. */
  readonly layers: number;
  /** Longest text. Learned positions end here; rotary ones were trained up to here. */
  readonly maxPositions: number;
  /** Activation of the feed-forward layer. */
  readonly activation: Activation;
  /** ε of the norms. */
  readonly epsilon: number;
  /** Is the output layer the embedding table? */
  readonly isTied: boolean;
  /** Do queries, keys and values have a bias? */
  readonly hasQueryBias: boolean;
  /** Does the attention's output have a bias? */
  readonly hasOutputBias: boolean;
  /** Do the feed-forward layer's projections have a bias? */
  readonly hasInnerBias: boolean;
  /** Rotary positions; absent where positions are learned (GPT-2). */
  readonly rotary?: RotaryOptions;
  /** Rate of dropout on embeddings, in training. */
  readonly embeddingDropout: number;
  /** Rate of dropout on attention weights, in training. */
  readonly attentionDropout: number;
  /** Rate of dropout on what a layer adds, in training. */
  readonly residualDropout: number;
  /** Standard deviation of start values. */
  readonly initStd: number;
  /** Begins a text, where there is such a token. */
  readonly beginToken?: number;
  /** Each of these ends a text. */
  readonly endTokens: readonly number[];
  /** Stands where there is no token, where there is such a token. */
  readonly padToken?: number;
}

type Places = ConfigTables<DecoderConfig>["places"];

const TOKENS: Places = {
  beginToken: ["bos_token_id", undefined],
  endTokens: ["eos_token_id", undefined],
  padToken: ["pad_token_id", undefined],
};

const GPT2: Places = {
  vocabSize: ["vocab_size", 50257],
  modelWidth: ["n_embd", 768],
  heads: ["n_head", 12],
  innerWidth: ["n_inner", undefined],
  layers: ["n_layer", 12],
  maxPositions: ["n_positions", 1024],
  activation: ["activation_function", "gelu_new"],
  epsilon: ["layer_norm_epsilon", 1e-5],
  isTied: ["tie_word_embeddings", true],
  embeddingDropout: ["embd_pdrop", 0.1],
  attentionDropout: ["attn_pdrop", 0.1],
  residualDropout: ["resid_pdrop", 0.1],
  initStd: ["initializer_range", 0.02],
  ...TOKENS,
};

const LLAMA: Places = {
  vocabSize: ["vocab_size", 32000],
  modelWidth: ["hidden_size", 4096],
  headWidth: ["head_dim", undefined],
  heads: ["num_attention_heads", 32],
  keyValueHeads: ["num_key_value_heads", undefined],
  innerWidth: ["intermediate_size", 11008],
  layers: ["num_hidden_layers", 32],
  maxPositions: ["max_position_embeddings", 2048],
  activation: ["hidden_act", "silu"],
  epsilon: ["rms_norm_eps", 1e-6],
  isTied: ["tie_word_embeddings", false],
  hasQueryBias: ["attention_bias", false],
  hasInnerBias: ["mlp_bias", false],
  attentionDropout: ["attention_dropout", 0],
  initStd: ["initializer_range", 0.02],
  ...TOKENS,
};

const { hasQueryBias: _, hasInnerBias: __, ...QWEN2 }: Places = {
  ...LLAMA,
  vocabSize: ["vocab_size", 151936],
  innerWidth: ["intermediate_size", 22016],
  maxPositions: ["max_position_embeddings", 32768],
};

/** Other spellings of the same function. */
const SPELLINGS: ReadonlyMap<unknown, Activation> = new Map([
  ["gelu_pytorch_tanh", "gelu_new"],
  ["swish", "silu"],
]);
const ACTIVATIONS: readonly unknown[] = ["gelu_new", "gelu", "relu", "silu"];

const rules: ConfigTables<DecoderConfig>["rules"] = {
  vocabSize: RULES.size,
  modelWidth: RULES.size,
  headWidth: RULES.size,
  heads: RULES.size,
  keyValueHeads: [
    "a divisor of the number of heads",
    (x, c) => RULES.size[1](x, c) && !(isInteger(c.heads) && c.heads % (x as number)),
  ],
  innerWidth: RULES.size,
  layers: RULES.layers,
  maxPositions: RULES.size,
  activation: [ACTIVATIONS.join(", "), (x) => ACTIVATIONS.includes(x)],
  epsilon: RULES.positive,
  isTied: RULES.flag,
  hasQueryBias: RULES.flag,
  hasInnerBias: RULES.flag,
  embeddingDropout: RULES.rate,
  attentionDropout: RULES.rate,
  residualDropout: RULES.rate,
  initStd: RULES.positive,
  beginToken: ["a token id below vocab_size", (x, c) => x === undefined || RULES.token[1](x, c)],
  endTokens: [
    "a token id below vocab_size, or a list of them",
    (x, c) => Array.isArray(x) && x.every((id) => RULES.token[1](id, c)),
  ],
  padToken: ["a token id below vocab_size", (x, c) => x === undefined || RULES.token[1](x, c)],
};

type Json = Readonly<Record<string, unknown>>;

/** Fields that all families derive alike. */
function deriveCommon(config: Record<string, unknown>, report: Report, widthKey: string): void {
  const { modelWidth: width, heads } = config;
  config.activation = SPELLINGS.get(config.activation) ?? config.activation;
  config.keyValueHeads ??= heads;
  if (config.headWidth === undefined) {
    const known = isInteger(width) && isInteger(heads) && width > 0 && heads > 0;
    // What is wrong with either of them is told anyway; any width will do then.
    config.headWidth = known && width % heads === 0 ? width / heads : 2;
    if (known && width % heads) {
      report(widthKey, `is ${width}, which ${heads} heads do not divide`);
    }
  }
  const end = config.endTokens;
  config.endTokens = end === undefined ? [] : Array.isArray(end) ? end : [end];
  // Older Llamas say −1 for "there is none".
  for (const token of ["padToken", "beginToken"]) {
    if (config[token] === -1 || config[token] === undefined) delete config[token];
  }
  config.embeddingDropout ??= 0;
  config.residualDropout ??= 0;
  config.hasQueryBias ??= true;
  config.hasInnerBias ??= false;
  config.hasOutputBias ??= false;
}

const ROTARY_KEYS = ["rope_theta", "rope_scaling", "rope_parameters"];

const TABLES: { readonly [F in DecoderFamily]: ConfigTables<DecoderConfig> } = {
  gpt2: {
    places: GPT2,
    rules,
    only: {
      model_type: ["gpt2"],
      is_encoder_decoder: [false],
      scale_attn_weights: [true],
      scale_attn_by_inverse_layer_idx: [false],
    },
    inert: [
      "n_ctx",
      "reorder_and_upcast_attn",
      "summary_activation",
      "summary_first_dropout",
      "summary_proj_to_labels",
      "summary_type",
      "summary_use_proj",
    ],
    derive: (config, _, report) => {
      config.family = "gpt2";
      config.innerWidth ??= isInteger(config.modelWidth) ? 4 * config.modelWidth : 4;
      config.hasInnerBias = config.hasOutputBias = true;
      deriveCommon(config, report, "n_embd");
    },
  },
  llama: {
    places: LLAMA,
    rules,
    only: {
      model_type: ["llama"],
      is_encoder_decoder: [false],
      rope_interleaved: [false],
    },
    // Sums over slices of a product (pretraining_tp) equal the product.
    inert: ["pretraining_tp", "is_llama_config", ...ROTARY_KEYS],
    derive: (config, json, report) => {
      config.family = "llama";
      config.hasOutputBias = config.hasQueryBias;
      config.rotary = readRotary(json, config.maxPositions, report);
      deriveCommon(config, report, "hidden_size");
      refuseOddHeads(config, report);
    },
  },
  qwen2: {
    places: QWEN2,
    rules,
    only: {
      model_type: ["qwen2"],
      is_encoder_decoder: [false],
      use_sliding_window: [false],
      use_mrope: [false],
    },
    // They only count with use_sliding_window.
    inert: ["sliding_window", "max_window_layers", "layer_types", ...ROTARY_KEYS],
    derive: (config, json, report) => {
      config.family = "qwen2";
      config.rotary = readRotary(json, config.maxPositions, report);
      const types = json.layer_types;
      if (Array.isArray(types) && types.some((t) => t !== "full_attention")) {
        report("layer_types", `has a kind other than "full_attention"`);
      }
      deriveCommon(config, report, "hidden_size");
      refuseOddHeads(config, report);
    },
  },
};

function refuseOddHeads(config: Record<string, unknown>, report: Report): void {
  const width = config.headWidth as number;
  if (Number.isInteger(width) && width % 2) {
    report("head_dim", `is ${width}; rotary positions need an even width`);
  }
}

/** Whether a `model_type` is that of a decoder. */
export function isDecoderFamily(modelType: unknown): modelType is DecoderFamily {
  return typeof modelType === "string" && Object.hasOwn(TABLES, modelType);
}

/**
 * The configuration of a GPT-2, Llama or Qwen2 from the contents of Hugging Face's `config.json`, as
 * transformers 4 or 5 writes it. Missing fields get transformers' defaults, but for special tokens,
 * of which there are none then.
 *
 * @param json The parsed file
 * @throws {ConfigError} With every problem: another family, unknown fields, values that are wrong or
 *   ask for something this project does not do
 * @example
 * ```ts
 * import { parseDecoderConfig } from "./decoder_config.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 * const config = parseDecoderConfig({ model_type: "gpt2", n_embd: 48, n_head: 4 });
 * assertEquals([config.headWidth, config.innerWidth, config.keyValueHeads], [12, 192, 4]);
 * assertThrows(
 *   () => parseDecoderConfig({ model_type: "qwen2", use_sliding_window: true }),
 *   Error,
 *   "use_sliding_window: is true, not false",
 * );
 * ```
 */
export function parseDecoderConfig(json: unknown): DecoderConfig {
  const type = (json as Json | null)?.model_type;
  if (!isDecoderFamily(type)) {
    const families = Object.keys(TABLES).map((x) => JSON.stringify(x)).join(", ");
    throw new ConfigError([{
      key: "model_type",
      message: `is ${JSON.stringify(type) ?? "missing"}, not one of ${families}`,
    }]);
  }
  return readConfig(json, TABLES[type]);
}

const ARCHITECTURES = {
  gpt2: "GPT2LMHeadModel",
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
} as const;

/**
 * The contents of `config.json` for a configuration: {@linkcode parseDecoderConfig} gives it back, and
 * transformers loads it.
 *
 * @param config A configuration
 */
export function decoderConfigToJson(config: DecoderConfig): Record<string, unknown> {
  const { family, endTokens, rotary } = config;
  const json: Record<string, unknown> = {
    architectures: [ARCHITECTURES[family]],
    model_type: family,
    ...placeFields(config, TABLES[family].places),
    ...rotary && rotaryToJson(rotary),
  };
  json.eos_token_id = endTokens.length > 1 ? endTokens : endTokens[0] ?? null;
  if (family === "qwen2") json.use_sliding_window = false;
  return json;
}
