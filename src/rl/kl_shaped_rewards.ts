/** Rewards that charge every action for leaving the reference model. @module */
import { ShapeError } from "../errors.ts";
import { checkLength } from "./_check_length.ts";

/** One trajectory and its score. */
export interface KlShapedRewardsInputs {
  /** [T] log π of each action under the policy that sampled it, in nats. */
  logProbs: ArrayLike<number>;
  /** [T] log π_ref of each action, in nats, under the same temperature and constraints. */
  referenceLogProbs: ArrayLike<number>;
  /** β, reward per nat. */
  coefficient: number;
  /** Reward of the whole trajectory, which the last action gets. */
  score: number;
}

/**
 * The score, less β times the divergence of each action (Ziegler et al. 2019, eq. 2; Ouyang et al.
 * 2022).
 *
 *   rₜ = −β·(log πₜ − log π_refₜ)  [+ score on the last action]
 *
 * Source: TRL's PPO with `kl_penalty="kl"` (0.7) or `kl_estimator="k1"` (1.9). Departure from 1.9
 * alone: the score belongs to the last action, not to a step of its own after it.
 *
 * @returns [T] in the unit of the score
 * @throws {ShapeError} If there is no action, or the lengths differ
 * @example β = 0.1, two nats above the reference and one below it
 * ```ts
 * import { klShapedRewards } from "./kl_shaped_rewards.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const [first, last] = klShapedRewards({
 *   logProbs: [-1, -2],
 *   referenceLogProbs: [-3, -1],
 *   coefficient: 0.1,
 *   score: 1,
 * });
 * assertAlmostEquals(first, -0.2);
 * assertAlmostEquals(last, 1.1);
 * ```
 */
export function klShapedRewards(inputs: KlShapedRewardsInputs): Float64Array {
  const { logProbs, referenceLogProbs, coefficient, score } = inputs;
  const T = logProbs.length;
  checkLength("referenceLogProbs", referenceLogProbs, "T", T);
  if (T === 0) throw new ShapeError("Cannot place a score: the trajectory has no action");
  const rewards = Float64Array.from(
    logProbs,
    (logProb, t) => -coefficient * (logProb - referenceLogProbs[t]),
  );
  rewards[T - 1] += score;
  return rewards;
}
