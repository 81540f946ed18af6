/** Objectives over candidate documents: values by hand, gradients against finite differences in float64. */
import { assertAlmostEquals, assertEquals, assertLess, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import { type Program, withGradients } from "../../../src/graph/mod.ts";
import {
  annealedMarginalLoss,
  drawnUtilityLoss,
  emdr2Loss,
  expectedUtilityLoss,
  gateLoss,
  marginalLoss,
  mixtureLogWeights,
  perplexityDistillationLoss,
} from "../../../src/rl/mod.ts";
import { type F32, named } from "../../../src/tensor/axes.ts";
import { gradientError, type Input64, type Inputs64, runFloat64 } from "../../float64.ts";

/** Differences are themselves wrong by some 1e-9. */
const GRADIENT_TOLERANCE = 1e-7;
/** What a loss of float64 is held to; a constant of a recording has 24 bits. */
const VALUE_TOLERANCE = 1e-7;

/** Two questions of three places; the second has two candidates. */
const LOG_P = [[0.5, 0.2, 0.1], [0.3, 0.6, 1]].map((row) => row.map(Math.log));
const LOG_R = [[0.9, 0.05, 0.3], [0.01, 0.7, 1]].map((row) => row.map(Math.log));
const IS_THERE = [[1, 1, 1], [1, 1, 0]];
const LOG_INCLUSION = [[0.9, 0.5, 0.4], [0.8, 0.95, 1]].map((row) => row.map(Math.log));

const float = (data: number[][]): Input64 => ({
  dtype: "float32",
  shape: [data.length, data[0].length],
  data: data.flat(),
});
const table = (x: tf.Tensor): F32<"B K"> => named(x, "B K", {});
const column = (x: tf.Tensor): F32<"B"> => named(x, "B", {});

const inputs: Inputs64 = {
  logProbs: float(LOG_P),
  logLikelihoods: float(LOG_R),
  isCandidate: float(IS_THERE),
  logInclusion: float(LOG_INCLUSION),
};

type Terms = {
  logProbs: F32<"B K">;
  isCandidate: F32<"B K">;
  logWeights: F32<"B K">;
  logLikelihoods: F32<"B K">;
};

function program(lossOf: (terms: Terms) => F32<"B">, isRenormalized = false): Program {
  const input = { dtype: "float32", shape: ["B", "K"] } as const;
  return {
    name: "objective",
    inputs: Object.fromEntries(Object.keys(inputs).map((name) => [name, input])),
    run: (x) => {
      const logProbs = table(x.logProbs), isCandidate = table(x.isCandidate);
      const logWeights = mixtureLogWeights(
        { logProbs, isCandidate, logInclusion: table(x.logInclusion) },
        { isRenormalized },
      );
      const terms = { logProbs, isCandidate, logWeights, logLikelihoods: table(x.logLikelihoods) };
      const each = lossOf(terms) as tf.Tensor;
      return { loss: tf.sum(each), each };
    },
  };
}

const utilities = (x: F32<"B K">): F32<"B K"> => table(tf.exp(x as tf.Tensor));

const dot = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * b[i], 0);
const normal = (row: number[]): number[] => row.map((x) => x / row.reduce((a, b) => a + b, 0));
/** Rows of weights and likelihoods of what is a candidate, in plain numbers. */
const rows = IS_THERE.map((row, b) => {
  const at = row.flatMap((there, k) => there ? [k] : []);
  const w = at.map((k) => Math.exp(LOG_P[b][k] - LOG_INCLUSION[b][k]));
  return { w, wn: normal(w), r: at.map((k) => Math.exp(LOG_R[b][k])) };
});

/** Objectives whose gradient is that of their value. */
const whole: Record<string, { loss: (t: Terms) => F32<"B">; value: number[]; value1?: number[] }> =
  {
    marginal: {
      loss: (t) => marginalLoss(t),
      value: rows.map(({ w, r }) => -Math.log(dot(w, r))),
      value1: rows.map(({ wn, r }) => -Math.log(dot(wn, r))),
    },
    "expected utility": {
      loss: (t) =>
        expectedUtilityLoss({
          logWeights: t.logWeights,
          utilities: utilities(t.logLikelihoods),
        }),
      value: rows.map(({ w, r }) => -dot(w, r)),
      value1: rows.map(({ wn, r }) => -dot(wn, r)),
    },
  };

