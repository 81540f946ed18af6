/** How much better than expected each action was. @module */
import { checkLength } from "./_check_length.ts";

/** One trajectory and how far to look ahead. */
export interface GeneralizedAdvantagesInputs {
  /** [T] reward after each action. */
  rewards: ArrayLike<number>;
  /**
   * [T+1] value before each action, and at last that of the state after all: 0 if it ended there.
   */
  values: ArrayLike<number>;
  /** γ, the discount per action, in [0, 1]. */
  gamma: number;
  /** λ in [0, 1]: 0 trusts the values (one step), 1 the rewards (whole returns). */
  lambda: number;
}

/** Of every action, in the unit of the rewards. */
export interface GeneralizedAdvantages {
  /** [T] how much better than its value the action was. */
  advantages: Float64Array;
  /** [T] what the value should have been: advantage + value. */
  returns: Float64Array;
}

/**
 * Generalised advantage estimation (Schulman et al. 2016, eq. 16).
 *
 *   δₜ = rₜ + γ·vₜ₊₁ − vₜ        Aₜ = δₜ + γλ·Aₜ₊₁        Rₜ = Aₜ + vₜ
 *
 * Departures from TRL: a time step is an action that the policy sampled. Tokens which were inserted
 * between two actions, such as retrieved documents, have no reward and no value here, and are not
 * discounted over. An episode that was cut off bootstraps from its last value (TRL: always 0).
 *
 * @throws {ShapeError} If `values` is not one longer than `rewards`
 * @example Two actions, γ = λ = 1: the reward at the end less the value before
 * ```ts
 * import { generalizedAdvantages } from "./generalized_advantages.ts";
 * import { assertEquals } from "@std/assert";
 * const { advantages, returns } = generalizedAdvantages({
 *   rewards: [0, 1],
 *   values: [0.25, 0.5, 0],
 *   gamma: 1,
 *   lambda: 1,
 * });
 * assertEquals([...advantages], [0.75, 0.5]);
 * assertEquals([...returns], [1, 1]);
 * ```
 */
export function generalizedAdvantages(inputs: GeneralizedAdvantagesInputs): GeneralizedAdvantages {
  const { rewards, values, gamma, lambda } = inputs;
  const T = rewards.length;
  checkLength("values", values, "T+1", T + 1);
  const advantages = new Float64Array(T), returns = new Float64Array(T);
  let next = 0;
  for (let t = T - 1; t >= 0; t--) {
    const surprise = rewards[t] + gamma * values[t + 1] - values[t];
    next = advantages[t] = surprise + gamma * lambda * next;
    returns[t] = advantages[t] + values[t];
  }
  return { advantages, returns };
}
