import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, named } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Rows of which those with weight 0 hold no action and may hold anything. */
export interface ActionRows {
  /** [N] `x` where an action stands, 0 elsewhere; no gradient flows to the latter. */
  select(x: Tensor): Tensor;
  /** Scalar Σ w · x. Of selected rows only: 0 · ∞ would be NaN. */
  weightedSum(x: Tensor): F32<"">;
  /** Scalar: sum over actions / number of actions; 0 where there is none. Of selected rows only. */
  mean(x: Tensor): F32<"">;
}

/**
 * The rows of `columns`, all of which must be as long as `weights`.
 *
 * @throws {ShapeError} If they are not
 */
export function actionRows(
  weights: F32<"N">,
  columns: Readonly<Record<string, Tensor>>,
): ActionRows {
  const dims: Dims = {};
  named(weights, "N", dims, { as: "weights" });
  for (const [name, x] of Object.entries(columns)) named(x, "N", dims, { as: name });
  const isAction = tf.greater(weights as Tensor, 0);
  const counts = tf.cast(isAction, "float32");
  const scalar = (x: Tensor): F32<""> => named(x, "", {});
  return {
    select: (x) => tf.where(isAction, x, tf.zerosLike(x)),
    weightedSum: (x) => scalar(tf.sum(tf.mul(x, weights))),
    mean: (x) => scalar(tf.div(tf.sum(tf.mul(x, counts)), tf.maximum(tf.sum(counts), 1))),
  };
}
