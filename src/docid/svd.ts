/** Singular value decompositions of sparse matrices: all of it, or the largest values. @module */
import { DataError } from "../errors.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import { randomStream } from "../tensor/random.ts";
import { csrTimesDense, type SparseMatrix, transposeCsr } from "../tensor/sparse.ts";
import { timesTransposed, transposedTimes } from "./_matmul.ts";
import { orthonormalised } from "./_orthonormal.ts";
import { symmetricEigen } from "./eigen.ts";

/** Choices of {@linkcode sparseSvd}. */
export interface SvdOptions {
  /** Singular values wanted, W. */
  rank: number;
  /** Seed of the random start. Default 0. */
  seed?: number;
  /** `"auto"`: exact where the rank is more than a third of the smaller side. Default `"auto"`. */
  method?: "auto" | "exact" | "randomised";
  /** Randomised: power iterations; more are more exact where singular values fall slowly. Default 4. */
  powerIterations?: number;
  /** Randomised: directions carried along beyond the rank. Default 16 and an eighth of the rank. */
  oversample?: number;
}

/** M ≈ U·diag(S)·Vᵀ. */
export interface Svd {
  /** [rows, W] */
  readonly U: HostTensor<"float32">;
  /** [W] singular values, largest first. Those that are 0 up to rounding are 0. */
  readonly S: Float64Array;
  /** [cols, W] */
  readonly V: HostTensor<"float32">;
}

/** Singular values below this share of the largest one count as 0. */
const RANK_TOLERANCE = 1e-6;

/**
 * The largest singular values of a sparse matrix and their vectors. Columns of U and V whose
 * singular value is 0 are 0.
 *
 * Exact: the eigenvectors V of G = MᵀM, U = M·V/S. That M·V·Vᵀ = M depends on the orthogonality of V
 * alone, so nothing is lost by squaring. Randomised: subspace iteration on G from a random start
 * with an orthonormal basis Q after each product, then the eigenvectors of Qᵀ·G·Q (Halko, Martinsson
 * & Tropp 2011, "Finding structure with randomness", algorithms 4.4 and 5.1). G is taken on the
 * smaller side of M.
 *
 * @param matrix [rows, cols]
 * @param options Rank and method
 * @throws {DataError} If `rank` is not a positive integer
 * @example
 * ```ts
 * import { sparseSvd } from "./svd.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * // diag(3, 4)
 * const matrix = {
 *   rows: 2,
 *   cols: 2,
 *   offsets: Int32Array.of(0, 1, 2),
 *   indices: Int32Array.of(0, 1),
 *   values: Float32Array.of(3, 4),
 * };
 * assertAlmostEquals(sparseSvd(matrix, { rank: 2 }).S[0], 4);
 * ```
 */
export function sparseSvd(matrix: SparseMatrix, options: SvdOptions): Svd {
  if (!Number.isSafeInteger(options.rank) || options.rank < 1) {
    throw new DataError(`Cannot decompose a matrix: rank is ${options.rank}, not 1 or more`);
  }
  if (matrix.rows < matrix.cols) {
    const { U, S, V } = sparseSvd(transposeCsr(matrix), options);
    return { U: V, S, V: U };
  }
  const rank = Math.min(options.rank, matrix.cols);
  const { method = "auto", oversample = 16 + (rank >> 3) } = options;
  const isExact = method === "exact" ||
    (method === "auto" && (rank * 3 > matrix.cols || rank + oversample >= matrix.cols));
  return isExact ? exactSvd(matrix, rank) : randomisedSvd(matrix, {
    ...options,
    rank,
    oversample: Math.min(oversample, matrix.cols - rank),
  });
}

function exactSvd(matrix: SparseMatrix, rank: number): Svd {
  const n = matrix.cols;
  const { values, vectors } = symmetricEigen(gram(matrix), n);
  const S = singularValues(values, rank);
  const V = new Float32Array(n * rank);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < rank; j++) V[i * rank + j] = S[j] > 0 ? vectors[i * n + j] : 0;
  }
  return finish(csrTimesDense(matrix, V, rank), S, V);
}

/** MᵀM in float64, [cols, cols]. */
function gram({ rows, cols, offsets, indices, values }: SparseMatrix): Float64Array {
  const G = new Float64Array(cols * cols);
  for (let r = 0; r < rows; r++) {
    for (let i = offsets[r]; i < offsets[r + 1]; i++) {
      const at = indices[i] * cols, value = values[i];
      for (let j = offsets[r]; j < offsets[r + 1]; j++) G[at + indices[j]] += value * values[j];
    }
  }
  return G;
}

function randomisedSvd(
  matrix: SparseMatrix,
  options: SvdOptions & { oversample: number },
): Svd {
  const { rank, oversample, powerIterations = 4, seed = 0 } = options;
  const n = matrix.cols, width = rank + oversample;
  const stream = randomStream({ seed, stream: "docid/svd", step: 0 });
  const flipped = transposeCsr(matrix);
  let Q: Float32Array = new Float32Array(n * width);
  for (let i = 0; i < Q.length; i++) Q[i] = stream.normal();
  const timesGram = (X: Float32Array): Float32Array =>
    csrTimesDense(flipped, csrTimesDense(matrix, X, width), width);
  for (let i = 0; i <= powerIterations; i++) {
    Q = orthonormalised(timesGram(Q), { n, width, passes: i < powerIterations ? 1 : 2 });
  }
  const small = transposedTimes(Q, timesGram(Q), n, width);
  const { values, vectors } = symmetricEigen(small, width);
  const S = singularValues(values, rank);
  const turn = new Float32Array(rank * width);
  for (let j = 0; j < rank; j++) {
    for (let i = 0; i < width && S[j] > 0; i++) turn[j * width + i] = vectors[i * width + j];
  }
  const V = timesTransposed(Q, turn, { n, m: rank, k: width });
  return finish(csrTimesDense(matrix, V, rank), S, V);
}

