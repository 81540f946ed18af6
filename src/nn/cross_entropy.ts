/** Cross-entropy against labels, some of which do not count. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, type I32, named, namedInts } from "../tensor/axes.ts";

/** The label that says "this position does not count", as in PyTorch and transformers. */
export const IGNORE: number = -100;

/** Right answers and what each counts. */
export interface Targets {
  /** [N] right class; where the weight is 0 any value, {@linkcode IGNORE} by convention. */
  labels: I32<"N">;
  /** [N] what each row counts: for a mean, weights that sum to 1. */
  weights: F32<"N">;
}

/**
 * Targets of the mean over the labels that count: a negative label, such as {@linkcode IGNORE}, has
 * weight 0 and becomes class 0; the others share 1 equally. With no label that counts all weights
 * are 0, and so is the loss (PyTorch gives NaN).
 *
 * @param labels [N]
 */
export function meanTargets(labels: I32<"N">): Targets {
  const dims: Dims = {};
  namedInts(labels, "N", dims, { as: "labels" });
  const zero = tf.scalar(0, "int32");
  const counts = tf.cast(tf.greaterEqual(labels, zero), "float32");
  return {
    labels: namedInts(tf.maximum(labels as tf.Tensor, zero), "N", dims),
    weights: named(tf.div(counts, tf.maximum(tf.sum(counts), 1)), "N", dims),
  };
}

/**
 * One column of every row: `y[n] = x[n, columns[n]]`.
 *
 * @param x [N, C]
 * @param columns [N]
 * @throws {ShapeError} If the rows differ
 */
export function pickColumns(x: F32<"N C">, columns: I32<"N">): F32<"N"> {
  const dims: Dims = {};
  named(x, "N C", dims, { as: "x" });
  namedInts(columns, "N", dims, { as: "columns" });
  const { N, C } = dims;
  const flat = tf.add(tf.range(0, N * C, C, "int32"), columns as tf.Tensor) as tf.Tensor1D;
  return named(tf.gather(tf.reshape(x, [N * C]), flat), "N", dims);
}

/**
 * Weighted cross-entropy `L = −Σₙ wₙ · log softmax(zₙ)[labelₙ]`.
 *
 * Gradient flows to the logits alone: `dL/dz = w · (softmax(z) − onehot(label))`. Where the logits
 * are a hidden state times a vocabulary table, `headCrossEntropy` is cheaper.
 *
 * @param logits [N, C]
 * @param targets Labels and weights
 * @returns Scalar, in nats
 * @throws {ShapeError} If the rows differ
 */
export function crossEntropy(logits: F32<"N C">, targets: Targets): F32<""> {
  const logProbs = named(tf.logSoftmax(logits as tf.Tensor), "N C", {});
  const picked = pickColumns(logProbs, targets.labels);
  return named(tf.neg(tf.sum(tf.mul(picked, targets.weights))), "", {});
}
