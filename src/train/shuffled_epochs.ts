/** The order in which examples are seen. @module */
import { randomStream } from "../tensor/random.ts";

/**
 * The n-th of an endless series of items in which every item comes once before one comes twice: a pure
 * function of n, seed and stream.
 *
 * @param items What to go through, at least one
 * @param key Where the order of an epoch comes from
 * @example
 * ```ts
 * import { shuffledEpochs } from "./shuffled_epochs.ts";
 * import { assertEquals } from "@std/assert";
 * const at = shuffledEpochs(["a", "b", "c"], { seed: 1, stream: "letters" });
 * assertEquals([3, 4, 5].map(at).sort(), ["a", "b", "c"]);
 * ```
 */
export function shuffledEpochs<T>(
  items: readonly T[],
  key: { seed: number; stream: string },
): (n: number) => T {
  let held: { epoch: number; order: readonly number[] } | undefined;
  return (n) => {
    const epoch = Math.floor(n / items.length);
    if (held?.epoch !== epoch) {
      const order = randomStream({ ...key, step: epoch }).shuffle(items.map((_, i) => i));
      held = { epoch, order };
    }
    return items[held.order[n % items.length]];
  };
}
