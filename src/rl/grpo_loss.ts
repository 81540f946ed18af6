/** The loss of GRPO and Dr. GRPO. @module */
import * as tf from "@tensorflow/tfjs-core";
import type { F32 } from "../tensor/axes.ts";
import { clippedSurrogate } from "./_clipped_surrogate.ts";
import { k3 } from "./kl_estimators.ts";
import type { ClipRange, PolicyLoss, PolicyLossInputs } from "./ppo_policy_loss.ts";

/** Sampled actions of one or several groups, one after another. */
export interface GrpoLossInputs extends PolicyLossInputs {
  /** [N] log π_ref of each action under the reference model, in nats. */
  referenceLogProbs: F32<"N">;
}

/** Choices of {@linkcode grpoLoss}. */
export interface GrpoLossOptions extends ClipRange {
  /** β, what a nat of divergence from the reference costs; 0 for none. */
  klCoefficient: number;
}

/** A policy loss, and how far the policy is from its reference. */
export interface GrpoLoss extends PolicyLoss {
  /** Mean over actions of k3, in nats. */
  kl: F32<"">;
}

/**
 * GRPO's loss (Shao et al. 2024, eq. 3–4, negated).
 *
 *   L = Σₙ wₙ · [ max(−Aₙ·rₙ, −Aₙ·clip(rₙ, 1 − clipLow, 1 + clipHigh)) + β·k3ₙ ]
 *
 * The weights make the variant: `sequenceMeanWeights` is GRPO, `fixedLengthWeights` is Dr. GRPO,
 * `tokenMeanWeights` is DAPO (Yu et al. 2025). Rows that are whole sequences instead of actions,
 * with the mean of their log-probabilities, make GSPO (Zheng et al. 2025).
 *
 * Gradient flows to `logProbs` alone; at the borders of the clip range as in `ppoPolicyLoss`.
 * Statistics are masked sum / mask count. Departure from TRL: none in value.
 *
 * @throws {ShapeError} If the lengths differ
 * @example No step taken yet: the ratio is 1, and the loss −A + β·k3
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { grpoLoss } from "./grpo_loss.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const column = (x: number) => named(tf.tensor1d([x]), "N", {});
 * const { loss, kl } = grpoLoss({
 *   logProbs: column(Math.log(0.2)),
 *   behaviorLogProbs: column(Math.log(0.2)),
 *   referenceLogProbs: column(Math.log(0.4)),
 *   advantages: column(2),
 *   weights: column(1),
 * }, { clipLow: 0.2, clipHigh: 0.2, klCoefficient: 0.1 });
 * assertAlmostEquals(kl.dataSync()[0], 1 - Math.LN2, 1e-6);
 * assertAlmostEquals(loss.dataSync()[0], -2 + 0.1 * (1 - Math.LN2), 1e-6);
 * ```
 */
export function grpoLoss(inputs: GrpoLossInputs, options: GrpoLossOptions): GrpoLoss {
  const { rows, losses, statistics } = clippedSurrogate(inputs, options);
  const divergences = k3(inputs.logProbs, inputs.referenceLogProbs, inputs.weights);
  return {
    loss: rows.weightedSum(tf.add(losses, tf.mul(divergences, options.klCoefficient))),
    ...statistics,
    kl: rows.mean(divergences),
  };
}
