/** Sigmoid-weighted linear unit. @module */
import * as tf from "@tensorflow/tfjs-core";
import { customGradient } from "./_custom_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * The sigmoid-weighted linear unit, also called swish (Elfwing et al. 2018): `y = x · σ(x)`. Llama and
 * Qwen2 use it. The gradient is written by hand: `dy/dx = σ + y · (1 − σ)`.
 *
 * @param x Any axes
 * @returns The axes of `x`
 */
export function silu(x: Tensor): Tensor {
  return customGradient([x], ([x]) => {
    const gate = tf.sigmoid(x);
    const value = tf.mul(x, gate);
    return {
      value,
      saved: [gate, value],
      gradient: (dy, [gate, value]) => [
        tf.mul(dy, tf.add(gate, tf.mul(value, tf.sub(1, gate)))),
      ],
    };
  });
}
