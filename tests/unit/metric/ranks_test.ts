import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DataError, ShapeError } from "../../../src/errors.ts";
import { bestRank, hitsAt, mrrAt, summariseRetrieval } from "../../../src/metric/mod.ts";

const EXACT = 1e-12;
/** Worked by hand: eight questions, one of them not found, one found at 11. */
const RANKS = [1, 1, 2, 3, 10, 11, Infinity, 4];

Deno.test("bestRank: the best of several right documents counts, from 1", () => {
  assertEquals(bestRank([7, 3, 9], [9, 3]), 2);
  assertEquals(bestRank([7, 3, 9], [7]), 1);
  assertEquals(bestRank([7, 3, 9], [8]), Infinity);
  assertEquals(bestRank<string>([], ["x"]), Infinity);
  assertEquals(bestRank(["x"], []), undefined);
});

Deno.test("hitsAt and mrrAt: numbers worked by hand", () => {
  assertAlmostEquals(hitsAt(1, RANKS), 2 / 8, EXACT);
  assertAlmostEquals(hitsAt(10, RANKS), 6 / 8, EXACT);
  assertAlmostEquals(hitsAt(Infinity, RANKS), 1, EXACT);
  assertAlmostEquals(mrrAt(10, RANKS), (1 + 1 + 1 / 2 + 1 / 3 + 1 / 10 + 1 / 4) / 8, EXACT);
  assertAlmostEquals(mrrAt(3, RANKS), (1 + 1 + 1 / 2 + 1 / 3) / 8, EXACT);
  assertEquals(Number.isNaN(hitsAt(1, [])), true);
});

Deno.test("hitsAt and mrrAt: refuse what is no rank or depth", () => {
  for (const bad of [0, -1, 1.5, NaN, -Infinity]) {
    assertThrows(() => hitsAt(10, [1, bad]), DataError, "is no rank");
    assertThrows(() => mrrAt(10, [1, bad]), DataError, "is no rank");
    assertThrows(() => hitsAt(bad, [1]), DataError, "is no rank");
    assertThrows(() => mrrAt(bad, [1]), DataError, "is no rank");
  }
});

Deno.test("hitsAt and mrrAt: bounds and order hold for any ranks", () => {
  const rank = fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constant(Infinity));
  fc.assert(
    fc.property(fc.array(rank, { minLength: 1 }), fc.integer({ min: 1, max: 20 }), (r, k) => {
      const hits = hitsAt(k, r), mrr = mrrAt(k, r);
      return hitsAt(1, r) <= mrr + EXACT && mrr <= hits + EXACT && hits <= hitsAt(k + 1, r) &&
        Math.abs(mrrAt(1, r) - hitsAt(1, r)) < EXACT;
    }),
  );
});

Deno.test("summariseRetrieval: groups, exclusions and an empty group", () => {
  const ranks = [1, undefined, 2, Infinity, 20, 1];
  const rows = summariseRetrieval({
    ranks,
    groups: {
      with: [true, true, true, false, false, false],
      without: [false, false, false, true, true, true],
      nobody: ranks.map(() => false),
    },
    resamples: 50,
  });
  assertEquals(rows.map((r) => [r.group, r.questions, r.excluded]), [
    ["all", 5, 1],
    ["with", 2, 1],
    ["without", 3, 0],
    ["nobody", 0, 0],
  ]);
  assertEquals(rows.map((r) => r.hitsAt1.value), [2 / 5, 1 / 2, 1 / 3, NaN]);
  assertEquals(rows.map((r) => r.hitsAt10.value), [3 / 5, 1, 1 / 3, NaN]);
  assertEquals(rows.map((r) => r.mrrAt10.value), [(1 + 0.5 + 1) / 5, 0.75, 1 / 3, NaN]);
  assertThrows(
    () => summariseRetrieval({ ranks, groups: { short: [true] } }),
    ShapeError,
    'Cannot summarise group "short": it has 1 entries for 6 questions',
  );
});
