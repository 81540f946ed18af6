/** Vocabulary layer and cross-entropy in one. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, named, namedInts } from "../tensor/axes.ts";
import { customGradient } from "./_custom_gradient.ts";
import { pickColumns, type Targets } from "./cross_entropy.ts";

/**
 * Weighted cross-entropy of the logits `z = h · Wᵀ`: `L = −Σₙ wₙ · log softmax(zₙ)[labelₙ]`.
 *
 * The same value and gradient as `crossEntropy(linear(h, W), targets)`, but the "one-hot" part of
 * the gradient goes through rows of width D, so no [N, V] one-hot or scatter is ever made, and the
 * weights scale h instead of the probabilities:
 *
 *   dh = w · (softmax(z) · W − W[label])      dW = softmax(z)ᵀ · (w h) − Σₙ onehot(labelₙ) (w h)ₙᵀ
 *
 * The log-probability is `z[label] − max z + log max softmax(z)`, which cannot underflow.
 *
 * @param hidden [N, D]
 * @param table [V, D]
 * @param targets Labels and weights
 * @returns Scalar, in nats
 * @throws {ShapeError} If rows or widths differ
 */
export function headCrossEntropy(
  hidden: F32<"N D">,
  table: F32<"V D">,
  targets: Targets,
): F32<""> {
  const dims: Dims = {};
  named(hidden, "N D", dims, { as: "hidden" });
  named(table, "V D", dims, { as: "table" });
  const labels = namedInts(targets.labels, "N", dims, { as: "labels" });
  const weights: tf.Tensor = named(targets.weights, "N", dims, { as: "weights" });
  const loss = customGradient([hidden, table], ([hidden, table]) => {
    const logits = tf.matMul(hidden, table, false, true);
    const probs = tf.softmax(logits);
    const right = pickColumns(named(logits, "N C", { N: dims.N }), labels);
    const behind = tf.sub(right, tf.max(logits, -1));
    const logProbs = tf.add(behind, tf.log(tf.max(probs, -1)));
    return {
      value: tf.neg(tf.sum(tf.mul(logProbs, weights))),
      saved: [probs, hidden, table, labels, weights],
      gradient: (dy, [probs, hidden, table, labels, weights]) => {
        const scale = tf.expandDims(tf.mul(weights, dy), 1);
        const scaled = tf.mul(hidden, scale);
        const right = tf.gather(table, labels as tf.Tensor1D);
        const rows = tf.unsortedSegmentSum(tf.neg(scaled), labels as tf.Tensor1D, dims.V);
        return [
          tf.mul(tf.sub(tf.matMul(probs, table), right), scale),
          tf.add(tf.matMul(probs, scaled, true, false), rows),
        ];
      },
    };
  });
  return named(loss, "", dims);
}
