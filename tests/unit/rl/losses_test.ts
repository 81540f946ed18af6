import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../../../src/errors.ts";
import {
  actionLogProbs,
  actionMean,
  grpoLoss,
  k1,
  k3,
  ppoPolicyLoss,
  reinforceLoss,
  sequenceMeanWeights,
  valueLoss,
} from "../../../src/rl/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import {
  assertClose,
  FLOAT32_TOLERANCE,
  logSumExp,
  normals,
  numericGradient,
  rowsOf,
} from "../nn/_reference.ts";
import { column, gradients, value } from "./_columns.ts";

const { log } = Math;
const GRADIENT_TOLERANCE = 1e-5;
const near = (actual: number, expected: number, tolerance = FLOAT32_TOLERANCE): void =>
  assertAlmostEquals(actual, expected, tolerance);

const logitsOf = (x: ArrayLike<number>, V: number) =>
  named(tf.tensor2d(Float32Array.from(x), [x.length / V, V]), "N V", {});
const actionsOf = (x: number[]) => namedInts(tf.tensor1d(x, "int32"), "N", {});

Deno.test("actionLogProbs: log-probability and entropy against float64, with their gradients", () => {
  const V = 5, actions = [4, 0, 2], x = normals("logits", 3 * V).map((v) => 2 * v);
  const logSoftmax = (z: number[]) => z.map((v) => v - logSumExp(z));
  const entropy = (z: number[]) => -logSoftmax(z).reduce((sum, l) => sum + Math.exp(l) * l, 0);
  const got = actionLogProbs(logitsOf(x, V), actionsOf(actions));
  assertClose(got.logProbs.dataSync(), rowsOf(x, V).map((z, n) => logSoftmax(z)[actions[n]]));
  assertClose(got.entropies.dataSync(), rowsOf(x, V).map(entropy));
  // A different weight for each row, so that rows can't be mixed up.
  const mixed = (x: ArrayLike<number>) =>
    rowsOf(x, V).reduce(
      (sum, z, n) => sum + (n + 1) * logSoftmax(z)[actions[n]] - (n + 2) * entropy(z),
      0,
    );
  const gradient = tf.grad((x) => {
    const { logProbs, entropies } = actionLogProbs(named(x, "N V", {}), actionsOf(actions));
    return tf.sub(
      tf.sum(tf.mul(logProbs, tf.tensor1d([1, 2, 3]))),
      tf.sum(tf.mul(entropies, tf.tensor1d([2, 3, 4]))),
    );
  })(logitsOf(x, V));
  assertClose(gradient.dataSync(), numericGradient(mixed, x), GRADIENT_TOLERANCE);
});

Deno.test("actionLogProbs: what is hidden by −1e9 adds nothing and takes no gradient", () => {
  const visible = [0.3, -1, 2], hidden = [0.3, -1e9, -1, 2, -1e9];
  const run = (x: number[], action: number) => {
    const logits = logitsOf(x, x.length), actions = actionsOf([action]);
    const { logProbs, entropies } = actionLogProbs(logits, actions);
    const gradient = tf.grad((x) => {
      const found = actionLogProbs(named(x, "N V", {}), actions);
      return tf.sum(tf.add(found.logProbs, found.entropies));
    })(logits);
    return { logProb: value(logProbs), entropy: value(entropies), gradient: gradient.dataSync() };
  };
  const short = run(visible, 1), long = run(hidden, 2);
  assertEquals([long.logProb, long.entropy], [short.logProb, short.entropy]);
  assertEquals([...long.gradient], [
    short.gradient[0],
    0,
    short.gradient[1],
    short.gradient[2],
    0,
  ]);
});

Deno.test("k1 and k3 are unbiased: over the whole vocabulary they are KL(π ‖ π_ref)", () => {
  const policy = [0.5, 0.3, 0.2], reference = [0.2, 0.2, 0.6];
  const divergence = policy.reduce((sum, p, v) => sum + p * log(p / reference[v]), 0);
  const [logProbs, referenceLogProbs] = [policy, reference].map((p) => column(p.map(log)));
  for (const estimator of [k1, k3]) {
    const terms = estimator(logProbs, referenceLogProbs, column(policy)).dataSync();
    near(policy.reduce((sum, p, v) => sum + p * terms[v], 0), divergence);
  }
  const terms = k3(logProbs, referenceLogProbs, column(policy)).dataSync();
  assert(terms.every((x) => x > 0));
});

