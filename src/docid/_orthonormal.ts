/** Orthonormal bases of tall matrices. @module */
import { timesTransposed, transposedTimes } from "./_matmul.ts";

/** A column whose part across those before it is below this share (squared) depends on them. */
const DEPENDENT = 1e-12;

/**
 * A basis of the columns' span: X·R⁻¹ with XᵀX = RᵀR. Two passes make it orthonormal to rounding
 * (Cholesky QR 2; Yamamoto et al. 2015), one is enough between power iterations. Columns that depend
 * on earlier ones become 0.
 *
 * @param X [n, width]
 * @returns [n, width]
 */
export function orthonormalised(
  X: Float32Array,
  { n, width, passes }: { n: number; width: number; passes: 1 | 2 },
): Float32Array {
  for (let pass = 0; pass < passes; pass++) {
    const inverse = inverseFactor(transposedTimes(X, X, n, width), width);
    X = timesTransposed(X, inverse, { n, m: width, k: width });
  }
  return X;
}

/** L⁻¹ with L·Lᵀ = G [width, width]; the row of a dependent column is 0. */
function inverseFactor(G: Float64Array, width: number): Float32Array {
  const scale = new Float64Array(width);
  for (let i = 0; i < width; i++) {
    const square = G[i * width + i];
    scale[i] = square > 0 ? 1 / Math.sqrt(square) : 0;
  }
  const L = new Float64Array(width * width), inverse = new Float64Array(width * width);
  for (let i = 0; i < width; i++) {
    const row = i * width;
    for (let j = 0; j <= i; j++) {
      let rest = G[row + j] * scale[i] * scale[j];
      for (let k = 0, a = row, b = j * width; k < j; k++) rest -= L[a++] * L[b++];
      const pivot = L[j * width + j];
      if (j < i) L[row + j] = pivot > 0 ? rest / pivot : 0;
      else L[row + i] = rest > DEPENDENT ? Math.sqrt(rest) : 0;
    }
    if (L[row + i] === 0) continue;
    // row i of the inverse: (eᵢ - Σ L[i, k]·inverse[k]) / L[i, i]
    inverse[row + i] = 1;
    for (let k = 0; k < i; k++) {
      const factor = L[row + k];
      for (let j = 0; j <= k; j++) inverse[row + j] -= factor * inverse[k * width + j];
    }
    for (let j = 0; j <= i; j++) inverse[row + j] /= L[row + i];
  }
  return Float32Array.from(inverse, (x, at) => x * scale[at % width]);
}
