import { ShapeError } from "../errors.ts";
import type { HostTensors } from "../runtime/mod.ts";
import { type HostTensor, hostTensor, zeroTensor } from "../tensor/host_tensor.ts";

/** Rows of different length, padded on the left: the last column is the last token of every row. */
export interface LeftPadded {
  /** [B, S] */
  readonly inputIds: HostTensor<"int32">;
  /** [B, S] 1 where a token stands. */
  readonly isToken: HostTensor<"float32">;
}

/**
 * Fail unless there are tokens for each row.
 *
 * @throws {ShapeError} If there are more or fewer
 */
export function checkRows(tokens: readonly ArrayLike<number>[], rows: number): void {
  if (tokens.length === rows) return;
  throw new ShapeError(`Cannot extend ${rows} rows by tokens for ${tokens.length}`);
}

/**
 * Fail unless all rows get the same number of tokens, as those of an encoder-decoder must.
 *
 * @throws {ShapeError} If one gets more or fewer
 */
export function checkInStep(tokens: readonly ArrayLike<number>[]): void {
  const count = tokens[0].length;
  const other = tokens.find(({ length }) => length !== count);
  if (!other) return;
  throw new ShapeError(
    `Cannot extend rows of an encoder-decoder by ${count} and ${other.length} tokens: they go in step`,
  );
}

/**
 * Fail unless there are rows, each with tokens of the vocabulary.
 *
 * @throws {ShapeError} If there is no row, a row is empty, or an id is not in the vocabulary
 */
export function checkTokens(rows: readonly ArrayLike<number>[], vocabSize: number): void {
  if (!rows.length) throw new ShapeError("Cannot read prompts: there is none");
  rows.forEach((row, b) => {
    if (!row.length) throw new ShapeError(`Cannot read row ${b}: it has no token`);
    for (let t = 0; t < row.length; t++) {
      const id = row[t];
      if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
      throw new ShapeError(
        `Cannot read row ${b}: token ${t} is ${id}; the vocabulary has 0 to ${vocabSize - 1}`,
      );
    }
  });
}

/** Pad rows on the left that were checked. */
export function padLeft(rows: readonly ArrayLike<number>[]): LeftPadded {
  const length = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const ids = new Int32Array(rows.length * length);
  const isToken = new Float32Array(rows.length * length);
  rows.forEach((row, b) => {
    const end = (b + 1) * length, start = end - row.length;
    ids.set(row, start);
    isToken.fill(1, start, end);
  });
  const shape = [rows.length, length];
  return {
    inputIds: hostTensor("int32", ids, shape),
    isToken: hostTensor("float32", isToken, shape),
  };
}

/**
 * Check rows and pad them on the left.
 *
 * @throws {ShapeError} If there is no row, a row is empty, or an id is not in the vocabulary
 */
export function leftPadded(rows: readonly ArrayLike<number>[], vocabSize: number): LeftPadded {
  checkTokens(rows, vocabSize);
  return padLeft(rows);
}

/** log Σ exp of a row in plain numbers. */
export function logSumExp(row: ArrayLike<number>): number {
  let top = -Infinity;
  for (let i = 0; i < row.length; i++) if (row[i] > top) top = row[i];
  if (top === -Infinity) return top;
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += Math.exp(row[i] - top);
  return top + Math.log(sum);
}

/** Whether a selection of rows is all `count` of them, in their order. */
export const isUnchanged = (rows: readonly number[], count: number): boolean =>
  rows.length === count && rows.every((row, i) => row === i);

/** The rows of tensors whose first axis is the batch, in another order or number. */
export const selectRows = (all: HostTensors, rows: readonly number[]): HostTensors =>
  Object.fromEntries(Object.entries(all).map(([name, t]) => [name, rowsOf(t, rows)]));

function rowsOf({ dtype, data, shape }: HostTensor, rows: readonly number[]): HostTensor {
  const size = data.length / shape[0];
  const Class = data.constructor as new (length: number) => typeof data;
  const chosen = new Class(rows.length * size);
  rows.forEach((row, i) => chosen.set(data.subarray(row * size, (row + 1) * size), i * size));
  return hostTensor(dtype, chosen, [rows.length, ...shape.slice(1)]);
}

/**
 * Rows of several groups of tensors in one, in their own order.
 *
 * @param parts Tensors of each group, whose first axis is the batch
 * @param groups Where the rows of each group go
 */
export function mergeRows(
  parts: readonly HostTensors[],
  groups: readonly (readonly number[])[],
): HostTensors {
  const count = groups.reduce((n, group) => n + group.length, 0);
  return Object.fromEntries(
    Object.entries(parts[0]).map(([name, { dtype, shape }]) => {
      const merged = zeroTensor(dtype, [count, ...shape.slice(1)]);
      const size = merged.data.length / count;
      parts.forEach(({ [name]: { data } }, p) =>
        groups[p].forEach((row, i) =>
          merged.data.set(data.subarray(i * size, (i + 1) * size), row * size)
        )
      );
      return [name, merged];
    }),
  );
}

/** Columns of a padded batch, and what of each row stands in them. */
export interface Columns {
  /** [B, S'] */
  readonly inputIds: HostTensor<"int32">;
  /** [B, S'] 1 where a token stands. */
  readonly isToken: HostTensor<"float32">;
  /** Tokens of each row among them; they stand at the end of the row. */
  readonly counts: readonly number[];
}

/**
 * A batch in pieces of at most `width` columns, from the left. Attention over a long prompt at once takes
 * memory with the square of its length; read in pieces it gives the same. Every row has tokens in the
 * last piece, so what comes after that is what comes after the whole.
 */
export function* inColumns(
  { inputIds, isToken }: LeftPadded,
  width: number,
): Generator<Columns, void, undefined> {
  const [B, S] = inputIds.shape;
  for (let from = 0; from < S; from += width) {
    const columns = Math.min(width, S - from), shape = [B, columns];
    const ids = new Int32Array(B * columns), marks = new Float32Array(B * columns);
    const counts: number[] = [];
    for (let b = 0; b < B; b++) {
      const at = b * S + from;
      ids.set(inputIds.data.subarray(at, at + columns), b * columns);
      marks.set(isToken.data.subarray(at, at + columns), b * columns);
      counts.push(marks.subarray(b * columns, (b + 1) * columns).reduce((n, x) => n + x, 0));
    }
    yield {
      inputIds: hostTensor("int32", ids, shape),
      isToken: hostTensor("float32", marks, shape),
      counts,
    };
  }
}

/** Position of each token behind `before` tokens of its row; 0 where there is none. */
export function positionsOf({ inputIds, counts }: Columns, before: readonly number[]): Int32Array {
  const [B, S] = inputIds.shape;
  const positions = new Int32Array(B * S);
  counts.forEach((count, b) => {
    for (let t = 0; t < count; t++) positions[(b + 1) * S - count + t] = before[b] + t;
  });
  return positions;
}