Deno.test("k3 of a small divergence keeps its digits", () => {
  const d = 2 ** -13;
  const [small] = k3(column([-d]), column([0]), column([1])).dataSync();
  // ½d² + d³/6; exp(d) − 1 − d in float32 would be off by about 6e-8, eight times the result.
  assertAlmostEquals(small / (d * d / 2 + d ** 3 / 6), 1, 2e-3);
});

Deno.test("k1 and k3: gradient to the policy alone", () => {
  const columns = { logProbs: [log(0.2)], referenceLogProbs: [log(0.4)] };
  const of = (estimator: typeof k3) =>
    gradients(columns, (x) => tf.sum(estimator(x.logProbs, x.referenceLogProbs, column([1]))));
  near(of(k1).logProbs[0], 1);
  near(of(k3).logProbs[0], 1 - 2);
  for (const estimator of [k1, k3]) assertEquals(of(estimator).referenceLogProbs, [0]);
});

/** Ratio 1.5 or ½, good or bad; then a row that holds no action. */
const RATIOS = [1.5, 1.5, 0.5, 0.5];
const PPO = {
  logProbs: [...RATIOS.map((r) => log(0.2 * r)), -7],
  behaviorLogProbs: [...RATIOS.map(() => log(0.2)), -1],
  advantages: [1, -1, 1, -1, 5],
  weights: [0.25, 0.25, 0.25, 0.25, 0],
};
const CLIP = { clipLow: 0.2, clipHigh: 0.28 };
const columnsOf = <C extends Record<string, number[]>>(x: C) =>
  Object.fromEntries(Object.entries(x).map(([name, data]) => [name, column(data)])) as {
    [name in keyof C]: ReturnType<typeof column>;
  };

Deno.test("ppoPolicyLoss: good and bad actions above and below the range, by hand", () => {
  const found = ppoPolicyLoss(columnsOf(PPO), CLIP);
  // −1.28 (clipped), 1.5, −0.5, 0.8 (clipped)
  near(value(found.loss), (-1.28 + 1.5 - 0.5 + 0.8) / 4);
  near(value(found.clipShare), 0.5);
  near(value(found.meanRatio), 1);
  near(value(found.largestRatioError), 0.5);
  near(value(found.approximateKl), (log(1.5) ** 2 + log(2) ** 2) / 4);
  const g = gradients(PPO, (x) => ppoPolicyLoss(x, CLIP).loss);
  // −w·A·r where nothing is clipped
  assertClose(g.logProbs, [0, 1.5 / 4, -0.5 / 4, 0, 0], GRADIENT_TOLERANCE);
});

Deno.test("ppoPolicyLoss: at the border of the range the gradient is that of the plain term", () => {
  // Both borders at 1, and a ratio of exactly 1. PyTorch: half of it from each side of max.
  const inputs = {
    logProbs: [-1, -1],
    behaviorLogProbs: [-1, -1],
    advantages: [3, -3],
    weights: [0.5, 0.5],
  };
  const g = gradients(inputs, (x) => ppoPolicyLoss(x, { clipLow: 0, clipHigh: 0 }).loss);
  assertEquals(g.logProbs, [-1.5, 1.5]);
});

Deno.test("ppoPolicyLoss: the largest ratio error may lie below 1", () => {
  const found = ppoPolicyLoss({
    ...columnsOf(PPO),
    logProbs: column([1.1, 0.3, 1, 1, 9].map((r) => log(0.2 * r))),
  }, CLIP);
  near(value(found.largestRatioError), 0.7);
});

