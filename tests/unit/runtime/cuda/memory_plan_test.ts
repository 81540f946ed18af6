/** Places in memory for what lives at different times. */
import { assert, assertEquals } from "@std/assert";
import { aligned, type Lifetime, planMemory } from "../../../../src/runtime/cuda/memory_plan.ts";
import { randomStream } from "../../../../src/tensor/random.ts";

/** Bytes that live at the busiest step: no plan needs less. */
function lowerBound(lives: readonly Lifetime[]): number {
  const steps = new Set(lives.flatMap(({ first, last }) => [first, last]));
  return Math.max(
    0,
    ...[...steps].map((step) =>
      lives.filter(({ first, last }) => first <= step && step <= last)
        .reduce((sum, { bytes }) => sum + aligned(bytes), 0)
    ),
  );
}

function assertApart(lives: readonly Lifetime[], offsets: readonly number[], bytes: number): void {
  lives.forEach((a, i) => {
    assertEquals(offsets[i] % 256, 0);
    assert(offsets[i] >= 0 && offsets[i] + aligned(a.bytes) <= bytes, `${i} ends behind the end`);
    lives.forEach((b, j) => {
      if (j <= i || a.last < b.first || b.last < a.first || !a.bytes || !b.bytes) return;
      const isApart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
      assert(isApart, `${i} at ${offsets[i]} and ${j} at ${offsets[j]} overlap`);
    });
  });
}

/** How much more than the bound a plan may take, of programs like ours. */
const WORST_SHARE = 1.25;
/** And on average. */
const MEAN_SHARE = 1.06;

/** Catches: a gap that is too small, a neighbour that is overlooked, memory that is never used again. */
Deno.test("random lifetimes do not overlap, and take little more than the busiest step needs", () => {
  const shares: number[] = [];
  for (let step = 0; step < 200; step++) {
    const random = randomStream({ seed: 1, stream: "memory plan", step });
    const count = 1 + random.int(120);
    const lives = Array.from({ length: count }, (): Lifetime => {
      const first = random.int(count);
      // Most things live for a moment, some from the forward to the backward pass.
      const length = random.int(5) ? random.int(4) : random.int(count);
      const bytes = random.int(8) ? 1 + random.int(1 << (4 + random.int(16))) : 0;
      return { bytes, first, last: first + length };
    });
    const { offsets, bytes } = planMemory(lives);
    assertApart(lives, offsets, bytes);
    const bound = lowerBound(lives);
    assert(bytes >= bound);
    if (bound) shares.push(bytes / bound);
  }
  const mean = shares.reduce((a, b) => a + b) / shares.length, worst = Math.max(...shares);
  assert(worst <= WORST_SHARE && mean <= MEAN_SHARE, `worst ${worst}, mean ${mean}`);
});

/** Catches: a chain of steps whose memory grows with its length. */
Deno.test("a chain of equal values takes two places", () => {
  const lives = Array.from({ length: 50 }, (_, i) => ({ bytes: 1000, first: i, last: i + 1 }));
  assertEquals(planMemory(lives).bytes, 2 * 1024);
  assertEquals(planMemory([]), { offsets: [], bytes: 0 });
});

/** Catches: one of several gaps, but not the one it fits best. */
Deno.test("a value goes into the smallest gap that holds it", () => {
  const lives = [
    { bytes: 1024, first: 0, last: 9 }, // at 0
    { bytes: 768, first: 0, last: 4 }, // at 1024: a gap of 768 after step 4
    { bytes: 640, first: 0, last: 9 },
    { bytes: 512, first: 0, last: 4 }, // a gap of 512 after step 4
    { bytes: 500, first: 0, last: 9 },
    { bytes: 400, first: 5, last: 9 },
  ];
  const { offsets, bytes } = planMemory(lives);
  assertEquals(offsets, [0, 1024, 1792, 2560, 3072, 2560]);
  assertEquals(bytes, 3584);
});
