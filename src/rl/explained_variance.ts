/** How well values foresee returns. @module */
import { checkLength } from "./_check_length.ts";
import { momentsOf } from "./_moments.ts";

/**
 * Share of the variance of the returns that the values explain.
 *
 *   1 − Var(returns − values) / Var(returns)
 *
 * 1 is perfect, 0 no better than a constant, below 0 worse than that. Source: cleanrl. Departure:
 * where all returns are equal there is nothing to explain and the result is 0 (cleanrl: NaN).
 *
 * @param values [N] value before each action
 * @param returns [N] what the value should have been
 * @returns At most 1, without a unit
 * @throws {ShapeError} If the lengths differ
 * @example
 * ```ts
 * import { explainedVariance } from "./explained_variance.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(explainedVariance([0, 2], [0, 4]), 0.75);
 * assertEquals(explainedVariance([0, 2], [3, 3]), 0);
 * ```
 */
export function explainedVariance(values: ArrayLike<number>, returns: ArrayLike<number>): number {
  checkLength("values", values, "N", returns.length);
  const total = momentsOf(returns).variance;
  if (total === 0) return 0;
  const rest = Float64Array.from(returns, (r, i) => r - values[i]);
  return 1 - momentsOf(rest).variance / total;
}
