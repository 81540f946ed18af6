/** The divergence of a policy from its reference, estimated at the actions it took. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type F32, named } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import { actionRows } from "./_action_rows.ts";

/** log π − log π_ref where an action stands, 0 elsewhere. */
function logRatios(
  logProbs: F32<"N">,
  referenceLogProbs: F32<"N">,
  weights: F32<"N">,
): Tensor {
  const rows = actionRows(weights, { logProbs, referenceLogProbs });
  return rows.select(tf.sub(logProbs as Tensor, stopGradient(referenceLogProbs)));
}

/**
 * The plain estimator of KL(π ‖ π_ref) (Schulman 2020): unbiased, often negative.
 *
 *   k1 = log π − log π_ref
 *
 * Gradient flows to `logProbs` alone.
 *
 * @param logProbs [N] log π of each action, in nats
 * @param referenceLogProbs [N] log π_ref of each action, in nats
 * @param weights [N] ≥ 0; where it is 0 the others may be anything
 * @returns [N] in nats; 0 where the weight is 0
 * @throws {ShapeError} If the lengths differ
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { k1 } from "./kl_estimators.ts";
 * import { assertEquals } from "@std/assert";
 * const column = (...x: number[]) => named(tf.tensor1d(x), "N", {});
 * const divergence = k1(column(-1, NaN), column(-3, -1), column(1, 0));
 * assertEquals([...divergence.dataSync()], [2, 0]);
 * ```
 */
export function k1(
  logProbs: F32<"N">,
  referenceLogProbs: F32<"N">,
  weights: F32<"N">,
): F32<"N"> {
  return named(logRatios(logProbs, referenceLogProbs, weights), "N", {});
}

/**
 * The estimator of KL(π ‖ π_ref) that is unbiased and never negative (Schulman 2020).
 *
 *   k3 = exp(d) − 1 − d        d = log π_ref − log π
 *
 * Departure from TRL: exp(d) − 1 is computed as one, so that small divergences keep their digits.
 * Gradient flows to `logProbs` alone: dk3/dlog π = 1 − exp(d).
 *
 * @param logProbs [N] log π of each action, in nats
 * @param referenceLogProbs [N] log π_ref of each action, in nats
 * @param weights [N] ≥ 0; where it is 0 the others may be anything
 * @returns [N] in nats; 0 where the weight is 0
 * @throws {ShapeError} If the lengths differ
 * @example The reference gives the action twice the probability: 2 − 1 − log 2
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { k3 } from "./kl_estimators.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const column = (x: number) => named(tf.tensor1d([x]), "N", {});
 * const divergence = k3(column(Math.log(0.2)), column(Math.log(0.4)), column(1));
 * assertAlmostEquals(divergence.dataSync()[0], 1 - Math.LN2, 1e-6);
 * ```
 */
export function k3(
  logProbs: F32<"N">,
  referenceLogProbs: F32<"N">,
  weights: F32<"N">,
): F32<"N"> {
  const d = tf.neg(logRatios(logProbs, referenceLogProbs, weights));
  return named(tf.sub(tf.expm1(d), d), "N", {});
}
