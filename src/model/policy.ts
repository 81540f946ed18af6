/** A decoder as a policy: the log-probability of what it chose, and how good it thinks things stand. @module */
import * as tf from "@tensorflow/tfjs-core";
import { actionLogProbs } from "../rl/mod.ts";
import { type Dims, type F32, type I32, named, namedInts } from "../tensor/axes.ts";
import type { Params } from "../tensor/params.ts";
import { stopGradient } from "../tensor/stop_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { policyBias } from "./_policy_bias.ts";
import { type DecoderDropout, decoderLogits, decoderStates } from "./decoder.ts";
import type { DecoderConfig } from "./decoder_config.ts";
import { VALUE_WEIGHT, valueHead } from "./value_head.ts";

/** What a policy may choose from, and how. */
export interface PolicyRules {
  /** Tokens that it can never choose. */
  readonly forbidden: readonly number[];
  /** The token that it can choose only where {@linkcode PolicyBatch.mayRetrieve} says so. */
  readonly retrieveToken: number;
  /** Logits are divided by this. */
  readonly temperature: number;
}

/** Texts that a policy wrote, of B rows, and the N choices it made in them. */
export interface PolicyBatch {
  /** [B, S] tokens, padded on the right. */
  readonly inputIds: I32<"B S">;
  /** [B, S] 1 where a token stands. */
  readonly isToken: F32<"B S">;
  /** [N] where each choice was made: index into the B·S positions of the token before it. */
  readonly states: I32<"N">;
  /** [N] token that was chosen. */
  readonly actions: I32<"N">;
  /** [N] 1 where a retrieval could be chosen. */
  readonly mayRetrieve: F32<"N">;
}

/** What a policy says about its choices. */
export interface PolicyOutputs {
  /** [N] log π(action | what was read before), in nats, among the tokens that could be chosen. */
  readonly logProbs: F32<"N">;
  /** [N] entropy of each choice, nats. */
  readonly entropies: F32<"N">;
  /** [N] value of the state before each choice, in the unit of the reward; where there is a value head. */
  readonly values?: F32<"N">;
}

/** Choices of {@linkcode policyOutputs}. */
export interface PolicyOutputOptions {
  /**
   * Rates of dropout. Default: none, as where the choices were made; with any, ratios to the policy that
   * made them are not 1.
   */
  readonly dropout?: DecoderDropout;
  /** Whether the gradient of the values ends at the states. Default `false`: it flows on. */
  readonly isValueDetached?: boolean;
}

/**
 * A policy's view of the choices that were made.
 *
 *   π(a | s) = softmax(logits(s) / τ + bias(s))[a],  bias = −10⁹ for what could not be chosen
 *
 * States are gathered within the last layer: logits exist for choices alone, so that no token that
 * was put to the policy, such as a document's, can ever count.
 *
 * @param params Parameters of {@linkcode decoderParamSpecs}, and of a value head if there is one
 * @param config Sizes of the model
 * @param batch Texts and choices
 * @param rules What could be chosen
 * @param options Dropout, and where the gradient of the values ends
 * @throws {ShapeError} If the inputs or a parameter do not fit
 */
export function policyOutputs(
  params: Params,
  config: DecoderConfig,
  batch: PolicyBatch,
  rules: PolicyRules,
  options: PolicyOutputOptions = {},
): PolicyOutputs {
  const { inputIds, isToken } = batch;
  const dims: Dims = { D: config.modelWidth };
  namedInts(batch.states, "N", dims, { as: "states" });
  namedInts(batch.actions, "N", dims, { as: "actions" });
  named(batch.mayRetrieve, "N", dims, { as: "mayRetrieve" });
  const { hidden } = decoderStates(params, config, { inputIds, isToken }, {
    dropout: options.dropout,
    rows: batch.states,
  });
  const states = tf.reshape(hidden as Tensor, [-1, config.modelWidth]);
  const logits = tf.div(decoderLogits(params, config, states), rules.temperature);
  const actions = actionLogProbs(
    named(tf.add(logits, policyBias(batch.mayRetrieve, config.vocabSize, rules)), "N V", {}),
    batch.actions,
  );
  if (!(VALUE_WEIGHT in params)) return actions;
  const seen = options.isValueDetached ? stopGradient(states) : states;
  const perRow = named(tf.expandDims(seen, 0), "B T D", {});
  const values = tf.reshape(valueHead(params, perRow) as Tensor, [-1]);
  return { ...actions, values: named(values, "N", dims) };
}
