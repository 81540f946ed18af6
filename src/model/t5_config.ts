/** Sizes and choices of a T5 model, from and to Hugging Face's `config.json`. @module */
import { ConfigError, type ConfigProblem } from "../errors.ts";

/** Sizes and choices of a T5 model (Raffel et al. 2020). */
export interface T5Config {
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
const FIELDS: { [K in keyof T5Config]-?: [key: string, fallback: unknown] } = {
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

/** What a value must be, and how to say so. */
type Rule = [wanted: string, holds: (value: unknown, config: Record<string, unknown>) => boolean];

const isNumber = (x: unknown): x is number => typeof x === "number" && Number.isFinite(x);
const size: Rule = ["a positive integer", (x) => Number.isSafeInteger(x) && (x as number) > 0];
const token: Rule = [
  "a token id below vocab_size",
  (x, c) =>
    Number.isSafeInteger(x) && (x as number) >= 0 && (x as number) < (c.vocabSize as number),
];
const flag: Rule = ["true or false", (x) => typeof x === "boolean"];
const positive: Rule = ["a positive number", (x) => isNumber(x) && x > 0];

const RULES: { [K in keyof T5Config]-?: Rule } = {
  vocabSize: size,
  modelWidth: size,
  headWidth: size,
  heads: size,
  innerWidth: size,
  encoderLayers: size,
  decoderLayers: size,
  buckets: ["an even number from 4 on", (x) => isNumber(x) && x >= 4 && x % 2 === 0],
  maxDistance: [
    "an integer above half the number of buckets",
    (x, c) => Number.isSafeInteger(x) && (x as number) > (c.buckets as number) / 2,
  ],
  feedForward: ['"relu" or "gated-gelu"', (x) => x === "relu" || x === "gated-gelu"],
  isTied: flag,
  isScaled: flag,
  startToken: token,
  padToken: token,
  endToken: token,
  epsilon: positive,
  initFactor: positive,
  dropoutRate: ["a number in [0, 1)", (x) => isNumber(x) && x >= 0 && x < 1],
};

/**
 * A T5 configuration from the contents of Hugging Face's `config.json`. Missing fields get
 * transformers' defaults; fields that say nothing about the model are ignored.
 *
 * @param json The parsed file
 * @throws {ConfigError} If it is not a T5 or has values this model does not have, all of them named
 * @example
 * ```ts
 * import { parseT5Config } from "./t5_config.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(parseT5Config({ model_type: "t5", d_model: 64 }).modelWidth, 64);
 * assertThrows(() => parseT5Config({ model_type: "bert" }), Error, "model_type");
 * ```
 */
export function parseT5Config(json: unknown): T5Config {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ConfigError([{ key: "config.json", message: "is not an object" }]);
  }
  const source = json as Record<string, unknown>;
  const problems: ConfigProblem[] = [];
  const expect = (key: string, allowed: unknown[]): void => {
    if (!allowed.includes(source[key])) {
      const wanted = allowed.filter((x) => x !== undefined).map((x) => JSON.stringify(x)).join(
        " or ",
      );
      problems.push({ key, message: `is ${JSON.stringify(source[key])}, not ${wanted}` });
    }
  };
  expect("model_type", ["t5"]);
  expect("is_encoder_decoder", [true, undefined]);
  const config: Record<string, unknown> = {};
  for (const [field, [key, fallback]] of Object.entries(FIELDS)) {
    config[field] = source[key] ?? fallback;
  }
  config.decoderLayers ??= config.encoderLayers;
  config.startToken ??= config.padToken;
  // Only transformers 5 writes the flag: before, tied models were scaled and others were not.
  config.isScaled ??= config.isTied;
  for (const [field, [wanted, holds]] of Object.entries(RULES)) {
    if (holds(config[field], config)) continue;
    const [key] = FIELDS[field as keyof T5Config];
    problems.push({ key, message: `is ${JSON.stringify(config[field])}, not ${wanted}` });
  }
  if (problems.length) throw new ConfigError(problems);
  return config as unknown as T5Config;
}

/**
 * The contents of `config.json` for a configuration: {@linkcode parseT5Config} gives it back, and
 * transformers loads it as a `T5ForConditionalGeneration`.
 *
 * @param config A T5 configuration
 */
export function t5ConfigToJson(config: T5Config): Record<string, unknown> {
  const json: Record<string, unknown> = {
    architectures: ["T5ForConditionalGeneration"],
    model_type: "t5",
    is_encoder_decoder: true,
  };
  for (const [field, [key]] of Object.entries(FIELDS)) json[key] = config[field as keyof T5Config];
  const isGated = config.feedForward === "gated-gelu";
  return { ...json, is_gated_act: isGated, dense_act_fn: isGated ? "gelu_new" : "relu" };
}
