/** Is one system better than another on the same questions? Exact paired tests. @module */
import { DataError, ShapeError } from "../errors.ts";

/** Outcome of a paired comparison of systems A and B. */
export interface PairedTest {
  /** Questions on which A is better. */
  readonly wins: number;
  /** Questions on which B is better. */
  readonly losses: number;
  /** Questions on which they are equal; the test ignores them. */
  readonly ties: number;
  /** Two-sided p-value under "each is as likely to be the better one". */
  readonly pValue: number;
}

/**
 * Two-sided exact sign test: the probability, under Binomial(wins + losses, ½), of a split at least
 * as uneven as this one.
 *
 *   p = min(1, 2 · Σ_{i ≤ min(w, l)} C(w+l, i) / 2^(w+l))
 *
 * @throws {DataError} If a count is negative or not whole
 * @example 8 to 2: 2 · (1 + 10 + 45) / 1024
 * ```ts
 * import { signTest } from "./paired.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * assertAlmostEquals(signTest(8, 2), 0.109375, 1e-12);
 * ```
 */
export function signTest(wins: number, losses: number): number {
  if (![wins, losses].every((count) => Number.isInteger(count) && count >= 0)) {
    throw new DataError(`Cannot test ${wins} wins against ${losses} losses: these are no counts`);
  }
  const n = wins + losses, smaller = Math.min(wins, losses);
  if (wins === losses) return 1;
  let logTerm = -n * Math.LN2, tail = Math.exp(logTerm);
  for (let i = 1; i <= smaller; i++) {
    logTerm += Math.log((n - i + 1) / i);
    tail += Math.exp(logTerm);
  }
  return Math.min(1, 2 * tail);
}

/**
 * Sign test on ranks: A wins a question where its rank is smaller. Both may be `Infinity` (a tie).
 *
 * @param ranksA [Q] ranks of system A
 * @param ranksB [Q] ranks of system B, same questions in the same order
 * @throws {ShapeError} If the lists differ in length
 * @example
 * ```ts
 * import { comparePairedRanks } from "./paired.ts";
 * import { assertEquals } from "@std/assert";
 * const { wins, losses, ties } = comparePairedRanks([1, 1, 4, Infinity], [2, 1, 3, Infinity]);
 * assertEquals([wins, losses, ties], [1, 1, 2]);
 * ```
 */
export function comparePairedRanks(
  ranksA: readonly number[],
  ranksB: readonly number[],
): PairedTest {
  return compare(ranksA, ranksB, (a, b) => Math.sign(a === b ? 0 : b - a));
}

/**
 * McNemar's exact test: of the questions that exactly one system got right, is it one system more
 * often? It is the {@linkcode signTest} of those questions (McNemar 1947).
 *
 * @param isRightA [Q] whether A got the question right, such as rank ≤ 1
 * @param isRightB [Q] the same for B
 * @throws {ShapeError} If the lists differ in length
 * @example
 * ```ts
 * import { mcnemarTest } from "./paired.ts";
 * import { assertEquals } from "@std/assert";
 * const test = mcnemarTest([true, true, true, false], [false, false, true, false]);
 * assertEquals([test.wins, test.losses, test.pValue], [2, 0, 0.5]);
 * ```
 */
export function mcnemarTest(
  isRightA: readonly boolean[],
  isRightB: readonly boolean[],
): PairedTest {
  return compare(isRightA, isRightB, (a, b) => Number(a) - Number(b));
}

function compare<T>(
  a: readonly T[],
  b: readonly T[],
  sign: (a: T, b: T) => number,
): PairedTest {
  if (a.length !== b.length) {
    throw new ShapeError(
      `Cannot compare two systems: one answered ${a.length} questions, the other ${b.length}`,
    );
  }
  let wins = 0, losses = 0;
  for (let i = 0; i < a.length; i++) {
    const s = sign(a[i], b[i]);
    if (s > 0) wins++;
    if (s < 0) losses++;
  }
  return { wins, losses, ties: a.length - wins - losses, pValue: signTest(wins, losses) };
}
