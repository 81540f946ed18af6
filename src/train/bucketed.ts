/** Batches of texts of similar length, so that little is padded. @module */
import { randomStream } from "../tensor/random.ts";
import type { IndexExample } from "./index_model.ts";

/** Draws the examples of a step: a pure function of step and size. */
export interface ExampleSource {
  /** The examples of a step. */
  batch(step: number, size: number): readonly IndexExample[];
}

/**
 * A source whose batches hold texts of similar length. The examples of `window` steps are drawn
 * together, sorted by length and dealt out in random order: each step is still a pure function of
 * its number.
 *
 * @param source Where examples come from
 * @param options `window`: steps sorted together, default 16; `seed` of the order
 * @example
 * ```ts
 * import { bucketed } from "./bucketed.ts";
 * import { assertEquals } from "@std/assert";
 * const source = {
 *   batch: (step: number, size: number) =>
 *     Array.from({ length: size }, (_, i) => ({
 *       tokenIds: new Int32Array((step * 7 + i * 3) % 8),
 *       doc: 0,
 *       isReal: true,
 *     })),
 * };
 * const lengths = bucketed(source, { window: 4, seed: 1 }).batch(2, 2).map((e) => e.tokenIds.length);
 * assertEquals(Math.abs(lengths[0] - lengths[1]), 1);
 * ```
 */
export function bucketed(
  source: ExampleSource,
  options: { window?: number; seed: number },
): ExampleSource {
  const { window = 16, seed } = options;
  let held: { key: string; batches: IndexExample[][] } | undefined;
  return {
    batch(step, size): readonly IndexExample[] {
      const group = Math.floor(step / window), key = `${group}/${size}`;
      if (held?.key !== key) {
        const all = [...source.batch(group, size * window)];
        const order = all.map((_, i) => i)
          .sort((a, b) => all[a].tokenIds.length - all[b].tokenIds.length || a - b);
        const batches = Array.from(
          { length: window },
          (_, w) => order.slice(w * size, (w + 1) * size).map((i) => all[i]),
        );
        randomStream({ seed, stream: "buckets", step: group }).shuffle(batches);
        held = { key, batches };
      }
      return held.batches[step % window];
    },
  };
}
