/** The retriever learns how well each document explains the answer. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type F32, named } from "../tensor/axes.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  type CandidateTerms,
  expectedLogLoss,
  NO_WEIGHT,
  normalized,
  termsOf,
  underTarget,
} from "./_candidates.ts";

/** Choices of {@linkcode perplexityDistillationLoss}. */
export interface DistillationOptions {
  /** The reader's log-likelihoods are divided by this before the softmax. Default 1. */
  readonly temperature?: number;
}

/**
 * Perplexity distillation (PDist; Izacard et al. 2023, Atlas, §2.2):
 *
 *   t_d = softmax_d( log p(y|q,d) / τ )          over the candidates, held fixed
 *   L   = Σ_{d∈K} t_d (log t_d − log w̃_d)  −  Σ_{d∈K} sg[w̃_d] · log p(y|q,d)
 *
 * Gradient flows to `logWeights` by the first term, w̃_d − t_d, to `logLikelihoods` by the second.
 * Departure: as with EMDR², the reader's term is the expected log-likelihood, one document at a time.
 *
 * @returns [B] nats
 * @throws {ShapeError} If the sizes differ
 */
export function perplexityDistillationLoss(
  terms: CandidateTerms & { readonly isCandidate: F32<"B K"> },
  { temperature = 1 }: DistillationOptions = {},
): F32<"B"> {
  const { logWeights, logLikelihoods } = termsOf(terms);
  const isThere = tf.greater(terms.isCandidate as Tensor, 0);
  const told = tf.div(stopGradient(logLikelihoods), temperature);
  const logTarget = normalized(
    tf.where(isThere, told, tf.fill(told.shape as [number, number], NO_WEIGHT)),
  );
  const gap = tf.sub(logTarget, normalized(logWeights));
  const divergence = underTarget(tf.exp(logTarget), gap);
  return named(tf.add(divergence as Tensor, expectedLogLoss(terms)), "B", {});
}