for (const [name, { loss, value, value1 }] of Object.entries(whole)) {
  for (const isRenormalized of [false, true]) {
    Deno.test(`${name}, ${isRenormalized ? "renormalised" : "weighted"}: value and gradient`, () => {
      const tested = program(loss, isRenormalized);
      const { each } = runFloat64(tested, inputs);
      const expected = isRenormalized ? value1! : value;
      expected.forEach((x, b) => assertAlmostEquals(each.data[b], x, VALUE_TOLERANCE));
      const { error, where } = gradientError(tested, inputs, {
        loss: "loss",
        parameters: ["logProbs", "logLikelihoods"],
      });
      assertLess(error, GRADIENT_TOLERANCE, where);
    });
  }
}

/** Derivatives of a program by name. */
const derivatives = (p: Program): Record<string, number[]> =>
  Object.fromEntries(
    Object.entries(
      runFloat64(
        withGradients(p, { loss: "loss", parameters: ["logProbs", "logLikelihoods"] }),
        inputs,
      ),
    ).map(([name, { data }]) => [name.replace("grad:", ""), [...data]]),
  );

/** Zero where no candidate stands. */
const padded = (of: (row: typeof rows[number]) => number[]): number[] =>
  rows.flatMap((row) => {
    const values = of(row);
    return [...values, ...Array(3 - values.length).fill(0)];
  });
const assertNear = (actual: number[], expected: number[]): void =>
  actual.forEach((x, i) => assertAlmostEquals(x, expected[i], VALUE_TOLERANCE));

Deno.test("marginal likelihood pushes by the posterior", () => {
  const posterior = padded(({ w, r }) => normal(w.map((x, k) => x * r[k])).map((x) => -x));
  const { logProbs, logLikelihoods } = derivatives(program((t) => marginalLoss(t)));
  assertNear(logProbs, posterior);
  assertNear(logLikelihoods, posterior);
});

Deno.test("renormalised, candidates are pushed by posterior less prior: nothing in sum", () => {
  const { logProbs } = derivatives(program((t) => marginalLoss(t), true));
  assertNear(
    logProbs,
    padded(({ wn, r }) => normal(wn.map((x, k) => x * r[k])).map((x, k) => wn[k] - x)),
  );
});

Deno.test("emdr2: the retriever's gradient is the marginal one, the reader's its own", () => {
  const { each } = runFloat64(program((t) => emdr2Loss(t)), inputs);
  rows.forEach(({ w, wn, r }, b) =>
    assertAlmostEquals(
      each.data[b],
      -Math.log(dot(w, r)) - dot(wn, r.map(Math.log)),
      VALUE_TOLERANCE,
    )
  );
  const { logProbs, logLikelihoods } = derivatives(program((t) => emdr2Loss(t)));
  assertNear(logProbs, derivatives(program((t) => marginalLoss(t))).logProbs);
  assertNear(logLikelihoods, padded(({ wn }) => wn.map((x) => -x)));
});

Deno.test("annealed: a bound, pushed by the posterior of a flatter prior; with τ = 1 the marginal", () => {
  const temperature = 3;
  for (const isRenormalized of [false, true]) {
    const tested = program((t) => annealedMarginalLoss(t, { temperature }), isRenormalized);
    const weights = rows.map(({ w, wn }) => isRenormalized ? wn : w);
    const target = rows.map(({ r }, b) => normal(weights[b].map((w, k) => w ** (1 / 3) * r[k])));
    const { each } = runFloat64(tested, inputs);
    rows.forEach(({ r }, b) => {
      const bound = dot(target[b], target[b].map((t, k) => Math.log(t / (weights[b][k] * r[k]))));
      assertAlmostEquals(each.data[b], bound, VALUE_TOLERANCE);
      assertLess(-Math.log(dot(weights[b], r)), bound);
    });
    const { logProbs, logLikelihoods } = derivatives(tested);
    assertNear(logLikelihoods, padded((row) => target[rows.indexOf(row)].map((t) => -t)));
    if (!isRenormalized) assertNear(logProbs, logLikelihoods);
  }
  const one = program((t) => annealedMarginalLoss(t)), marginal = program((t) => marginalLoss(t));
  assertNear([...runFloat64(one, inputs).each.data], [...runFloat64(marginal, inputs).each.data]);
  for (const [name, values] of Object.entries(derivatives(marginal))) {
    assertNear(derivatives(one)[name], values);
  }
});

