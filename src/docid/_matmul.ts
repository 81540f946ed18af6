/** Dense products on typed arrays, tiled for registers and cache. @module */

/**
 * out[i, j] = Σₖ a[i, k]·b[j, k], summed in float64: both factors by rows, so that every read is
 * sequential. A tile of 4 × 2 sums stays in registers; `a` goes by in strips that stay in the cache.
 *
 * One element type for all callers: V8 makes slow code for a function that sees several.
 *
 * @param a [from + n, k]
 * @param b [m, k]
 * @param out [n, m]
 * @param sizes n, m, k, and the first row of `a` to use
 */
export function matmulNT(
  a: Float32Array,
  b: Float32Array,
  out: Float64Array,
  sizes: { n: number; m: number; k: number; from?: number },
): void {
  const { n, m, k, from = 0 } = sizes;
  const strip = Math.max(4, Math.floor(8192 / k) & ~3);
  for (let start = 0; start < n; start += strip) {
    const end = Math.min(n, start + strip);
    let j = 0;
    for (; j + 2 <= m; j += 2) {
      let i = start;
      for (; i + 4 <= end; i += 4) tile4x2(a, b, out, (from + i) * k, j * k, i * m + j, m, k);
      for (; i < end; i++) {
        out[i * m + j] = dot(a, b, (from + i) * k, j * k, k);
        out[i * m + j + 1] = dot(a, b, (from + i) * k, (j + 1) * k, k);
      }
    }
    if (j < m) {
      for (let i = start; i < end; i++) out[i * m + j] = dot(a, b, (from + i) * k, j * k, k);
    }
  }
}

function tile4x2(
  a: Float32Array,
  b: Float32Array,
  out: Float64Array,
  a0: number,
  b0: number,
  at: number,
  m: number,
  k: number,
): void {
  let s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
  let a1 = a0 + k, a2 = a1 + k, a3 = a2 + k, b1 = b0 + k;
  for (let p = 0; p < k; p++) {
    const y0 = b[b0++], y1 = b[b1++];
    const x0 = a[a0++], x1 = a[a1++], x2 = a[a2++], x3 = a[a3++];
    s00 += x0 * y0;
    s01 += x0 * y1;
    s10 += x1 * y0;
    s11 += x1 * y1;
    s20 += x2 * y0;
    s21 += x2 * y1;
    s30 += x3 * y0;
    s31 += x3 * y1;
  }
  out[at] = s00;
  out[at + 1] = s01;
  out[at += m] = s10;
  out[at + 1] = s11;
  out[at += m] = s20;
  out[at + 1] = s21;
  out[at += m] = s30;
  out[at + 1] = s31;
}

function dot(a: Float32Array, b: Float32Array, a0: number, b0: number, k: number): number {
  let s0 = 0, s1 = 0, i = 0;
  for (; i + 2 <= k; i += 2) {
    s0 += a[a0 + i] * b[b0 + i];
    s1 += a[a0 + i + 1] * b[b0 + i + 1];
  }
  return i < k ? s0 + s1 + a[a0 + i] * b[b0 + i] : s0 + s1;
}

/** Rows that go through one call of {@linkcode matmulNT} where the whole product is too large. */
const STRIP = 1024;

/**
 * a·bᵀ rounded to float32.
 *
 * @param a [n, k]
 * @param b [m, k]
 * @returns [n, m]
 */
export function timesTransposed(
  a: Float32Array,
  b: Float32Array,
  sizes: { n: number; m: number; k: number },
): Float32Array {
  const { n, m, k } = sizes;
  const out = new Float32Array(n * m);
  const part = new Float64Array(Math.min(STRIP, n) * m);
  for (let from = 0; from < n; from += STRIP) {
    const rows = Math.min(STRIP, n - from);
    matmulNT(a, b, part, { n: rows, m, k, from });
    out.set(part.subarray(0, rows * m), from * m);
  }
  return out;
}

/**
 * XᵀY in float64.
 *
 * @param X [n, width]
 * @param Y [n, width]
 * @returns [width, width]
 */
export function transposedTimes(
  X: Float32Array,
  Y: Float32Array,
  n: number,
  width: number,
): Float64Array {
  const total = new Float64Array(width * width), part = new Float64Array(width * width);
  for (let from = 0; from < n; from += STRIP) {
    const k = Math.min(STRIP, n - from);
    const flip = (A: Float32Array): Float32Array =>
      transposed(A.subarray(from * width, (from + k) * width), k, width);
    const flipped = flip(X);
    matmulNT(flipped, X === Y ? flipped : flip(Y), part, { n: width, m: width, k });
    for (let i = 0; i < total.length; i++) total[i] += part[i];
  }
  return total;
}

/** The transpose of `a` [n, m], copied by blocks. */
function transposed(a: Float32Array, n: number, m: number): Float32Array {
  const out = new Float32Array(n * m);
  const block = 32;
  for (let i0 = 0; i0 < n; i0 += block) {
    for (let j0 = 0; j0 < m; j0 += block) {
      const i1 = Math.min(n, i0 + block), j1 = Math.min(m, j0 + block);
      for (let i = i0; i < i1; i++) for (let j = j0; j < j1; j++) out[j * n + i] = a[i * m + j];
    }
  }
  return out;
}
