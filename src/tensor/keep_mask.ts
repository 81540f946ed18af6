/**
 * The one random operation a program may use: a mask of elements to keep, for dropout.
 *
 * It is a kernel of its own and has no fixed value. A recording turns each call into an input that
 * the executor fills before every run; an eager backend draws at once. Both draw site `i` of a run
 * from the stream `(seed, "<stream>/<i>", step)`, so eager and recorded runs use the same masks and
 * no mask can be baked into a graph.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "./tensor.ts";

export { fillKeepMask } from "./fill_keep_mask.ts";

/** Name under which backends register the kernel. */
export const KEEP_MASK = "KeepMask";

/** Attributes of the kernel. */
export interface KeepMaskAttrs {
  /** Sizes of the mask. */
  shape: number[];
  /** Probability of 1. */
  keepProb: number;
}

/**
 * A float32 tensor of ones (probability `keepProb`) and zeros. No gradient flows through it.
 *
 * @param shape Sizes; symbols are allowed while recording
 * @param keepProb Probability of a one, in (0, 1]
 */
export function keepMask(shape: readonly number[], keepProb: number): Tensor {
  const attrs = { shape: [...shape], keepProb };
  return tf.engine().runKernel(KEEP_MASK, {}, attrs as unknown as tf.NamedAttrMap) as Tensor;
}
