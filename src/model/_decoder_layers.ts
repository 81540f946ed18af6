import * as tf from "@tensorflow/tfjs-core";
import {
  type AttendedPart,
  attendGrouped,
  dropout,
  gelu,
  geluNew,
  layerNorm,
  mergeHeads,
  rmsNorm,
  type RotaryAngles,
  rotate,
  silu,
  splitHeads,
} from "../nn/mod.ts";
import { type F32, named } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { decoderNames } from "./_decoder_names.ts";
import { project, type ProjectionContext, weight } from "./_project.ts";
import type { Activation, DecoderConfig } from "./decoder_config.ts";

/** Rates of dropout in training. */
export interface DecoderDropout {
  /** Of embeddings. */
  readonly embedding: number;
  /** Of attention weights. */
  readonly attention: number;
  /** Of what a layer adds to the residual stream. */
  readonly residual: number;
}

/** What every layer needs. */
export interface DecoderContext extends ProjectionContext {
  readonly config: DecoderConfig;
  readonly dropout: DecoderDropout;
}

/** Keys and values of one layer of a decoder, rotated where positions are. */
export interface DecoderKeysValues {
  /** [B, J, M, E] */
  readonly keys: F32<"B J M E">;
  /** [B, J, M, E] */
  readonly values: F32<"B J M E">;
}

const ACTIVATIONS: Readonly<Record<Activation, (x: Tensor) => Tensor>> = {
  gelu_new: geluNew,
  gelu,
  relu: (x) => tf.relu(x),
  silu,
};

const isConv1d = ({ family }: DecoderConfig): boolean => family === "gpt2";

/** The norm `name`: with a bias in GPT-2, of root mean squares elsewhere. */
export function decoderNorm(context: DecoderContext, name: string, x: Tensor): Tensor {
  const { epsilon } = context.config;
  const gain = weight(context, `${name}.weight`, "D");
  if (context.config.rotary) return rmsNorm(x, gain, epsilon);
  return layerNorm(x, { weight: gain, bias: weight(context, `${name}.bias`, "D") }, epsilon);
}

/** Queries, keys and values of `x` [B, Q, D] in layer `layer`. */
function heads(context: DecoderContext, layer: string, x: Tensor): [Tensor, Tensor, Tensor] {
  const { config } = context;
  const layout = { isConv1d: isConv1d(config), hasBias: config.hasQueryBias };
  const { query } = decoderNames(config);
  const [q, k, v] = query.map((name) => project(context, `${layer}.${name}`, x, layout));
  if (k) return [q, k, v];
  const queries = config.heads * config.headWidth;
  const memory = config.keyValueHeads * config.headWidth;
  return tf.split(q, [queries, memory, memory], 2) as [Tensor, Tensor, Tensor];
}

/** What one layer sees beside its input. */
export interface DecoderLayerInputs {
  /** Rotations of the positions, where they are rotary. */
  readonly angles?: RotaryAngles;
  /** Added to the scores among the new positions. */
  readonly bias?: Tensor;
  /** What was seen before. */
  readonly past?: AttendedPart;
}

/** Layer `i` on [B, Q, D]; also the keys and values of the new positions. */
export function decoderLayer(
  context: DecoderContext,
  i: number,
  x: Tensor,
  { angles, bias, past }: DecoderLayerInputs,
): { output: Tensor; keysValues: DecoderKeysValues } {
  const { config } = context;
  const names = decoderNames(config), layer = names.layer(i);
  const hasBias = config.hasInnerBias, conv = { isConv1d: isConv1d(config) };
  const normal = decoderNorm(context, `${layer}.${names.attentionNorm}`, x);
  const [q, k, v] = heads(context, layer, normal);
  let query = splitHeads(q, config.heads);
  let keys = splitHeads(k, config.keyValueHeads);
  if (angles) [query, keys] = [rotate(query, angles), rotate(keys, angles)];
  const keysValues: DecoderKeysValues = {
    keys: named(keys as Tensor, "B J M E", {}),
    values: named(splitHeads(v, config.keyValueHeads) as Tensor, "B J M E", {}),
  };
  const now = { ...keysValues, bias };
  const seen = attendGrouped({ query, parts: past ? [past, now] : [now] }, {
    scale: config.headWidth ** -0.5,
    dropoutRate: context.dropout.attention,
  });
  const output = project(context, `${layer}.${names.output}`, mergeHeads(seen), {
    ...conv,
    hasBias: config.hasOutputBias,
  });
  const attended = tf.add(x, dropout(output, context.dropout.residual));
  const input = decoderNorm(context, `${layer}.${names.innerNorm}`, attended);
  const [first, through] = names.inner.map((name) =>
    project(context, `${layer}.${name}`, input, { ...conv, hasBias })
  );
  const gated = ACTIVATIONS[config.activation](first);
  const inner = through ? tf.mul(gated, through) : gated;
  const back = project(context, `${layer}.${names.back}`, inner, { ...conv, hasBias });
  return {
    output: tf.add(attended, dropout(back, context.dropout.residual)),
    keysValues,
  };
}
