/** Sparse matrices in compressed sparse row (CSR) form, in ordinary memory. @module */
import { ShapeError } from "../errors.ts";

/**
 * A sparse matrix by rows. Row `r` holds the entries `offsets[r] … offsets[r + 1] - 1`: entry `i`
 * stands in column `indices[i]` and has the value `values[i]`. Columns may come in any order; one
 * that appears twice in a row counts as the sum of both.
 */
export interface SparseMatrix {
  /** Number of rows. */
  readonly rows: number;
  /** Number of columns. */
  readonly cols: number;
  /** [rows + 1] where each row starts; the last one is the number of entries. */
  readonly offsets: Int32Array;
  /** [entries] column of each entry, in [0, cols). */
  readonly indices: Int32Array;
  /** [entries] value of each entry. */
  readonly values: Float32Array;
}

/**
 * A {@linkcode SparseMatrix} over arrays that are not copied, after checking that they fit together.
 *
 * @throws {ShapeError} If the lengths contradict each other, an offset falls, or a column is outside
 */
export function sparseMatrix(matrix: SparseMatrix): SparseMatrix {
  const { rows, cols, offsets, indices, values } = matrix;
  const fail = (state: string): never => {
    throw new ShapeError(`Cannot read a sparse matrix [${rows}, ${cols}]: ${state}`);
  };
  if (offsets.length !== rows + 1) fail(`it has ${offsets.length} offsets, not ${rows + 1}`);
  if (indices.length !== values.length) {
    fail(`it has ${indices.length} indices and ${values.length} values`);
  }
  if (offsets[0] !== 0) fail(`its first offset is ${offsets[0]}, not 0`);
  if (offsets[rows] !== values.length) {
    fail(`its last offset is ${offsets[rows]}, but it has ${values.length} values`);
  }
  for (let r = 0; r < rows; r++) {
    if (offsets[r + 1] < offsets[r]) fail(`offset ${r + 1} is smaller than the one before it`);
  }
  for (let i = 0; i < indices.length; i++) {
    if (indices[i] < 0 || indices[i] >= cols) fail(`entry ${i} stands in column ${indices[i]}`);
  }
  return matrix;
}

/**
 * The rows of several matrices, one matrix below the other.
 *
 * @throws {ShapeError} If there is none, or their numbers of columns differ
 * @example
 * ```ts
 * import { stackCsr } from "./sparse.ts";
 * import { assertEquals } from "@std/assert";
 * // [[0, 5]] above [[7, 0], [0, 9]]
 * const stacked = stackCsr([
 *   { rows: 1, cols: 2, offsets: Int32Array.of(0, 1), indices: Int32Array.of(1), values: Float32Array.of(5) },
 *   {
 *     rows: 2,
 *     cols: 2,
 *     offsets: Int32Array.of(0, 1, 2),
 *     indices: Int32Array.of(0, 1),
 *     values: Float32Array.of(7, 9),
 *   },
 * ]);
 * assertEquals([...stacked.offsets], [0, 1, 2, 3]);
 * assertEquals([...stacked.indices], [1, 0, 1]);
 * assertEquals([...stacked.values], [5, 7, 9]);
 * ```
 */
export function stackCsr(matrices: readonly SparseMatrix[]): SparseMatrix {
  const cols = matrices.map((matrix) => matrix.cols);
  if (!cols.length || cols.some((n) => n !== cols[0])) {
    throw new ShapeError(`Cannot stack sparse matrices with ${cols.join(", ") || "no"} columns`);
  }
  const rows = matrices.reduce((n, matrix) => n + matrix.rows, 0);
  const entries = matrices.reduce((n, { values }) => n + values.length, 0);
  const offsets = new Int32Array(rows + 1);
  const indices = new Int32Array(entries), values = new Float32Array(entries);
  let row = 0, entry = 0;
  for (const matrix of matrices) {
    for (let r = 0; r <= matrix.rows; r++) offsets[row + r] = entry + matrix.offsets[r];
    indices.set(matrix.indices, entry);
    values.set(matrix.values, entry);
    row += matrix.rows;
    entry += matrix.values.length;
  }
  return { rows, cols: cols[0], offsets, indices, values };
}

/**
 * The transpose, in O(rows + cols + entries). The columns of each of its rows come in rising order.
 *
 * @example
 * ```ts
 * import { transposeCsr } from "./sparse.ts";
 * import { assertEquals } from "@std/assert";
 * // [[0, 5], [7, 0], [0, 9]]
 * const transposed = transposeCsr({
 *   rows: 3,
 *   cols: 2,
 *   offsets: Int32Array.of(0, 1, 2, 3),
 *   indices: Int32Array.of(1, 0, 1),
 *   values: Float32Array.of(5, 7, 9),
 * });
 * assertEquals([...transposed.offsets], [0, 1, 3]);
 * assertEquals([...transposed.indices], [1, 0, 2]);
 * assertEquals([...transposed.values], [7, 5, 9]);
 * ```
 */
export function transposeCsr(matrix: SparseMatrix): SparseMatrix {
  const { rows, cols } = matrix;
  const offsets = new Int32Array(cols + 1);
  for (let i = 0; i < matrix.indices.length; i++) offsets[matrix.indices[i] + 1]++;
  for (let c = 0; c < cols; c++) offsets[c + 1] += offsets[c];
  const next = offsets.slice(0, cols);
  const indices = new Int32Array(matrix.indices.length);
  const values = new Float32Array(matrix.values.length);
  for (let r = 0; r < rows; r++) {
    for (let i = matrix.offsets[r]; i < matrix.offsets[r + 1]; i++) {
      const at = next[matrix.indices[i]]++;
      indices[at] = r;
      values[at] = matrix.values[i];
    }
  }
  return { rows: cols, cols: rows, offsets, indices, values };
}

/**
 * The product of a sparse and a dense matrix, summed in float32.
 *
 * @param csr [rows, cols]
 * @param dense [cols, width], row-major
 * @param width Columns of `dense` and of the product
 * @returns [rows, width], row-major
 * @throws {ShapeError} If `dense` does not hold cols × width numbers
 * @example
 * ```ts
 * import { csrTimesDense } from "./sparse.ts";
 * import { assertEquals } from "@std/assert";
 * // [[0, 5], [7, 0]] × [[1, 2], [3, 4]]
 * const matrix = {
 *   rows: 2,
 *   cols: 2,
 *   offsets: Int32Array.of(0, 1, 2),
 *   indices: Int32Array.of(1, 0),
 *   values: Float32Array.of(5, 7),
 * };
 * assertEquals([...csrTimesDense(matrix, Float32Array.of(1, 2, 3, 4), 2)], [15, 20, 7, 14]);
 * ```
 */
export function csrTimesDense(
  csr: SparseMatrix,
  dense: Float32Array,
  width: number,
): Float32Array {
  if (dense.length !== csr.cols * width) {
    throw new ShapeError(
      `Cannot multiply [${csr.rows}, ${csr.cols}] with ${dense.length} numbers read as ` +
        `[${csr.cols}, ${width}]: that needs ${csr.cols * width}`,
    );
  }
  const out = new Float32Array(csr.rows * width);
  for (let r = 0; r < csr.rows; r++) {
    const row = out.subarray(r * width, (r + 1) * width);
    for (let i = csr.offsets[r]; i < csr.offsets[r + 1]; i++) {
      const value = csr.values[i];
      const from = csr.indices[i] * width;
      for (let j = 0; j < width; j++) row[j] += value * dense[from + j];
    }
  }
  return out;
}
