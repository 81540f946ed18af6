/**
 * T5, an encoder-decoder transformer (Raffel et al. 2020), v1.0 and v1.1, as pure functions.
 *
 * The same functions run eagerly and are recorded; sizes may be symbols. Parameters carry their
 * Hugging Face names, see {@linkcode t5ParamSpecs}.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { causalBias, dropout, embedding, headCrossEntropy, linear } from "../nn/mod.ts";
import { meanTargets, paddingBias } from "../nn/mod.ts";
import { type Dims, type F32, type I32, named, namedInts } from "../tensor/axes.ts";
import type { Params } from "../tensor/params.ts";
import {
  attendTo,
  attendUnprojected,
  attentionLayer,
  feedForwardLayer,
  keysValues,
  norm,
  stackBias,
  type T5Context,
} from "./_t5_layers.ts";
import { weight } from "./_project.ts";
import type { LoraScaling } from "./lora.ts";
import type { T5Config } from "./t5_config.ts";
import { T5_EMBEDDING, T5_HEAD } from "./t5_params.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Choices of a forward pass. */
export interface T5Options {
  /** Rate of dropout; 0 outside of training, which is the default. */
  dropoutRate?: number;
  /**
   * Are targets much shorter than sources? Then the decoder's few queries are projected instead of
   * the source's many keys and values: the same function in fewer operations, see
   * {@linkcode attendToMemory}. Default `false`.
   */
  hasShortTargets?: boolean;
  /** Low-rank adapters, the parameters of which stand among the others. */
  lora?: LoraScaling;
}

/** What the encoder reads. */
export interface T5Source {
  /** [B, S] */
  inputIds: I32<"B S">;
  /** [B, S] 1 where a token stands, 0 on padding. */
  isToken: F32<"B S">;
}

/** What the decoder reads. */
export interface T5DecoderInputs {
  /** [B, T] token before each position: the start token, then the target but its last. */
  decoderIds: I32<"B T">;
  /** [B, S, D] what the encoder made of the source. */
  memory: F32<"B S D">;
  /** [B, S] 1 where a token of the source stands. */
  isToken: F32<"B S">;
}

/** Sources with the texts they should become. */
export interface T5Batch extends T5Source {
  /** [B, T] right tokens; a negative one, −100 by convention, does not count. */
  labels: I32<"B T">;
}

/** Which rows of the vocabulary to compute logits for. */
export interface T5LogitsOptions {
  /** Consecutive rows, or ids [C] of any. Default: all. */
  rows?: { readonly start: number; readonly size: number } | I32<"C">;
}

/** Embedding of ids, as both stacks start. */
function embed(context: T5Context, ids: Tensor): Tensor {
  const { vocabSize: V, modelWidth: D } = context.config;
  const table = weight(context, T5_EMBEDDING, "V D", { V, D });
  return dropout(embedding(ids, table), context.dropoutRate);
}

/**
 * The encoder: [B, S] tokens to [B, S, D] states, after the final norm.
 *
 * @param params Parameters of {@linkcode t5ParamSpecs}
 * @param config Sizes of the model
 * @param source Tokens and where they stand
 * @param options Dropout
 * @throws {ShapeError} If the source's parts or a parameter do not fit
 */
export function t5Encode(
  params: Params,
  config: T5Config,
  source: T5Source,
  options: T5Options = {},
): F32<"B S D"> {
  const context = { params, config, dropoutRate: options.dropoutRate ?? 0, lora: options.lora };
  const dims: Dims = { D: config.modelWidth };
  namedInts(source.inputIds, "B S", dims, { as: "inputIds" });
  named(source.isToken, "B S", dims, { as: "isToken" });
  const positions = stackBias(context, "encoder", { start: 0, queries: dims.S, keys: dims.S });
  const padding = paddingBias(named(source.isToken, "B M", {}));
  const bias = tf.add(positions as Tensor, padding as Tensor);
  let x = embed(context, source.inputIds);
  for (let i = 0; i < config.encoderLayers; i++) {
    const layer = `encoder.block.${i}.layer`, kind = "SelfAttention";
    const own = (input: Tensor) => keysValues(context, `${layer}.0.${kind}`, input);
    const attend = attendTo(context, bias, own);
    x = attentionLayer(context, x, { layer: `${layer}.0`, kind, attend });
    x = feedForwardLayer(context, x, `${layer}.1`);
  }
  x = dropout(norm(context, "encoder.final_layer_norm", x), context.dropoutRate);
  return named(x, "B S D", dims);
}

