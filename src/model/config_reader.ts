/**
 * Reads a Hugging Face `config.json` by tables: which field stands where, what it must be, and which
 * further fields a file may have. A field that no table knows is an error: it may ask for something
 * that this project would silently not do.
 */
import { closestString } from "@std/text/closest-string";
import { ConfigError, type ConfigProblem } from "../errors.ts";

/** Where a field stands in `config.json`, and its value where the file leaves it out. */
export type Place = readonly [key: string, fallback: unknown];

/** What a value must be, and how to say so. */
export type Rule = readonly [
  wanted: string,
  holds: (value: unknown, config: Readonly<Record<string, unknown>>) => boolean,
];

/** Everything there is to know about the `config.json` of a family. */
export interface ConfigTables<C> {
  /** Place of each field of the configuration; fields without one are derived. */
  readonly places: { readonly [K in keyof C]?: Place };
  /** What each field must be, after `derive`. */
  readonly rules: { readonly [K in keyof C]?: Rule };
  /**
   * Fields that must have one of these values, or be absent or null: others would change what the
   * model computes.
   */
  readonly only: Readonly<Record<string, readonly unknown[]>>;
  /** Fields that say nothing about what the model computes. */
  readonly inert: readonly string[];
  /** Fields of `only` that may not be absent. Default: `model_type`. */
  readonly required?: readonly string[];
  /** Name of the file, for messages. Default `config.json`. */
  readonly file?: string;
  /** Fills in what depends on other fields. Problems it finds are told with the others. */
  readonly derive?: (
    config: Record<string, unknown>,
    json: Readonly<Record<string, unknown>>,
    report: (key: string, message: string) => void,
  ) => void;
}

/** Any value of these says nothing about the model: bookkeeping, defaults of generation, heads of other tasks. */
const INERT: readonly string[] = [
  "_name_or_path",
  "_commit_hash",
  "_attn_implementation_autoset",
  "architectures",
  "transformers_version",
  "transformers.js_config",
  "dtype",
  "torch_dtype",
  "use_bfloat16",
  "torchscript",
  "tf_legacy_loss",
  "use_cache",
  "return_dict",
  "return_dict_in_generate",
  "output_attentions",
  "output_hidden_states",
  "output_scores",
  "output_past",
  "chunk_size_feed_forward",
  "gradient_checkpointing",
  "id2label",
  "label2id",
  "num_labels",
  "_num_labels",
  "unsloth_fixed",
  "problem_type",
  "finetuning_task",
  "task_specific_params",
  "tokenizer_class",
  "prefix",
  "sep_token_id",
  "pad_token_id",
  "decoder_start_token_id",
  "max_length",
  "min_length",
  "do_sample",
  "early_stopping",
  "num_beams",
  "num_beam_groups",
  "diversity_penalty",
  "temperature",
  "top_k",
  "top_p",
  "typical_p",
  "repetition_penalty",
  "length_penalty",
  "no_repeat_ngram_size",
  "encoder_no_repeat_ngram_size",
  "bad_words_ids",
  "num_return_sequences",
  "forced_bos_token_id",
  "forced_eos_token_id",
  "remove_invalid_values",
  "exponential_decay_length_penalty",
  "suppress_tokens",
  "begin_suppress_tokens",
];

/** Whatever the family, these change what a model computes or are files this project can't read. */
const ONLY: Readonly<Record<string, readonly unknown[]>> = {
  add_cross_attention: [false],
  cross_attention_hidden_size: [null],
  is_decoder: [false],
  pruned_heads: [{}],
  tie_encoder_decoder: [false],
  quantization_config: [null],
};

const isNumber = (x: unknown): x is number => typeof x === "number" && Number.isFinite(x);
/** Whether `x` is an integer that is exact. */
export const isInteger = (x: unknown): x is number => Number.isSafeInteger(x);

/** Sizes beyond these are no models but mistakes. */
const MAX_SIZE = 2 ** 31 - 1, MAX_LAYERS = 1000;

/** Rules that several fields share. */
export const RULES = {
  size: ["a positive integer", (x) => isInteger(x) && x > 0 && x <= MAX_SIZE] as Rule,
  layers: [
    `an integer from 1 to ${MAX_LAYERS}`,
    (x) => isInteger(x) && x > 0 && x <= MAX_LAYERS,
  ] as Rule,
  token: [
    "a token id below vocab_size",
    // Where the size itself is wrong, that is told, and not every token too.
    (x, c) => isInteger(x) && x >= 0 && !(isInteger(c.vocabSize) && x >= c.vocabSize),
  ] as Rule,
  flag: ["true or false", (x) => typeof x === "boolean"] as Rule,
  positive: ["a positive number", (x) => isNumber(x) && x > 0] as Rule,
  rate: ["a number in [0, 1)", (x) => isNumber(x) && x >= 0 && x < 1] as Rule,
};

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

/**
 * A configuration from the contents of `config.json`.
 *
 * @throws {ConfigError} With every problem: fields that are unknown, wrong or not supported
 */
export function readConfig<C>(json: unknown, tables: ConfigTables<C>): C {
  const { required = ["model_type"], file = "config.json" } = tables;
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ConfigError([{ key: file, message: "is not an object" }], file);
  }
  const source = json as Record<string, unknown>;
  const problems: ConfigProblem[] = [];
  const report = (key: string, message: string) => void problems.push({ key, message });
  const own = (key: string): unknown => Object.hasOwn(source, key) ? source[key] : undefined;
  const places = Object.entries(tables.places) as [string, Place][];
  const only = { ...tables.only, ...ONLY };
  for (const [key, allowed] of Object.entries(only)) {
    const value = own(key);
    if (!required.includes(key) && (value === undefined || value === null)) continue;
    if (allowed.some((x) => JSON.stringify(x) === JSON.stringify(value))) continue;
    const wanted = allowed.map((x) => JSON.stringify(x)).join(" or ") || "null";
    report(key, `is ${show(value)}, not ${wanted}`);
  }
  const known = new Set([
    ...places.map(([, [key]]) => key),
    ...Object.keys(only),
    ...tables.inert,
    ...INERT,
  ]);
  for (const [key, value] of Object.entries(source)) {
    // null asks for nothing.
    if (known.has(key) || value === null) continue;
    report(
      key,
      `is not known here (its value is ${show(value)}), so what it asks for can't be done; ` +
        `the nearest known field is ${closestString(key, [...known])}`,
    );
  }
  const config: Record<string, unknown> = {};
  for (const [field, [key, fallback]] of places) config[field] = own(key) ?? fallback;
  tables.derive?.(config, source, report);
  for (const [field, rule] of Object.entries(tables.rules) as [string, Rule][]) {
    const [wanted, holds] = rule;
    if (holds(config[field], config)) continue;
    const [key] = (tables.places as Record<string, Place>)[field] ?? [field];
    report(key, `is ${show(config[field])}, not ${wanted}`);
  }
  if (problems.length) throw new ConfigError(problems, file);
  return config as C;
}

/** The fields of a configuration under their names in `config.json`. */
export function placeFields<C extends object>(
  config: C,
  places: ConfigTables<C>["places"],
): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [field, place] of Object.entries(places) as [keyof C, Place][]) {
    json[place[0]] = config[field] ?? null;
  }
  return json;
}
