/** Rows that are computed together. @module */

/**
 * Numbers of items, dealt out by length, so that rows of one part need little padding: as few parts of at most
 * `rows` items as possible, of equal size but for the last.
 *
 * @param chosen The items
 * @param rows Most items of a part
 * @param length Length of an item
 */
export function partsByLength(
  chosen: readonly number[],
  rows: number,
  length: (i: number) => number,
): number[][] {
  const sorted = chosen.toSorted((a, b) => length(a) - length(b) || a - b);
  const count = Math.ceil(sorted.length / rows), size = Math.ceil(sorted.length / count);
  return Array.from({ length: count }, (_, i) => sorted.slice(i * size, (i + 1) * size))
    .filter((part) => part.length);
}
