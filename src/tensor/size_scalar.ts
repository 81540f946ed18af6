/** A size as a tensor, for programs whose sizes may be symbols. @module */
import * as tf from "@tensorflow/tfjs-core";
import type { Scalar } from "./tensor.ts";

/**
 * A scalar that holds a size, or a sum of products of sizes.
 *
 * `tf.scalar(x.shape[1])` would put the number of one recording into the graph for good, which the
 * recorder refuses; this one is computed from the tensors a graph is fed when it runs.
 *
 * @param size A size, such as `x.shape[1]` or `x.shape[0] * x.shape[1]`
 * @param dtype Element type; float32 is exact up to 2²⁴
 * @returns []
 * @example Divide by the length of an axis
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { sizeScalar } from "./size_scalar.ts";
 * import { assertEquals } from "@std/assert";
 * const x = tf.tensor2d([[1, 2, 3, 6]]);
 * const mean = tf.div(tf.sum(x, 1), sizeScalar(x.shape[1]));
 * assertEquals(mean.arraySync(), [3]);
 * ```
 */
export function sizeScalar(size: number, dtype: "float32" | "int32" = "float32"): Scalar {
  return tf.tidy(() => tf.reshape(tf.range(size, size + 1, 1, dtype), []) as Scalar);
}
