import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "../tensor/tensor.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import { type ActionRows, actionRows } from "./_action_rows.ts";
import type { ClipRange, PolicyLoss, PolicyLossInputs } from "./ppo_policy_loss.ts";

/** The clipped surrogate of each action, not yet weighted. */
export interface ClippedSurrogate {
  /** [N] max(−A·r, −A·clip(r)); 0 where the weight is 0. */
  losses: Tensor;
  /** Means and a maximum over the actions. */
  statistics: Omit<PolicyLoss, "loss">;
  /** The rows it was computed over. */
  rows: ActionRows;
}

/** What PPO and GRPO share. */
export function clippedSurrogate(
  { logProbs, behaviorLogProbs, advantages, weights }: PolicyLossInputs,
  { clipLow, clipHigh }: ClipRange,
): ClippedSurrogate {
  const rows = actionRows(weights, { logProbs, behaviorLogProbs, advantages });
  // Selected before exp: an infinite ratio would be NaN in its gradient even at weight 0.
  const logRatios = rows.select(tf.sub(logProbs as Tensor, stopGradient(behaviorLogProbs)));
  const costs = tf.neg(rows.select(stopGradient(advantages)));
  const ratios = tf.exp(logRatios);
  const plain = tf.mul(costs, ratios);
  const clipped = tf.mul(costs, tf.clipByValue(ratios, 1 - clipLow, 1 + clipHigh));
  return {
    rows,
    losses: tf.maximum(plain, clipped),
    statistics: {
      clipShare: rows.mean(tf.cast(tf.greater(clipped, plain), "float32")),
      meanRatio: rows.mean(ratios),
      // The ratio is 1 where no action stands.
      largestRatioError: tf.max(tf.abs(tf.sub(ratios, 1))) as PolicyLoss["largestRatioError"],
      approximateKl: rows.mean(tf.mul(tf.square(logRatios), 0.5)),
    },
  };
}
