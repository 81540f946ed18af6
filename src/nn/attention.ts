/** Attention: heads, biases that hide positions, and the core. @module */
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { type Dims, type F32, named } from "../tensor/axes.ts";
import { dropout } from "./dropout.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * What is added to the score of a hidden position. Its exponential is 0 in float32; a row in which
 * everything is hidden becomes uniform over its positions instead of undefined.
 */
export const HIDDEN: number = -1e9;

/**
 * `[B, Q, H·E] → [B, H, Q, E]`: one matrix per head.
 *
 * @param x [B, Q, H·E]
 * @param heads H
 */
export function splitHeads(x: Tensor, heads: number): F32<"B H Q E"> {
  const [B, Q, width] = x.shape;
  const parts = tf.reshape(x, [B, Q, heads, width / heads]);
  return named(tf.transpose(parts, [0, 2, 1, 3]), "B H Q E", { H: heads });
}

/**
 * `[B, H, Q, E] → [B, Q, H·E]`: the inverse of {@linkcode splitHeads}.
 *
 * @param x [B, H, Q, E]
 */
export function mergeHeads(x: F32<"B H Q E">): Tensor {
  const [B, H, Q, E] = x.shape;
  return tf.reshape(tf.transpose(x as Tensor, [0, 2, 1, 3]), [B, Q, H! * E!]);
}

/**
 * Bias that hides padding: 0 where a token stands, {@linkcode HIDDEN} elsewhere.
 *
 * @param isToken [B, M] 1 where a token stands
 * @returns [B, 1, 1, M]
 */
export function paddingBias(isToken: F32<"B M">): F32<"B 1 1 M"> {
  const [B, M] = isToken.shape;
  const bias = tf.mul(tf.sub(tf.reshape(isToken, [B, 1, 1, M]), 1), -HIDDEN);
  return named(bias, "B 1 1 M", {});
}

/**
 * Bias that hides the future: 0 where key position ≤ query position, {@linkcode HIDDEN} elsewhere.
 *
 * @param length Q, query positions. May follow a symbol
 * @param past P, key positions before the first query. May follow a symbol. Default 0
 * @returns [1, 1, Q, M] with M = P + Q
 */
export function causalBias(length: number, past = 0): F32<"1 1 Q M"> {
  const key = tf.range(0, past + length, 1, "int32");
  const query = tf.range(past, past + length, 1, "int32");
  const isFuture = tf.greater(tf.expandDims(key, 0), tf.expandDims(query, 1));
  const bias = tf.mul(tf.cast(isFuture, "float32"), HIDDEN);
  return named(tf.reshape(bias, [1, 1, length, past + length]), "1 1 Q M", {});
}

/** Queries, keys and values of every head. */
export interface AttentionInputs {
  /** [B, H, Q, E] */
  query: F32<"B H Q E">;
  /** [B, H, M, E] */
  keys: F32<"B H M E">;
  /** [B, H, M, E] */
  values: F32<"B H M E">;
  /** Added to the scores; any of its axes may be 1. [B, H, Q, M] */
  bias?: Tensor;
}

/** Choices of {@linkcode attend}. */
export interface AttentionOptions {
  /** Factor of the scores. T5 has 1 (its start values make up for it), others 1/√E. Default 1. */
  scale?: number;
  /** Rate at which attention weights are dropped. Default 0. */
  dropoutRate?: number;
}

/**
 * Dot-product attention (Vaswani et al. 2017, eq. 1): `softmax(scale · q kᵀ + bias) v`, per head.
 *
 * @param inputs Queries, keys, values and bias
 * @param options Scale and dropout
 * @returns [B, H, Q, E]
 * @throws {ShapeError} If batch, heads, head width or key positions differ
 */
export function attend(inputs: AttentionInputs, options: AttentionOptions = {}): F32<"B H Q E"> {
  const { query, keys, values, bias } = inputs;
  const { scale = 1, dropoutRate = 0 } = options;
  const dims: Dims = {};
  named(query, "B H Q E", dims, { as: "query" });
  named(keys, "B H M E", dims, { as: "keys" });
  named(values, "B H M E", dims, { as: "values" });
  const q = scale === 1 ? query as Tensor : tf.mul(query as Tensor, scale);
  let scores = tf.matMul(q, keys as Tensor, false, true);
  if (bias) scores = tf.add(scores, bias);
  const weights = dropout(tf.softmax(scores), dropoutRate);
  return named(tf.matMul(weights, values as Tensor), "B H Q E", dims);
}

/** Queries, and a sequence whose keys and values are not computed. */
export interface MemoryAttentionInputs {
  /** [B, H, Q, E] */
  query: F32<"B H Q E">;
  /** [B, M, D] what is attended to. */
  memory: F32<"B M D">;
  /** [H·E, D] makes keys of it. */
  keyWeight: F32<"O I">;
  /** [H·E, D] makes values of it. */
  valueWeight: F32<"O I">;
  /** Added to the scores of every head and query. [B, 1, 1, M] */
  bias: F32<"B 1 1 M">;
}

/**
 * The same as {@linkcode attend} with `keys = memory · Wkᵀ` and `values = memory · Wvᵀ`, but the
 * weights are applied to the queries and to what was attended to, head by head:
 *
 *   softmax(q · (m Wkᵀ)ᵀ) (m Wvᵀ) = (softmax((q Wk) · mᵀ) m) Wvᵀ
 *
 * With Q queries and M positions this takes 2 Q D (E + M) multiplications per head instead of
 * 2 M E (D + Q): less where queries are much fewer than positions, as with short targets. Departure:
 * the order of summation alone.
 *
 * @param inputs Queries, memory, weights and bias
 * @param options Scale and dropout
 * @returns [B, H, Q, E]
 * @throws {ShapeError} If the inputs do not fit each other
 */
