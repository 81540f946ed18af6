/** ROUGE-L of a written answer against accepted ones. @module */
import { lcs } from "js-rouge";
import { normalizeAnswer } from "./answers.ts";

/**
 * ROUGE-L: the F-measure of the longest common subsequence of words, best accepted answer
 * (Lin 2004, "ROUGE: a package for automatic evaluation of summaries", section 3.1).
 *
 *   F = 2·P·R / (P + R),  P = LCS / |predicted|,  R = LCS / |accepted|
 *
 * Words in another order count less than in `answerF1`, which it never exceeds.
 *
 * Departures from Google's `rouge_score`: words are those of {@linkcode normalizeAnswer}, so articles
 * don't count and letters beyond ASCII do; and where neither side has words left the score is 1, as
 * in `answerF1`, not 0. From the paper: β is 1, as in `rouge_score`.
 *
 * Takes time in proportion to |predicted| · |accepted|.
 *
 * @returns A score in [0, 1]; 0 when nothing is accepted
 * @example Three words predicted, two accepted, one of them in order: F = 2·1 / (3 + 2)
 * ```ts
 * import { rougeL } from "./rouge_l.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(rougeL("cats and dogs", ["dogs, cats"]), 0.4);
 * ```
 */
export function rougeL(prediction: string, accepted: readonly string[]): number {
  const predicted = words(prediction);
  return accepted.reduce((best, answer) => Math.max(best, fMeasure(predicted, words(answer))), 0);
}

/** A text without words gives one empty word, which equals no other: the rule for such texts follows. */
function words(text: string): string[] {
  return normalizeAnswer(text).split(" ");
}

function fMeasure(predicted: string[], accepted: string[]): number {
  return 2 * lcs(predicted, accepted).length / (predicted.length + accepted.length);
}
