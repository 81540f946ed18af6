/** Any model of the families this project has: one configuration type, one place for their differences. @module */
import { ConfigError } from "../errors.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import {
  type DecoderConfig,
  decoderConfigToJson,
  isDecoderFamily,
  parseDecoderConfig,
} from "./decoder_config.ts";
import { decoderParamSpecs, decoderProjections, type Projection } from "./decoder_params.ts";
import { decoderNames } from "./_decoder_names.ts";
import { parseT5Config, type T5Config, t5ConfigToJson } from "./t5_config.ts";
import { T5_EMBEDDING, T5_HEAD, t5ParamSpecs, t5Projections } from "./t5_params.ts";

/** Sizes and choices of a model; `family` tells them apart. */
export type ModelConfig = T5Config | DecoderConfig;

/** A model in ordinary memory. */
export interface Model<Config extends ModelConfig = ModelConfig> {
  /** Sizes and choices. */
  readonly config: Config;
  /** Every parameter of {@linkcode modelParamSpecs}, in its order. */
  readonly tensors: Record<string, HostTensor<"float32">>;
}

/** An encoder-decoder. */
export type T5Model = Model<T5Config>;

/** A decoder: GPT-2, Llama or Qwen2. */
export type DecoderModel = Model<DecoderConfig>;

/** Whether a model continues its input instead of answering it. */
export function isDecoder(model: Model): model is DecoderModel {
  return model.config.family !== "t5";
}

/**
 * The configuration of any supported model from the contents of Hugging Face's `config.json`.
 *
 * @param json The parsed file
 * @throws {ConfigError} With every problem: an unknown family, unknown fields, values that are wrong or
 *   ask for something this project does not do
 * @example
 * ```ts
 * import { parseModelConfig } from "./model.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(parseModelConfig({ model_type: "gpt2" }).vocabSize, 50257);
 * assertThrows(() => parseModelConfig({ model_type: "bert" }), Error, "model_type");
 * ```
 */
export function parseModelConfig(json: unknown): ModelConfig {
  const type = typeof json === "object" && json !== null
    ? (json as { model_type?: unknown }).model_type
    : undefined;
  if (isDecoderFamily(type)) return parseDecoderConfig(json);
  if (type === "t5" || typeof json !== "object" || json === null) return parseT5Config(json);
  throw new ConfigError([{
    key: "model_type",
    message: `is ${JSON.stringify(type) ?? "missing"}, not "t5", "gpt2", "llama" or "qwen2"`,
  }]);
}

/** transformers 5 refuses an integer in a field that it declares as float. */
const FLOATS = new Set([
  "initializer_factor",
  "initializer_range",
  "dropout_rate",
  "layer_norm_epsilon",
  "rms_norm_eps",
  "embd_pdrop",
  "attn_pdrop",
  "resid_pdrop",
  "attention_dropout",
  "rope_theta",
  "factor",
  "low_freq_factor",
  "high_freq_factor",
]);

/**
 * The text of `config.json`: {@linkcode parseModelConfig} gives the configuration back, and transformers
 * loads it.
 *
 * @param config A configuration
 */
export function stringifyModelConfig(config: ModelConfig): string {
  const json = config.family === "t5" ? t5ConfigToJson(config) : decoderConfigToJson(config);
  const text = JSON.stringify(json, null, 2).replace(
    /"(\w+)": (-?\d+)(?=[,\n])/g,
    (all, key, digits) => FLOATS.has(key) ? `"${key}": ${digits}.0` : all,
  );
  return `${text}\n`;
}

/** Every parameter of a model under its Hugging Face name. */
export function modelParamSpecs(config: ModelConfig): ParamSpecs {
  return config.family === "t5" ? t5ParamSpecs(config) : decoderParamSpecs(config);
}

/** Every projection of a model that a low-rank adapter can be put beside. */
export function modelProjections(config: ModelConfig): Projection[] {
  return config.family === "t5" ? t5Projections(config) : decoderProjections(config);
}

/** Whether projections are stored as [I, O], as in GPT-2. */
export function isConv1d(config: ModelConfig): boolean {
  return config.family !== "t5" && decoderNames(config).isConv1d;
}

/** Most tokens of a text that a model can read; Infinity where positions are not learned one by one. */
export function longestText(config: ModelConfig): number {
  return config.family === "t5" || config.rotary ? Infinity : config.maxPositions;
}

/** Names of the embedding table and of the output layer, which a tied model does not have. */
export function vocabularyTables(config: ModelConfig): { embedding: string; head: string } {
  if (config.family === "t5") return { embedding: T5_EMBEDDING, head: T5_HEAD };
  const { tokens, head } = decoderNames(config);
  return { embedding: `${tokens}.weight`, head: `${head}.weight` };
}
