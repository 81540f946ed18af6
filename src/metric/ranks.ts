/** Hits@k and MRR@k from the rank of the first right document. @module */
import { DataError } from "../errors.ts";

/**
 * Rank of the best right document in one ranked list, 1-based.
 *
 * `Infinity` when none of the right documents was retrieved; `undefined` when the question has no
 * right document at all, so that nothing could have been right: such questions are left out of
 * every average and counted.
 *
 * @param retrieved Ids or indices, best first
 * @param right The right ones, in any order
 * @example
 * ```ts
 * import { bestRank } from "./ranks.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(bestRank(["d7", "d2", "d9"], ["d9", "d2"]), 2);
 * assertEquals(bestRank(["d7"], ["d1"]), Infinity);
 * assertEquals(bestRank(["d7"], []), undefined);
 * ```
 */
export function bestRank<T extends string | number>(
  retrieved: readonly T[],
  right: readonly T[],
): number | undefined {
  if (right.length === 0) return undefined;
  const wanted = new Set(right);
  const position = retrieved.findIndex((id) => wanted.has(id));
  return position < 0 ? Infinity : position + 1;
}

/**
 * Hits@k: the share of questions whose best right document is among the first k.
 *
 *   Hits@k = |{q : rank(q) ≤ k}| / Q
 *
 * @param k Depth, ≥ 1
 * @param ranks [Q] 1-based rank of the best right document, `Infinity` where it was not retrieved
 * @returns A share in [0, 1]; NaN when there are no questions
 * @throws {DataError} If `k` or a rank is not a rank
 * @example
 * ```ts
 * import { hitsAt } from "./ranks.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(hitsAt(10, [1, 3, 11, Infinity]), 0.5);
 * ```
 */
export function hitsAt(k: number, ranks: readonly number[]): number {
  return mean(ranks, hitAt(k));
}

/**
 * MRR@k: mean reciprocal rank of the best right document, 0 below depth k.
 *
 *   MRR@k = (1/Q) Σ_q [rank(q) ≤ k] / rank(q)
 *
 * @param k Depth, ≥ 1
 * @param ranks [Q] 1-based rank of the best right document, `Infinity` where it was not retrieved
 * @returns A mean in [0, 1]; NaN when there are no questions
 * @throws {DataError} If `k` or a rank is not a rank
 * @example
 * ```ts
 * import { mrrAt } from "./ranks.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(mrrAt(10, [1, 4, 11, Infinity]), (1 + 1 / 4) / 4);
 * ```
 */
export function mrrAt(k: number, ranks: readonly number[]): number {
  return mean(ranks, reciprocalAt(k));
}

/** 1 where the rank is within k, else 0; checks k and each rank. */
export function hitAt(k: number): (rank: number) => number {
  checkRank(k, "use a depth");
  return (rank) => checkRank(rank, `compute Hits@${k}`) <= k ? 1 : 0;
}

/** 1/rank where the rank is within k, else 0; checks k and each rank. */
export function reciprocalAt(k: number): (rank: number) => number {
  checkRank(k, "use a depth");
  return (rank) => checkRank(rank, `compute MRR@${k}`) <= k ? 1 / rank : 0;
}

function mean(ranks: readonly number[], score: (rank: number) => number): number {
  let sum = 0;
  for (const rank of ranks) sum += score(rank);
  return sum / ranks.length;
}

function checkRank(rank: number, action: string): number {
  if (rank === Infinity || (Number.isInteger(rank) && rank >= 1)) return rank;
  throw new DataError(
    `Cannot ${action}: ${rank} is no rank. Ranks count from 1; Infinity means not retrieved`,
  );
}
