import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DeepragError } from "../../../src/errors.ts";
import {
  allowTokens,
  forbidTokens,
  type LogitsProcessor,
  repetitionPenalty,
  temperature,
  topK,
  topP,
} from "../../../src/generate/mod.ts";

const NONE = -Infinity;
const CONTEXT = { prompt: 0, tokens: [], generated: 0 };
const after = (process: LogitsProcessor, logits: number[], context = {}): number[] => {
  const row = Float32Array.from(logits);
  process(row, { ...CONTEXT, ...context });
  return Array.from(row);
};
const kept = (row: number[]): number[] => row.flatMap((x, v) => x === NONE ? [] : [v]);

Deno.test("temperature divides", () => {
  assertEquals(after(temperature(0.5), [1, -2, 0]), [2, -4, 0]);
  assertEquals(after(temperature(4), [1, -2, NONE]), [0.25, -0.5, NONE]);
});

Deno.test("topK keeps ties with the last of them", () => {
  assertEquals(after(topK(2), [1, 3, 2, 0]), [NONE, 3, 2, NONE]);
  assertEquals(kept(after(topK(2), [1, 3, 1, 1, 0])), [0, 1, 2, 3]);
  assertEquals(kept(after(topK(1), [5, 5, 4])), [0, 1]);
  assertEquals(after(topK(3), [1, 2, 3]), [1, 2, 3]);
  assertEquals(after(topK(9), [1, 2, 3]), [1, 2, 3]);
  assertEquals(kept(after(topK(2), [NONE, 1, NONE, 0, -1])), [1, 3]);
});

/** Few different values, so that ties are many. */
const coarse = fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 30 });
const fine = fc.array(fc.float({ min: -6, max: 6, noNaN: true }), { minLength: 1, maxLength: 30 });

Deno.test("topK keeps what is not below the k-th of the sorted row", () => {
  fc.assert(
    fc.property(fc.oneof(coarse, fine), fc.integer({ min: 1, max: 32 }), (logits, k) => {
      const sorted = [...logits].sort((a, b) => b - a);
      const least = sorted[Math.min(k, sorted.length) - 1];
      const expected = logits.flatMap((x, v) => x >= least ? [v] : []);
      assertEquals(kept(after(topK(k), logits)), expected);
    }),
    { numRuns: 300, seed: 1 },
  );
});

Deno.test("topP by hand: the fewest that hold the probability, the last one included", () => {
  const logits = [0.5, 0.3, 0.15, 0.05].map(Math.log);
  const of = (p: number) => kept(after(topP(p), logits));
  assertEquals([of(0.01), of(0.49), of(0.6), of(0.9), of(0.99), of(1)], [
    [0],
    [0],
    [0, 1],
    [0, 1, 2],
    [0, 1, 2, 3],
    [0, 1, 2, 3],
  ]);
  // Of equal ones those with smaller ids.
  assertEquals(kept(after(topP(0.4), [0, 0, 0, 0])), [0, 1]);
  assertEquals(kept(after(topP(0.7), [1, NONE, 1])), [0, 2]);
  // However small p is, and wherever the logits are.
  for (const p of [1e-300, 1e-17, 1e-16, 1e-9]) {
    for (const at of [0, 1000, -1000, 0.1]) {
      assertEquals(kept(after(topP(p), [at, at, at])), [0], `p ${p}, logits ${at}`);
    }
  }
});

Deno.test("topP equals its definition", () => {
  // Weights are integers, so that sums of probabilities are exact and so is their comparison.
  const weights = fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(weights, fc.integer({ min: 0, max: 99 }), (weights, percent) => {
      const total = weights.reduce((a, b) => a + b, 0);
      fc.pre(total > 0);
      // Half a weight below a possible sum: no rounding decides.
      const share = Math.floor(total * percent / 100) + 0.5;
      const order = weights.map((_, v) => v).sort((a, b) => weights[b] - weights[a] || a - b);
      const expected: number[] = [];
      let sum = 0;
      for (const v of order) {
        if (sum >= share) break;
        sum += weights[v];
        expected.push(v);
      }
      const got = kept(after(topP(share / total), weights.map(Math.log)));
      assertEquals(got, expected.sort((a, b) => a - b));
    }),
    { numRuns: 400, seed: 2 },
  );
});

Deno.test("topP leaves at least the mass, and what it leaves as it was", () => {
  fc.assert(
    fc.property(fine, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (logits, p) => {
      const got = after(topP(p), logits), left = kept(got);
      const mass = (ids: number[]) => ids.reduce((sum, v) => sum + Math.exp(logits[v]), 0);
      const whole = mass(logits.map((_, v) => v));
      assert(mass(left) >= p * whole * (1 - 1e-6), `${mass(left) / whole} < ${p}`);
      const least = Math.min(...left.map((v) => logits[v]));
      assert(logits.every((x, v) => left.includes(v) || x <= least));
      for (const v of left) assertAlmostEquals(got[v], logits[v], 1e-6);
    }),
    { numRuns: 200, seed: 3 },
  );
});

Deno.test("a repetition penalty makes tokens less likely on either side of 0, once each", () => {
  const tokens = [0, 1, 1, 3, 1];
  assertEquals(after(repetitionPenalty(2), [4, -4, 4, 0, -1], { tokens }), [2, -8, 4, 0, -1]);
  assertEquals(after(repetitionPenalty(0.5), [4, -4, 4, 0, -1], { tokens }), [8, -2, 4, 0, -1]);
  assertEquals(after(repetitionPenalty(2), [NONE, 1], { tokens: [0] }), [NONE, 1]);
});

Deno.test("tokens are forbidden always, or until enough was generated", () => {
  assertEquals(after(forbidTokens([1]), [1, 2, 3], { generated: 99 }), [1, NONE, 3]);
  const until = forbidTokens([0, 2], 3);
  assertEquals(after(until, [1, 2, 3], { generated: 2 }), [NONE, 2, NONE]);
  assertEquals(after(until, [1, 2, 3], { generated: 3 }), [1, 2, 3]);
});

Deno.test("allowTokens forbids the others, by place", () => {
  const process = allowTokens(({ tokens, prompt }) => tokens.length ? [prompt] : [0, 2]);
  assertEquals(after(process, [1, 2, 3]), [1, NONE, 3]);
  assertEquals(after(process, [1, 2, 3], { tokens: [7], prompt: 1 }), [NONE, 2, NONE]);
});

Deno.test("values out of range are refused when a processor is made", () => {
  const makers = [
    ...[0, -1, NaN, Infinity].map((t) => () => temperature(t)),
    ...[0, 1.5, NaN].map((k) => () => topK(k)),
    ...[0, -0.1, 1.1, NaN].map((p) => () => topP(p)),
    ...[0, -1, NaN].map((x) => () => repetitionPenalty(x)),
  ];
  for (const make of makers) assertThrows(make, DeepragError, "Cannot process logits");
});
