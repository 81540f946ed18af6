/** End-to-end training of reader and retriever with the gradient stopped between them. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type F32, named } from "../tensor/axes.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type CandidateTerms, expectedLogLoss, termsOf } from "./_candidates.ts";
import { marginalLoss } from "./marginal_loss.ts";

/**
 * EMDR² (Sachan et al. 2021, eq. 5–6): the retriever maximises the marginal likelihood of a reader that is
 * held fixed, the reader learns from documents that are held fixed.
 *
 *   L = −log Σ_{d∈K} w_d · sg[p(y|q,d)]  −  Σ_{d∈K} sg[w̃_d] · log p(y|q,d)
 *
 * Gradient flows to `logWeights` by the first term, to `logLikelihoods` by the second. Departure: the
 * reader reads one document at a time, so its term is the expected log-likelihood; the original's reads all
 * K at once.
 *
 * @returns [B] nats
 * @throws {ShapeError} If the sizes differ
 */
export function emdr2Loss(terms: CandidateTerms): F32<"B"> {
  const { logWeights, logLikelihoods } = termsOf(terms);
  const retriever = marginalLoss({
    logWeights: named(logWeights, "B K", {}),
    logLikelihoods: named(stopGradient(logLikelihoods), "B K", {}),
  });
  return named(tf.add(retriever as Tensor, expectedLogLoss(terms)), "B", {});
}
