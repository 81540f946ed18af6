/** Places for what lives at different times in one stretch of memory. @module */

/** Memory that is needed for some time. */
export interface Lifetime {
  /** Bytes. */
  readonly bytes: number;
  /** First step that uses it. */
  readonly first: number;
  /** Last step that uses it. */
  readonly last: number;
}

const ALIGNMENT = 256;

/** A multiple of the alignment of device memory. */
export const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * Offsets at which no two things that live at the same time overlap. Large ones are placed first, each
 * into the smallest gap that is left for it.
 *
 * @returns Offset of each, and the bytes needed for all
 */
export function planMemory(
  wanted: readonly Lifetime[],
): { offsets: number[]; bytes: number } {
  const order = wanted.map((_, i) => i).sort((a, b) =>
    wanted[b].bytes - wanted[a].bytes || wanted[a].first - wanted[b].first || a - b
  );
  const offsets = Array(wanted.length).fill(0) as number[];
  const placed: { from: number; to: number; life: Lifetime }[] = [];
  let bytes = 0;
  for (const i of order) {
    const life = wanted[i], size = aligned(life.bytes);
    let at = 0, best: { at: number; room: number } | undefined;
    for (const other of placed) {
      if (other.life.last < life.first || other.life.first > life.last) continue;
      const room = other.from - at;
      if (room >= size && (!best || room < best.room)) best = { at, room };
      at = Math.max(at, other.to);
    }
    const from = best?.at ?? at;
    offsets[i] = from;
    const entry = { from, to: from + size, life };
    let k = placed.length;
    while (k > 0 && placed[k - 1].from > from) k--;
    placed.splice(k, 0, entry);
    bytes = Math.max(bytes, entry.to);
  }
  return { offsets, bytes };
}
