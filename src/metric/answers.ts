/** Exact match and F1 of a written answer against accepted ones, as SQuAD scores them. @module */

const ASCII_PUNCTUATION = /[!-/:-@[-`{-~]/g;
/** Python's Unicode-aware `\b(a|an|the)\b`; JavaScript's `\b` knows ASCII only. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/**
 * The form in which SQuAD compares answers: lower case, no ASCII punctuation, no English articles,
 * single spaces (Rajpurkar et al. 2016, `evaluate-v1.1.py`).
 *
 * @example
 * ```ts
 * import { normalizeAnswer } from "./answers.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(normalizeAnswer("The  U.S. Navy!"), "us navy");
 * ```
 */
export function normalizeAnswer(text: string): string {
  return text.toLowerCase().replace(ASCII_PUNCTUATION, "").replace(ARTICLES, " ")
    .split(/\s+/).filter((word) => word !== "").join(" ");
}

/**
 * Exact match: 1 if the prediction equals an accepted answer after {@linkcode normalizeAnswer},
 * else 0. The best accepted answer counts; with none accepted the score is 0.
 *
 * @example
 * ```ts
 * import { exactMatch } from "./answers.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(exactMatch("the Normans.", ["Normans", "the Franks"]), 1);
 * ```
 */
export function exactMatch(prediction: string, accepted: readonly string[]): number {
  const predicted = normalizeAnswer(prediction);
  return accepted.some((answer) => normalizeAnswer(answer) === predicted) ? 1 : 0;
}

/**
 * F1 over bags of words, best accepted answer.
 *
 *   F1 = 2·P·R / (P + R),  P = |common| / |predicted|,  R = |common| / |accepted|
 *
 * Where one side has no words left, the score is 1 if both have none, else 0 (the rule of
 * `evaluate-v2.0.py`; v1.1 gives 0 for both).
 *
 * @returns A score in [0, 1]; 0 when nothing is accepted
 * @example Two of three words predicted, two of two found: P = 2/3, R = 1
 * ```ts
 * import { answerF1 } from "./answers.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * assertAlmostEquals(answerF1("the cats and dogs", ["dogs, cats"]), 0.8);
 * ```
 */
export function answerF1(prediction: string, accepted: readonly string[]): number {
  const predicted = answerWords(prediction);
  return accepted.reduce((best, answer) => Math.max(best, f1(predicted, answerWords(answer))), 0);
}

function f1(predicted: readonly string[], accepted: readonly string[]): number {
  if (predicted.length === 0 || accepted.length === 0) {
    return predicted.length === accepted.length ? 1 : 0;
  }
  return 2 * commonWords(predicted, accepted) / (predicted.length + accepted.length);
}

/** The words of an answer. */
export function answerWords(text: string): string[] {
  const normal = normalizeAnswer(text);
  return normal === "" ? [] : normal.split(" ");
}

/** How many words two answers share; one that stands twice in both counts twice. */
export function commonWords(predicted: readonly string[], accepted: readonly string[]): number {
  const left = new Map<string, number>();
  for (const word of accepted) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count > 0) {
      common++;
      left.set(word, count - 1);
    }
  }
  return common;
}
