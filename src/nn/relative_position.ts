/** Relative position buckets and the attention bias looked up by them. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, type I32, named, namedInts } from "../tensor/axes.ts";

/** How distances fall into buckets. */
export interface BucketOptions {
  /** Number of buckets, R. */
  buckets: number;
  /** Distances from here on share the last bucket. */
  maxDistance: number;
  /** Do keys after the query have buckets of their own (encoder), or are they all at distance 0? */
  bidirectional: boolean;
}

/**
 * Bucket of one distance (key position − query position): near ones have their own, far ones share
 * logarithmically wider ones (Raffel et al. 2020; `_relative_position_bucket` of transformers).
 *
 * Steps are rounded to float32 as PyTorch does, so that a distance on the border of two buckets
 * falls on the same side.
 *
 * @param distance Key position − query position
 * @param options How distances fall into buckets
 */
export function relativeBucket(distance: number, options: BucketOptions): number {
  const { buckets, maxDistance, bidirectional } = options;
  const sided = bidirectional ? Math.floor(buckets / 2) : buckets;
  const far = bidirectional ? Math.abs(distance) : Math.max(-distance, 0);
  const offset = bidirectional && distance > 0 ? sided : 0;
  const exact = Math.floor(sided / 2);
  if (far < exact) return offset + far;
  const f = Math.fround;
  const log = f(Math.log(f(far / exact)));
  const step = f(f(log / f(Math.log(maxDistance / exact))) * f(sided - exact));
  return offset + Math.min(exact + Math.floor(step), sided - 1);
}

/** Query and key positions of one attention. */
export interface PositionRange {
  /** First query position: 0, or the number of cached positions when decoding step by step. */
  start: number;
  /** Query positions, Q. May follow a symbol. */
  queries: number;
  /** Key positions, M, from 0. May follow a symbol. */
  keys: number;
}

/**
 * Bucket of every (query, key) pair. The sizes may be symbols: all that is baked in is a table over
 * distances, whose size does not depend on them.
 *
 * @param range Query and key positions
 * @param options How distances fall into buckets
 * @returns [Q, M]
 */
export function relativeBuckets(range: PositionRange, options: BucketOptions): I32<"Q M"> {
  const { start, queries, keys } = range;
  const { maxDistance } = options;
  const table = Int32Array.from(
    { length: 2 * maxDistance + 1 },
    (_, i) => relativeBucket(i - maxDistance, options),
  );
  const query = tf.expandDims(tf.range(start, start + queries, 1, "int32"), 1);
  const key = tf.expandDims(tf.range(0, keys, 1, "int32"), 0);
  const limit = (x: number): tf.Tensor => tf.scalar(x, "int32");
  const near = tf.minimum(
    tf.maximum(tf.sub(key, query), limit(-maxDistance)),
    limit(maxDistance),
  );
  const row = tf.add(near, limit(maxDistance)) as tf.Tensor1D;
  return namedInts(tf.gather(tf.tensor1d(table, "int32"), row), "Q M", {});
}

/**
 * Attention bias of every head and (query, key) pair: `bias[h, q, m] = table[bucket(m − q), h]`.
 *
 * @param table [R, H]
 * @param range Query and key positions
 * @param options How distances fall into buckets
 * @returns [1, H, Q, M]
 * @throws {ShapeError} If `table` does not have one row per bucket
 */
export function relativePositionBias(
  table: F32<"R H">,
  range: PositionRange,
  options: BucketOptions,
): F32<"1 H Q M"> {
  const dims: Dims = { R: options.buckets };
  named(table, "R H", dims, { as: "relative bias" });
  const { queries, keys } = range;
  const bucket = tf.reshape(relativeBuckets(range, options), [-1]) as tf.Tensor1D;
  const rows = tf.reshape(tf.gather(table as tf.Tensor, bucket), [queries, keys, dims.H]);
  return named(tf.expandDims(tf.transpose(rows, [2, 0, 1]), 0), "1 H Q M", dims);
}
