import * as tf from "@tensorflow/tfjs-core";
import { type F32, named } from "../tensor/axes.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Logarithm of a weight that counts as none; finite, so that gradients through it are 0 and not NaN. */
export const NO_WEIGHT = -1e9;

/** [B, 1] log Σ_k exp x, natural logarithm. */
export function logSumExpOfRow(x: Tensor): Tensor {
  const highest = tf.max(x, 1, true);
  return tf.add(highest, tf.log(tf.sum(tf.exp(tf.sub(x, highest)), 1, true)));
}

/** [B, K] log of the rows' weights divided by their sum. */
export function normalized(logWeights: Tensor): Tensor {
  return tf.sub(logWeights, logSumExpOfRow(logWeights));
}

/** [B] sum over the candidates. */
export function overCandidates(x: Tensor): F32<"B"> {
  return named(tf.sum(x, 1), "B", {});
}

/** [B] Σ_k t_k x_k. A target t of 0 counts nothing, whatever x is: places without a candidate are such. */
export function underTarget(target: Tensor, x: Tensor): F32<"B"> {
  return overCandidates(
    tf.where(tf.greater(target, 0), tf.mul(target, x), tf.zerosLike(target)),
  );
}

/** What an objective over candidate documents is given. */
export interface CandidateTerms {
  /** [B, K] log w of {@linkcode mixtureLogWeights}: how much each candidate counts. */
  readonly logWeights: F32<"B K">;
  /** [B, K] log p(y | q, d) of the right answer y, nats, ≤ 0. */
  readonly logLikelihoods: F32<"B K">;
}

/**
 * The terms as plain tensors.
 *
 * @throws {ShapeError} If their sizes differ
 */
export function termsOf(
  { logWeights, logLikelihoods }: CandidateTerms,
): { logWeights: Tensor; logLikelihoods: Tensor } {
  const dims = {};
  return {
    logWeights: named(logWeights, "B K", dims, { as: "logWeights" }) as Tensor,
    logLikelihoods: named(logLikelihoods, "B K", dims, { as: "logLikelihoods" }) as Tensor,
  };
}

/**
 * What the reader learns in the objectives that stop the gradient between it and the retriever: the
 * expected log-likelihood, −Σ_k w̃_k log p(y|q,k) with w̃ the weights divided by their sum and held fixed.
 */
export function expectedLogLoss(terms: CandidateTerms): Tensor {
  const { logWeights, logLikelihoods } = termsOf(terms);
  const weights = stopGradient(tf.exp(normalized(logWeights)));
  return tf.neg(overCandidates(tf.mul(weights, logLikelihoods)) as Tensor);
}
