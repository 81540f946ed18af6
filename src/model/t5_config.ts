/** Sizes and choices of a T5 model, from and to Hugging Face's `config.json`. @module */
import { type ConfigTables, isInteger, placeFields, readConfig, RULES } from "./config_reader.ts";

/** Sizes and choices of a T5 model (Raffel et al. 2020). */
export interface T5Config {
  /** Always `"t5"`. */
  readonly family: "t5";
  /** V */
  readonly vocabSize: number;
  /** D */
  readonly modelWidth: number;
  /** E, width of one head; H·E need not be D. */
  readonly headWidth: number;
  /** H */
  readonly heads: number;
  /** F, inner width of the feed-forward layer. */
  readonly innerWidth: number;
  /** Blocks of the encoder. */
  readonly encoderLayers: number;
  /** Blocks of the decoder. */
  readonly decoderLayers: number;
  /** R, buckets of relative distance. */
  readonly buckets: number;
  /** Distances from here on share a bucket. */
  readonly maxDistance: number;
  /** `relu` is T5 v1.0, `gated-gelu` v1.1 and Flan-T5. */
  readonly feedForward: "relu" | "gated-gelu";
  /** Is the output layer the embedding table (v1.0), or one of its own (v1.1)? */
  readonly isTied: boolean;
  /** Are states multiplied by D^−½ before the output layer (v1.0), or not (v1.1)? */
  readonly isScaled: boolean;
  /** Stands before the first target token. */
  readonly startToken: number;
  /** Stands where there is no token. */
  readonly padToken: number;
  /** Ends a text. */
  readonly endToken: number;
  /** ε of the norms. */
  readonly epsilon: number;
  /** Factor of all start values. */
  readonly initFactor: number;
  /** Rate of dropout the model was, or is to be, trained with. */
  readonly dropoutRate: number;
}

/** Where each field stands in `config.json`, and transformers' default for a missing one. */
const PLACES: ConfigTables<T5Config>["places"] = {
  vocabSize: ["vocab_size", 32128],
  modelWidth: ["d_model", 512],
  headWidth: ["d_kv", 64],
  heads: ["num_heads", 8],
  innerWidth: ["d_ff", 2048],
  encoderLayers: ["num_layers", 6],
  decoderLayers: ["num_decoder_layers", undefined],
  buckets: ["relative_attention_num_buckets", 32],
  maxDistance: ["relative_attention_max_distance", 128],
  feedForward: ["feed_forward_proj", "relu"],
  isTied: ["tie_word_embeddings", true],
  isScaled: ["scale_decoder_outputs", undefined],
  startToken: ["decoder_start_token_id", undefined],
  padToken: ["pad_token_id", 0],
  endToken: ["eos_token_id", 1],
  epsilon: ["layer_norm_epsilon", 1e-6],
  initFactor: ["initializer_factor", 1],
  dropoutRate: ["dropout_rate", 0.1],
};

const TABLES: ConfigTables<T5Config> = {
  places: PLACES,
  rules: {
    vocabSize: RULES.size,
    modelWidth: RULES.size,
    headWidth: RULES.size,
    heads: RULES.size,
    innerWidth: RULES.size,
    encoderLayers: RULES.layers,
    decoderLayers: RULES.layers,
    buckets: [
      "an even number from 4 on",
      (x, c) => RULES.size[1](x, c) && (x as number) >= 4 && (x as number) % 2 === 0,
    ],
    maxDistance: [
      "an integer above half the number of buckets",
      (x, c) => RULES.size[1](x, c) && !(isInteger(c.buckets) && (x as number) <= c.buckets / 2),
    ],
    feedForward: ['"relu" or "gated-gelu"', (x) => x === "relu" || x === "gated-gelu"],
    isTied: RULES.flag,
    isScaled: RULES.flag,
    startToken: RULES.token,
    padToken: RULES.token,
    endToken: RULES.token,
    epsilon: RULES.positive,
    initFactor: RULES.positive,
    dropoutRate: RULES.rate,
  },
  only: { model_type: ["t5"], is_encoder_decoder: [true] },
  // feed_forward_proj says what the two about activations say.
  inert: ["dense_act_fn", "is_gated_act", "n_positions", "classifier_dropout", "bos_token_id"],
  derive: (config) => {
    config.family = "t5";
    config.decoderLayers ??= config.encoderLayers;
    config.startToken ??= config.padToken;
    // Only transformers 5 writes the flag: before, tied models were scaled and others were not.
    config.isScaled ??= config.isTied;
  },
};

/**
 * A T5 configuration from the contents of Hugging Face's `config.json`. Missing fields get
 * transformers' defaults.
 *
 * @param json The parsed file
 * @throws {ConfigError} With every problem: another family, unknown fields, values that are wrong or
 *   ask for something this project does not do
 * @example
 * ```ts
 * import { parseT5Config } from "./t5_config.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(parseT5Config({ model_type: "t5", d_model: 64 }).modelWidth, 64);
 * assertThrows(() => parseT5Config({ model_type: "bert" }), Error, "model_type");
 * ```
 */
export function parseT5Config(json: unknown): T5Config {
  return readConfig(json, TABLES);
}

/**
 * The contents of `config.json` for a configuration: {@linkcode parseT5Config} gives it back, and
 * transformers loads it as a `T5ForConditionalGeneration`.
 *
 * @param config A T5 configuration
 */
export function t5ConfigToJson(config: T5Config): Record<string, unknown> {
  const isGated = config.feedForward === "gated-gelu";
  return {
    architectures: ["T5ForConditionalGeneration"],
    model_type: "t5",
    is_encoder_decoder: true,
    ...placeFields(config, PLACES),
    is_gated_act: isGated,
    dense_act_fn: isGated ? "gelu_new" : "relu",
  };
}
