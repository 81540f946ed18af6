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
const BLOCK = 64;

/**
 * One buffer [B, J, P, E] for the keys and one for the values of every layer, where P is the room there
 * is. Row b holds its tokens in the first `lengths[b]` positions of each head, without padding; what
 * stands behind them is finite and must be hidden. The buffers are what the graph reads, in place.
 */
export class KeyValueCache {
  readonly #sizes: CacheSizes;
  #buffers: Float32Array[];
  #lengths: number[];
  #room = 0;

  /** An empty cache of `rows` rows. */
  constructor(sizes: CacheSizes, rows: number) {
    this.#sizes = sizes;
    this.#lengths = Array(rows).fill(0);
    this.#buffers = Array.from({ length: 2 * sizes.layers }, () => new Float32Array(0));
  }

  /** Tokens per row. */
  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** P, positions there is room for. */
  get room(): number {
    return this.#room;
  }

  /** Every buffer as an input of the graph: `past.<layer>.keys`, `past.<layer>.values`. */
  tensors(): HostTensors {
    const { heads, headWidth } = this.#sizes;
    const shape = [this.#lengths.length, heads, this.#room, headWidth];
    return Object.fromEntries(
      this.#buffers.map((buffer, i) => [
        `past.${i >> 1}.${i % 2 ? "values" : "keys"}`,
        hostTensor("float32", buffer, shape),
      ]),
    );
  }

  /** Copies row `from` of `source`, with room for `room` positions, to row `to` of `target`. */
  #copyRow(
    source: Float32Array,
    [from, room]: [number, number],
    target: Float32Array,
    to: number,
    length: number,
  ): void {
    const { heads, headWidth: E } = this.#sizes;
    for (let j = 0; j < heads; j++) {
      const at = (from * heads + j) * room * E;
      target.set(source.subarray(at, at + length * E), (to * heads + j) * this.#room * E);
    }
  }

  /** Make room for `needed` positions in every row. */
  #reserve(needed: number): void {
    if (needed <= this.#room) return;
    const before = this.#room, rows = this.#lengths.length;
    const wanted = Math.max(needed, Math.ceil(before * 1.25));
    this.#room = Math.ceil(wanted / BLOCK) * BLOCK;
    const { heads, headWidth } = this.#sizes;
    this.#buffers = this.#buffers.map((old) => {
      const buffer = new Float32Array(rows * heads * this.#room * headWidth);
      this.#lengths.forEach((n, b) => this.#copyRow(old, [b, before], buffer, b, n));
      return buffer;
    });
  }

  /**
   * Add keys and values behind each row.
   *
   * @param present [2·layers, B, J, S, E] keys and values of the new positions, layer by layer; the last
   * `counts[b]` of the S positions are those of row b
   * @param counts New tokens per row
   */
  append(present: Float32Array, counts: readonly number[]): void {
    const { heads, headWidth: E } = this.#sizes;
    const rows = this.#lengths.length, S = Math.max(...counts);
    this.#reserve(Math.max(...this.#lengths.map((n, b) => n + counts[b])));
    this.#buffers.forEach((buffer, i) => {
      for (let b = 0; b < rows; b++) {
        for (let j = 0; j < heads; j++) {
          const end = ((i * rows + b) * heads + j + 1) * S * E;
          const at = ((b * heads + j) * this.#room + this.#lengths[b]) * E;
          buffer.set(present.subarray(end - counts[b] * E, end), at);
        }
      }
    });
    this.#lengths = this.#lengths.map((n, b) => n + counts[b]);
  }

  /** Keep these rows in this order; rows that stay where they are cost nothing. */
  select(rows: readonly number[]): void {
    const { heads, headWidth: E } = this.#sizes;
    const lengths = rows.map((row) => this.#lengths[row]);
    const size = heads * this.#room * E;
    const moved = rows.flatMap((row, to) => row === to ? [] : [{ row, to, length: lengths[to] }]);
    const isSameCount = rows.length === this.#lengths.length;
    if (moved.length || !isSameCount) {
      this.#buffers = this.#buffers.map((buffer) => {
        // A row may be overwritten before it was read: everything that moves is read first.
        const held = moved.map(({ row }) => buffer.slice(row * size, (row + 1) * size));
        let target = buffer;
        if (rows.length < this.#lengths.length) target = buffer.subarray(0, rows.length * size);
        if (rows.length > this.#lengths.length) {
          target = new Float32Array(rows.length * size);
          target.set(buffer);
        }
        moved.forEach(({ to, length }, i) =>
          this.#copyRow(held[i], [0, this.#room], target, to, length)
        );
        return target;
      });
    }
    this.#lengths = lengths;
  }
}