Deno.test("pdist: weights are pulled to the reader's softmax, which is held fixed", () => {
  const temperature = 0.5;
  const tested = program(
    (t) => perplexityDistillationLoss(t, { temperature }),
  );
  const target = rows.map(({ r }) => normal(r.map((x) => x ** 2)));
  const { each } = runFloat64(tested, inputs);
  rows.forEach(({ wn, r }, b) => {
    const divergence = target[b].reduce((s, t, k) => s + t * Math.log(t / wn[k]), 0);
    assertAlmostEquals(each.data[b], divergence - dot(wn, r.map(Math.log)), VALUE_TOLERANCE);
  });
  const { logProbs, logLikelihoods } = derivatives(tested);
  const of = (row: typeof rows[number]): number[] => target[rows.indexOf(row)];
  assertNear(logProbs, padded((row) => row.wn.map((x, k) => x - of(row)[k])));
  assertNear(logLikelihoods, padded(({ wn }) => wn.map((x) => -x)));
});

Deno.test("drawn utility: leave-one-out advantages on the log-probabilities alone", () => {
  const tested = program((t) =>
    drawnUtilityLoss({ logProbs: t.logProbs, utilities: utilities(t.logLikelihoods) })
  );
  const { logProbs, logLikelihoods } = derivatives(tested);
  const u = LOG_R.map((row) => row.map(Math.exp));
  const expected = u.flatMap((row) =>
    row.map((x) => {
      const others = (row.reduce((a, b) => a + b, 0) - x) / 2;
      return -(x - others) / 3;
    })
  );
  assertNear(logProbs, expected);
  assertEquals(logLikelihoods, Array(6).fill(0));
});

Deno.test("gate: value by hand, gradient to the gate, both answers and the retriever", () => {
  const names = ["logGate", "logClosed", "openValue", "cost"] as const;
  const values = {
    logGate: [-0.3, -2],
    logClosed: [-1.5, -0.2],
    openValue: [0.9, 0.4],
    cost: [0.1, 0.6],
  };
  const tested: Program = {
    name: "gate",
    inputs: Object.fromEntries(names.map((n) => [n, { dtype: "float32", shape: ["B"] }])),
    run: (x) => {
      const terms = {
        logGate: column(x.logGate),
        logClosed: column(x.logClosed),
        openValue: column(x.openValue),
        cost: column(x.cost),
      };
      const each = gateLoss(terms, 2) as tf.Tensor;
      return { loss: tf.sum(each), each };
    },
  };
  const given = Object.fromEntries(
    names.map((n) => [n, { dtype: "float32", shape: [2], data: values[n] } as Input64]),
  );
  const { each } = runFloat64(tested, given);
  [0, 1].forEach((b) => {
    const closed = 2 * Math.exp(values.logClosed[b]);
    const open = Math.exp(values.logGate[b]) * (values.openValue[b] - values.cost[b]);
    assertAlmostEquals(each.data[b], -(closed + open), VALUE_TOLERANCE);
  });
  const { error, where } = gradientError(tested, given, {
    loss: "loss",
    parameters: ["logGate", "logClosed", "openValue"],
  });
  assertLess(error, GRADIENT_TOLERANCE, where);
});

Deno.test("tables of unlike sizes are refused", async () => {
  await tf.setBackend("cpu");
  assertThrows(
    () =>
      marginalLoss({
        logWeights: table(tf.zeros([2, 3])),
        logLikelihoods: table(tf.zeros([2, 2])),
      }),
    ShapeError,
    "logLikelihoods",
  );
});