/**
 * The decoder over whole targets: position t sees the tokens up to t and the source. Returns states
 * after the final norm; {@linkcode t5Logits} turns them into logits.
 *
 * @param params Parameters of {@linkcode t5ParamSpecs}
 * @param config Sizes of the model
 * @param inputs Tokens, the encoder's states, and where the source's tokens stand
 * @param options Dropout
 * @returns [B, T, D]
 * @throws {ShapeError} If the inputs or a parameter do not fit
 */
export function t5Decode(
  params: Params,
  config: T5Config,
  inputs: T5DecoderInputs,
  options: T5Options = {},
): F32<"B T D"> {
  const context = { params, config, dropoutRate: options.dropoutRate ?? 0, lora: options.lora };
  const dims: Dims = { D: config.modelWidth };
  namedInts(inputs.decoderIds, "B T", dims, { as: "decoderIds" });
  const memory = named(inputs.memory, "B S D", dims, { as: "memory" }) as Tensor;
  named(inputs.isToken, "B S", dims, { as: "isToken" });
  const positions = stackBias(context, "decoder", { start: 0, queries: dims.T, keys: dims.T });
  const selfBias = tf.add(positions as Tensor, causalBias(dims.T) as Tensor);
  const crossBias = paddingBias(named(inputs.isToken, "B M", {}));
  let x = embed(context, inputs.decoderIds);
  for (let i = 0; i < config.decoderLayers; i++) {
    const layer = `decoder.block.${i}.layer`;
    const [self, cross] = [`${layer}.0.SelfAttention`, `${layer}.1.EncDecAttention`];
    x = attentionLayer(context, x, {
      layer: `${layer}.0`,
      kind: "SelfAttention",
      attend: attendTo(context, selfBias, (input) => keysValues(context, self, input)),
    });
    x = attentionLayer(context, x, {
      layer: `${layer}.1`,
      kind: "EncDecAttention",
      // Adapters stand beside projections, which that way never happen.
      attend: options.hasShortTargets && !options.lora
        ? attendUnprojected(context, cross, { memory, bias: crossBias })
        : attendTo(context, crossBias, () => keysValues(context, cross, inputs.memory)),
    });
    x = feedForwardLayer(context, x, `${layer}.2`);
  }
  x = dropout(norm(context, "decoder.final_layer_norm", x), context.dropoutRate);
  return named(x, "B T D", dims);
}

/** The output layer's table, and the states it is to be multiplied with. */
function head(params: Params, config: T5Config, hidden: Tensor): [Tensor, F32<"V D">] {
  const { vocabSize: V, modelWidth: D, isTied, isScaled } = config;
  const table = weight({ params }, isTied ? T5_EMBEDDING : T5_HEAD, "V D", { V, D });
  return [isScaled ? tf.mul(hidden, D ** -0.5) : hidden, table];
}

/**
 * Logits of decoder states. A scaled model (v1.0) multiplies the states by D^−½ first.
 *
 * @param params Parameters of {@linkcode t5ParamSpecs}
 * @param config Sizes of the model
 * @param hidden […, D] states of {@linkcode t5Decode} or {@linkcode t5DecodeStep}
 * @param options Which rows of the vocabulary; others are never computed
 * @returns […, V], or […, C] for C rows
 * @throws {ShapeError} If the states have another width or the rows are not in the vocabulary
 */
