import * as tf from "@tensorflow/tfjs-core";
import { attend, attendToMemory, type PositionRange, relativePositionBias } from "../nn/mod.ts";
import { dropout, geluNew, mergeHeads, rmsNorm, splitHeads } from "../nn/mod.ts";
import { type F32, named } from "../tensor/axes.ts";
import { project, type ProjectionContext, weight } from "./_project.ts";
import type { T5Config } from "./t5_config.ts";

/** What every layer needs. */
export interface T5Context extends ProjectionContext {
  readonly config: T5Config;
  readonly dropoutRate: number;
}

/** Keys and values of one attention. */
export interface KeysValues {
  /** [B, H, M, E] */
  readonly keys: F32<"B H M E">;
  /** [B, H, M, E] */
  readonly values: F32<"B H M E">;
}

/** The norm `name`. */
export function norm(context: T5Context, name: string, x: tf.Tensor): tf.Tensor {
  return rmsNorm(x, weight(context, `${name}.weight`, "D"), context.config.epsilon);
}

/** Keys and values of `x` [B, M, D] for the attention `name`. */
export function keysValues(context: T5Context, name: string, x: tf.Tensor): KeysValues {
  const heads = (part: string): F32<"B H M E"> =>
    named(splitHeads(project(context, `${name}.${part}`, x), context.config.heads), "B H M E", {});
  return { keys: heads("k"), values: heads("v") };
}

/** Queries to what they see, given the normalised input of the layer. */
export type Attend = (query: F32<"B H Q E">, input: tf.Tensor) => F32<"B H Q E">;

/** An {@linkcode Attend} to keys and values, which may be made of the input. */
export function attendTo(
  context: T5Context,
  bias: tf.Tensor,
  memory: (input: tf.Tensor) => KeysValues,
): Attend {
  const { dropoutRate } = context;
  return (query, input) => attend({ query, ...memory(input), bias }, { dropoutRate });
}

/** An {@linkcode Attend} of the attention `name` to `memory` [B, M, D], keys and values of which are never made. */
export function attendUnprojected(
  context: T5Context,
  name: string,
  { memory, bias }: { memory: tf.Tensor; bias: F32<"B 1 1 M"> },
): Attend {
  const { dropoutRate } = context;
  return (query) =>
    attendToMemory({
      query,
      memory: named(memory, "B M D", {}),
      keyWeight: weight(context, `${name}.k.weight`, "O I"),
      valueWeight: weight(context, `${name}.v.weight`, "O I"),
      bias,
    }, { dropoutRate });
}

/** What an attention layer looks at. */
export interface AttentionLayer {
  /** Name of the layer, such as `decoder.block.0.layer.1`. */
  layer: string;
  /** Its attention: of a sequence to itself or to the encoder's. */
  kind: "SelfAttention" | "EncDecAttention";
  /** What it sees for its queries, given the normalised input. */
  attend: Attend;
}

/** `x + attention(norm(x))`, on [B, Q, D]. */
export function attentionLayer(context: T5Context, x: tf.Tensor, what: AttentionLayer): tf.Tensor {
  const { config, dropoutRate } = context;
  const name = `${what.layer}.${what.kind}`;
  const input = norm(context, `${what.layer}.layer_norm`, x);
  const query = splitHeads(project(context, `${name}.q`, input), config.heads);
  const output = project(context, `${name}.o`, mergeHeads(what.attend(query, input)));
  return tf.add(x, dropout(output, dropoutRate));
}

/** `x + feedForward(norm(x))`, on [B, Q, D]. */
export function feedForwardLayer(context: T5Context, x: tf.Tensor, layer: string): tf.Tensor {
  const { config, dropoutRate } = context;
  const name = `${layer}.DenseReluDense`;
  const input = norm(context, `${layer}.layer_norm`, x);
  const inner = config.feedForward === "gated-gelu"
    ? tf.mul(
      geluNew(project(context, `${name}.wi_0`, input)),
      project(context, `${name}.wi_1`, input),
    )
    : tf.relu(project(context, `${name}.wi`, input));
  const output = project(context, `${name}.wo`, dropout(inner, dropoutRate));
  return tf.add(x, dropout(output, dropoutRate));
}

/** Relative position bias of a stack: its first block holds the table for all. */
export function stackBias(
  context: T5Context,
  stack: "encoder" | "decoder",
  range: PositionRange,
): F32<"1 H Q M"> {
  const { buckets, maxDistance, heads } = context.config;
  const name = `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
  const table = weight(context, name, "R H", { R: buckets, H: heads });
  return relativePositionBias(table, range, {
    buckets,
    maxDistance,
    bidirectional: stack === "encoder",
  });
}
