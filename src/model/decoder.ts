/**
 * Decoders, transformers that continue a text: GPT-2 (Radford et al. 2019), Llama (Touvron et al.
 * 2023; grouped queries and stretched rotary positions of Llama 3) and Qwen2 (Yang et al. 2024), as
 * pure functions. What distinguishes them is data, see {@linkcode DecoderConfig}.
 *
 * The same functions run eagerly and are recorded; sizes may be symbols. Parameters carry their
 * Hugging Face names, see {@linkcode decoderParamSpecs}.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import {
  causalBias,
  dropout,
  embedding,
  headCrossEntropy,
  linear,
  meanTargets,
  paddingBias,
  rotaryAngles,
  rotaryFrequencies,
} from "../nn/mod.ts";
import { type Dims, type F32, type I32, named, namedInts } from "../tensor/axes.ts";
import type { Params } from "../tensor/params.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  type DecoderContext,
  type DecoderDropout,
  type DecoderKeysValues,
  decoderLayer,
  decoderNorm,
} from "./_decoder_layers.ts";
import { decoderNames } from "./_decoder_names.ts";
import { weight } from "./_project.ts";
import type { DecoderConfig } from "./decoder_config.ts";
import type { LoraScaling } from "./lora.ts";

export type { DecoderDropout, DecoderKeysValues };

/** Choices of a forward pass. */
export interface DecoderOptions {
  /** Rates of dropout. Default: none, as outside of training. */
  dropout?: DecoderDropout;
  /** Low-rank adapters, the parameters of which stand among the others. */
  lora?: LoraScaling;
}

/** Choices of {@linkcode decoderStates}. */
export interface DecoderStatesOptions extends DecoderOptions {
  /**
   * Whether only the state of the last column is wanted: that of the last token where rows are padded on
   * the left. The last layer then computes hardly more than keys and values of the others. Default `false`.
   */
  onlyLast?: boolean;
  /**
   * [N] tokens whose states are wanted, as rows of the B·S. The last layer then computes what follows its
   * attention for these alone. Default: all.
   */
  rows?: I32<"N">;
}

/** What was seen before the new tokens. */
export interface DecoderPast {
  /** Of every layer, each [B, J, P, E]. */
  readonly keysValues: readonly DecoderKeysValues[];
  /** [B, P] 1 where a token stands; the rest of a row, wherever it is, is not seen. */
  readonly isToken: F32<"B P">;
}

/** What a decoder reads. */
export interface DecoderInputs {
  /** [B, S] new tokens. */
  readonly inputIds: I32<"B S">;
  /** [B, S] position of each in its text. Default: tokens before it, from 0. */
  readonly positions?: I32<"B S">;
  /** [B, S] 1 where a token stands, 0 on padding. Default: everywhere. */
  readonly isToken?: F32<"B S">;
  /** What was seen before. Default: nothing. */
  readonly past?: DecoderPast;
}

/** What a decoder gives. */
export interface DecoderStates {
  /**
   * [B, S, D] states after the final norm, for {@linkcode decoderLogits}: [B, 1, D] with `onlyLast`,
   * [1, N, D] with `rows`.
   */
  readonly hidden: F32<"B S D">;
  /** Keys and values of the new tokens for every layer, each [B, J, S, E]; the past is not repeated. */
  readonly keysValues: readonly DecoderKeysValues[];
}

/**
 * Position of each token in its text: how many tokens stand before it, from 0. Padding on either side
 * gets positions that are never seen.
 *
 * @param isToken [B, S] 1 where a token stands
 * @param before [B, P] the same of what was seen before
 * @returns [B, S]
 */
export function tokenPositions(isToken: F32<"B S">, before?: F32<"B P">): I32<"B S"> {
  const dims: Dims = {};
  named(isToken, "B S", dims, { as: "isToken" });
  const own = tf.sub(tf.cumsum(isToken as Tensor, 1), 1);
  const start = before && tf.sum(named(before, "B P", dims) as Tensor, 1, true);
  const positions = tf.maximum(start ? tf.add(own, start) : own, 0);
  return namedInts(tf.cast(positions, "int32"), "B S", dims);
}

