/** Dense products on typed arrays, tiled for registers and cache. @module */

/** Either float type. */
export type Floats = Float32Array | Float64Array;

/**
 * out[i, j] = Σₖ a[i, k]·b[j, k]: both factors by rows, so that every read is sequential.
 * A tile of 4 × 2 sums stays in registers; `a` goes by in strips that stay in the cache.
 *
 * @param a [n, k]
 * @param b [m, k]
 * @param out [n, m]
 * @param sizes n, m, k, and the first row of `a` to use
 */
export function matmulNT<T extends Floats>(
  a: T,
  b: T,
  out: T,
  sizes: { n: number; m: number; k: number; from?: number },
): void {
  const { n, m, k, from = 0 } = sizes;
  const strip = Math.max(4, Math.floor(16384 / k) & ~3);
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
  a: Floats,
  b: Floats,
  out: Floats,
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

/** Σ a[a0 + i]·b[b0 + i] over `n` elements. */
export function dot(a: Floats, b: Floats, a0: number, b0: number, n: number): number {
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0, i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += a[a0 + i] * b[b0 + i];
    s1 += a[a0 + i + 1] * b[b0 + i + 1];
    s2 += a[a0 + i + 2] * b[b0 + i + 2];
    s3 += a[a0 + i + 3] * b[b0 + i + 3];
  }
  for (; i < n; i++) s0 += a[a0 + i] * b[b0 + i];
  return s0 + s1 + (s2 + s3);
}

/** The transpose of `a` [n, m] as a new array [m, n], copied by blocks. */
export function transposed<T extends Floats>(a: T, n: number, m: number): T {
  const out = new (a.constructor as new (length: number) => T)(n * m);
  const block = 32;
  for (let i0 = 0; i0 < n; i0 += block) {
    for (let j0 = 0; j0 < m; j0 += block) {
      const i1 = Math.min(n, i0 + block), j1 = Math.min(m, j0 + block);
      for (let i = i0; i < i1; i++) for (let j = j0; j < j1; j++) out[j * n + i] = a[i * m + j];
    }
  }
  return out;
}
