/** Eigenvectors of symmetric matrices. @module */
import { ShapeError } from "../errors.ts";

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
 * over the matrix together; the rotations of one QL sweep are collected and then applied row by row.
 *
 * @param matrix [n, n] symmetric; not changed
 * @param n Rows and columns
 * @throws {ShapeError} If `matrix` does not hold n × n numbers
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

/** The product of all reflections, [n, n]. */
function accumulate(reflections: Float64Array, factors: Float64Array, n: number): Float64Array {
  const Q = new Float64Array(n * n), product = new Float64Array(n);
  for (let i = 0; i < n; i++) Q[i * n + i] = 1;
  for (let k = n - 2; k >= 0; k--) {
    if (factors[k] === 0) continue;
    const v = reflections.subarray(k * n, (k + 1) * n);
    product.fill(0);
    // Q -= factor·v·(vᵀ·Q), within rows and columns from k + 1
    let i = k + 1;
    for (; i + 4 <= n; i += 4) {
      const v0 = v[i], v1 = v[i + 1], v2 = v[i + 2], v3 = v[i + 3];
      for (let j = k + 1, a = i * n + j, b = a + n, c = b + n, d = c + n; j < n; j++) {
        product[j] += v0 * Q[a++] + v1 * Q[b++] + v2 * Q[c++] + v3 * Q[d++];
      }
    }
    for (; i < n; i++) for (let j = k + 1; j < n; j++) product[j] += v[i] * Q[i * n + j];
    for (i = k + 1; i < n; i++) {
      const scale = factors[k] * v[i];
      for (let j = k + 1, a = i * n + j; j < n; j++) Q[a++] -= scale * product[j];
    }
  }
  return Q;
}

/** Implicit QL on (d, e); the rotations also go over the columns of Z [n, n]. */
function diagonalise(d: Float64Array, e: Float64Array, Z: Float64Array, n: number): void {
  const cosines = new Float64Array(n), sines = new Float64Array(n);
  for (let l = 0; l < n; l++) {
    for (;;) {
      let m = l;
      while (m < n - 1) {
        const scale = Math.abs(d[m]) + Math.abs(d[m + 1]);
        if (Math.abs(e[m]) <= Number.EPSILON * scale) break;
        m++;
      }
      if (m === l) break;
      const until = sweep(d, e, l, m, { cosines, sines });
      rotateColumns(Z, n, until, m, { cosines, sines });
    }
  }
}

/** One QL sweep with Wilkinson's shift from m up to l; returns the last index that was rotated. */
function sweep(
  d: Float64Array,
  e: Float64Array,
  l: number,
  m: number,
  { cosines, sines }: { cosines: Float64Array; sines: Float64Array },
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

/** Apply rotations m - 1 … l, each of columns i and i + 1, to every row of Z. */
function rotateColumns(
  Z: Float64Array,
  n: number,
  l: number,
  m: number,
  { cosines, sines }: { cosines: Float64Array; sines: Float64Array },
): void {
  let row = 0;
  for (; row + 4 <= n; row += 4) {
    let a = row * n + m, b = a + n, x = b + n, y = x + n;
    let fa = Z[a], fb = Z[b], fx = Z[x], fy = Z[y];
    for (let i = m - 1; i >= l; i--) {
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
  for (; row < n; row++) {
    for (let i = m - 1, a = row * n + m; i >= l; i--, a--) {
      const f = Z[a], g = Z[a - 1];
      Z[a] = sines[i] * g + cosines[i] * f;
      Z[a - 1] = cosines[i] * g - sines[i] * f;
    }
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
