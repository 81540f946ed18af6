/** Keys and values of what a decoder has read, with room for what comes. @module */
import type { HostTensors } from "../runtime/mod.ts";
import { hostTensor } from "../tensor/host_tensor.ts";

/** Sizes of a cache. */
export interface CacheSizes {
  /** Number of layers. */
  readonly layers: number;
  /** J, heads of keys and values. */
  readonly heads: number;
  /** E, width of one head. */
  readonly headWidth: number;
}

/** Room is made for this many positions at a time. */
const BLOCK = 16;

/** Room for so many positions. */
const inBlocks = (positions: number): number => Math.ceil(positions / BLOCK) * BLOCK;

/**
 * One buffer [B, J, P, E] for the keys and one for the values of every layer, where P is the room there
 * is. Row b holds its tokens in the first `lengths[b]` positions of each head, without padding; what
 * stands behind them is finite and must be hidden. The buffers are what the graph reads, in place.
 *
 * Memory is set aside for the positions that are expected; room grows within it, because attention
 * looks at all the room there is.
 */
export class KeyValueCache {
  readonly #sizes: CacheSizes;
  /** Each may be longer than what `tensors` shows of it. */
  #buffers: Float32Array[];
  #lengths: number[];
  #room = 0;
  #expected: number;

  /**
   * An empty cache.
   *
   * @param sizes Sizes of the model
   * @param rows B
   * @param expected Positions to set memory aside for; more are possible
   */
  constructor(sizes: CacheSizes, rows: number, expected = 0) {
    this.#sizes = sizes;
    this.#lengths = Array(rows).fill(0);
    this.#expected = expected;
    this.#buffers = Array.from({ length: 2 * sizes.layers }, () => new Float32Array(0));
  }

  /** Tokens per row. */
  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** Number of layers. */
  get layers(): number {
    return this.#sizes.layers;
  }

  /** P, positions there is room for. */
  get room(): number {
    return this.#room;
  }

  /** Numbers of `rows` rows of a buffer. */
  #size(rows: number, room = this.#room): number {
    return rows * this.#sizes.heads * room * this.#sizes.headWidth;
  }

  /**
   * Every buffer as an input of the graph: `past.<layer>.keys`, `past.<layer>.values`.
   *
   * @param rows Rows to show, which are copied out; P is then the length of the longest. Default: all
   * of them, where they lie
   */
  tensors(rows?: readonly number[]): HostTensors {
    const { heads, headWidth: E } = this.#sizes;
    const room = rows ? Math.max(...rows.map((row) => this.#lengths[row])) : this.#room;
    const shape = [(rows ?? this.#lengths).length, heads, room, E];
    const shown = (buffer: Float32Array): Float32Array => {
      if (!rows) return buffer.subarray(0, this.#size(this.#lengths.length));
      const copy = new Float32Array(this.#size(rows.length, room));
      rows.forEach((row, i) => {
        for (let j = 0; j < heads; j++) {
          const from = (row * heads + j) * this.#room * E;
          copy.set(
            buffer.subarray(from, from + this.#lengths[row] * E),
            (i * heads + j) * room * E,
          );
        }
      });
      return copy;
    };
    return Object.fromEntries(
      this.#buffers.map((buffer, i) => [
        `past.${i >> 1}.${i % 2 ? "values" : "keys"}`,
        hostTensor("float32", shown(buffer), shape),
      ]),
    );
  }

  /** Forget what a row holds. */
  clear(row: number): void {
    this.#lengths = this.#lengths.with(row, 0);
  }

  /** Forget everything; the memory is kept. */
  reset(): void {
    this.#lengths = this.#lengths.map(() => 0);
    this.#room = 0;
  }

  /** Make room for `needed` positions in every row. */
  #reserve(needed: number): void {
    if (needed <= this.#room) return;
    const { heads, headWidth: E } = this.#sizes;
    const before = this.#room, rows = this.#lengths.length;
    const room = inBlocks(needed);
    if (room > this.#expected) this.#expected = Math.max(room, Math.ceil(1.5 * this.#expected));
    const wanted = this.#size(rows, inBlocks(this.#expected));
    this.#buffers = this.#buffers.map((old) => {
      const buffer = old.length >= this.#size(rows, room) ? old : new Float32Array(wanted);
      // From the last head on, so that nothing is overwritten before it was moved.
      for (let h = rows * heads - 1; h >= 0; h--) {
        const from = h * before * E, end = from + this.#lengths[Math.floor(h / heads)] * E;
        if (buffer === old) buffer.copyWithin(h * room * E, from, end);
        else if (end > from) buffer.set(old.subarray(from, end), h * room * E);
      }
      return buffer;
    });
    this.#room = room;
  }

  /**
   * Add keys and values behind rows.
   *
   * @param present Keys and values of the new positions, each [B, J, S, E], layer by layer; the last
   * `counts[b]` of the S positions are those of row b
   * @param counts New tokens per row; S is the largest of them
   * @param rows Which rows they are. Default: all, in their order
   */
  append(
    present: readonly Float32Array[],
    counts: readonly number[],
    rows: readonly number[] = this.#lengths.map((_, row) => row),
  ): void {
    const { heads, headWidth: E } = this.#sizes;
    const S = Math.max(...counts);
    const lengths = [...this.#lengths];
    rows.forEach((row, b) => lengths[row] += counts[b]);
    this.#reserve(Math.max(...lengths));
    const isStep = S === 1 && counts.every((count) => count === 1);
    this.#buffers.forEach((buffer, i) => {
      const added = present[i];
      rows.forEach((row, b) => {
        for (let j = 0; j < heads; j++) {
          const end = (b * heads + j + 1) * S * E;
          const at = ((row * heads + j) * this.#room + this.#lengths[row]) * E;
          if (isStep) {
            // A few numbers each: a loop is faster than views.
            for (let e = 0; e < E; e++) buffer[at + e] = added[end - E + e];
          } else buffer.set(added.subarray(end - counts[b] * E, end), at);
        }
      });
    });
    this.#lengths = lengths;
  }

  /** Keep these rows in this order; rows that stay where they are cost nothing. */
  select(rows: readonly number[]): void {
    const { heads, headWidth: E } = this.#sizes, room = this.#room;
    const lengths = rows.map((row) => this.#lengths[row]);
    const moved = rows.flatMap((row, to) => row === to ? [] : [{ row, to, length: lengths[to] }]);
    const kept = this.#size(Math.min(rows.length, this.#lengths.length));
    this.#buffers = this.#buffers.map((old) => {
      // A row may be overwritten before it was read: everything that moves is read first.
      const held = moved.map(({ row }) => old.slice(this.#size(row), this.#size(row + 1)));
      let buffer = old;
      if (buffer.length < this.#size(rows.length)) {
        buffer = new Float32Array(this.#size(rows.length));
        buffer.set(old.subarray(0, kept));
      }
      moved.forEach(({ to, length }, i) => {
        for (let j = 0; j < heads; j++) {
          const from = j * room * E;
          buffer.set(held[i].subarray(from, from + length * E), (to * heads + j) * room * E);
        }
      });
      return buffer;
    });
    this.#lengths = lengths;
  }
}
