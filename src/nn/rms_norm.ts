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
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon));
    const normal = tf.mul(x, scale);
    return {
      value: tf.mul(normal, weight),
      saved: [normal, scale, weight],
      gradient: (dy, [normal, scale, weight]) => {
        const g = tf.mul(dy, weight);
        const along = tf.mean(tf.mul(g, normal), -1, true);
        const leading = [...Array(dy.rank - 1).keys()];
        return [
          tf.mul(tf.sub(g, tf.mul(normal, along)), scale),
          tf.sum(tf.mul(dy, normal), leading),
        ];
      },
    };
  });
}