/** The rates of dropout that a model is trained with. */
export function trainingDropout(config: DecoderConfig): DecoderDropout {
  return {
    embedding: config.embeddingDropout,
    attention: config.attentionDropout,
    residual: config.residualDropout,
  };
}

const NO_DROPOUT: DecoderDropout = { embedding: 0, attention: 0, residual: 0 };

/**
 * The decoder: every new token sees itself, the new tokens before it, and what was seen before.
 *
 * @param params Parameters of {@linkcode decoderParamSpecs}
 * @param config Sizes of the model
 * @param inputs Tokens, positions and past
 * @param options Dropout, adapters, and which states are wanted
 * @throws {ShapeError} If the inputs, a parameter or the options do not fit
 */
export function decoderStates(
  params: Params,
  config: DecoderConfig,
  inputs: DecoderInputs,
  options: DecoderStatesOptions = {},
): DecoderStates {
  const { inputIds, isToken, past } = inputs;
  const { dropout: rates = NO_DROPOUT, lora, onlyLast = false, rows } = options;
  const context: DecoderContext = { params, config, dropout: rates, lora };
  const { vocabSize: V, modelWidth: D, layers } = config;
  const names = decoderNames(config);
  const dims: Dims = { D, V, J: config.keyValueHeads, E: config.headWidth };
  namedInts(inputIds, "B S", dims, { as: "inputIds" });
  if (rows) namedInts(rows, "N", {}, { as: "rows" });
  if (rows && onlyLast) {
    throw new ShapeError("Cannot give the last states and those of rows at once");
  }
  if (isToken) named(isToken, "B S", dims, { as: "isToken" });
  if (past && past.keysValues.length !== layers) {
    throw new ShapeError(
      `Cannot go on with ${layers} layers: the past has keys of ${past.keysValues.length}`,
    );
  }
  if (past) named(past.isToken, "B P", dims, { as: "isToken of the past" });
  past?.keysValues.forEach(({ keys }, i) =>
    named(keys as Tensor, "B J P E", dims, { as: `keys of the past in layer ${i}` })
  );
  const positions = inputs.positions ??
    tokenPositions(isToken ?? named(tf.ones([dims.B, dims.S]), "B S", dims), past?.isToken);
  namedInts(positions, "B S", dims, { as: "positions" });

  let x = embedding(inputIds as Tensor, weight(context, `${names.tokens}.weight`, "V D", dims));
  if (!config.rotary) {
    const table = weight(context, `${names.positions}.weight`, "V D", {
      D,
      V: config.maxPositions,
    });
    x = tf.add(x, embedding(positions as Tensor, table));
  }
  x = dropout(tf.reshape(x, [-1, D]), rates.embedding);
  const angles = config.rotary && rotaryAngles(
    namedInts(positions, "B Q", {}),
    rotaryFrequencies(config.headWidth, config.rotary),
  );
  const hidden = isToken && paddingBias(named(isToken, "B M", {})) as Tensor;
  const causal = dims.S === 1 ? undefined : causalBias(dims.S) as Tensor;
  const bias = causal && hidden ? tf.add(causal, hidden) : causal ?? hidden;
  const pastBias = past && paddingBias(named(past.isToken, "B M", {})) as Tensor;
  const keysValues: DecoderKeysValues[] = [];
  const sizes = [dims.B, dims.S] as const;
  for (let i = 0; i < layers; i++) {
    const seen = past && { ...past.keysValues[i], bias: pastBias };
    // The last token sees all that are none of padding.
    const last = i === layers - 1 && {
      ...(onlyLast && { bias: hidden, onlyLast }),
      ...(rows && { rows: rows as Tensor }),
    };
    const layer = decoderLayer(context, i, x, { sizes, angles, bias, past: seen, ...last });
    keysValues.push(layer.keysValues);
    x = layer.output;
  }
  const [B, S] = rows ? [1, rows.shape[0]!] : [dims.B, onlyLast ? 1 : dims.S];
  const states = tf.reshape(decoderNorm(context, names.finalNorm, x), [B, S, D]);
  return { hidden: named(states, "B S D", { D }), keysValues };
}

