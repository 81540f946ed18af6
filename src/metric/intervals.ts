/** 95 % confidence intervals of a share and of a mean. @module */
import { DataError } from "../errors.ts";
import { randomStream } from "../tensor/random.ts";

/** A figure and the ends of its 95 % confidence interval. */
export interface Estimate {
  /** The figure itself. */
  readonly value: number;
  /** Lower end. */
  readonly low: number;
  /** Upper end. */
  readonly high: number;
}

/** Standard normal quantile at .975. */
const Z95 = 1.959963984540054;

/**
 * Wilson's score interval of a share, 95 % (Wilson 1927): right also near 0 and 1 and for few trials.
 *
 *   (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n),   z = 1.96
 *
 * @param successes How many of the trials succeeded
 * @param trials n; NaN throughout for 0
 * @throws {DataError} If there are not 0 ≤ successes ≤ trials whole numbers
 * @example
 * ```ts
 * import { wilsonInterval } from "./intervals.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const { low, high } = wilsonInterval(8, 10);
 * assertAlmostEquals(low, 0.4902, 1e-4);
 * assertAlmostEquals(high, 0.9433, 1e-4);
 * ```
 */
export function wilsonInterval(successes: number, trials: number): Estimate {
  if (
    !Number.isInteger(successes) || !Number.isInteger(trials) || successes < 0 || trials < successes
  ) {
    throw new DataError(
      `Cannot give an interval for ${successes} successes in ${trials} trials: these are no counts`,
    );
  }
  const p = successes / trials, z2 = Z95 * Z95;
  const middle = p + z2 / (2 * trials), scale = 1 + z2 / trials;
  const half = Z95 * Math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials));
  return {
    value: p,
    low: successes === 0 ? 0 : (middle - half) / scale,
    high: successes === trials && trials > 0 ? 1 : (middle + half) / scale,
  };
}

/** Choices of {@linkcode bootstrapMeanInterval}. */
export interface BootstrapOptions {
  /** Seed of the resampling. Default 0. */
  seed?: number;
  /** Number of resamples. Default 1000. */
  resamples?: number;
}

/**
 * Percentile bootstrap interval of a mean, 95 % (Efron 1979): the 2.5 % and 97.5 % quantiles of the
 * means of resamples drawn with replacement. Resample r draws from the stream `("bootstrap", r)`,
 * so the interval is a pure function of values and seed.
 *
 * @param values [n] one figure a question, such as its reciprocal rank; NaN throughout for none
 * @throws {DataError} If `resamples` is not a positive whole number
 * @example
 * ```ts
 * import { bootstrapMeanInterval } from "./intervals.ts";
 * import { assert } from "@std/assert";
 * const { value, low, high } = bootstrapMeanInterval([1, 0.5, 0, 1, 0.25, 1]);
 * assert(low < value && value < high);
 * ```
 */
export function bootstrapMeanInterval(
  values: readonly number[],
  options: BootstrapOptions = {},
): Estimate {
  const { seed = 0, resamples = 1000 } = options;
  if (!Number.isInteger(resamples) || resamples < 1) {
    throw new DataError(`Cannot draw ${resamples} resamples: give a whole number of at least 1`);
  }
  const n = values.length;
  if (n === 0) return { value: NaN, low: NaN, high: NaN };
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    const stream = randomStream({ seed, stream: "bootstrap", step: r });
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[stream.int(n)];
    means[r] = sum / n;
  }
  means.sort();
  const value = values.reduce((a, b) => a + b, 0) / n;
  return { value, low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/** Linear interpolation between order statistics, as NumPy's default. */
function quantile(sorted: Float64Array, q: number): number {
  const position = q * (sorted.length - 1), below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}
