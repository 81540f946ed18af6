/** Mean and variance of some numbers. */
export interface Moments {
  /** Arithmetic mean; NaN for no numbers. */
  mean: number;
  /** Unbiased variance (n − 1); 0 for fewer than two numbers. */
  variance: number;
}

/**
 * {@linkcode Moments} of `values`. Equal numbers have exactly themselves as mean and variance 0.
 */
export function momentsOf(values: ArrayLike<number>): Moments {
  const n = values.length, first = values[0];
  // Summed as distances from the first: 0.1 + 0.1 + 0.1 would not be 3 · 0.1.
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i] - first;
  const mean = first + sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i] - mean) ** 2;
  return { mean, variance: n < 2 ? 0 : squares / (n - 1) };
}
