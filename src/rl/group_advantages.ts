/** Advantages of answers to one question, relative to each other. @module */
import { momentsOf } from "./_moments.ts";

/** Keeps the division finite where rewards hardly differ; TRL's. */
const EPSILON = 1e-4;

/** Choices of {@linkcode groupAdvantages}. */
export interface GroupAdvantagesOptions {
  /**
   * `"std"`: divide by the standard deviation of the group (GRPO). `"none"`: do not (Dr. GRPO), so
   * that questions which are almost always or almost never answered do not weigh more. Default
   * `"std"`.
   */
  scale?: "std" | "none";
}

/**
 * Advantages of a group of samples for the same prompt (GRPO: Shao et al. 2024, section 4.1.2;
 * Dr. GRPO: Liu et al. 2025).
 *
 *   "std"   Aᵢ = (rᵢ − mean r) / (std r + 10⁻⁴)        std with G − 1, as TRL
 *   "none"  Aᵢ = rᵢ − mean r
 *
 * Departures: equal rewards give exactly 0, as does a group of one.
 *
 * @param rewards [G] one for each sample
 * @returns [G] one for all actions of a sample
 * @example One of two samples is right
 * ```ts
 * import { groupAdvantages } from "./group_advantages.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * assertEquals([...groupAdvantages([1, 0], { scale: "none" })], [0.5, -0.5]);
 * assertAlmostEquals(groupAdvantages([1, 0])[0], 0.5 / (Math.SQRT1_2 + 1e-4));
 * ```
 */
export function groupAdvantages(
  rewards: ArrayLike<number>,
  options: GroupAdvantagesOptions = {},
): Float64Array {
  const { scale = "std" } = options;
  const { mean, variance } = momentsOf(rewards);
  const divisor = scale === "std" ? Math.sqrt(variance) + EPSILON : 1;
  return Float64Array.from(rewards, (r) => (r - mean) / divisor);
}
