import * as tf from "@tensorflow/tfjs-core";
import { HIDDEN } from "../nn/mod.ts";
import type { F32 } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { PolicyRules } from "./policy.ts";

/**
 * [N, V] what is added to logits so that only what can be chosen has a share.
 *
 * @param mayRetrieve [N] 1 where a retrieval can be chosen
 * @param vocabSize V
 * @param rules What can be chosen at all
 */
export function policyBias(
  mayRetrieve: F32<"N"> | F32<"B">,
  vocabSize: number,
  rules: PolicyRules,
): Tensor {
  const never = new Float32Array(vocabSize), retrieve = new Float32Array(vocabSize);
  for (const token of rules.forbidden) never[token] = HIDDEN;
  retrieve[rules.retrieveToken] = HIDDEN;
  const isRefused = tf.expandDims(tf.sub(1, mayRetrieve as Tensor), 1);
  return tf.add(
    tf.tensor2d(never, [1, vocabSize]),
    tf.mul(isRefused, tf.tensor2d(retrieve, [1, vocabSize])),
  );
}
