/** What reading a document drawn from the retriever is worth. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type F32, named } from "../tensor/axes.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { overCandidates } from "./_candidates.ts";

/** Candidates and what each is worth. */
export interface UtilityTerms {
  /** [B, K] log w, as for the other objectives. */
  readonly logWeights: F32<"B K">;
  /** [B, K] U, what the episode earns where this document is read, in the unit of the reward. */
  readonly utilities: F32<"B K">;
}

/**
 * Expected utility, enumerated:
 *
 *   L = −Σ_{d∈K} w_d · U_d
 *
 * Gradient flows to both. Over all documents it has no variance, and its gradient with respect to a
 * retriever's logits is −p_d (U_d − Σ_k p_k U_k): a baseline would change nothing. Departure: none.
 *
 * @returns [B] in the unit of the reward
 * @throws {ShapeError} If the sizes differ
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { expectedUtilityLoss } from "./expected_utility_loss.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const row = (...x: number[]) => named(tf.tensor2d([x]), "B K", {});
 * const logWeights = row(Math.log(0.25), Math.log(0.75));
 * const loss = expectedUtilityLoss({ logWeights, utilities: row(1, 0) });
 * assertAlmostEquals(loss.dataSync()[0], -0.25, 1e-6);
 * ```
 */
export function expectedUtilityLoss({ logWeights, utilities }: UtilityTerms): F32<"B"> {
  const dims = {};
  const w = tf.exp(named(logWeights, "B K", dims, { as: "logWeights" }) as Tensor);
  const u = named(utilities, "B K", dims, { as: "utilities" }) as Tensor;
  return named(tf.neg(overCandidates(tf.mul(w, u)) as Tensor), "B", {});
}

/** Documents that were drawn, with repetition. */
export interface DrawnTerms {
  /** [B, K] log p(d|q) of each draw, nats. */
  readonly logProbs: F32<"B K">;
  /** [B, K] what each draw earned, in the unit of the reward. */
  readonly utilities: F32<"B K">;
}

/**
 * Expected utility from K ≥ 2 independent draws of p(d|q): REINFORCE with the mean of the other draws as
 * its baseline (Williams 1992; Kool et al. 2019).
 *
 *   L = −1/K Σ_k sg[U_k − 1/(K−1) Σ_{j≠k} U_j] · log p(d_k|q)
 *
 * Its gradient is that of −Σ_d p_d U_d in expectation. Gradient flows to `logProbs` alone. Departure: none.
 *
 * @returns [B]; only its gradient means something
 * @throws {ShapeError} If the sizes differ
 */
export function drawnUtilityLoss({ logProbs, utilities }: DrawnTerms): F32<"B"> {
  const dims: Record<string, number> = {};
  const logs = named(logProbs, "B K", dims, { as: "logProbs" }) as Tensor;
  const u = stopGradient(named(utilities, "B K", dims, { as: "utilities" }) as Tensor);
  const count = tf.sum(tf.onesLike(u), 1, true); // K as a tensor: it may differ from run to run
  const advantage = tf.mul(
    tf.sub(u, tf.div(tf.sum(u, 1, true), count)),
    tf.div(count, tf.maximum(tf.sub(count, 1), 1)),
  );
  const terms = overCandidates(tf.div(tf.mul(advantage, logs), count));
  return named(tf.neg(terms as Tensor), "B", {});
}
