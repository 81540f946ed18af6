/** Clipping gradients by their global norm. @module */

/**
 * What to multiply gradients with so that their global norm is at most `maxNorm`.
 *
 *   min(1, maxNorm / (norm + 1e-6))
 *
 * Source: `torch.nn.utils.clip_grad_norm_`, its 1e-6 included. Departure: none.
 *
 * @param norm Euclidean norm over all gradients
 * @param maxNorm Limit, > 0; `undefined` never clips
 * @example
 * ```ts
 * import { clipFactor } from "./clip.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * assertAlmostEquals(clipFactor(4, 1), 0.25, 1e-6);
 * assertEquals(clipFactor(0.5, 1), 1);
 * ```
 */
export function clipFactor(norm: number, maxNorm?: number): number {
  return maxNorm === undefined ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
}
