/** The mean over actions. @module */
import type { F32 } from "../tensor/axes.ts";
import { actionRows } from "./_action_rows.ts";

/**
 * Masked sum / mask count: the plain mean of the rows that hold an action, whatever their weights.
 * So every statistic of the losses is taken; entropies and divergences go the same way.
 *
 *   m = Σₙ [wₙ > 0]·xₙ / Σₙ [wₙ > 0]
 *
 * Gradient flows to the values of the actions.
 *
 * @param values [N]; where the weight is 0 anything
 * @param weights [N] ≥ 0, and 0 where no action stands
 * @returns Scalar in the unit of `values`; 0 without actions
 * @throws {ShapeError} If the lengths differ
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { actionMean } from "./action_mean.ts";
 * import { assertEquals } from "@std/assert";
 * const entropies = named(tf.tensor1d([1, NaN, 2]), "N", {});
 * const weights = named(tf.tensor1d([0.75, 0, 0.25]), "N", {});
 * assertEquals(actionMean(entropies, weights).dataSync()[0], 1.5);
 * ```
 */
export function actionMean(values: F32<"N">, weights: F32<"N">): F32<""> {
  const rows = actionRows(weights, { values });
  return rows.mean(rows.select(values));
}
