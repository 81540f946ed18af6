/** Log-probabilities over the allowed ones of some choices. @module */
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { HIDDEN } from "./attention.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Log-softmax over the allowed entries of the last axis: normalised over them alone.
 *
 *   y = log( a · exp z / Σ a · exp z )      a = isAllowed
 *
 * A forbidden entry gets about {@linkcode HIDDEN}, not −∞, so that 0 times it is 0; no gradient
 * flows to its logit. A row in which nothing is allowed is uniform over all of its entries.
 *
 * @param logits […, C]
 * @param isAllowed […, C] float32, 1 where the entry may be chosen; leading axes may broadcast
 * @returns […, C] natural logarithms
 * @throws {ShapeError} If the last axes differ
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { maskedLogSoftmax } from "./masked_log_softmax.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const logProbs = maskedLogSoftmax(tf.tensor1d([1, 9, 1]), tf.tensor1d([1, 0, 1]));
 * assertAlmostEquals(logProbs.dataSync()[0], Math.log(0.5), 1e-6);
 * ```
 */
export function maskedLogSoftmax(logits: Tensor, isAllowed: Tensor): Tensor {
  const [choices, allowed] = [logits, isAllowed].map((x) => x.shape[x.shape.length - 1]);
  if (choices !== allowed) {
    throw new ShapeError(
      `Cannot mask ${choices} choices: isAllowed [${isAllowed.shape}] speaks of ${allowed}`,
    );
  }
  return tf.logSoftmax(tf.add(logits, tf.mul(tf.sub(isAllowed, 1), -HIDDEN)));
}
