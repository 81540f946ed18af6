/** T5's decoder with cached keys and values, for generation and search. @module */
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { causalBias, embedding, paddingBias } from "../nn/mod.ts";
import { type Dims, type F32, type I32, named, namedInts } from "../tensor/axes.ts";
import type { Params } from "../tensor/params.ts";
import {
  attendTo,
  attentionLayer,
  feedForwardLayer,
  type KeysValues,
  keysValues,
  norm,
  stackBias,
} from "./_t5_layers.ts";
import { weight } from "./_project.ts";
import type { LoraScaling } from "./lora.ts";
import type { T5Config } from "./t5_config.ts";
import { T5_EMBEDDING } from "./t5_params.ts";

export type { KeysValues };

/** Choices of a step. */
export interface T5StepOptions {
  /** Low-rank adapters, the parameters of which stand among the others. */
  lora?: LoraScaling;
}

/**
 * Keys and values of the source for every decoder layer: what {@linkcode t5DecodeOn} looks at, to
 * be computed once per source.
 *
 * @param params Parameters of {@linkcode t5ParamSpecs}
 * @param config Sizes of the model
 * @param memory [B, S, D] states of {@linkcode t5Encode}
 * @param options Adapters
 * @returns One pair of [B, H, S, E] per decoder layer
 */
export function t5CrossKeysValues(
  params: Params,
  config: T5Config,
  memory: F32<"B S D">,
  options: T5StepOptions = {},
): KeysValues[] {
  const context = { params, config, dropoutRate: 0, lora: options.lora };
  return Array.from(
    { length: config.decoderLayers },
    (_, i) => keysValues(context, `decoder.block.${i}.layer.1.EncDecAttention`, memory),
  );
}

/** What the decoder looks at when it goes on. */
export interface T5Seen {
  /** [B, S] 1 where a token of the source stands. */
  isToken: F32<"B S">;
  /** What the last call returned, each [N, H, P, E]; empty before the first one. */
  cache: readonly KeysValues[];
  /** What {@linkcode t5CrossKeysValues} returned, each [B, H, S, E]. */
  crossKeysValues: readonly KeysValues[];
  /** K, rows per source: the K rows of a source stand together, N = B·K. Default 1. */
  beams?: number;
}

/** What {@linkcode t5DecodeOn} reads. */
export interface T5OnInputs extends T5Seen {
  /** [N, T] new tokens. */
  decoderIds: I32<"N T">;
}

/** What {@linkcode t5DecodeOn} gives. */
export interface T5OnStates {
  /** [N, T, D] states after the final norm, for {@linkcode t5Logits}. */
  readonly hidden: F32<"N T D">;
  /** Keys and values with those of the new tokens, each [N, H, P+T, E], for the next call. */
  readonly cache: KeysValues[];
}

/**
 * The decoder on new tokens behind those it has seen: what {@linkcode t5Decode} would give at these
 * positions. The beams of a source are query positions of one attention to it, so its keys and values
 * are neither repeated nor gathered.
 *
 * When rows are reordered, gather the rows of every tensor in `cache` by the same order.
 *
 * @param params Parameters of {@linkcode t5ParamSpecs}
 * @param config Sizes of the model
 * @param inputs New tokens, source and cache
 * @param options Adapters
 * @throws {ShapeError} If the inputs do not fit each other
 */
