/** Eigenvectors of symmetric matrices. @module */
import { DataError, ShapeError } from "../errors.ts";

/** What {@linkcode symmetricEigen} finds. */
export interface SymmetricEigen {
  /** [n] eigenvalues, largest first. */
  readonly values: Float64Array;
  /** [n, n] row i is component i of all eigenvectors: column j belongs to `values[j]`. */
  readonly vectors: Float64Array;
}

/**
 * All eigenvalues and orthonormal eigenvectors of a symmetric matrix in float64: Householder
 * reflections to tridiagonal form, then the implicit QL algorithm (Golub & Van Loan, "Matrix
 * Computations", §8.3; Wilkinson & Reinsch 1971, `tred2` and `tql2`).
 *
 * Departures, for speed alone: the rank-2 update of one reflection and the product for the next go
 * over the matrix together; reflections go over a few columns, and rotations of several sweeps over a
 * few rows at a time, so that these stay in the cache.
 *
 * @param matrix [n, n] symmetric; not changed
 * @param n Rows and columns
 * @throws {ShapeError} If `matrix` does not hold n × n numbers
 * @throws {DataError} If a number is not finite
 * @example
 * ```ts
 * import { symmetricEigen } from "./eigen.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const { values } = symmetricEigen(Float64Array.of(2, 1, 1, 2), 2);
 * assertAlmostEquals(values[0], 3);
 * assertAlmostEquals(values[1], 1);
 * ```
 */
export function symmetricEigen(matrix: Float64Array, n: number): SymmetricEigen {
  if (matrix.length !== n * n) {
    throw new ShapeError(`Cannot read ${matrix.length} numbers as a matrix [${n}, ${n}]`);
  }
  const { diagonal, offDiagonal, reflections, factors } = tridiagonalise(matrix.slice(), n);
  if (![...diagonal, ...offDiagonal].every(Number.isFinite)) {
    throw new DataError("Cannot find eigenvectors: the matrix holds numbers that are not finite");
  }
  const vectors = accumulate(reflections, factors, n);
  diagonalise(diagonal, offDiagonal, vectors, n);
  return sortDescending(diagonal, vectors, n);
}

interface Tridiagonal {
  diagonal: Float64Array;
  /** [n] entry i couples i and i + 1; the last is 0. */
  offDiagonal: Float64Array;
  /** [n, n] row k holds the reflection vector of step k in columns k + 1 … n - 1. */
  reflections: Float64Array;
  /** [n] H = I - factor·v·vᵀ. */
  factors: Float64Array;
}

/** Reduce `A` [n, n], which is overwritten, by reflections of the columns below the diagonal. */
function tridiagonalise(A: Float64Array, n: number): Tridiagonal {
  const diagonal = new Float64Array(n), offDiagonal = new Float64Array(n);
  const factors = new Float64Array(n), reflections = new Float64Array(n * n);
  // The update of the step before, A -= v·wᵀ + w·vᵀ, is still due when a step begins.
  let v = new Float64Array(n), w = new Float64Array(n);
  let nextV = new Float64Array(n), product = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    const row = k * n;
    for (let j = k; j < n; j++) A[row + j] -= v[k] * w[j] + w[k] * v[j];
    diagonal[k] = A[row + k];
    if (k === n - 1) break;
    let tail = 0;
    for (let j = k + 2; j < n; j++) tail += A[row + j] * A[row + j];
    const head = A[row + k + 1];
    const norm = Math.sqrt(head * head + tail);
    let factor = 0;
    if (tail > 0) {
      const alpha = head > 0 ? -norm : norm;
      offDiagonal[k] = alpha;
      const first = head - alpha;
      factor = 2 / (first * first + tail);
      nextV.set(A.subarray(row + k + 1, row + n), k + 1);
      nextV[k + 1] = first;
    } else {
      offDiagonal[k] = head;
      nextV.fill(0, k + 1);
    }
    factors[k] = factor;
    reflections.set(nextV.subarray(k + 1, n), row + k + 1);
    updateAndMultiply(A, { v, w, nextV, product }, k + 1, n);
    let inner = 0;
    for (let j = k + 1; j < n; j++) inner += product[j] * nextV[j];
    const shift = factor * factor * inner / 2;
    for (let j = k + 1; j < n; j++) product[j] = factor * product[j] - shift * nextV[j];
    [v, w, nextV, product] = [nextV, product, v, w];
  }
  return { diagonal, offDiagonal, reflections, factors };
}

