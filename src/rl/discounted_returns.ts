/** What an agent gets from each action on. @module */

/** One trajectory. */
export interface DiscountedReturnsInputs {
  /** [T] reward after each action. */
  rewards: ArrayLike<number>;
  /** Value of the state after the last action: 0, the default, where the episode ended there. */
  bootstrap?: number;
  /** γ, the discount per action, in [0, 1]. Default 1. */
  gamma?: number;
}

/**
 * Discounted returns (Sutton & Barto 2018, eq. 3.9).
 *
 *   Gₜ = rₜ + γ·Gₜ₊₁        G_T = bootstrap
 *
 * Departure: none. A time step is an action that the policy sampled.
 *
 * @returns [T] in the unit of the rewards
 * @example Two actions, γ = ½: 1 + ½ · 2 and 2
 * ```ts
 * import { discountedReturns } from "./discounted_returns.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals([...discountedReturns({ rewards: [1, 2], gamma: 0.5 })], [2, 2]);
 * ```
 */
export function discountedReturns(inputs: DiscountedReturnsInputs): Float64Array {
  const { rewards, bootstrap = 0, gamma = 1 } = inputs;
  const returns = new Float64Array(rewards.length);
  let next = bootstrap;
  for (let t = rewards.length - 1; t >= 0; t--) next = returns[t] = rewards[t] + gamma * next;
  return returns;
}
