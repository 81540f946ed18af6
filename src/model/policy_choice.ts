/** Draws what a policy does next, as part of the graph that says how likely everything is. @module */
import * as tf from "@tensorflow/tfjs-core";
import { HIDDEN } from "../nn/mod.ts";
import { type Dims, type F32, type I32, named } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { policyBias } from "./_policy_bias.ts";
import type { PolicyRules } from "./policy.ts";

/** What is drawn from, for each of B rows. */
export interface PolicyChoiceInputs {
  /** [B, V] logits of the next token. */
  readonly logits: F32<"B V">;
  /** [B] 1 where a retrieval could be chosen. */
  readonly mayRetrieve: F32<"B">;
  /** [B] where in [0, 1) the cumulative distribution is cut; below 0: the likeliest token is taken. */
  readonly uniforms: F32<"B">;
  /** [B] the same for the choice without a retrieval. Default: that one is not made. */
  readonly otherUniforms?: F32<"B">;
}

/** A choice for each of B rows. */
export interface PolicyChoices {
  /** [B] the token. */
  readonly tokens: I32<"B">;
  /** [B] its log-probability among what could be chosen, in nats. */
  readonly logProbs: F32<"B">;
  /** [B] probability of the retrieve token. */
  readonly retrieveProbs: F32<"B">;
  /** [B] the token where a retrieval can't be chosen, drawn by a cut of its own, if there is one. */
  readonly otherTokens?: I32<"B">;
  /** [B] its log-probability among what could be chosen then. */
  readonly otherLogProbs?: F32<"B">;
}

/**
 * Choose a token in each row.
 *
 *   p = softmax(logits / τ + bias),  bias = −10⁹ for what can't be chosen
 *   token = the first v with Σ_{w ≤ v} p_w > u
 *
 * Sums are in float32, so a token whose p is below 10⁻⁷ may be drawn a little too seldom or too often.
 * A cut behind the last sum falls on the last token that has a share.
 *
 * @param inputs Logits and cuts
 * @param rules What can be chosen
 * @throws {ShapeError} If the inputs do not fit each other
 */
export function policyChoices(inputs: PolicyChoiceInputs, rules: PolicyRules): PolicyChoices {
  const { logits, mayRetrieve, uniforms, otherUniforms } = inputs, dims: Dims = {};
  named(logits, "B V", dims, { as: "logits" });
  named(mayRetrieve, "B", dims, { as: "mayRetrieve" });
  named(uniforms, "B", dims, { as: "uniforms" });
  if (otherUniforms) named(otherUniforms, "B", dims, { as: "otherUniforms" });
  const bias = policyBias(mayRetrieve, dims.V, rules);
  const open = tf.add(tf.div(logits as Tensor, rules.temperature), bias);
  const chosen = draw(open, uniforms, dims);
  const retrieveProbs = tf.slice(chosen.probs, [0, rules.retrieveToken], [dims.B, 1]);
  const choices = {
    tokens: chosen.tokens,
    logProbs: chosen.logProbs,
    retrieveProbs: named(tf.reshape(retrieveProbs, [dims.B]), "B", dims),
  };
  if (!otherUniforms) return choices;
  const isRetrieval = tf.oneHot(tf.tensor1d([rules.retrieveToken], "int32"), dims.V) as Tensor;
  const other = draw(tf.add(open, tf.mul(isRetrieval, HIDDEN)), otherUniforms, dims);
  return { ...choices, otherTokens: other.tokens, otherLogProbs: other.logProbs };
}

function draw(
  logits: Tensor,
  uniforms: F32<"B">,
  dims: Dims,
): { tokens: I32<"B">; logProbs: F32<"B">; probs: Tensor } {
  const logSoftmax = tf.logSoftmax(logits as tf.Tensor2D) as Tensor, probs = tf.exp(logSoftmax);
  const sums = tf.cumsum(probs, 1);
  const total = tf.slice(sums, [0, dims.V - 1], [dims.B, 1]);
  const at = tf.mul(tf.expandDims(uniforms as Tensor, 1), total);
  // Tokens below the cut; of those behind the last one that has a share, none.
  const isBelow = tf.logicalAnd(tf.lessEqual(sums, at), tf.less(sums, total));
  const cut = tf.sum(tf.cast(isBelow, "int32"), 1);
  const likeliest = tf.argMax(logits, 1);
  const tokens = tf.where(tf.less(uniforms as Tensor, 0), likeliest, cut) as Tensor;
  const index = tf.stack([tf.range(0, dims.B, 1, "int32"), tokens], 1);
  return {
    tokens: tokens as I32<"B">,
    logProbs: named(tf.gatherND(logSoftmax, index), "B", dims),
    probs,
  };
}
