/** Numbers brought to mean 0 and variance 1. @module */
import { momentsOf } from "./_moments.ts";

/** TRL's guard against division by zero. */
const EPSILON = 1e-8;

/** Choices of {@linkcode whiten}. */
export interface WhitenOptions {
  /** Whether the mean goes to 0; otherwise it stays as it is. Default true. */
  shiftMean?: boolean;
}

/**
 * All given numbers together, brought to mean 0 and variance 1.
 *
 *   yᵢ = (xᵢ − m) / √(s² + 10⁻⁸)  [+ m]        s² = Σ (xᵢ − m)² / (n − 1)
 *
 * Source: TRL's `masked_whiten`. Departures: a single number has variance 0 (TRL: an error), and
 * there is no padding, to which TRL without `shiftMean` gives a number other than 0 that then
 * counts as a reward.
 *
 * @param values Numbers of all sampled actions of a batch; may be empty
 * @returns As many numbers, without a unit
 * @example Variance (1 + 0 + 1) / 2 = 1
 * ```ts
 * import { whiten } from "./whiten.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const [low, middle, high] = whiten([4, 5, 6]);
 * assertAlmostEquals(low, -1, 1e-7);
 * assertAlmostEquals(middle, 0);
 * assertAlmostEquals(high, 1, 1e-7);
 * ```
 */
export function whiten(values: ArrayLike<number>, options: WhitenOptions = {}): Float64Array {
  const { mean, variance } = momentsOf(values);
  const scale = 1 / Math.sqrt(variance + EPSILON), middle = options.shiftMean ?? true ? 0 : mean;
  return Float64Array.from(values, (x) => (x - mean) * scale + middle);
}
