/** Layer normalisation. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, named } from "../tensor/axes.ts";
import { customGradient } from "./_custom_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Parameters of {@linkcode layerNorm}. */
export interface LayerNormParams {
  /** [D] multiplied with the normalised row. */
  weight: F32<"D">;
  /** [D] added to it. */
  bias: F32<"D">;
}

/**
 * Layer normalisation (Ba et al. 2016): every row has mean 0 and variance 1, then a weight and a bias.
 *
 *   c = x − mean(x)      r = 1 / √(mean(c²) + ε)      y = c · r · w + b
 *
 * The gradient is written by hand, with x̂ = c · r and g = dy · w:
 *
 *   dx = (g − mean(g) − x̂ · mean(g · x̂)) · r      dw = Σ dy · x̂      db = Σ dy
 *
 * Departure: none; the variance is the biased one, as in PyTorch.
 *
 * @param x […, D]
 * @param params Weight and bias
 * @param epsilon ε
 * @returns […, D]
 * @throws {ShapeError} If weight or bias do not have the size of the last axis of `x`
 */
export function layerNorm(x: Tensor, params: LayerNormParams, epsilon = 1e-5): Tensor {
  const dims: Dims = { D: x.shape[x.shape.length - 1] };
  named(params.weight, "D", dims, { as: "weight" });
  named(params.bias, "D", dims, { as: "bias" });
  return customGradient([x, params.weight, params.bias], ([x, weight, bias]) => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    // In this form ONNX Runtime knows it and makes one operation of it, where nothing is saved.
    const root = tf.sqrt(tf.add(tf.mean(tf.pow(centred, 2), -1, true), epsilon));
    const normal = tf.div(centred, root);
    return {
      value: tf.add(tf.mul(normal, weight), bias),
      saved: [normal, root, weight],
      gradient: (dy, [normal, root, weight]) => {
        const g = tf.mul(dy, weight);
        const along = tf.mul(normal, tf.mean(tf.mul(g, normal), -1, true));
        const leading = [...Array(dy.rank - 1).keys()];
        return [
          tf.div(tf.sub(tf.sub(g, tf.mean(g, -1, true)), along), root),
          tf.sum(tf.mul(dy, normal), leading),
          tf.sum(dy, leading),
        ];
      },
    };
  });
}
