/** The clipped value loss of PPO. @module */
import * as tf from "@tensorflow/tfjs-core";
import type { F32 } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import { actionRows } from "./_action_rows.ts";

/** Values before the sampled actions of any number of trajectories. */
export interface ValueLossInputs {
  /** [N] value of each state under the head that learns, in the unit of the reward. */
  values: F32<"N">;
  /** [N] value when the action was sampled. */
  behaviorValues: F32<"N">;
  /** [N] what the value should be. */
  returns: F32<"N">;
  /** [N] ≥ 0; where it is 0 the others may be anything. */
  weights: F32<"N">;
}

/** Choices of {@linkcode valueLoss}. */
export interface ValueLossOptions {
  /** How far a value may move from where it was before the loss stops to reward it. */
  clip: number;
}

/** A value loss, and how many values hit its limit. */
export interface ValueLoss {
  /** ½ Σ w · error², in the unit of the reward squared. */
  loss: F32<"">;
  /** Share of actions whose clipped value has the larger error, so that no gradient flows, 0–1. */
  clipShare: F32<"">;
}

/**
 * PPO's clipped value loss.
 *
 *   v̂ = clip(v, v_old − clip, v_old + clip)        L = ½ Σₙ wₙ · max((vₙ − Rₙ)², (v̂ₙ − Rₙ)²)
 *
 * Source: TRL, where it is then multiplied by `vf_coef`. Gradient flows to `values` alone.
 * Departure in the gradient, none in value: at a border of the clip range, and where both errors
 * are equal, it is that of the unclipped error, v − R. PyTorch shares ties of max and min equally,
 * which gives ¾ and ½ of it.
 *
 * @throws {ShapeError} If the lengths differ
 * @example A value that moved from 0 to 1 counts as moved to 0.2, which is further from its return
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { valueLoss } from "./value_loss.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const column = (x: number) => named(tf.tensor1d([x]), "N", {});
 * const { loss, clipShare } = valueLoss({
 *   values: column(1),
 *   behaviorValues: column(0),
 *   returns: column(2),
 *   weights: column(1),
 * }, { clip: 0.2 });
 * assertAlmostEquals(loss.dataSync()[0], 1.8 ** 2 / 2, 1e-6);
 * assertEquals(clipShare.dataSync()[0], 1);
 * ```
 */
export function valueLoss(inputs: ValueLossInputs, options: ValueLossOptions): ValueLoss {
  const { values, behaviorValues, returns, weights } = inputs;
  const rows = actionRows(weights, { values, behaviorValues, returns });
  const now = rows.select(values);
  const old = rows.select(stopGradient(behaviorValues));
  const goals = rows.select(stopGradient(returns));
  const { clip } = options;
  // Not v_old + clip(v − v_old): inside the range v̂ must be v to the last digit.
  const clipped = tf.maximum(tf.minimum(now, tf.add(old, clip)), tf.sub(old, clip));
  const error = (v: Tensor): Tensor => tf.squaredDifference(v, goals);
  const plain = error(now), limited = error(clipped);
  return {
    loss: rows.weightedSum(tf.mul(tf.maximum(plain, limited), 0.5)),
    clipShare: rows.mean(tf.cast(tf.greater(limited, plain), "float32")),
  };
}
