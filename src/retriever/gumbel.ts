/** Samples without replacement. @module */
import { ShapeError } from "../errors.ts";
import type { RandomStream } from "../tensor/random.ts";

/** A sample without replacement. */
export interface GumbelSample {
  /** [K] indices, in the order in which they were drawn. */
  readonly indices: Int32Array;
  /** [K] logarithm of the probability that each is in such a sample, given the threshold; ≤ 0. */
  readonly logInclusion: Float64Array;
}

/**
 * K of N indices without replacement, each draw in proportion to the probabilities that are left, by the
 * Gumbel-top-k trick (Kool et al. 2019, "Stochastic Beams and Where to Find Them", §2–4):
 *
 *   G_i = log p_i + γ_i,  γ_i = −log(−log u_i)      the K largest are the sample
 *   κ   = the (K+1)-th largest                      the threshold
 *   π_i = P(G_i > κ) = 1 − exp(−exp(log p_i − κ))
 *
 * Σ_{i∈sample} p_i/π_i · f_i has the expectation Σ_i p_i f_i. With K ≥ N all indices are there and π = 1.
 *
 * @param logProbs [N] natural logarithms; −∞ is never drawn before all others
 * @param size K
 * @param random Where the draws come from: N numbers are used
 * @throws {ShapeError} If K is not a positive whole number
 * @example Everything is drawn where there is room
 * ```ts
 * import { randomStream } from "../tensor/random.ts";
 * import { gumbelTopK } from "./gumbel.ts";
 * import { assertEquals } from "@std/assert";
 * const random = randomStream({ seed: 1, stream: "documents", step: 0 });
 * const { indices, logInclusion } = gumbelTopK([Math.log(0.9), Math.log(0.1)], 2, random);
 * assertEquals([...indices].sort(), [0, 1]);
 * assertEquals(logInclusion, Float64Array.of(0, 0));
 * ```
 */
export function gumbelTopK(
  logProbs: ArrayLike<number>,
  size: number,
  random: RandomStream,
): GumbelSample {
  const N = logProbs.length;
  if (!Number.isSafeInteger(size) || size < 1) {
    throw new ShapeError(`Cannot draw ${size} documents: give a positive whole number`);
  }
  const perturbed = Float64Array.from(
    logProbs,
    // 1 − u is in (0, 1]: its logarithm is finite.
    (x) => x - Math.log(-Math.log1p(-random.uniform()) || Number.MIN_VALUE),
  );
  const order = Array.from(perturbed.keys()).sort((a, b) => perturbed[b] - perturbed[a] || a - b);
  const K = Math.min(size, N), indices = Int32Array.from(order.slice(0, K));
  const threshold = K < N ? perturbed[order[K]] : -Infinity;
  return {
    indices,
    logInclusion: Float64Array.from(indices, (i) => {
      if (threshold === -Infinity) return 0;
      return Math.log(-Math.expm1(-Math.exp(logProbs[i] - threshold)));
    }),
  };
}
