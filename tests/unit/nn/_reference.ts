/** Float64 helpers for expected numbers: nothing here uses the code under test. */
import { assert } from "@std/assert";
import { randomStream } from "../../../src/tensor/random.ts";

/** Relative L2 distance allowed between a float32 kernel and float64 arithmetic. */
export const FLOAT32_TOLERANCE = 2e-6;

/** Normal numbers that depend on the name alone. */
export function normals(name: string, n: number): Float32Array {
  const stream = randomStream({ seed: 1, stream: name, step: 0 });
  return Float32Array.from({ length: n }, () => stream.normal());
}

/** Central differences of a float64 function. */
export function numericGradient(f: (x: number[]) => number, x: ArrayLike<number>): number[] {
  const at = Array.from(x), step = 1e-5;
  return at.map((value, i) => {
    at[i] = value + step;
    const above = f(at);
    at[i] = value - step;
    const below = f(at);
    at[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Fails if ‖actual − expected‖ > tolerance · ‖expected‖. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance = FLOAT32_TOLERANCE,
): void {
  assert(actual.length === expected.length, `${actual.length} numbers, not ${expected.length}`);
  let difference = 0, size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  const error = Math.sqrt(difference / Math.max(size, 1e-30));
  assert(error <= tolerance, `relative L2 distance ${error} > ${tolerance}`);
}

/** Rows of a flat matrix. */
export function rowsOf(x: ArrayLike<number>, width: number): number[][] {
  return Array.from(
    { length: x.length / width },
    (_, i) => Array.from({ length: width }, (_, j) => x[i * width + j]),
  );
}

/** log Σ exp x, in float64. */
export function logSumExp(x: readonly number[]): number {
  const top = Math.max(...x);
  return top + Math.log(x.reduce((sum, v) => sum + Math.exp(v - top), 0));
}

/** Σ a·b. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
