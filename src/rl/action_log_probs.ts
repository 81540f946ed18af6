/** Log-probabilities of sampled actions, and how undecided the policy was. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, type I32, named, namedInts } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What a policy says about the actions it took. */
export interface ActionLogProbs {
  /** [N] log π of each action, in nats. */
  logProbs: F32<"N">;
  /** [N] entropy of each choice, in nats. */
  entropies: F32<"N">;
}

/**
 * Log-probability of each action and entropy of the choice it was drawn from.
 *
 *   ℓ = log softmax(z)        logProbₙ = ℓₙ[actionₙ]        Hₙ = −Σ_v exp(ℓₙᵥ)·ℓₙᵥ
 *
 * A logit that is hidden by −10⁹ adds exactly 0 to the entropy and takes no gradient; one of −∞
 * would make the entropy NaN. Logits must be finite also where no action stands: give such rows any
 * action within the vocabulary, and weight 0 in what follows.
 *
 * Gradient flows to the logits.
 *
 * @param logits [N, V] under the temperature and the constraints of the sampling
 * @param actions [N] in [0, V)
 * @throws {ShapeError} If the rows differ
 * @example Two equal choices, a third one hidden: log ½ = −log 2
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named, namedInts } from "../tensor/axes.ts";
 * import { actionLogProbs } from "./action_log_probs.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const logits = named(tf.tensor2d([[3, 3, -1e9]]), "N V", {});
 * const actions = namedInts(tf.tensor1d([1], "int32"), "N", {});
 * const { logProbs, entropies } = actionLogProbs(logits, actions);
 * assertAlmostEquals(logProbs.dataSync()[0], -Math.LN2, 1e-6);
 * assertAlmostEquals(entropies.dataSync()[0], Math.LN2, 1e-6);
 * ```
 */
export function actionLogProbs(logits: F32<"N V">, actions: I32<"N">): ActionLogProbs {
  const dims: Dims = {};
  named(logits, "N V", dims, { as: "logits" });
  namedInts(actions, "N", dims, { as: "actions" });
  const logSoftmax = tf.logSoftmax(logits as Tensor);
  const at = tf.stack([tf.range(0, dims.N, 1, "int32"), actions as Tensor], 1);
  const entropies = tf.neg(tf.sum(tf.mul(tf.exp(logSoftmax), logSoftmax), 1));
  return {
    logProbs: named(tf.gatherND(logSoftmax, at), "N", dims),
    entropies: named(entropies, "N", dims),
  };
}