export function t5DecodeOn(
  params: Params,
  config: T5Config,
  inputs: T5OnInputs,
  options: T5StepOptions = {},
): T5OnStates {
  const { decoderIds, isToken, cache, crossKeysValues, beams = 1 } = inputs;
  const context = { params, config, dropoutRate: 0, lora: options.lora };
  const { heads: H, headWidth: E, modelWidth: D, vocabSize: V } = config;
  const dims: Dims = { D, H, E };
  namedInts(decoderIds, "N T", dims, { as: "decoderIds" });
  named(isToken, "B S", dims, { as: "isToken" });
  const { N, T, B } = dims;
  if (N !== B * beams) {
    throw new ShapeError(
      `Cannot decode ${N} rows: ${B} sources with ${beams} beams have ${B * beams}`,
    );
  }
  if (crossKeysValues.length !== config.decoderLayers) {
    throw new ShapeError(
      `Cannot decode with ${config.decoderLayers} layers: crossKeysValues has ${crossKeysValues.length}`,
    );
  }
  if (cache.length) named(cache[0].keys, "N H P E", dims, { as: "cache" });
  const past = dims.P ?? 0;
  const positions = stackBias(context, "decoder", { start: past, queries: T, keys: past + T });
  // The newest of all tokens sees everything.
  const selfBias = T === 1
    ? positions
    : tf.add(positions as tf.Tensor, causalBias(T, past) as tf.Tensor);
  const crossBias = paddingBias(named(isToken, "B M", {}));
  const table = weight(context, T5_EMBEDDING, "V D", { V, D });
  const next: KeysValues[] = [];
  let x = embedding(decoderIds, table);
  for (let i = 0; i < config.decoderLayers; i++) {
    const layer = `decoder.block.${i}.layer`;
    const remember = (input: tf.Tensor): KeysValues => {
      const now = keysValues(context, `${layer}.0.SelfAttention`, input);
      next.push(cache.length ? append(cache[i], now) : now);
      return next[i];
    };
    x = attentionLayer(context, x, {
      layer: `${layer}.0`,
      kind: "SelfAttention",
      attend: attendTo(context, selfBias, remember),
    });
    x = attentionLayer(context, tf.reshape(x, [B, beams * T, D]), {
      layer: `${layer}.1`,
      kind: "EncDecAttention",
      attend: attendTo(context, crossBias, () => crossKeysValues[i]),
    });
    x = tf.reshape(feedForwardLayer(context, x, `${layer}.2`), [N, T, D]);
  }
  x = norm(context, "decoder.final_layer_norm", x);
  return { hidden: named(x, "N T D", dims), cache: next };
}

/** What one step reads. */
export interface T5StepInputs extends T5Seen {
  /** [N] newest token of each row. */
  token: I32<"N">;
}

/** What one step gives. */
export interface T5Step {
  /** [N, D] states after the final norm, for {@linkcode t5Logits}. */
  readonly hidden: F32<"N D">;
  /** Keys and values with this token's, each [N, H, P+1, E], for the next step. */
  readonly cache: KeysValues[];
}

/**
 * {@linkcode t5DecodeOn} with one new token per row.
 *
 * @param params Parameters of {@linkcode t5ParamSpecs}
 * @param config Sizes of the model
 * @param inputs Newest tokens, source and cache
 * @param options Adapters
 * @throws {ShapeError} If the inputs do not fit each other
 */
export function t5DecodeStep(
  params: Params,
  config: T5Config,
  inputs: T5StepInputs,
  options: T5StepOptions = {},
): T5Step {
  const { token, ...seen } = inputs;
  const dims: Dims = { D: config.modelWidth };
  namedInts(token, "N", dims, { as: "token" });
  const decoderIds = namedInts(tf.expandDims(token as tf.Tensor, 1), "N T", {});
  const { hidden, cache } = t5DecodeOn(params, config, { ...seen, decoderIds }, options);
  return { hidden: named(tf.reshape(hidden, [dims.N, dims.D]), "N D", dims), cache };
}

/** `past` with the positions of `now` behind it. */
function append(past: KeysValues, now: KeysValues): KeysValues {
  const join = (a: F32<"B H M E">, b: F32<"B H M E">): F32<"B H M E"> =>
    named(tf.concat([a as tf.Tensor, b as tf.Tensor], 2), "B H M E", {});
  return { keys: join(past.keys, now.keys), values: join(past.values, now.values) };
}