Deno.test("departure: statistics are masked sum / mask count, whatever the weights", () => {
  // Sequences of 3 and 1 actions, so that GRPO weighs the last action three times as much.
  const weights = [...sequenceMeanWeights([3, 1]), 0];
  const inputs = columnsOf({ ...PPO, weights }), reference = column([...PPO.behaviorLogProbs]);
  const found = grpoLoss({ ...inputs, referenceLogProbs: reference }, {
    ...CLIP,
    klCoefficient: 0.5,
  });
  near(value(found.clipShare), 0.5);
  near(value(found.meanRatio), 1);
  near(value(found.approximateKl), (log(1.5) ** 2 + log(2) ** 2) / 4);
  // k3 with d = −log r: 1/r − 1 + log r
  const k3s = RATIOS.map((r) => 1 / r - 1 + log(r));
  near(value(found.kl), k3s.reduce((a, b) => a + b) / 4);
  near(value(actionMean(column([1, 2, 3, 6, NaN]), inputs.weights)), 3);
  // The loss is weighted: 1/6, 1/6, 1/6, 1/2.
  const losses = [-1.28, 1.5, -0.5, 0.8].map((l, n) => l + 0.5 * k3s[n]);
  near(value(found.loss), (losses[0] + losses[1] + losses[2]) / 6 + losses[3] / 2);
});

Deno.test("without any action losses and statistics are 0", () => {
  const nothing = columnsOf({ ...PPO, weights: [0, 0, 0, 0, 0] });
  const found = grpoLoss({ ...nothing, referenceLogProbs: nothing.logProbs }, {
    ...CLIP,
    klCoefficient: 1,
  });
  for (const [name, x] of Object.entries(found)) assertEquals(value(x), 0, name);
  assertEquals(value(actionMean(nothing.advantages, nothing.weights)), 0);
});

Deno.test("grpoLoss: the gradient is that of the surrogate plus β times that of k3", () => {
  const inputs = { ...PPO, referenceLogProbs: [...RATIOS.map(() => log(0.2)), -3] };
  const g = gradients(inputs, (x) => grpoLoss(x, { ...CLIP, klCoefficient: 0.5 }).loss);
  const surrogate = [0, 1.5, -0.5, 0];
  const expected = RATIOS.map((r, n) => (surrogate[n] + 0.5 * (1 - 1 / r)) / 4);
  assertClose(g.logProbs, [...expected, 0], GRADIENT_TOLERANCE);
});

Deno.test("valueLoss: inside the range, clipped, and beyond it but worse, by hand", () => {
  const inputs = {
    values: [0.1, 1, 1, 9],
    behaviorValues: [0, 0, 0, -9],
    returns: [1, 2, 0, 4],
    weights: [0.5, 0.25, 0.25, 0],
  };
  const found = valueLoss(columnsOf(inputs), { clip: 0.2 });
  // (0.1 − 1)²; (0.2 − 2)², more than (1 − 2)²; (1 − 0)², more than (0.2 − 0)²
  near(value(found.loss), (0.5 * 0.81 + 0.25 * 3.24 + 0.25 * 1) / 2);
  near(value(found.clipShare), 1 / 3);
  const g = gradients(inputs, (x) => valueLoss(x, { clip: 0.2 }).loss);
  assertClose(g.values, [0.5 * -0.9, 0, 0.25, 0], GRADIENT_TOLERANCE);
});

Deno.test("valueLoss: below the range", () => {
  const inputs = { values: [-1], behaviorValues: [0], returns: [-2], weights: [1] };
  near(value(valueLoss(columnsOf(inputs), { clip: 0.2 }).loss), 1.8 ** 2 / 2);
  assertEquals(gradients(inputs, (x) => valueLoss(x, { clip: 0.2 }).loss).values, [0]);
});

Deno.test("valueLoss: inside the range the clipped value is the value to the last digit", () => {
  // 0.15 + (1e-9 − 0.15) is 0 in float32, whose error would be twice as large.
  const inputs = { values: [1e-9], behaviorValues: [0.15], returns: [2e-9], weights: [1] };
  const found = valueLoss(columnsOf(inputs), { clip: 0.2 });
  assertEquals(value(found.clipShare), 0);
  assertAlmostEquals(value(found.loss) / 0.5e-18, 1, 1e-5);
});

Deno.test("departure: at a border and where both errors are equal the gradient is v − R", () => {
  const slope = (v: number, R: number, clip: number) => {
    const inputs = { values: [v], behaviorValues: [0], returns: [R], weights: [1] };
    return gradients(inputs, (x) => valueLoss(x, { clip }).loss).values[0];
  };
  // v at v_old + clip: PyTorch gives ½ · (v − R) + ½ · ½ · (v − R) = −1.125.
  assertEquals(slope(0.5, 2, 0.5), -1.5);
  // v = 2 and v̂ = 1 around R = 1½: PyTorch gives ½ · (v − R) = ¼.
  assertEquals(slope(2, 1.5, 1), 0.5);
});

