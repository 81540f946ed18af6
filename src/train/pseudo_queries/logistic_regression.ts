/** A small logistic regression. @module */
import { ShapeError } from "../../errors.ts";

/**
 * Weights w of p(y = 1 | x) = 1 / (1 + exp(−w·x)) that maximise the log-likelihood −½ λ‖w‖².
 *
 * Newton's method, w ← w + (Xᵀ diag(p(1−p)) X + λI)⁻¹ (Xᵀ(y − p) − λw), 12 steps: the objective is
 * concave and F is small, so each step is one pass over the rows and a Cholesky solve.
 *
 * @param features [R, F], row-major; put a column of ones for an intercept
 * @param labels [R] 0 or 1
 * @param options `width` is F; `ridge` is λ > 0, default 1, which keeps separable data finite
 * @returns [F]
 * @throws {ShapeError} If `features` does not hold R × F numbers
 * @example A coin that came up heads three times of four
 * ```ts
 * import { fitLogisticRegression } from "./logistic_regression.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const [w] = fitLogisticRegression([1, 1, 1, 1], [1, 1, 1, 0], { width: 1, ridge: 1e-9 });
 * assertAlmostEquals(w, Math.log(3), 1e-6);
 * ```
 */
export function fitLogisticRegression(
  features: ArrayLike<number>,
  labels: ArrayLike<number>,
  options: { width: number; ridge?: number },
): Float64Array {
  const { width: F, ridge = 1 } = options;
  const R = labels.length;
  if (features.length !== R * F) {
    throw new ShapeError(
      `Cannot fit a logistic regression: ${features.length} features are not ${R} rows of ${F}`,
    );
  }
  const w = new Float64Array(F);
  for (let step = 0; step < 12; step++) {
    const gradient = w.map((v) => -ridge * v);
    const hessian = new Float64Array(F * F);
    for (let f = 0; f < F; f++) hessian[f * F + f] = ridge;
    for (let r = 0; r < R; r++) {
      let z = 0;
      for (let f = 0; f < F; f++) z += w[f] * features[r * F + f];
      const p = 1 / (1 + Math.exp(-z)), residual = labels[r] - p, curvature = p * (1 - p);
      for (let f = 0; f < F; f++) {
        const x = features[r * F + f];
        gradient[f] += residual * x;
        for (let g = 0; g <= f; g++) hessian[f * F + g] += curvature * x * features[r * F + g];
      }
    }
    const change = solveCholesky(hessian, gradient);
    for (let f = 0; f < F; f++) w[f] += change[f];
  }
  return w;
}

/** A⁻¹b of a symmetric positive definite matrix, of which the lower triangle is read and overwritten. */
function solveCholesky(a: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j];
      for (let k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i === j ? Math.sqrt(sum) : sum / a[j * n + j];
    }
  }
  const x = b.slice();
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] -= a[i * n + k] * x[k];
    x[i] /= a[i * n + i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= a[k * n + i] * x[k];
    x[i] /= a[i * n + i];
  }
  return x;
}
