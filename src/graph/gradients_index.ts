/** The longer gradients: of gathers, and of what repeats elements. @module */
import * as tf from "@tensorflow/tfjs-core";
import { axisOf, type KernelAttributes } from "./kernel.ts";

type T = tf.Tensor;

const flatIds = (x: T): tf.Tensor1D => tf.reshape(x, [-1]) as tf.Tensor1D;

/** Sum `dy` over the axes along which broadcasting stretched an operand of `shape`. */
export function unbroadcast(dy: T, shape: number[]): T {
  const axes = tf.broadcast_util.getReductionAxes(shape, dy.shape);
  return tf.reshape(axes.length ? tf.sum(dy, axes) : dy, shape);
}

/**
 * Σ over rows: `into[ids[n]] += rows[n]`, with ids of any shape.
 *
 * @param dy [...ids.shape, ...rest]
 * @returns [count, ...rest]
 */
function sumByIndex(dy: T, ids: T, count: number): T {
  const rest = dy.shape.slice(ids.rank);
  return tf.unsortedSegmentSum(tf.reshape(dy, [ids.size, ...rest]), flatIds(ids), count);
}

/**
 * Numbers of an axis times the `stride` of a flat index. Not `mul(ids, stride)`: the stride may be
 * a symbol, and a range takes it as a size.
 */
function strided(ids: T, size: number, stride: number): T {
  if (stride === 1) return ids;
  return tf.gather(tf.range(0, size * stride, stride, "int32"), ids as tf.Tensor1D);
}

/** Product of sizes. */
export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Gradient of GatherV2 for `x`. */
export function gatherGradient(
  dy: T,
  [x, indices]: T[],
  { axis: given, batchDims = 0 }: KernelAttributes,
): T {
  const axis = axisOf(given, x.shape);
  // dy is [batch, passed, picked, rest]; make it [batch, picked, passed, rest], sum per index, and
  // bring the axis back from behind the batch axes.
  const all = dy.shape.map((_, i) => i);
  const batch = all.slice(0, batchDims);
  const passed = all.slice(batchDims, axis);
  const picked = all.slice(axis, axis + indices.rank - batchDims);
  const rest = all.slice(axis + indices.rank - batchDims);
  const rows = axis === batchDims
    ? dy
    : tf.transpose(dy, [...batch, ...picked, ...passed, ...rest]);
  const size = x.shape[axis];
  const batchShape = x.shape.slice(0, batchDims), batches = product(batchShape);
  let ids = indices;
  if (batchDims) {
    const ones = indices.shape.slice(batchDims).map(() => 1);
    const first = tf.range(0, batches * size, size, "int32");
    ids = tf.add(indices, tf.reshape(first, [...batchShape, ...ones]));
  }
  const sums = sumByIndex(rows, ids, batches * size);
  const shape = [...batchShape, size, ...rows.shape.slice(indices.rank)];
  const full = tf.reshape(sums, shape);
  if (axis === batchDims) return full;
  const at = shape.map((_, i) => i);
  const perm = [...batch, ...at.slice(batchDims + 1, axis + 1), batchDims, ...at.slice(axis + 1)];
  return tf.transpose(full, perm);
}

/** Gradient of GatherNd for `params`. */
export function gatherNdGradient(dy: T, [params, indices]: T[]): T {
  const depth = indices.shape[indices.rank - 1];
  const sizes = params.shape.slice(0, depth);
  const columns = tf.unstack(indices, indices.rank - 1);
  const ids = columns
    .map((ids, k) => strided(ids, sizes[k], product(sizes.slice(k + 1))))
    .reduce((a, b) => tf.add(a, b));
  return tf.reshape(sumByIndex(dy, ids, product(sizes)), params.shape);
}

/** Gradient of Tile. */
export function tileGradient(dy: T, [x]: T[], { reps }: KernelAttributes): T {
  if (x.shape.every((d, i) => d === 1 || reps[i] === 1)) return unbroadcast(dy, x.shape);
  // Split each axis into (repetition, element) and sum the repetitions.
  const apart = x.shape.flatMap((d, i) => [reps[i], d]);
  return tf.sum(tf.reshape(dy, apart), x.shape.map((_, i) => 2 * i));
}
