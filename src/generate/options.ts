/** How to generate. @module */
import { ConfigError, type ConfigProblem } from "../errors.ts";
import type { LogitsProcessor } from "./logits_processors.ts";

/** Random choice of tokens. */
export interface SamplingOptions {
  /** τ, divides the logits. Default 1. */
  temperature?: number;
  /** Choose among this many likeliest tokens. Default: all. */
  topK?: number;
  /** Choose among the fewest likeliest tokens that hold this probability. Default 1. */
  topP?: number;
  /** Seed of the run. Default 0. */
  seed?: number;
  /** What the numbers are for: other names give independent ones. Default `"generate"`. */
  stream?: string;
}

/** Search for likely texts. */
export interface TextBeamOptions {
  /** K, texts pursued at the same time. */
  beams: number;
  /** A text's log-probability is divided by its length to this power. Default 1. */
  lengthPenalty?: number;
  /**
   * When K finished texts are enough: `true` at once, `false` when no running text can be better at its
   * present length, `"never"` when none can be better at any length. Default `false`.
   */
  earlyStopping?: boolean | "never";
  /** Texts to return per prompt, at most K. Default 1. */
  count?: number;
}

/** A token that was generated. */
export interface TokenEvent {
  /** Which prompt it continues. */
  readonly prompt: number;
  /** Its place among the generated ones, from 0. */
  readonly step: number;
  /** Its id. */
  readonly token: number;
  /** Natural log of the probability with which it was chosen, as in {@linkcode GeneratedText}. */
  readonly logProb: number;
}

/** How to generate. Without `sampling` and `beam` the likeliest token is taken each time. */
export interface GenerateOptions {
  /** Most tokens to generate. Default 128. */
  maxNewTokens?: number;
  /** Fewest tokens before a stop token may come. Default 0. */
  minNewTokens?: number;
  /** Tokens that end a text; they are part of it. Default: those of the model. */
  stopTokens?: readonly number[];
  /** Choose tokens at random. */
  sampling?: SamplingOptions;
  /** Search for likely texts. Not together with sampling. */
  beam?: TextBeamOptions;
  /** Penalty of tokens that stand in the text already. Default 1: none. */
  repetitionPenalty?: number;
  /** No run of so many tokens comes twice. Default: runs may. */
  noRepeatNgramSize?: number;
  /** Further processors, before temperature, top k and top p. */
  processors?: readonly LogitsProcessor[];
  /** Called for each token as it comes; not with `beam`. Returning `false` ends that text. */
  onToken?: (event: TokenEvent) => boolean | void;
  /** Ends everything; what there is until then is returned. */
  signal?: AbortSignal;
}

/** Defaults of {@linkcode GenerateOptions}. */
export const MAX_NEW_TOKENS = 128;

/**
 * Fails if options are out of range or contradict each other.
 *
 * @throws {ConfigError} With every problem
 */
export function checkGenerateOptions(options: GenerateOptions): void {
  const problems: ConfigProblem[] = [];
  const check = (key: string, value: unknown, wanted: string, holds: boolean): void => {
    if (value !== undefined && !holds) {
      problems.push({ key, message: `is ${value}, not ${wanted}` });
    }
  };
  const isCount = (x: unknown, least: number) => Number.isSafeInteger(x) && (x as number) >= least;
  const { maxNewTokens, minNewTokens, sampling, beam, onToken, repetitionPenalty } = options;
  const { noRepeatNgramSize } = options;
  check(
    "noRepeatNgramSize",
    noRepeatNgramSize,
    "a positive integer",
    isCount(noRepeatNgramSize, 1),
  );
  check("maxNewTokens", maxNewTokens, "a positive integer", isCount(maxNewTokens, 1));
  check(
    "minNewTokens",
    minNewTokens,
    "an integer from 0 to maxNewTokens",
    isCount(minNewTokens, 0) && minNewTokens! <= (maxNewTokens ?? MAX_NEW_TOKENS),
  );
  check("repetitionPenalty", repetitionPenalty, "above 0", repetitionPenalty! > 0);
  if (sampling) {
    const { temperature, topK, topP, seed } = sampling;
    check("sampling.temperature", temperature, "above 0", temperature! > 0);
    check("sampling.topK", topK, "a positive integer", isCount(topK, 1));
    check("sampling.topP", topP, "in (0, 1]", topP! > 0 && topP! <= 1);
    check("sampling.seed", seed, "an integer from 0", isCount(seed, 0));
  }
  if (beam) {
    const { beams, count, lengthPenalty, earlyStopping } = beam;
    check("beam.beams", beams ?? "missing", "a positive integer", isCount(beams, 1));
    check("beam.count", count, "an integer from 1 to beams", isCount(count, 1) && count! <= beams);
    check("beam.lengthPenalty", lengthPenalty, "a number", Number.isFinite(lengthPenalty));
    check(
      "beam.earlyStopping",
      earlyStopping,
      'true, false or "never"',
      typeof earlyStopping === "boolean" || earlyStopping === "never",
    );
    if (sampling) problems.push({ key: "beam", message: "can't be combined with sampling" });
    if (onToken) {
      problems.push({ key: "onToken", message: "can't be called in a beam: no token is certain" });
    }
  }
  if (problems.length) throw new ConfigError(problems);
}
