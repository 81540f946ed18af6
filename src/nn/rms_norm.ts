/** Root-mean-square normalisation. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, named } from "../tensor/axes.ts";
import { customGradient } from "./_custom_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Root-mean-square layer normalisation (Zhang and Sennrich 2019), T5's "layer norm": no mean is
 * taken away and nothing is added.
 *
 *   r = 1 / √(mean(x²) + ε)      y = x · r · w
 *
 * The gradient is written by hand, with x̂ = x · r and g = dy · w:
 *
 *   dx = (g − x̂ · mean(g · x̂)) · r      dw = Σ dy · x̂
 *
 * Departure: none; `mean` is over the last axis as in transformers' `T5LayerNorm`.
 *
 * @param x […, D]
 * @param weight [D]
 * @param epsilon ε
 * @returns […, D]
 * @throws {ShapeError} If `weight` does not have the size of the last axis of `x`
 */
export function rmsNorm(x: Tensor, weight: F32<"D">, epsilon = 1e-6): Tensor {
  const dims: Dims = { D: x.shape[x.shape.length - 1] };
  named(weight, "D", dims, { as: "weight" });
  return customGradient([x, weight], ([x, weight]) => {
    // In this form ONNX Runtime knows it and makes one operation of it, where nothing is saved.
    const root = tf.sqrt(tf.add(tf.mean(tf.pow(x, 2), -1, true), epsilon));
    const normal = tf.div(x, root);
    return {
      value: tf.mul(normal, weight),
      saved: [normal, root, weight],
      gradient: (dy, [normal, root, weight]) => {
        const g = tf.mul(dy, weight);
        const along = tf.mean(tf.mul(g, normal), -1, true);
        const leading = [...Array(dy.rank - 1).keys()];
        return [
          tf.div(tf.sub(g, tf.mul(normal, along)), root),
          tf.sum(tf.mul(dy, normal), leading),
        ];
      },
    };
  });
}
