/** A tensor that counts as a constant. @module */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "./tensor.ts";

/**
 * `x`, to which no gradient flows.
 *
 * @param x Any tensor
 * @returns The same numbers
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { stopGradient } from "./stop_gradient.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(stopGradient(tf.scalar(3)).arraySync(), 3);
 * ```
 */
export function stopGradient(x: Tensor): Tensor {
  return tf.customGrad((x) => ({
    value: tf.clone(x as Tensor),
    gradFunc: (dy) => tf.zerosLike(dy as Tensor),
  }))(x);
}
