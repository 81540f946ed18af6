/** Advantages against the other samples of a group. @module */
import { momentsOf } from "./_moments.ts";

/**
 * Advantages of REINFORCE leave-one-out (Kool et al. 2019; RLOO: Ahmadian et al. 2024): the
 * baseline of a sample is the mean reward of the others, which does not depend on it.
 *
 *   Aᵢ = rᵢ − Σ_{j≠i} rⱼ / (G − 1) = (rᵢ − mean r) · G / (G − 1)
 *
 * Departure: a group of one, which has no others, gives 0; equal rewards give exactly 0.
 *
 * @param rewards [G] one for each sample
 * @returns [G] in the unit of the rewards
 * @example
 * ```ts
 * import { leaveOneOut } from "./leave_one_out.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals([...leaveOneOut([4, 1, 1])], [3, -1.5, -1.5]);
 * ```
 */
export function leaveOneOut(rewards: ArrayLike<number>): Float64Array {
  const { mean } = momentsOf(rewards), G = rewards.length;
  return Float64Array.from(rewards, (r) => G < 2 ? 0 : (r - mean) * G / (G - 1));
}
