/** The clipped policy loss of PPO. @module */
import type { F32 } from "../tensor/axes.ts";
import { clippedSurrogate } from "./_clipped_surrogate.ts";

/** Sampled actions of any number of trajectories, one after another. */
export interface PolicyLossInputs {
  /** [N] log π of each action under the policy that learns, in nats. */
  logProbs: F32<"N">;
  /** [N] log μ of each action under the policy that sampled it, in nats. */
  behaviorLogProbs: F32<"N">;
  /** [N] advantage of each action; with GRPO that of its whole sequence. */
  advantages: F32<"N">;
  /** [N] ≥ 0; where it is 0, as on padding and documents, the others may be anything. */
  weights: F32<"N">;
}

/** How far a ratio may go before it earns nothing more. */
export interface ClipRange {
  /** Ratios below 1 − clipLow are clipped. */
  clipLow: number;
  /** Ratios above 1 + clipHigh are clipped. */
  clipHigh: number;
}

/**
 * A policy loss and how far the policy has moved. Statistics are over actions, whatever their
 * weight.
 */
export interface PolicyLoss {
  /** Σ w · loss, in the unit of the advantages. */
  loss: F32<"">;
  /** Share of actions whose ratio was clipped to the effect that no gradient flows, 0–1. */
  clipShare: F32<"">;
  /** Mean of π/μ; near 1. */
  meanRatio: F32<"">;
  /** Largest |π/μ − 1|: how far sampling and learning disagree before the first step. */
  largestRatioError: F32<"">;
  /** Mean of ½(log π − log μ)², in nats: about KL(μ ‖ π). */
  approximateKl: F32<"">;
}

/**
 * PPO's clipped policy loss (Schulman et al. 2017, eq. 7, negated).
 *
 *   rₙ = exp(log πₙ − log μₙ)
 *   L  = Σₙ wₙ · max(−Aₙ·rₙ, −Aₙ·clip(rₙ, 1 − clipLow, 1 + clipHigh))
 *
 * Gradient flows to `logProbs` alone. At a border of the clip range it is that of the unclipped
 * term; PyTorch shares ties of max between both terms, which there comes to the same. Statistics
 * are masked sum / mask count. Departure from TRL: none in value.
 *
 * A ratio that overflows float32 (log π − log μ above 88) makes `largestRatioError` infinite and
 * its gradient NaN.
 *
 * @throws {ShapeError} If the lengths differ
 * @example A ratio of 1.5 is clipped to 1.2 where the action was good, and not where it was bad
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { ppoPolicyLoss } from "./ppo_policy_loss.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const column = (...x: number[]) => named(tf.tensor1d(x), "N", {});
 * const { loss, clipShare } = ppoPolicyLoss({
 *   logProbs: column(Math.log(0.6), Math.log(0.6)),
 *   behaviorLogProbs: column(Math.log(0.4), Math.log(0.4)),
 *   advantages: column(1, -1),
 *   weights: column(0.5, 0.5),
 * }, { clipLow: 0.2, clipHigh: 0.2 });
 * assertAlmostEquals(loss.dataSync()[0], (-1.2 + 1.5) / 2, 1e-6);
 * assertAlmostEquals(clipShare.dataSync()[0], 0.5);
 * ```
 */
export function ppoPolicyLoss(inputs: PolicyLossInputs, clip: ClipRange): PolicyLoss {
  const { rows, losses, statistics } = clippedSurrogate(inputs, clip);
  return { loss: rows.weightedSum(losses), ...statistics };
}