Deno.test("reinforceLoss: over the whole vocabulary it is the gradient of the expected reward", () => {
  const rewards = [1, -2, 0.5, 3], z = [0.2, -0.4, 1, 0];
  const policy = (z: readonly number[]) => z.map((v) => Math.exp(v - logSumExp(z)));
  const expected = numericGradient(
    (z) => -policy(z).reduce((sum, p, v) => sum + p * rewards[v], 0),
    z,
  );
  // Every action once, and weighed as often as it is sampled.
  const weights = column(policy(z));
  const gradient = tf.grad((z) => {
    const logits = named(tf.tile(tf.reshape(z, [1, 4]), [4, 1]), "N V", {});
    const { logProbs } = actionLogProbs(logits, actionsOf([0, 1, 2, 3]));
    return reinforceLoss({ logProbs, advantages: column(rewards), weights });
  });
  assertClose(gradient(tf.tensor1d(z)).dataSync(), expected, GRADIENT_TOLERANCE);
});

Deno.test("no gradient flows to what was sampled, even where it is the policy itself", () => {
  // All columns are one tensor: without stops k3 and the ratio would be constant.
  const x = { logProbs: [log(0.3), log(0.6)] }, weights = column([0.5, 0.5]);
  const both = gradients(x, ({ logProbs }) =>
    grpoLoss({
      logProbs,
      behaviorLogProbs: logProbs,
      referenceLogProbs: logProbs,
      advantages: logProbs,
      weights,
    }, { ...CLIP, klCoefficient: 1 }).loss);
  assertClose(both.logProbs, x.logProbs.map((a) => -a / 2), GRADIENT_TOLERANCE);
  const reinforced = gradients(
    x,
    ({ logProbs }) => reinforceLoss({ logProbs, advantages: logProbs, weights }),
  );
  assertClose(reinforced.logProbs, x.logProbs.map((a) => -a / 2), GRADIENT_TOLERANCE);
  const values = gradients(
    { values: [1], behaviorValues: [3], returns: [4], weights: [1] },
    (x) => valueLoss(x, { clip: 0.2 }).loss,
  );
  // v̂ = 2.8, and its error is smaller than that of v.
  assertEquals([values.values, values.behaviorValues, values.returns], [[-3], [0], [0]]);
  const clipped = gradients(
    { values: [4], behaviorValues: [3], returns: [5], weights: [1] },
    (x) => valueLoss(x, { clip: 0.2 }).loss,
  );
  assertEquals([clipped.values, clipped.behaviorValues, clipped.returns], [[0], [0], [0]]);
});

Deno.test("columns that do not fit are named", () => {
  const inputs = columnsOf(PPO), short = column([1, 2]);
  const referenceLogProbs = short;
  const message = (name: string) => `Cannot read ${name} as [N=5]: axis N is 2`;
  const options = { ...CLIP, klCoefficient: 0 };
  const cases: [string, () => unknown][] = [
    ["behaviorLogProbs", () => ppoPolicyLoss({ ...inputs, behaviorLogProbs: short }, CLIP)],
    ["referenceLogProbs", () => grpoLoss({ ...inputs, referenceLogProbs }, options)],
    ["advantages", () => reinforceLoss({ ...inputs, advantages: short })],
    ["referenceLogProbs", () => k1(inputs.logProbs, referenceLogProbs, inputs.weights)],
    ["values", () => actionMean(short, inputs.weights)],
    ["returns", () => {
      const { logProbs: values, behaviorLogProbs: behaviorValues, weights } = inputs;
      return valueLoss({ values, behaviorValues, returns: short, weights }, { clip: 1 });
    }],
  ];
  for (const [name, run] of cases) assertThrows(run, ShapeError, message(name));
  assertThrows(
    () => actionLogProbs(logitsOf([1, 2, 3, 4], 2), actionsOf([0])),
    ShapeError,
    "Cannot read actions as [N=2]: axis N is 1",
  );
});