export function t5Logits(
  params: Params,
  config: T5Config,
  hidden: Tensor,
  options: T5LogitsOptions = {},
): Tensor {
  const [states, table] = head(params, config, hidden);
  const { rows } = options;
  let chosen: Tensor = table;
  if (rows && "start" in rows) {
    const { start, size } = rows;
    if (!(start >= 0 && size > 0 && start + size <= config.vocabSize)) {
      throw new ShapeError(
        `Cannot take rows ${start} to ${
          start + size
        } of the vocabulary: it has ${config.vocabSize}`,
      );
    }
    chosen = tf.slice(chosen, [start, 0], [size, config.modelWidth]);
  } else if (rows) chosen = embedding(namedInts(rows, "C", {}, { as: "rows" }), table);
  return linear(states, named(chosen, "O I", {}));
}

/**
 * What the decoder reads when it should produce `labels`: the start token, then the labels but the
 * last, the pad token in place of those that do not count (transformers' `_shift_right`; departure:
 * every negative label counts as −100).
 *
 * @param config Start and pad token
 * @param labels [B, T]
 * @returns [B, T]
 */
export function t5ShiftRight(config: T5Config, labels: I32<"B T">): I32<"B T"> {
  const dims: Dims = {};
  namedInts(labels, "B T", dims, { as: "labels" });
  const { B, T } = dims;
  const known = tf.where(
    tf.less(labels as Tensor, tf.scalar(0, "int32")),
    tf.scalar(config.padToken, "int32"),
    labels as Tensor,
  );
  const start = tf.fill([B, 1], config.startToken, "int32");
  return namedInts(tf.concat([start, tf.slice(known, [0, 0], [B, T - 1])], 1), "B T", dims);
}

/**
 * Mean cross-entropy per label that counts, in nats, as transformers'
 * `T5ForConditionalGeneration(...).loss`. With no label that counts it is 0.
 *
 * @param params Parameters of {@linkcode t5ParamSpecs}
 * @param config Sizes of the model
 * @param batch Sources and labels
 * @param options Dropout
 * @returns Scalar
 * @throws {ShapeError} If the batch's parts or a parameter do not fit
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named, namedInts } from "../tensor/axes.ts";
 * import { parseT5Config } from "./t5_config.ts";
 * import { t5ParamSpecs } from "./t5_params.ts";
 * import { t5Loss } from "./t5.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const config = parseT5Config({ model_type: "t5", vocab_size: 7, d_model: 4, num_layers: 1 });
 * const params = Object.fromEntries(
 *   Object.entries(t5ParamSpecs(config)).map(([name, spec]) => [name, tf.zeros([...spec.shape])]),
 * );
 * const loss = t5Loss(params, config, {
 *   inputIds: namedInts(tf.tensor2d([[5, 3, 1]], [1, 3], "int32"), "B S", {}),
 *   isToken: named(tf.ones([1, 3]), "B S", {}),
 *   labels: namedInts(tf.tensor2d([[2, 1]], [1, 2], "int32"), "B T", {}),
 * });
 * // With all parameters 0 every token is as likely as any other.
 * assertAlmostEquals(loss.dataSync()[0], Math.log(7), 1e-6);
 * ```
 */
export function t5Loss(
  params: Params,
  config: T5Config,
  batch: T5Batch,
  options: T5Options = {},
): F32<""> {
  const { labels, isToken } = batch;
  const memory = t5Encode(params, config, batch, options);
  const decoderIds = t5ShiftRight(config, labels);
  const hidden = t5Decode(params, config, { decoderIds, memory, isToken }, options);
  const rows = tf.reshape(hidden as Tensor, [-1, config.modelWidth]);
  const [states, table] = head(params, config, rows);
  const targets = meanTargets(namedInts(tf.reshape(labels, [-1]), "N", {}));
  return headCrossEntropy(named(states, "N D", {}), table, targets);
}
