/** How much each candidate document counts. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type F32, named } from "../tensor/axes.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { NO_WEIGHT, normalized } from "./_candidates.ts";

/** Candidates of B questions. */
export interface Candidates {
  /** [B, K] log p(d|q), nats. */
  readonly logProbs: F32<"B K">;
  /** [B, K] 1 where a candidate stands; elsewhere the others may be any finite number. */
  readonly isCandidate: F32<"B K">;
  /**
   * [B, K] logarithm of the probability that d became a candidate, ≤ 0: 0 where all documents, or always the
   * same ones, are candidates. No gradient flows to it.
   */
  readonly logInclusion: F32<"B K">;
}

/** Choices of {@linkcode mixtureLogWeights}. */
export interface MixtureOptions {
  /** Divide the weights of a question by their sum. */
  readonly isRenormalized: boolean;
}

/**
 * Weights with which candidates K stand for all documents, in logarithms:
 *
 *   w_d = p(d|q) / π_d                         Σ_{d∈K} w_d f_d estimates Σ_d p(d|q) f_d
 *   w_d = (p(d|q) / π_d) / Σ_{k∈K} p(k|q) / π_k     renormalised
 *
 * where π_d is the probability that d is a candidate (Horvitz & Thompson 1952; for samples without
 * replacement Kool et al. 2019). Where every document is one, w = p and both forms are the same. The
 * renormalised form over the best K is p̃ of Guu et al. 2020 (REALM): it leaves out what it dropped.
 *
 * Gradient flows to `logProbs`, of renormalised weights through the sum as well. Departure: none.
 *
 * @returns [B, K] natural logarithms; −10⁹ where there is no candidate
 * @throws {ShapeError} If the sizes differ
 * @example Two of three documents
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { mixtureLogWeights } from "./mixture_log_weights.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const row = (...x: number[]) => named(tf.tensor2d([x]), "B K", {});
 * const candidates = {
 *   logProbs: row(Math.log(0.6), Math.log(0.2)),
 *   isCandidate: row(1, 1),
 *   logInclusion: row(0, 0),
 * };
 * const weights = tf.exp(mixtureLogWeights(candidates, { isRenormalized: true }));
 * assertAlmostEquals(weights.dataSync()[0], 0.75, 1e-6);
 * ```
 */
export function mixtureLogWeights(
  { logProbs, isCandidate, logInclusion }: Candidates,
  { isRenormalized }: MixtureOptions,
): F32<"B K"> {
  const dims = {};
  const own = named(logProbs, "B K", dims, { as: "logProbs" }) as Tensor;
  const chance = named(logInclusion, "B K", dims, { as: "logInclusion" }) as Tensor;
  const isThere = tf.greater(
    named(isCandidate, "B K", dims, { as: "isCandidate" }) as Tensor,
    0,
  );
  const weighted = tf.sub(own, stopGradient(chance));
  const weights = tf.where(isThere, weighted, tf.fill(own.shape as [number, number], NO_WEIGHT));
  return named(isRenormalized ? normalized(weights) : weights, "B K", {});
}
