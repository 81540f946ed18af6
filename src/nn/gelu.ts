/** Gaussian error linear unit. @module */
import * as tf from "@tensorflow/tfjs-core";
import { customGradient } from "./_custom_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";

const CUBIC = 0.044715, ROOT = Math.sqrt(2 / Math.PI);

/**
 * The tanh approximation of the Gaussian error linear unit (Hendrycks and Gimpel 2016), called
 * `gelu_new` in transformers; T5 v1.1 and GPT-2 use it.
 *
 *   u = √(2/π) · (x + 0.044715 · x³)      y = ½ x (1 + tanh u)
 *
 * The gradient is written by hand: it reuses h = ½ (1 + tanh u), for which
 *
 *   dy/dx = h + x · 2h (1 − h) · √(2/π) · (1 + 3 · 0.044715 · x²)
 *
 * @param x Any axes
 * @returns The axes of `x`
 */
export function geluNew(x: Tensor): Tensor {
  return customGradient([x], ([x]) => {
    const square = tf.square(x);
    const u = tf.mul(x, tf.add(tf.mul(square, CUBIC * ROOT), ROOT));
    const half = tf.add(tf.mul(tf.tanh(u), 0.5), 0.5);
    return {
      value: tf.mul(x, half),
      saved: [x, half],
      gradient: (dy, [x, half]) => {
        const slope = tf.add(tf.mul(tf.square(x), 6 * CUBIC * ROOT), 2 * ROOT);
        const bend = tf.mul(tf.mul(half, tf.sub(1, half)), tf.mul(x, slope));
        return [tf.mul(dy, tf.add(half, bend))];
      },
    };
  });
}

/**
 * The Gaussian error linear unit itself (Hendrycks and Gimpel 2016), called `gelu` in transformers:
 *
 *   y = ½ x (1 + erf(x / √2))
 *
 * @param x Any axes
 * @returns The axes of `x`
 */
export function gelu(x: Tensor): Tensor {
  return tf.mul(x, tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5));
}
