/** The answer's likelihood over all candidate documents. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type F32, named } from "../tensor/axes.ts";
import { type CandidateTerms, logSumExpOfRow, termsOf } from "./_candidates.ts";

/**
 * Marginal likelihood (Guu et al. 2020, eq. 1; Lewis et al. 2020, RAG-Sequence):
 *
 *   L = −log Σ_{d∈K} w_d · p(y|q,d)
 *
 * Gradient flows to both, with the posterior p(d|q,y) = w_d p(y|q,d) / Σ_k w_k p(y|q,k):
 *
 *   ∂L/∂log w_d = ∂L/∂log p(y|q,d) = −p(d|q,y)
 *
 * Departure: none. Over all documents it is exact.
 *
 * @returns [B] nats
 * @throws {ShapeError} If the sizes differ
 * @example Half of the weight is on a document that makes the answer certain, half on one that rules it out
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { marginalLoss } from "./marginal_loss.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const row = (...x: number[]) => named(tf.tensor2d([x]), "B K", {});
 * const loss = marginalLoss({
 *   logWeights: row(Math.log(0.5), Math.log(0.5)),
 *   logLikelihoods: row(0, -50),
 * });
 * assertAlmostEquals(loss.dataSync()[0], Math.log(2), 1e-6);
 * ```
 */
export function marginalLoss(terms: CandidateTerms): F32<"B"> {
  const { logWeights, logLikelihoods } = termsOf(terms);
  const log = logSumExpOfRow(tf.add(logWeights, logLikelihoods));
  return named(tf.neg(tf.reshape(log, [-1])), "B", {});
}
