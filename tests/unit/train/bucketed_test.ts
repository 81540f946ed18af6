import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { bucketed, type ExampleSource } from "../../../src/train/bucketed.ts";
import type { IndexExample } from "../../../src/train/index_model.ts";
import { randomStream } from "../../../src/tensor/random.ts";

/** Examples whose document tells them apart; lengths are random. */
const source: ExampleSource & { draws: number } = {
  draws: 0,
  batch(step, size): IndexExample[] {
    source.draws++;
    const random = randomStream({ seed: 5, stream: "lengths", step });
    return Array.from({ length: size }, (_, i) => ({
      tokenIds: new Int32Array(1 + random.int(40)),
      doc: step * 10_000 + i,
      isReal: i % 2 === 0,
    }));
  },
};

Deno.test("the steps of a window deal out what was drawn for it, each example once", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 12 }),
    fc.nat(20),
    (window, size, group) => {
      const buckets = bucketed(source, { window, seed: 3 });
      const dealt = Array.from(
        { length: window },
        (_, w) => buckets.batch(group * window + w, size),
      );
      assert(dealt.every((batch) => batch.length === size));
      const drawn = source.batch(group, size * window).map(({ doc }) => doc);
      assertEquals(dealt.flat().map(({ doc }) => doc).sort((a, b) => a - b), drawn);
      // Batches hold neighbours by length: sorted by their shortest text, they do not overlap.
      const ranges = dealt.map((batch) => batch.map(({ tokenIds }) => tokenIds.length))
        .map((n) => [Math.min(...n), Math.max(...n)]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      ranges.slice(1).forEach(([low], i) => assert(low >= ranges[i][1]));
    },
  ));
});

Deno.test("a step is a pure function of its number: a jump there gives what walking there gives", () => {
  const walking = bucketed(source, { window: 4, seed: 9 });
  const walked = Array.from({ length: 13 }, (_, step) => walking.batch(step, 6));
  for (const step of [12, 3, 7, 3]) {
    assertEquals(bucketed(source, { window: 4, seed: 9 }).batch(step, 6), walked[step]);
    assertEquals(walking.batch(step, 6), walked[step]);
  }
  // Another size is another draw, not a slice of the one that is held.
  assertEquals(
    walking.batch(3, 2),
    bucketed(source, { window: 4, seed: 9 }).batch(3, 2),
  );
});

Deno.test("a window is drawn once, and its batches do not come in the order of their lengths", () => {
  const buckets = bucketed(source, { window: 8, seed: 1 });
  source.draws = 0;
  const means = Array.from({ length: 8 }, (_, step) => {
    const lengths = buckets.batch(step, 16).map(({ tokenIds }) => tokenIds.length);
    return lengths.reduce((a, b) => a + b, 0) / lengths.length;
  });
  assertEquals(source.draws, 1);
  const rising = means.toSorted((a, b) => a - b);
  assert(means.some((mean, i) => mean !== rising[i]));
});