/** In one pass over rows and columns from `from`: A -= v·wᵀ + w·vᵀ, then product = A·nextV. */
function updateAndMultiply(
  A: Float64Array,
  vectors: Record<"v" | "w" | "nextV" | "product", Float64Array>,
  from: number,
  n: number,
): void {
  const { v, w, nextV, product } = vectors;
  let i = from;
  for (; i + 2 <= n; i += 2) {
    const v0 = v[i], v1 = v[i + 1], w0 = w[i], w1 = w[i + 1];
    let sum0 = 0, sum1 = 0;
    for (let j = from, a = i * n + from, b = a + n; j < n; j++, a++, b++) {
      const vj = v[j], wj = w[j], next = nextV[j];
      const x = A[a] - v0 * wj - w0 * vj;
      const y = A[b] - v1 * wj - w1 * vj;
      A[a] = x;
      A[b] = y;
      sum0 += x * next;
      sum1 += y * next;
    }
    product[i] = sum0;
    product[i + 1] = sum1;
  }
  for (; i < n; i++) {
    let sum = 0;
    for (let j = from, a = i * n + from; j < n; j++, a++) {
      sum += (A[a] -= v[i] * w[j] + w[i] * v[j]) * nextV[j];
    }
    product[i] = sum;
  }
}

/** Columns that go through all reflections together: with 2,000 rows they fit the cache. */
const STRIP = 4;

/** The product of all reflections, [n, n]. */
function accumulate(reflections: Float64Array, factors: Float64Array, n: number): Float64Array {
  const Q = new Float64Array(n * n), strip = new Float64Array(n * STRIP);
  for (let start = 0; start < n; start += STRIP) {
    // Reflections from `last` on leave these columns of the identity as they are.
    const width = Math.min(STRIP, n - start), last = Math.min(start + width - 1, n - 1);
    strip.fill(0);
    for (let j = 0; j < width; j++) strip[(start + j) * STRIP + j] = 1;
    for (let k = last - 1; k >= 0; k--) {
      if (factors[k] !== 0) reflect(strip, reflections, { factor: factors[k], k, n });
    }
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < width; j++) Q[i * n + start + j] = strip[i * STRIP + j];
    }
  }
  return Q;
}

/** strip -= factor·v·(vᵀ·strip), with v in row k of the reflections. */
function reflect(
  strip: Float64Array,
  reflections: Float64Array,
  { factor, k, n }: { factor: number; k: number; n: number },
): void {
  let p0 = 0, p1 = 0, p2 = 0, p3 = 0;
  const row = k * n, first = (k + 1) * STRIP;
  for (let i = k + 1, at = first; i < n; i++, at += STRIP) {
    const v = reflections[row + i];
    p0 += v * strip[at];
    p1 += v * strip[at + 1];
    p2 += v * strip[at + 2];
    p3 += v * strip[at + 3];
  }
  p0 *= factor;
  p1 *= factor;
  p2 *= factor;
  p3 *= factor;
  for (let i = k + 1, at = first; i < n; i++, at += STRIP) {
    const v = reflections[row + i];
    strip[at] -= v * p0;
    strip[at + 1] -= v * p1;
    strip[at + 2] -= v * p2;
    strip[at + 3] -= v * p3;
  }
}

/** Rotations of one QL sweep: of columns i and i + 1 for i = to - 1 … from. */
interface Sweep {
  from: number;
  to: number;
  readonly cosines: Float64Array;
  readonly sines: Float64Array;
}

/** Sweeps that are collected before they go over the eigenvectors, row by row, out of the cache. */
const SWEEPS = 8;

