/** The loss of REINFORCE. @module */
import * as tf from "@tensorflow/tfjs-core";
import type { F32 } from "../tensor/axes.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import { actionRows } from "./_action_rows.ts";
import type { PolicyLossInputs } from "./ppo_policy_loss.ts";

/** Sampled actions of any number of trajectories, one after another. */
export type ReinforceLossInputs = Omit<PolicyLossInputs, "behaviorLogProbs">;

/**
 * REINFORCE (Williams 1992): its gradient is that of the expected reward where the policy that
 * learns has itself sampled the actions.
 *
 *   L = −Σₙ wₙ · Aₙ · log πₙ
 *
 * Gradient flows to `logProbs` alone. Departure: none.
 *
 * @returns Scalar; only its gradient means something
 * @throws {ShapeError} If the lengths differ
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { reinforceLoss } from "./reinforce_loss.ts";
 * import { assertEquals } from "@std/assert";
 * const column = (...x: number[]) => named(tf.tensor1d(x), "N", {});
 * const loss = reinforceLoss({
 *   logProbs: column(-2, -1),
 *   advantages: column(3, -1),
 *   weights: column(0.5, 0.5),
 * });
 * assertEquals(loss.dataSync()[0], 2.5);
 * ```
 */
export function reinforceLoss(inputs: ReinforceLossInputs): F32<""> {
  const { weights, logProbs, advantages } = inputs;
  const rows = actionRows(weights, { logProbs, advantages });
  const costs = tf.neg(rows.select(stopGradient(advantages)));
  return rows.weightedSum(tf.mul(costs, rows.select(logProbs)));
}