/** The output layer's table. */
function head(params: Params, config: DecoderConfig): F32<"V D"> {
  const { vocabSize: V, modelWidth: D, isTied } = config;
  const { tokens, head } = decoderNames(config);
  return weight({ params }, `${isTied ? tokens : head}.weight`, "V D", { V, D });
}

/**
 * Logits of states.
 *
 * @param params Parameters of {@linkcode decoderParamSpecs}
 * @param config Sizes of the model
 * @param hidden […, D] states of {@linkcode decoderStates}
 * @returns […, V]
 * @throws {ShapeError} If the states have another width
 */
export function decoderLogits(params: Params, config: DecoderConfig, hidden: Tensor): Tensor {
  return linear(hidden, named(head(params, config) as Tensor, "O I", {}));
}

/** Texts to learn. */
export interface DecoderBatch extends Omit<DecoderInputs, "past"> {
  /**
   * [B, S] the tokens again, and a negative number, −100 by convention, where a token is not to be
   * learned: padding, prompts, documents. Position t is scored by what was read before it, so that
   * the first label of a row never counts.
   */
  readonly labels: I32<"B S">;
}

/**
 * Mean cross-entropy per label that counts, in nats, as the loss of transformers' causal models: the
 * state at t predicts label t+1. With no label that counts it is 0 (there: NaN).
 *
 * @param params Parameters of {@linkcode decoderParamSpecs}
 * @param config Sizes of the model
 * @param batch Tokens and labels
 * @param options Dropout and adapters
 * @returns Scalar
 * @throws {ShapeError} If the batch's parts or a parameter do not fit
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { namedInts } from "../tensor/axes.ts";
 * import { decoderLoss } from "./decoder.ts";
 * import { parseDecoderConfig } from "./decoder_config.ts";
 * import { decoderParamSpecs } from "./decoder_params.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const config = parseDecoderConfig({
 *   model_type: "llama", vocab_size: 7, hidden_size: 8, num_attention_heads: 2,
 *   num_hidden_layers: 1, intermediate_size: 4,
 * });
 * const params = Object.fromEntries(
 *   Object.entries(decoderParamSpecs(config)).map(([n, { shape }]) => [n, tf.zeros([...shape])]),
 * );
 * const inputIds = namedInts(tf.tensor2d([[5, 3, 1]], [1, 3], "int32"), "B S", {});
 * const loss = decoderLoss(params, config, { inputIds, labels: inputIds });
 * // With all parameters 0 every token is as likely as any other.
 * assertAlmostEquals(loss.dataSync()[0], Math.log(7), 1e-6);
 * ```
 */
export function decoderLoss(
  params: Params,
  config: DecoderConfig,
  batch: DecoderBatch,
  options: DecoderOptions = {},
): F32<""> {
  const { hidden } = decoderStates(params, config, batch, options);
  const dims: Dims = { D: config.modelWidth };
  named(hidden, "B S D", dims);
  namedInts(batch.labels, "B S", dims, { as: "labels" });
  const { B, S, D } = dims;
  const states = tf.reshape(tf.slice(hidden as Tensor, [0, 0, 0], [B, S - 1, D]), [-1, D]);
  const next = tf.reshape(tf.slice(batch.labels as Tensor, [0, 1], [B, S - 1]), [-1]);
  const targets = meanTargets(namedInts(next, "N", {}));
  return headCrossEntropy(named(states, "N D", {}), head(params, config), targets);
}