export function attendToMemory(
  inputs: MemoryAttentionInputs,
  options: AttentionOptions = {},
): F32<"B H Q E"> {
  const { query, memory, keyWeight, valueWeight, bias } = inputs;
  const { scale = 1, dropoutRate = 0 } = options;
  const dims: Dims = {};
  named(query, "B H Q E", dims, { as: "query" });
  named(memory, "B M D", dims, { as: "memory" });
  named(bias, "B 1 1 M", dims, { as: "bias" });
  const { B, H, Q, E, M, D } = dims;
  const perHead = (weight: F32<"O I">, as: string): Tensor =>
    tf.reshape(named(weight, "O I", { O: H * E, I: D }, { as }), [H, E, D]);
  /** [B, H, Q, X] → [H, B·Q, X] */
  const headFirst = (x: Tensor, width: number): Tensor =>
    tf.reshape(tf.transpose(x, [1, 0, 2, 3]), [H, B * Q, width]);
  /** [H, B·Q, X] → [B, H, Q, X] */
  const batchFirst = (x: Tensor, width: number): Tensor =>
    tf.transpose(tf.reshape(x, [H, B, Q, width]), [1, 0, 2, 3]);
  const q = scale === 1 ? query as Tensor : tf.mul(query as Tensor, scale);
  const asked = batchFirst(tf.matMul(headFirst(q, E), perHead(keyWeight, "keyWeight")), D);
  const scores = tf.matMul(tf.reshape(asked, [B, H * Q, D]), memory as Tensor, false, true);
  const weights = dropout(tf.softmax(tf.add(scores, tf.reshape(bias, [B, 1, M]))), dropoutRate);
  const seen = tf.reshape(tf.matMul(weights, memory as Tensor), [B, H, Q, D]);
  const values = tf.matMul(headFirst(seen, D), perHead(valueWeight, "valueWeight"), false, true);
  return named(batchFirst(values, E), "B H Q E", dims);
}

/** A stretch of keys and values. */
export interface AttendedPart {
  /** [B, J, M, E] */
  readonly keys: F32<"B J M E">;
  /** [B, J, M, E] */
  readonly values: F32<"B J M E">;
  /** Added to the scores; the same for every head. [B, 1, Q, M], where B and Q may be 1. */
  readonly bias?: Tensor;
}

/** Queries, and what they look at in one or several stretches. */
export interface GroupedAttentionInputs {
  /** [B, H, Q, E] */
  readonly query: F32<"B H Q E">;
  /** Stretches of keys and values, such as a cache and the new positions; each has an M of its own. */
  readonly parts: readonly AttendedPart[];
}

/**
 * Attention in which H/J neighbouring query heads share one head of keys and values (Ainslie et al.
 * 2023, "GQA"; J = H is plain attention, J = 1 multi-query attention):
 *
 *   softmax(scale · q · [k₁; k₂; …]ᵀ + bias) · [v₁; v₂; …]
 *
 * Keys are not repeated for the heads that share them, and the stretches are never joined: only their
 * scores are. So a cache is read where it lies. Departure: the order of summation alone.
 *
 * @param inputs Queries, keys, values and biases
 * @param options Scale and dropout
 * @returns [B, H, Q, E]
 * @throws {ShapeError} If the inputs do not fit each other, or J does not divide H
 */
export function attendGrouped(
  inputs: GroupedAttentionInputs,
  options: AttentionOptions = {},
): F32<"B H Q E"> {
  const { query, parts } = inputs;
  const { scale = 1, dropoutRate = 0 } = options;
  const dims: Dims = {};
  named(query, "B H Q E", dims, { as: "query" });
  for (const { keys, values } of parts) {
    delete dims.M;
    named(keys, "B J M E", dims, { as: "keys" });
    named(values, "B J M E", dims, { as: "values" });
  }
  const { B, H, Q, E, J } = dims;
  if (H % J) throw new ShapeError(`Cannot share ${J} key heads among ${H} query heads`);
  const shared = H / J;
  const scaled = scale === 1 ? query as Tensor : tf.mul(query as Tensor, scale);
  const rows = shared === 1 ? scaled : tf.reshape(scaled, [B, J, shared * Q, E]);
  const scoresOf = ({ keys, bias }: AttendedPart): Tensor => {
    const scores = tf.matMul(rows, keys as Tensor, false, true);
    if (!bias) return scores;
    if (shared === 1 || bias.shape[2] === 1) return tf.add(scores, bias);
    const M = keys.shape[2]!;
    const perHead = tf.add(tf.reshape(scores, [B, J, shared, Q, M]), tf.expandDims(bias, 1));
    return tf.reshape(perHead, [B, J, shared * Q, M]);
  };
  const scores = parts.map(scoresOf);
  const joined = scores.length === 1 ? scores[0] : tf.concat(scores, 3);
  const weights = dropout(tf.softmax(joined), dropoutRate);
  const seen = parts.length === 1
    ? [weights]
    : tf.split(weights, parts.map(({ keys }) => keys.shape[2]!), 3);
  const sums = parts.map(({ values }, i) => tf.matMul(seen[i], values as Tensor));
  const sum = sums.reduce((a, b) => tf.add(a, b));
  return named(shared === 1 ? sum : tf.reshape(sum, [B, H, Q, E]), "B H Q E", dims);
}
