/** Defaults of generation from Hugging Face's `generation_config.json`. @module */
import { type ConfigTables, readConfig, RULES } from "../model/config_reader.ts";
import type { GenerateOptions } from "./options.ts";

/** The fields of the file that say how to generate. */
interface Fields {
  readonly isSampled: boolean;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly repetitionPenalty: number;
  readonly beams: number;
  readonly count: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | "never";
  readonly noRepeatNgramSize: number;
  readonly maxNewTokens?: number;
  readonly minNewTokens?: number;
  readonly endTokens?: readonly number[];
}

const isCount = (x: unknown): boolean => Number.isSafeInteger(x) && (x as number) >= 0;

const TABLES: ConfigTables<Fields> = {
  places: {
    isSampled: ["do_sample", false],
    temperature: ["temperature", 1],
    topK: ["top_k", 50],
    topP: ["top_p", 1],
    repetitionPenalty: ["repetition_penalty", 1],
    beams: ["num_beams", 1],
    count: ["num_return_sequences", 1],
    lengthPenalty: ["length_penalty", 1],
    earlyStopping: ["early_stopping", false],
    noRepeatNgramSize: ["no_repeat_ngram_size", 0],
    maxNewTokens: ["max_new_tokens", undefined],
    minNewTokens: ["min_new_tokens", undefined],
    endTokens: ["eos_token_id", undefined],
  },
  rules: {
    isSampled: RULES.flag,
    // Without do_sample nobody asks for these, and files have any values there.
    temperature: ["a positive number", (x, c) => !c.isSampled || RULES.positive[1](x, c)],
    topK: ["an integer from 0", (x, c) => !c.isSampled || isCount(x)],
    topP: [
      "a number in (0, 1]",
      (x, c) => !c.isSampled || (typeof x === "number" && x > 0 && x <= 1),
    ],
    noRepeatNgramSize: ["an integer from 0", isCount],
    repetitionPenalty: RULES.positive,
    beams: RULES.size,
    count: ["1", (x, c) => x === 1 || (c.beams as number) >= (x as number)],
    lengthPenalty: ["a number", (x) => typeof x === "number" && Number.isFinite(x)],
    earlyStopping: ['true, false or "never"', (x) => typeof x === "boolean" || x === "never"],
    maxNewTokens: ["a positive integer", (x) => x === undefined || RULES.size[1](x, {})],
    minNewTokens: ["an integer from 0", (x) => x === undefined || isCount(x)],
    endTokens: [
      "a token id or a list of them",
      (x) => x === undefined || (Array.isArray(x) && x.every(isCount)),
    ],
  },
  only: {
    num_beam_groups: [1],
    diversity_penalty: [0],
    epsilon_cutoff: [0],
    eta_cutoff: [0],
    typical_p: [1],
    min_p: [0],
    encoder_no_repeat_ngram_size: [0],
    encoder_repetition_penalty: [1],
    renormalize_logits: [false],
    guidance_scale: [1],
    penalty_alpha: [0],
    forced_bos_token_id: [],
    forced_eos_token_id: [],
    forced_decoder_ids: [],
    bad_words_ids: [],
    sequence_bias: [],
    suppress_tokens: [[]],
    begin_suppress_tokens: [[]],
    exponential_decay_length_penalty: [],
    stop_strings: [],
    constraints: [],
    force_words_ids: [],
    watermarking_config: [],
    assistant_model: [],
  },
  inert: [
    "_from_model_config",
    "bos_token_id",
    "cache_implementation",
    "cache_config",
    "return_legacy_cache",
    "max_length",
    "min_length",
    "max_time",
    "output_logits",
    "use_mtp",
  ],
  required: [],
  file: "generation_config.json",
  derive: (fields, _json, report) => {
    if (fields.isSampled === true && (fields.beams as number) > 1) {
      report("do_sample", "is true with beams; beams that choose at random are not supported");
    }
    const end = fields.endTokens;
    if (end !== undefined && !Array.isArray(end)) fields.endTokens = [end];
  },
};

/**
 * How a model wants to generate, from the contents of `generation_config.json`: sampling, beams,
 * penalties, lengths and stop tokens. Fields that ask for something this project does not do are
 * errors. `max_length` and `min_length`, which count the prompt too, are not read: say how many new
 * tokens you want.
 *
 * @param json The parsed file
 * @throws {ConfigError} With every problem
 * @example
 * ```ts
 * import { parseGenerationConfig } from "./generation_config.ts";
 * import { assertEquals } from "@std/assert";
 * const options = parseGenerationConfig({ do_sample: true, temperature: 0.7, eos_token_id: 2 });
 * assertEquals(options, {
 *   stopTokens: [2],
 *   sampling: { temperature: 0.7, topK: 50, topP: 1 },
 * });
 * ```
 */
export function parseGenerationConfig(json: unknown): GenerateOptions {
  const f = readConfig(json, TABLES);
  const options: GenerateOptions = {};
  if (f.endTokens) options.stopTokens = f.endTokens;
  if (f.maxNewTokens !== undefined) options.maxNewTokens = f.maxNewTokens;
  if (f.minNewTokens !== undefined) options.minNewTokens = f.minNewTokens;
  if (f.repetitionPenalty !== 1) options.repetitionPenalty = f.repetitionPenalty;
  if (f.noRepeatNgramSize > 0) options.noRepeatNgramSize = f.noRepeatNgramSize;
  if (f.beams > 1) {
    const { beams, lengthPenalty, earlyStopping, count } = f;
    options.beam = { beams, lengthPenalty, earlyStopping, count };
  } else if (f.isSampled) {
    const { temperature, topK, topP } = f;
    options.sampling = { temperature, ...topK > 0 && { topK }, topP };
  }
  return options;
}

/**
 * The contents of `generation_config.json` for a model that has none: its tokens.
 *
 * @param tokens Ids of the special tokens, where there are such
 */
export function generationConfigToJson(
  tokens: {
    beginToken?: number;
    endTokens: readonly number[];
    padToken?: number;
    startToken?: number;
  },
): Record<string, unknown> {
  const { beginToken, endTokens, padToken, startToken } = tokens;
  return {
    _from_model_config: true,
    ...beginToken !== undefined && { bos_token_id: beginToken },
    ...startToken !== undefined && { decoder_start_token_id: startToken },
    ...endTokens.length && { eos_token_id: endTokens.length > 1 ? endTokens : endTokens[0] },
    ...padToken !== undefined && { pad_token_id: padToken },
  };
}
