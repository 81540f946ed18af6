/** A matrix applied to the last axis. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, named } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * `y = x · Wᵀ`, on the last axis, whatever stands before it. The layout of the weight is Hugging
 * Face's (and PyTorch's): one row per output.
 *
 * @param x […, I]
 * @param weight [O, I]
 * @returns […, O]
 * @throws {ShapeError} If the last axis of `x` is not the last axis of `weight`
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { linear } from "./linear.ts";
 * import { assertEquals } from "@std/assert";
 * const weight = named(tf.tensor2d([[1, 2], [3, 4], [5, 6]]), "O I", {});
 * assertEquals(linear(tf.tensor2d([[1, 10]]), weight).arraySync(), [[21, 43, 65]]);
 * ```
 */
export function linear(x: Tensor, weight: F32<"O I">): Tensor {
  const dims: Dims = {};
  named(weight, "O I", dims, { as: "weight" });
  const rows = named(tf.reshape(x, [-1, x.shape[x.shape.length - 1]]), "N I", dims, { as: "x" });
  const y = tf.matMul(rows as Tensor, weight as Tensor, false, true);
  return tf.reshape(y, [...x.shape.slice(0, -1), dims.O]);
}
