import * as tf from "@tensorflow/tfjs-core";
import {
  type AttendedPart,
  attendGrouped,
  dropout,
  gelu,
  geluNew,
  layerNorm,
  rmsNorm,
  type RotaryAngles,
  rotate,
  silu,
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

/** The norm `name`: with a bias in GPT-2, of root mean squares elsewhere. */
export function decoderNorm(context: DecoderContext, name: string, x: Tensor): Tensor {
  const { epsilon } = context.config;
  const gain = weight(context, `${name}.weight`, "D");
  if (context.config.rotary) return rmsNorm(x, gain, epsilon);
  return layerNorm(x, { weight: gain, bias: weight(context, `${name}.bias`, "D") }, epsilon);
}

/** What one layer sees beside its input. */
export interface DecoderLayerInputs {
  /** B and S: the rows of the input are B·S tokens. */
  readonly sizes: readonly [batch: number, tokens: number];
  /** Rotations of the positions, where they are rotary. */
  readonly angles?: RotaryAngles;
  /** Added to the scores among the new positions. */
  readonly bias?: Tensor;
  /** What was seen before. */
  readonly past?: AttendedPart;
  /** Whether only the last token of each row is wanted: of the others there are keys and values alone. */
  readonly onlyLast?: boolean;
  /** [N] the rows of the output that are wanted. Default: all. */
  readonly rows?: Tensor;
}

/** The last token of each row. */
const lastOf = (x: Tensor, [B, S]: DecoderLayerInputs["sizes"]): Tensor => {
  const [D] = x.shape.slice(1) as number[];
  return tf.reshape(tf.slice(tf.reshape(x, [B, S, D]), [0, S - 1, 0], [B, 1, D]), [B, D]);
};

/**
 * Queries, keys and values of `x` [N, D]. Queries are scaled here and not in the product with the keys:
 * ONNX Runtime has a kernel for one query, but only without a factor.
 */
function heads(
  context: DecoderContext,
  layer: string,
  x: Tensor,
  inputs: DecoderLayerInputs,
): { query: F32<"B H Q E">; keysValues: DecoderKeysValues } {
  const { config } = context;
  const { sizes: [B, S], angles, onlyLast } = inputs;
  const { heads: H, keyValueHeads: J, headWidth: E } = config;
  const { query: names, packedQuery, isConv1d } = decoderNames(config);
  const layout = { isConv1d, hasBias: config.hasQueryBias };
  const isPacked = packedQuery && context.params[`${layer}.${packedQuery}.weight`];
  const [first, ...others] = isPacked ? [packedQuery] : names;
  const split = (name: string, x: Tensor, heads: number, tokens = S): Tensor => {
    const y = project(context, `${layer}.${name}`, x, layout);
    return tf.transpose(tf.reshape(y, [B, tokens, heads, E]), [0, 2, 1, 3]);
  };
  const last = (x: Tensor): Tensor => {
    const [B, H, , E] = x.shape as number[];
    return tf.slice(x as tf.Tensor4D, [0, 0, S - 1, 0], [B, H, 1, E]);
  };
  const turn = (x: Tensor, by = angles): Tensor => by ? rotate(named(x, "B H Q E", {}), by) : x;
  let query: Tensor, keys: Tensor, values: Tensor;
  if (!others.length) {
    // Queries and keys turn together.
    const [turned, still] = tf.split(split(first, x, H + 2 * J), [H + J, J], 1);
    [query, keys] = tf.split(turn(turned), [H, J], 1);
    if (onlyLast) query = last(query);
    values = still;
  } else {
    const [key, value] = others;
    query = onlyLast
      ? turn(
        split(first, lastOf(x, inputs.sizes), H, 1),
        angles && { cos: last(angles.cos), sin: last(angles.sin) },
      )
      : turn(split(first, x, H));
    keys = turn(split(key, x, J));
    values = split(value, x, J);
  }
  return {
    query: named(tf.mul(query, E ** -0.5), "B H Q E", {}),
    keysValues: { keys: named(keys, "B J M E", {}), values: named(values, "B J M E", {}) },
  };
}

/** The feed-forward layer on [N, D]. */
function feedForward(context: DecoderContext, layer: string, x: Tensor): Tensor {
  const { config } = context;
  const { inner, packedInner, back, isConv1d } = decoderNames(config);
  const layout = { isConv1d, hasBias: config.hasInnerBias };
  const isPacked = packedInner && context.params[`${layer}.${packedInner}.weight`];
  const outputs = (isPacked ? [packedInner] : inner).map((name) =>
    project(context, `${layer}.${name}`, x, layout)
  );
  const [first, through] = isPacked
    ? tf.split(outputs[0], [config.innerWidth, config.innerWidth], 1)
    : outputs;
  const gated = ACTIVATIONS[config.activation](first);
  return project(context, `${layer}.${back}`, through ? tf.mul(gated, through) : gated, layout);
}

/**
 * Layer `i` on [N, D] with N = B·S; also the keys and values of the new positions. Where only the last
 * tokens are wanted, its output is [B, D]; with `rows`, [N, D] of those rows.
 */
export function decoderLayer(
  context: DecoderContext,
  i: number,
  x: Tensor,
  inputs: DecoderLayerInputs,
): { output: Tensor; keysValues: DecoderKeysValues } {
  const { config, dropout: rates } = context;
  const names = decoderNames(config), layer = names.layer(i);
  const normal = decoderNorm(context, `${layer}.${names.attentionNorm}`, x);
  const { query, keysValues } = heads(context, layer, normal, inputs);
  const now = { ...keysValues, bias: inputs.bias };
  const seen = attendGrouped({ query, parts: inputs.past ? [inputs.past, now] : [now] }, {
    dropoutRate: rates.attention,
  });
  const wanted = (x: Tensor): Tensor => inputs.rows ? tf.gather(x, inputs.rows as tf.Tensor1D) : x;
  const merged = tf.reshape(
    tf.transpose(seen as Tensor, [0, 2, 1, 3]),
    [-1, config.heads * config.headWidth],
  );
  const output = project(context, `${layer}.${names.output}`, wanted(merged), {
    isConv1d: names.isConv1d,
    hasBias: config.hasOutputBias,
  });
  const before = inputs.onlyLast ? lastOf(x, inputs.sizes) : wanted(x);
  const attended = tf.add(before, dropout(output, rates.residual));
  const input = decoderNorm(context, `${layer}.${names.innerNorm}`, attended);
  const back = feedForward(context, layer, input);
  return { output: tf.add(attended, dropout(back, rates.residual)), keysValues };
}
