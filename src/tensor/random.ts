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

/**
 * High 32 bits of the unsigned product a·b whose low 32 bits are `low`. The product of two doubles
 * is off by at most 2^11, so what is left after taking `low` away is a multiple of 2^32 but for
 * 2^-21 of one, and rounding makes it exact.
 */
function mulHigh(a: number, b: number, low: number): number {
  return ((a * b - low) * 2 ** -32 + 0.5) >>> 0;
}

/** FNV-1a of a string, 32 bits. */
function hashName(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/**
 * One block of Philox4x32-10, in place: four words of counter become four random words.
 *
 * @param block Counter on entry, random words on return; at least 4 long
 * @param key0 First word of the key, unsigned
 * @param key1 Second word of the key, unsigned
 */
export function philox4x32(block: Uint32Array, key0: number, key1: number): void {
  let c0 = block[0], c1 = block[1], c2 = block[2], c3 = block[3];
  let k0 = key0, k1 = key1;
  for (let round = 0; round < 10; round++) {
    const l0 = Math.imul(M0, c0) >>> 0, h0 = mulHigh(M0, c0, l0);
    const l1 = Math.imul(M1, c2) >>> 0, h1 = mulHigh(M1, c2, l1);
    c0 = (h1 ^ c1 ^ k0) >>> 0;
    c1 = l1;
    c2 = (h0 ^ c3 ^ k1) >>> 0;
    c3 = l0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  block[0] = c0;
  block[1] = c1;
  block[2] = c2;
  block[3] = c3;
}

/**
 * What a key means to Philox: two words of key, and the two upper words of the counter, whose lower
 * two count the blocks.
 */
export function philoxWords(key: RandomKey): { key: [number, number]; step: [number, number] } {
  const high = Math.floor(key.seed / 2 ** 32);
  return {
    key: [key.seed >>> 0, (hashName(key.stream) ^ Math.imul(high, W0)) >>> 0],
    step: [key.step >>> 0, Math.floor(key.step / 2 ** 32) >>> 0],
  };
}

/** A stream of numbers that is a pure function of its key. */
export class RandomStream {
  readonly #key: readonly [number, number];
  readonly #step: readonly [number, number];
  readonly #block = new Uint32Array(4);
  #counter = 0;
  #used = 4;

  /**
   * Starts at the first number of the stream.
   *
   * @param key Which numbers
   */
  constructor(key: RandomKey) {
    const words = philoxWords(key);
    this.#key = words.key;
    this.#step = words.step;
  }

  #refill(): void {
    const counter = this.#counter++;
    this.#block[0] = counter;
    this.#block[1] = Math.floor(counter / 2 ** 32);
    this.#block[2] = this.#step[0];
    this.#block[3] = this.#step[1];
    philox4x32(this.#block, this.#key[0], this.#key[1]);
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
