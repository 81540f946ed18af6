import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ShapeError } from "../../../src/errors.ts";
import {
  discountedReturns,
  explainedVariance,
  generalizedAdvantages,
  groupAdvantages,
  klShapedRewards,
  leaveOneOut,
  nextKlCoefficient,
  whiten,
} from "../../../src/rl/mod.ts";

const FLOAT64 = 1e-9;

function assertNumbers(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance = FLOAT64,
): void {
  assertEquals(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    assertAlmostEquals(actual[i], expected[i], tolerance, `element ${i}`);
  }
}

const reward = fc.double({ min: -10, max: 10, noNaN: true });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const rewards = (minLength: number): fc.Arbitrary<number[]> =>
  fc.array(reward, { minLength, maxLength: 12 });
/** One trajectory: T rewards and T + 1 values. */
const trajectory = rewards(1).chain((r) =>
  fc.record({
    rewards: fc.constant(r),
    values: fc.array(reward, { minLength: r.length + 1, maxLength: r.length + 1 }),
    gamma: share,
  })
);

Deno.test("discountedReturns: three actions by hand, cut off and ended", () => {
  // 4, then 2 + ½ · 4, then 1 + ½ · 4; with a value of 8 behind them 4 + ½ · 8, 2 + ½ · 8, …
  const rewards = [1, 2, 4], gamma = 0.5;
  assertEquals([...discountedReturns({ rewards, gamma })], [3, 4, 4]);
  assertEquals([...discountedReturns({ rewards, gamma, bootstrap: 8 })], [4, 6, 8]);
  assertEquals([...discountedReturns({ rewards })], [7, 6, 4]);
  assertEquals([...discountedReturns({ rewards: [] })], []);
});

Deno.test("generalizedAdvantages: three actions by hand", () => {
  // δ₂ = 2 + ½·3 − ½ = 3, δ₁ = 0 + ½·½ − 1 = −¾, δ₀ = 1 + ½·1 − ½ = 1; A₁ = −¾ + ¼·3 = 0.
  const { advantages, returns } = generalizedAdvantages({
    rewards: [1, 0, 2],
    values: [0.5, 1, 0.5, 3],
    gamma: 0.5,
    lambda: 0.5,
  });
  assertEquals([...advantages], [1, 0, 3]);
  assertEquals([...returns], [1.5, 1, 3.5]);
});

Deno.test("departure: an episode that was cut off bootstraps from its last value", () => {
  const run = (last: number) =>
    generalizedAdvantages({
      rewards: [1, 0, 2],
      values: [0.5, 1, 0.5, last],
      gamma: 0.5,
      lambda: 0.5,
    });
  // TRL always takes 0: δ₂ = 1.5, A₁ = −¾ + ¼·1.5, A₀ = 1 + ¼·A₁.
  assertEquals([...run(0).advantages], [0.90625, -0.375, 1.5]);
  assertEquals([...run(3).advantages], [1, 0, 3]);
});

Deno.test("departure: tokens that were inserted are no time steps", () => {
  // Positions: action, document token, action. The value on the document token was never trained.
  const isAction = [true, false, true], values = [0.5, 4, 0.25], rewards = [0, 0, 1];
  const gae = (keep: (i: number) => boolean) =>
    generalizedAdvantages({
      rewards: rewards.filter((_, i) => keep(i)),
      values: [...values.filter((_, i) => keep(i)), 0],
      gamma: 0.5,
      lambda: 0.5,
    }).advantages;
  // Actions only: A₁ = 1 − ¼ = ¾; A₀ = (½·¼ − ½) + ¼·¾ = −0.1875.
  assertEquals([...gae((i) => isAction[i])], [-0.1875, 0.75]);
  // All positions: the middle is ½·¼ − 4 + ¼·¾ = −3.6875 and A₀ = (½·4 − ½) + ¼·(−3.6875).
  assertEquals([...gae(() => true)], [0.578125, -3.6875, 0.75]);
});

Deno.test("λ = 1 is returns − values, λ = 0 the one-step error", () => {
  fc.assert(fc.property(trajectory, ({ rewards, values, gamma }) => {
    const T = rewards.length;
    const whole = generalizedAdvantages({ rewards, values, gamma, lambda: 1 });
    const returns = rewards.map((_, t) =>
      rewards.slice(t).reduce((sum, r, k) => sum + gamma ** k * r, gamma ** (T - t) * values[T])
    );
    assertNumbers(whole.advantages, returns.map((g, t) => g - values[t]));
    assertNumbers(whole.returns, returns);
    assertNumbers(discountedReturns({ rewards, gamma, bootstrap: values[T] }), returns);
    const step = generalizedAdvantages({ rewards, values, gamma, lambda: 0 });
    assertNumbers(step.advantages, rewards.map((r, t) => r + gamma * values[t + 1] - values[t]));
  }));
});

Deno.test("whiten: the variance is unbiased and 1e-8 is added to it", () => {
  const { SQRT1_2 } = Math;
  assertNumbers(whiten([1, 3]), [-SQRT1_2, SQRT1_2], 1e-8);
  assertNumbers(whiten([1, 3], { shiftMean: false }), [2 - SQRT1_2, 2 + SQRT1_2], 1e-8);
  // Variance 5e-9: half the distance is 5e-5, and 5e-5 / √1.5e-8 = 1 / √6.
  assertNumbers(whiten([0, 1e-4]), [-1 / Math.sqrt(6), 1 / Math.sqrt(6)]);
});

