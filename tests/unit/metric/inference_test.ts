import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DataError, ShapeError } from "../../../src/errors.ts";
import {
  bootstrapMeanInterval,
  comparePairedRanks,
  mcnemarTest,
  signTest,
  wilsonInterval,
} from "../../../src/metric/mod.ts";

const EXACT = 1e-12;
/** Sums of tens of thousands of logarithms keep about nine digits. */
const LARGE_COUNTS = 1e-7;
/** Two thousand resamples place a quantile of a standard error of .055 within about .006. */
const RESAMPLING = 0.008;

Deno.test("wilsonInterval: equals scipy's binomtest(...).proportion_ci(method='wilson')", () => {
  for (
    const [s, n, low, high] of [
      [8, 10, 0.4901624715366418, 0.9433178485456248],
      [0, 20, 0, 0.16112515805281935],
      [20, 20, 0.8388748419471808, 1],
      [972, 1274, 0.7388302316787496, 0.7854914636106924],
      [1, 1, 0.20654931437723745, 1],
    ]
  ) {
    const interval = wilsonInterval(s, n);
    assertEquals(interval.value, s / n);
    assertAlmostEquals(interval.low, low, EXACT);
    assertAlmostEquals(interval.high, high, EXACT);
  }
  const none = wilsonInterval(0, 0);
  assert(Number.isNaN(none.value) && Number.isNaN(none.high));
  for (const [s, n] of [[2, 1], [-1, 3], [0.5, 3], [NaN, 3]]) {
    assertThrows(() => wilsonInterval(s, n), DataError, "these are no counts");
  }
});

Deno.test("bootstrapMeanInterval: agrees with scipy.stats.bootstrap(method='percentile')", () => {
  const values = [
    ...Array(30).fill(1),
    ...Array(10).fill(1 / 2),
    ...Array(5).fill(1 / 3),
    ...Array(15).fill(0),
  ];
  const interval = bootstrapMeanInterval(values, { resamples: 2000, seed: 5 });
  assertAlmostEquals(interval.value, 0.6111111111, 1e-9);
  assertAlmostEquals(interval.low, 0.50278, RESAMPLING);
  assertAlmostEquals(interval.high, 0.71667, RESAMPLING);
  assertEquals(bootstrapMeanInterval(values, { resamples: 2000, seed: 5 }), interval);
  assert(bootstrapMeanInterval(values, { resamples: 100, seed: 6 }).low !== interval.low);
});

Deno.test("bootstrapMeanInterval: edges", () => {
  assertEquals(bootstrapMeanInterval([0.25]), { value: 0.25, low: 0.25, high: 0.25 });
  assert(Number.isNaN(bootstrapMeanInterval([]).low));
  for (const resamples of [0, 1.5, NaN]) {
    assertThrows(() => bootstrapMeanInterval([1], { resamples }), DataError, "resamples");
  }
});

Deno.test("signTest: equals scipy's binomtest(wins, wins + losses).pvalue", () => {
  for (
    const [w, l, p] of [
      [128, 60, 7.87405466490865e-07],
      [88, 20, 2.3222098297326027e-11],
      [3, 7, 0.34375],
      [0, 5, 0.0625],
      [1000, 900, 0.023108845108901193],
      [5, 5, 1],
      [52000, 51000, 0.0018532735712943628],
      [0, 0, 1],
    ]
  ) {
    assertAlmostEquals(signTest(w, l) / p, 1, LARGE_COUNTS);
    assertEquals(signTest(l, w), signTest(w, l));
  }
  assertThrows(() => signTest(-1, 2), DataError, "these are no counts");
});

Deno.test("comparePairedRanks: smaller is better, twice not found is a tie", () => {
  assertEquals(comparePairedRanks([1, Infinity, Infinity, 5, 2], [2, 3, Infinity, 5, Infinity]), {
    wins: 2,
    losses: 1,
    ties: 2,
    pValue: 1,
  });
  assertThrows(() => comparePairedRanks([1], []), ShapeError, "1 questions, the other 0");
});

Deno.test("mcnemarTest: is the sign test of the questions on which the systems disagree", () => {
  const pair = fc.tuple(fc.boolean(), fc.boolean());
  fc.assert(fc.property(fc.array(pair), (pairs) => {
    const a = pairs.map((p) => p[0]), b = pairs.map((p) => p[1]);
    const test = mcnemarTest(a, b);
    const wins = pairs.filter(([x, y]) => x && !y).length;
    const losses = pairs.filter(([x, y]) => y && !x).length;
    assertEquals(test, {
      wins,
      losses,
      ties: pairs.length - wins - losses,
      pValue: signTest(wins, losses),
    });
  }));
});