/** Implicit QL on (d, e); the rotations also go over the columns of Z [n, n]. */
function diagonalise(d: Float64Array, e: Float64Array, Z: Float64Array, n: number): void {
  const sweeps = Array.from({ length: SWEEPS }, (): Sweep => ({
    from: 0,
    to: 0,
    cosines: new Float64Array(n),
    sines: new Float64Array(n),
  }));
  let waiting = 0;
  const flush = (): void => {
    for (let row = 0; row < n; row += 4) {
      for (let i = 0; i < waiting; i++) rotateRows(Z, n, row, sweeps[i]);
    }
    waiting = 0;
  };
  for (let l = 0; l < n; l++) {
    for (;;) {
      let m = l;
      while (m < n - 1) {
        const scale = Math.abs(d[m]) + Math.abs(d[m + 1]);
        if (Math.abs(e[m]) <= Number.EPSILON * scale) break;
        m++;
      }
      if (m === l) break;
      const next = sweeps[waiting++];
      next.to = m;
      next.from = sweep(d, e, l, next);
      if (waiting === SWEEPS) flush();
    }
  }
  flush();
}

/** One QL sweep with Wilkinson's shift from `to` up to l; returns the last index that was rotated. */
function sweep(
  d: Float64Array,
  e: Float64Array,
  l: number,
  { to: m, cosines, sines }: Sweep,
): number {
  let g = (d[l + 1] - d[l]) / (2 * e[l]);
  const radius = Math.hypot(g, 1);
  g = d[m] - d[l] + e[l] / (g + (g >= 0 ? radius : -radius));
  let s = 1, c = 1, p = 0;
  for (let i = m - 1; i >= l; i--) {
    const f = s * e[i], b = c * e[i];
    let r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] -= p;
      e[m] = 0;
      return i + 1;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1] - p;
    r = (d[i] - g) * s + 2 * c * b;
    p = s * r;
    d[i + 1] = g + p;
    g = c * r - b;
    cosines[i] = c;
    sines[i] = s;
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
  return l;
}

/** Apply the rotations of a sweep to rows `row` … `row + 3` of Z. */
function rotateRows(Z: Float64Array, n: number, row: number, sweep: Sweep): void {
  const { from, to, cosines, sines } = sweep;
  if (row + 4 > n) {
    for (; row < n; row++) rotateRow(Z, row * n, sweep);
    return;
  }
  let a = row * n + to, b = a + n, x = b + n, y = x + n;
  let fa = Z[a], fb = Z[b], fx = Z[x], fy = Z[y];
  for (let i = to - 1; i >= from; i--) {
    const c = cosines[i], s = sines[i];
    const ga = Z[a - 1], gb = Z[b - 1], gx = Z[x - 1], gy = Z[y - 1];
    Z[a--] = s * ga + c * fa;
    Z[b--] = s * gb + c * fb;
    Z[x--] = s * gx + c * fx;
    Z[y--] = s * gy + c * fy;
    fa = c * ga - s * fa;
    fb = c * gb - s * fb;
    fx = c * gx - s * fx;
    fy = c * gy - s * fy;
  }
  Z[a] = fa;
  Z[b] = fb;
  Z[x] = fx;
  Z[y] = fy;
}

function rotateRow(Z: Float64Array, start: number, { from, to, cosines, sines }: Sweep): void {
  for (let i = to - 1, a = start + to; i >= from; i--, a--) {
    const f = Z[a], g = Z[a - 1];
    Z[a] = sines[i] * g + cosines[i] * f;
    Z[a - 1] = cosines[i] * g - sines[i] * f;
  }
}

function sortDescending(values: Float64Array, vectors: Float64Array, n: number): SymmetricEigen {
  const order = Int32Array.from({ length: n }, (_, i) => i)
    .sort((a, b) => values[b] - values[a] || a - b);
  const sorted = new Float64Array(n * n);
  for (let row = 0; row < n * n; row += n) {
    for (let j = 0; j < n; j++) sorted[row + j] = vectors[row + order[j]];
  }
  return { values: Float64Array.from(order, (i) => values[i]), vectors: sorted };
}
