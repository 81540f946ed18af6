/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3"). The state is (seed, stream, step, position), so that any draw of any step can
 * be repeated without replaying those before it, and a resumed run equals an uninterrupted one.
 *
 * @module
 */

/** Which numbers to draw. */
export interface RandomKey {
  /** The seed of the whole run: a safe non-negative integer. */
  seed: number;
  /** What the numbers are for, such as `"dropout"` or `"data"`; different names are independent. */
  stream: string;
  /** Training step, epoch or sample: whatever makes this draw a different one. */
  step: number;
}

const M0 = 0xd2511f53, M1 = 0xcd9e8d57, W0 = 0x9e3779b9, W1 = 0xbb67ae85;

/** High 32 bits of the unsigned 64-bit product. */
function mulHigh(a: number, b: number): number {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const low = al * bl;
  const mid = ah * bl + (low >>> 16);
  const mid2 = al * bh + (mid % 0x10000);
  return (ah * bh + Math.floor(mid / 0x10000) + Math.floor(mid2 / 0x10000)) >>> 0;
}

/** FNV-1a of a string, 32 bits. */
function hashName(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** A stream of numbers that is a pure function of its key. */
export class RandomStream {
  readonly #key: readonly [number, number];
  readonly #step: readonly [number, number];
  readonly #block = new Uint32Array(4);
  #counter = 0;
  #used = 4;

  /** @param key Which numbers */
  constructor(key: RandomKey) {
    const high = Math.floor(key.seed / 2 ** 32);
    this.#key = [key.seed >>> 0, (hashName(key.stream) ^ Math.imul(high, W0)) >>> 0];
    this.#step = [key.step >>> 0, Math.floor(key.step / 2 ** 32) >>> 0];
  }

  #refill(): void {
    let [k0, k1] = this.#key;
    const counter = this.#counter++;
    let c0 = counter >>> 0, c1 = Math.floor(counter / 2 ** 32) >>> 0;
    let [c2, c3] = this.#step;
    for (let round = 0; round < 10; round++) {
      const h0 = mulHigh(M0, c0), l0 = Math.imul(M0, c0) >>> 0;
      const h1 = mulHigh(M1, c2), l1 = Math.imul(M1, c2) >>> 0;
      [c0, c1, c2, c3] = [(h1 ^ c1 ^ k0) >>> 0, l1, (h0 ^ c3 ^ k1) >>> 0, l0];
      k0 = (k0 + W0) >>> 0;
      k1 = (k1 + W1) >>> 0;
    }
    this.#block[0] = c0;
    this.#block[1] = c1;
    this.#block[2] = c2;
    this.#block[3] = c3;
    this.#used = 0;
  }

  /** The next unsigned 32-bit integer. */
  uint32(): number {
    if (this.#used === 4) this.#refill();
    return this.#block[this.#used++];
  }

  /** Uniform on [0, 1) with 24 random bits: exact in float32. */
  uniform(): number {
    return (this.uint32() >>> 8) / 2 ** 24;
  }

  /** Standard normal (Box–Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Uniform integer in [0, n), without modulo bias. */
  int(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n);
    let x = this.uint32();
    while (x >= limit) x = this.uint32();
    return x % n;
  }

  /** Permute `items` in place (Fisher–Yates) and return it. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }

  /** Index drawn with probability proportional to `weights` (all ≥ 0, not all 0). */
  choose(weights: readonly number[]): number {
    let u = this.uniform() * weights.reduce((a, b) => a + b, 0);
    for (let i = 0; i < weights.length; i++) {
      u -= weights[i];
      if (u < 0) return i;
    }
    return weights.findLastIndex((w) => w > 0);
  }
}

/**
 * The stream of a key.
 *
 * @example The same key gives the same numbers, another step gives others
 * ```ts
 * import { randomStream } from "./random.ts";
 * import { assertEquals, assertNotEquals } from "@std/assert";
 * const draw = (step: number) => randomStream({ seed: 1, stream: "data", step }).uint32();
 * assertEquals(draw(0), draw(0));
 * assertNotEquals(draw(0), draw(1));
 * ```
 */
export function randomStream(key: RandomKey): RandomStream {
  return new RandomStream(key);
}
