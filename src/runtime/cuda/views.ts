/** Matrix operands as they lie in memory, so that transposing and cutting into heads need no copy. @module */
import type { BoundValue } from "./bound_graph.ts";

/** A tensor as strides over memory. */
export interface View {
  /** What lies in memory, row by row. */
  readonly base: BoundValue;
  /** Elements from one index to the next, of each axis of the tensor. */
  readonly strides: readonly number[];
  /** Elements before the first. */
  readonly offset: number;
}

/** The value whose memory a value shares as it is: what stands before changes of shape. */
export function baseOf(value: BoundValue): BoundValue {
  let v = value;
  while (v.source.kind === "node" && v.source.node.op === "Reshape") v = v.source.node.inputs[0];
  return v;
}

/** Strides of a tensor that is stored row by row. */
export function rowMajor(shape: readonly number[]): number[] {
  const strides = Array(shape.length).fill(1) as number[];
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

/** Strides under another shape, if one set of strides says it. */
function reshaped(
  { shape, strides }: { shape: readonly number[]; strides: readonly number[] },
  to: readonly number[],
): number[] | undefined {
  const out = Array(to.length).fill(1) as number[];
  let i = shape.length - 1, j = to.length - 1;
  while (i >= 0) {
    // Axes that follow each other in memory count as one.
    let size = shape[i], first = i;
    const step = strides[i];
    while (first > 0 && (shape[first - 1] === 1 || strides[first - 1] === step * size)) {
      size *= shape[--first];
    }
    let left = size, stride = step;
    while (j >= 0 && (left > 1 || to[j] === 1)) {
      if (left % to[j] !== 0) return undefined;
      out[j] = stride;
      stride *= to[j];
      left /= to[j--];
    }
    if (left !== 1) return undefined;
    i = first - 1;
  }
  return j < 0 || to.slice(0, j + 1).every((d) => d === 1) ? out : undefined;
}

/**
 * A value as a view of what lies, or is to lie, in memory.
 *
 * @param isStored Whether a value lies there anyway
 */
export function viewOf(value: BoundValue, isStored: (v: BoundValue) => boolean): View {
  const own = { base: value, strides: rowMajor(value.shape), offset: 0 };
  if (value.source.kind !== "node" || isStored(value) || value.count === 0) return own;
  const { op, inputs: [x], attributes } = value.source.node;
  if (op === "Transpose") {
    const view = viewOf(x, isStored), perm = attributes.perm as readonly number[];
    return { ...view, strides: perm.map((p) => view.strides[p]) };
  }
  if (op === "Slice") {
    const view = viewOf(x, isStored), from = attributes.from as readonly number[];
    const skipped = from.reduce((sum, n, i) => sum + n * view.strides[i], 0);
    return { ...view, offset: view.offset + skipped };
  }
  if (op === "Reshape") {
    const view = viewOf(x, isStored);
    const strides = reshaped({ shape: x.shape, strides: view.strides }, value.shape);
    if (strides) return { ...view, strides };
  }
  return own;
}

/** An operand of a batch of products. */
export interface Operand {
  /** What lies in memory. */
  readonly base: BoundValue;
  /** Whether a matrix is stored as its transpose. */
  readonly isTransposed: boolean;
  /** Elements from one stored row to the next. */
  readonly rowStride: number;
  /** Elements from one matrix to the next. */
  readonly batchStride: number;
  /** Elements before the first. */
  readonly offset: number;
}

/**
 * The operand that a view is, for products over the axes `batch`.
 *
 * @param shape Shape of the operand
 * @param batch Sizes of the axes of the result before the last two
 * @returns undefined if it has to be copied first
 */
export function operandOf(
  { base, strides, offset }: View,
  shape: readonly number[],
  batch: readonly number[],
): Operand | undefined {
  const rank = shape.length, missing = batch.length - (rank - 2);
  let count = 1, batchStride = 0;
  for (let i = batch.length - 1; i >= 0; i--) {
    const axis = i - missing;
    const stride = axis < 0 || shape[axis] === 1 ? 0 : strides[axis];
    if (batch[i] === 1) continue;
    if (count === 1) batchStride = stride;
    else if (stride !== batchStride * count) return undefined;
    count *= batch[i];
  }
  const [rows, columns] = shape.slice(-2);
  const rowStride = rows === 1 ? Math.max(columns, strides[rank - 2]) : strides[rank - 2];
  const columnStride = columns === 1 ? Math.max(rows, strides[rank - 1]) : strides[rank - 1];
  if ((columns === 1 || strides[rank - 1] === 1) && rowStride >= columns) {
    return {
      base,
      isTransposed: false,
      rowStride: rows === 1 ? columns : rowStride,
      batchStride,
      offset,
    };
  }
  if ((rows === 1 || strides[rank - 2] === 1) && columnStride >= rows) {
    return {
      base,
      isTransposed: true,
      rowStride: columns === 1 ? rows : columnStride,
      batchStride,
      offset,
    };
  }
  return undefined;
}
