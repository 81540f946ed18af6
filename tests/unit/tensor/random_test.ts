import { assert, assertEquals, assertNotEquals } from "@std/assert";
import * as fc from "fast-check";
import { fillKeepMask } from "../../../src/tensor/keep_mask.ts";
import { philox4x32, randomStream } from "../../../src/tensor/random.ts";

const key = (over: Partial<Parameters<typeof randomStream>[0]> = {}) => ({
  seed: 7,
  stream: "test",
  step: 0,
  ...over,
});
const draw = (n: number, over = {}) => {
  const stream = randomStream(key(over));
  return Array.from({ length: n }, () => stream.uint32());
};

/** Philox4x32-10 in arbitrary-precision integers, straight from Salmon et al. 2011, section 3.3. */
function philoxReference(counter: bigint[], key0: bigint, key1: bigint): number[] {
  const mask = 0xffffffffn;
  let [a, b, c, d] = counter, k0 = key0, k1 = key1;
  for (let round = 0; round < 10; round++) {
    const p = a * 0xd2511f53n, q = c * 0xcd9e8d57n;
    [a, b, c, d] = [(q >> 32n) ^ b ^ k0, q & mask, (p >> 32n) ^ d ^ k1, p & mask];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [a, b, c, d].map(Number);
}

Deno.test("philox4x32 gives the known answers of Random123's kat_vectors", () => {
  const cases: [number[], [number, number], number[]][] = [
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  for (const [counter, [k0, k1], expected] of cases) {
    const block = Uint32Array.from(counter);
    philox4x32(block, k0, k1);
    assertEquals([...block], expected);
  }
});

Deno.test("philox4x32 equals exact integer arithmetic for any counter and key", () => {
  const word = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff),
  );
  fc.assert(
    fc.property(fc.tuple(word, word, word, word), word, word, (counter, k0, k1) => {
      const block = Uint32Array.from(counter);
      philox4x32(block, k0, k1);
      assertEquals([...block], philoxReference(counter.map(BigInt), BigInt(k0), BigInt(k1)));
    }),
    { numRuns: 500 },
  );
});

Deno.test("philox4x32 is exact where a product is just above a power of two", () => {
  // There the double of the product may round below it, across the border of two high words.
  for (const [word, multiplier] of [[0, 0xd2511f53], [2, 0xcd9e8d57]]) {
    for (let bits = 54; bits < 64; bits++) {
      const counter = [0n, 0n, 0n, 0n];
      counter[word] = (1n << BigInt(bits)) / BigInt(multiplier) + 1n;
      const block = Uint32Array.from(counter, Number);
      philox4x32(block, 0, 0);
      assertEquals([...block], philoxReference(counter, 0n, 0n));
    }
  }
});

Deno.test("a stream is a pure function of seed, name and step", () => {
  assertEquals(draw(9), draw(9));
  const others = [{ seed: 8 }, { seed: 7 + 2 ** 32 }, { stream: "tesu" }, { step: 1 }, {
    step: 2 ** 32,
  }];
  for (const other of others) assertNotEquals(draw(4), draw(4, other));
});

Deno.test("the counter moves from block to block", () => {
  const numbers = draw(4000);
  assertEquals(new Set(numbers).size, 4000);
});

/** Pearson's statistic of `counts` against equal expectations. */
function chiSquare(counts: number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length;
  return counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
}
// Quantile 0.9999 of chi-square with 99 degrees of freedom. The streams are fixed, so no flakes.
const CHI_SQUARE_99 = 160.06;

Deno.test("uniform is uniform on [0, 1), int on [0, n)", () => {
  const stream = randomStream(key());
  const counts = new Array(100).fill(0), ints = new Array(100).fill(0);
  for (let i = 0; i < 100_000; i++) {
    const u = stream.uniform();
    assert(u >= 0 && u < 1);
    counts[Math.floor(u * 100)]++;
    ints[stream.int(100)]++;
  }
  assert(chiSquare(counts) < CHI_SQUARE_99, `${chiSquare(counts)}`);
  assert(chiSquare(ints) < CHI_SQUARE_99, `${chiSquare(ints)}`);
});

Deno.test("normal has the first four moments of a standard normal", () => {
  const stream = randomStream(key({ stream: "normal" }));
  const n = 200_000, moments = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const x = stream.normal();
    for (let m = 0; m < 4; m++) moments[m] += x ** (m + 1) / n;
  }
  // Standard errors: sqrt(1/n), sqrt(2/n), sqrt(15/n), sqrt(96/n); five of each.
  [0, 1, 0, 3].forEach((expected, m) => {
    const allowed = 5 * Math.sqrt([1, 2, 15, 96][m] / n);
    assert(Math.abs(moments[m] - expected) < allowed, `moment ${m + 1} is ${moments[m]}`);
  });
});

Deno.test("shuffle permutes, and every order is as likely as any other", () => {
  const stream = randomStream(key({ stream: "shuffle" }));
  const counts: Record<string, number> = {};
  for (let i = 0; i < 24_000; i++) {
    const order = stream.shuffle([0, 1, 2, 3]).join("");
    counts[order] = (counts[order] ?? 0) + 1;
  }
  assertEquals(Object.keys(counts).length, 24);
  // Quantile 0.9999 with 23 degrees of freedom.
  assert(chiSquare(Object.values(counts)) < 55.5, `${chiSquare(Object.values(counts))}`);
});

Deno.test("choose follows its weights and never takes a weight of 0", () => {
  const stream = randomStream(key({ stream: "choose" }));
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 40_000; i++) counts[stream.choose([0, 1, 3, 0])]++;
  assertEquals([counts[0], counts[3]], [0, 0]);
  // Five standard errors of a share of one quarter.
  assert(Math.abs(counts[1] / 40_000 - 0.25) < 5 * Math.sqrt(0.25 * 0.75 / 40_000));
});

Deno.test("fillKeepMask keeps the share it is asked to keep and differs by site", () => {
  const n = 40_000;
  const mask = (site: number, keepProb: number) =>
    fillKeepMask(new Float32Array(n), key(), site, keepProb);
  for (const keepProb of [0.1, 0.9]) {
    const m = mask(0, keepProb);
    assert(m.every((x) => x === 0 || x === 1));
    const share = m.reduce((a, b) => a + b, 0) / n;
    assert(Math.abs(share - keepProb) < 5 * Math.sqrt(keepProb * (1 - keepProb) / n), `${share}`);
  }
  assert(mask(0, 1).every((x) => x === 1));
  assertEquals(mask(3, 0.5), mask(3, 0.5));
  // Independent fair masks agree in half of their places.
  const a = mask(0, 0.5), b = mask(1, 0.5);
  const same = a.reduce((sum, x, i) => sum + (x === b[i] ? 1 : 0), 0) / n;
  assert(Math.abs(same - 0.5) < 5 * Math.sqrt(0.25 / n), `${same}`);
});
