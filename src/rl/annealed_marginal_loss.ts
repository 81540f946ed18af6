/** The answer's likelihood, by a posterior in which the retriever's certainty counts less. @module */
import * as tf from "@tensorflow/tfjs-core";
import type { F32 } from "../tensor/axes.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import { type CandidateTerms, normalized, termsOf, underTarget } from "./_candidates.ts";

/** Choices of {@linkcode annealedMarginalLoss}. */
export interface AnnealingOptions {
  /** τ > 0: log-weights are divided by this in the posterior; above 1 they count less. Default 1. */
  readonly temperature?: number;
}

/**
 * A bound of the marginal likelihood, tight where τ is 1:
 *
 *   t_d = softmax_d( log w_d / τ + log p(y|q,d) )         over the candidates, held fixed
 *   L   = Σ_{d∈K} t_d (log t_d − log w_d − log p(y|q,d))   ≥  −log Σ_{d∈K} w_d p(y|q,d)
 *
 * Gradient flows to both: ∂L/∂log w_d = ∂L/∂log p(y|q,d) = −t_d. With τ = 1, t is the posterior, and value
 * and gradient are those of the marginal likelihood. A retriever that has become certain of a wrong document
 * leaves the right one no posterior from which it could rise; with τ > 1 it does, and a reader that tells
 * them apart turns it round.
 *
 * Source: the variational bound of EM (Neal & Hinton 1998, eq. 7) with a tempered posterior (Ueda & Nakano
 * 1998, deterministic annealing). Departure: only the prior is tempered, because it is the prior that is
 * wrong; and τ stays as it is, because with a certain reader t ends at the same document.
 *
 * @param terms Log-weights that are log-probabilities, renormalised or not; not those of draws
 * @param options τ
 * @returns [B] nats
 * @throws {ShapeError} If the sizes differ
 */
export function annealedMarginalLoss(
  terms: CandidateTerms,
  { temperature = 1 }: AnnealingOptions = {},
): F32<"B"> {
  const { logWeights, logLikelihoods } = termsOf(terms);
  const logTarget = stopGradient(
    normalized(tf.add(tf.div(logWeights, temperature), logLikelihoods)),
  );
  const gap = tf.sub(tf.sub(logTarget, logWeights), logLikelihoods);
  return underTarget(tf.exp(logTarget), gap);
}
