/** A price on leaving the reference model that finds its own level. @module */

/** Where the divergence should be, and how fast the price may change. */
export interface KlTarget {
  /** Divergence to aim at, in nats, in the same form as what is observed (TRL: per sequence). */
  target: number;
  /** Samples over which the coefficient may change by a fifth. */
  horizon: number;
  /** Samples behind this observation. */
  samples: number;
}

/**
 * The KL coefficient of the next step (Ziegler et al. 2019).
 *
 *   e = clip(observed / target − 1, −0.2, 0.2)        β' = β · (1 + e · samples / horizon)
 *
 * Source: TRL's `AdaptiveKLController`. Departure: none.
 *
 * @param coefficient β, ≥ 0
 * @param observedKl Divergence from the reference, in nats
 * @param options Target and pace
 * @returns β'
 * @example Ten per cent above the target, one horizon long
 * ```ts
 * import { nextKlCoefficient } from "./kl_coefficient.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const next = nextKlCoefficient(0.5, 6.6, { target: 6, horizon: 64, samples: 64 });
 * assertAlmostEquals(next, 0.55);
 * ```
 */
export function nextKlCoefficient(
  coefficient: number,
  observedKl: number,
  options: KlTarget,
): number {
  const { target, horizon, samples } = options;
  const error = Math.min(0.2, Math.max(-0.2, observedKl / target - 1));
  return coefficient * (1 + error * samples / horizon);
}
