/** Dropout. @module */
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { keepMask } from "../tensor/keep_mask.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Inverted dropout (Srivastava et al. 2014): every element is kept with probability 1 − rate and
 * divided by it, so the expectation is `x`. A rate of 0 is `x` itself and draws nothing.
 *
 * Which elements are kept is fresh in every run: see {@linkcode keepMask}. `tf.dropout` would draw
 * while recording and bake one mask into the graph.
 *
 * @param x Any axes
 * @param rate Probability of dropping an element, in [0, 1)
 * @returns The axes of `x`
 * @throws {ShapeError} If `rate` is not in [0, 1)
 */
export function dropout(x: Tensor, rate: number): Tensor {
  if (!(rate >= 0 && rate < 1)) {
    throw new ShapeError(`Cannot drop elements at rate ${rate}: a rate is in [0, 1)`);
  }
  if (rate === 0) return x;
  const keepProb = 1 - rate;
  return tf.mul(x, tf.mul(keepMask(x.shape, keepProb), 1 / keepProb));
}
