import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ShapeError } from "../../../src/errors.ts";
import { fixedLengthWeights, sequenceMeanWeights, tokenMeanWeights } from "../../../src/rl/mod.ts";

const FLOAT64 = 1e-12;
const number = fc.double({ min: -10, max: 10, noNaN: true });
const sequences = fc.array(fc.array(number, { minLength: 1, maxLength: 6 }), {
  minLength: 1,
  maxLength: 6,
});
const sum = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0);
const mean = (x: readonly number[]): number => sum(x) / x.length;
const weighted = (weights: Float64Array, x: readonly number[]): number =>
  sum(x.map((v, n) => v * weights[n]));

Deno.test("weights turn a sum into the mean they are named after", () => {
  fc.assert(fc.property(sequences, (sequences) => {
    const lengths = sequences.map((s) => s.length), all = sequences.flat();
    assertAlmostEquals(weighted(tokenMeanWeights(lengths), all), mean(all), FLOAT64 * 10);
    assertAlmostEquals(
      weighted(sequenceMeanWeights(lengths), all),
      mean(sequences.map(mean)),
      FLOAT64 * 10,
    );
    // Dr. GRPO: what is missing to a full sequence counts as 0.
    const padded = sequences.map((s) => [...s, ...new Array(6 - s.length).fill(0)]);
    assertAlmostEquals(
      weighted(fixedLengthWeights(lengths, 6), all),
      mean(padded.flat()),
      FLOAT64 * 10,
    );
  }));
});

Deno.test("a sequence without actions has no weights; GRPO and Dr. GRPO still count it", () => {
  assertEquals([...tokenMeanWeights([2, 0])], [0.5, 0.5]);
  assertEquals([...sequenceMeanWeights([2, 0])], [0.25, 0.25]);
  assertEquals([...fixedLengthWeights([0, 2], 4)], [0.125, 0.125]);
  for (const weights of [tokenMeanWeights, sequenceMeanWeights]) {
    assertEquals([...weights([0, 0])], []);
    assertEquals([...weights([])], []);
  }
});

Deno.test("a sequence longer than the longest one is an error", () => {
  assertThrows(
    () => fixedLengthWeights([2, 5], 4),
    ShapeError,
    "Cannot weigh sequence 1: it has 5 actions, more than maxLength 4",
  );
});