function singularValues(eigenvalues: Float64Array, rank: number): Float64Array {
  const least = eigenvalues[0] * RANK_TOLERANCE ** 2;
  return Float64Array.from(
    eigenvalues.subarray(0, rank),
    (value) => value > least ? Math.sqrt(value) : 0,
  );
}

/** U = M·V/S, in place of M·V. */
function finish(MV: Float32Array, S: Float64Array, V: Float32Array): Svd {
  const rank = S.length;
  for (let i = 0; i < MV.length; i++) {
    const s = S[i % rank];
    MV[i] = s > 0 ? MV[i] / s : 0;
  }
  return {
    U: hostTensor("float32", MV, [MV.length / rank, rank]),
    S,
    V: hostTensor("float32", V, [V.length / rank, rank]),
  };
}

/** Vectors of documents and terms whose products are the weights of a term matrix. */
export interface SvdStart {
  /** [V, W] term vectors, U·√S. */
  readonly termVectors: HostTensor<"float32">;
  /** [N, W] document vectors, V·√S. */
  readonly docVectors: HostTensor<"float32">;
  /** [W] singular values, largest first. */
  readonly singularValues: Float64Array;
}

/**
 * Factors of a matrix of term weights: M ≈ T·Dᵀ with T = U·√S and D = V·√S, so that a question that
 * is the sum of its terms' vectors scores a document as the matrix does. With W = N it is equal up to
 * rounding, and with BM25 weights the ranking is BM25's.
 *
 * @param matrix [V, N] weight of each term in each document
 * @param options Rank W and method; W is at most the smaller side of the matrix
 * @throws {DataError} If `rank` is not a positive integer
 * @example
 * ```ts
 * import { svdStart } from "./svd.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * // Term 0 weighs 3 in document 0, term 1 weighs 4 in document 1.
 * const matrix = {
 *   rows: 2,
 *   cols: 2,
 *   offsets: Int32Array.of(0, 1, 2),
 *   indices: Int32Array.of(0, 1),
 *   values: Float32Array.of(3, 4),
 * };
 * const { termVectors: { data: t }, docVectors: { data: d } } = svdStart(matrix, { rank: 2 });
 * assertAlmostEquals(t[0] * d[0] + t[1] * d[1], 3, 1e-5);
 * ```
 */
export function svdStart(matrix: SparseMatrix, options: SvdOptions): SvdStart {
  const { U, S, V } = sparseSvd(matrix, options);
  const root = S.map(Math.sqrt);
  scaleColumns(U.data, root);
  scaleColumns(V.data, root);
  return { termVectors: U, docVectors: V, singularValues: S };
}

/** Choices of {@linkcode lsaVectors}. */
export interface LsaOptions {
  /** Width W of the vectors. */
  dimensions: number;
  /** Seed of the random start. Default 0. */
  seed?: number;
  /** Scale every document to length 1, so that distance means angle. Default `true`. */
  normalise?: boolean;
}

/**
 * Latent semantic vectors of documents: rows of U·S for the largest singular values of the matrix of
 * term weights (Deerwester et al. 1990). Documents without terms are 0.
 *
 * @param matrix [N, V] weights, such as TF-IDF or BM25, of each document's terms
 * @param options Width, seed and scale
 * @returns [N, W], W at most the smaller side of the matrix
 * @throws {DataError} If `dimensions` is not a positive integer
 * @example
 * ```ts
 * import { lsaVectors } from "./svd.ts";
 * import { assertEquals } from "@std/assert";
 * const counts = {
 *   rows: 3,
 *   cols: 2,
 *   offsets: Int32Array.of(0, 1, 2, 2),
 *   indices: Int32Array.of(0, 1),
 *   values: Float32Array.of(3, 4),
 * };
 * assertEquals(lsaVectors(counts, { dimensions: 2 }).shape, [3, 2]);
 * ```
 */
export function lsaVectors(matrix: SparseMatrix, options: LsaOptions): HostTensor<"float32"> {
  const { U, S } = sparseSvd(matrix, { rank: options.dimensions, seed: options.seed });
  scaleColumns(U.data, S);
  if (options.normalise ?? true) normaliseRows(U.data, S.length);
  return U;
}

function scaleColumns(data: Float32Array, scale: Float64Array): void {
  for (let i = 0; i < data.length; i++) data[i] *= scale[i % scale.length];
}

function normaliseRows(data: Float32Array, width: number): void {
  for (let from = 0; from < data.length; from += width) {
    const row = data.subarray(from, from + width);
    const length = Math.hypot(...row);
    if (length > 0) { for (let j = 0; j < width; j++) row[j] /= length; }
  }
}