Deno.test("whiten: one number, none, equal numbers", () => {
  assertEquals([...whiten([5])], [0]);
  assertEquals([...whiten([5], { shiftMean: false })], [5]);
  assertEquals([...whiten([])], []);
  assertEquals([...whiten([0.1, 0.1, 0.1])], [0, 0, 0]);
});

Deno.test("whitened numbers have mean 0 and variance 1, or keep their mean", () => {
  fc.assert(fc.property(rewards(2), (values) => {
    fc.pre(Math.max(...values) - Math.min(...values) > 0.1);
    const mean = (x: ArrayLike<number>) => Array.from(x).reduce((a, b) => a + b, 0) / x.length;
    const white = whiten(values);
    assertAlmostEquals(mean(white), 0, FLOAT64);
    const squares = white.reduce((sum, x) => sum + x * x, 0);
    // 1e-8 in the denominator, against a variance of at least 0.1² / 12 · 12/11 / 2.
    assertAlmostEquals(squares / (values.length - 1), 1, 1e-4);
    assertAlmostEquals(mean(whiten(values, { shiftMean: false })), mean(values), FLOAT64);
  }));
});

Deno.test("groupAdvantages: two of four right, by hand", () => {
  // Variance with G − 1: 4 · ¼ / 3.
  const a = 0.5 / (Math.sqrt(1 / 3) + 1e-4);
  assertNumbers(groupAdvantages([1, 0, 0, 1]), [a, -a, -a, a]);
  assertEquals([...groupAdvantages([1, 0, 0, 1], { scale: "none" })], [0.5, -0.5, -0.5, 0.5]);
});

Deno.test("a group whose rewards are equal gives exactly nothing", () => {
  // 0.1 + 0.1 + 0.1 is not 0.3.
  for (const group of [[0.1, 0.1, 0.1], [1, 1], [-2], []]) {
    const zeros = group.map(() => 0);
    assertEquals([...groupAdvantages(group)], zeros);
    assertEquals([...groupAdvantages(group, { scale: "none" })], zeros);
    assertEquals([...leaveOneOut(group)], zeros);
  }
});

Deno.test("group advantages sum to 0, do not see a shift, and rank as the rewards do", () => {
  fc.assert(fc.property(rewards(1), reward, (group, shift) => {
    for (const scale of ["std", "none"] as const) {
      const advantages = groupAdvantages(group, { scale });
      // With "std" a rounding of the rewards is divided by as little as 1e-4.
      const tolerance = scale === "std" ? FLOAT64 * 1e3 : FLOAT64;
      assertAlmostEquals(advantages.reduce((a, b) => a + b, 0), 0, tolerance);
      assertNumbers(groupAdvantages(group.map((r) => r + shift), { scale }), advantages, tolerance);
      group.forEach((r, i) =>
        group.forEach((s, j) => assert(r < s || advantages[i] >= advantages[j]))
      );
    }
  }));
});

Deno.test("leaveOneOut: the reward less the mean of the others", () => {
  fc.assert(fc.property(rewards(2), (group) => {
    const expected = group.map((r, i) => {
      const others = group.filter((_, j) => j !== i);
      return r - others.reduce((a, b) => a + b, 0) / others.length;
    });
    assertNumbers(leaveOneOut(group), expected);
  }));
});

Deno.test("nextKlCoefficient: limited both ways, still at the target", () => {
  const options = { target: 6, horizon: 100, samples: 10 };
  assertAlmostEquals(nextKlCoefficient(1, 600, options), 1.02, FLOAT64);
  assertAlmostEquals(nextKlCoefficient(1, 0, options), 0.98, FLOAT64);
  assertAlmostEquals(nextKlCoefficient(1, 6.3, options), 1.005, FLOAT64);
  assertEquals(nextKlCoefficient(0.3, 6, options), 0.3);
});

Deno.test("explainedVariance: perfect, constant, opposite, nothing to explain", () => {
  assertEquals(explainedVariance([1, 2, 4], [1, 2, 4]), 1);
  // A constant distance is no variance.
  assertEquals(explainedVariance([2, 3, 5], [1, 2, 4]), 1);
  assertEquals(explainedVariance([7, 7, 7], [1, 2, 4]), 0);
  assertEquals(explainedVariance([-1, -2, -4], [1, 2, 4]), -3);
  assertEquals(explainedVariance([1, 2, 3], [0.1, 0.1, 0.1]), 0);
  assertEquals(explainedVariance([1], [2]), 0);
});

Deno.test("klShapedRewards: each action pays, the last one gets the score", () => {
  const inputs = { logProbs: [-1, -2, -0.5], referenceLogProbs: [-2, -1.5, -0.5], score: 3 };
  // −¼ · (1, −½, 0)
  assertEquals([...klShapedRewards({ ...inputs, coefficient: 0.25 })], [-0.25, 0.125, 3]);
});

Deno.test("lengths that do not fit are named", () => {
  assertThrows(
    () => generalizedAdvantages({ rewards: [1, 2], values: [1, 2], gamma: 1, lambda: 1 }),
    ShapeError,
    "Cannot read values as [T+1=3]: it holds 2 numbers",
  );
  assertThrows(
    () => explainedVariance([1], [1, 2]),
    ShapeError,
    "Cannot read values as [N=2]: it holds 1 numbers",
  );
  const shaped = (logProbs: number[], referenceLogProbs: number[]) =>
    klShapedRewards({ logProbs, referenceLogProbs, coefficient: 1, score: 1 });
  assertThrows(
    () => shaped([-1, -1], [-1]),
    ShapeError,
    "Cannot read referenceLogProbs as [T=2]: it holds 1 numbers",
  );
  assertThrows(
    () => shaped([], []),
    ShapeError,
    "Cannot place a score: the trajectory has no action",
  );
});
