/** The whole losses against sums by hand, their gradients against finite differences in float64. */
import { assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import {
  inputsLike,
  type Program,
  type ProgramInput,
  withGradients,
} from "../../../src/graph/mod.ts";
import {
  decoderLogits,
  decoderParamSpecs,
  decoderStates,
  valueHead,
  valueHeadParamSpecs,
} from "../../../src/model/mod.ts";
import {
  type ActionLogProbs,
  actionLogProbs,
  actionMean,
  grpoLoss,
  type GrpoLossInputs,
  k3,
  ppoPolicyLoss,
  reinforceLoss,
  valueLoss,
  type ValueLossInputs,
} from "../../../src/rl/mod.ts";
import { type F32, named, namedInts } from "../../../src/tensor/axes.ts";
import {
  gradientError,
  type Input64,
  type Inputs64,
  runFloat64,
  type Tensor64,
} from "../../float64.ts";
import { drawn, tinyDecoderConfig } from "../model/_tiny_decoder.ts";
import { dot, logSumExp, normals, rowsOf } from "../nn/_reference.ts";

/** Differences are themselves wrong by some 1e-9. */
const GRADIENT_TOLERANCE = 1e-7;
/** Coefficients such as 0.1 are recorded in float32, which costs losses around 1 a few 1e-9. */
const LOSS_TOLERANCE = 1e-8;

const CLIP = { clipLow: 0.2, clipHigh: 0.3 };
const VALUE_CLIP = 0.2;

/** A sampled action. */
interface Action {
  /** π/μ. */
  ratio: number;
  advantage: number;
  /** How far the value has moved since the action was sampled. */
  moved: number;
  /** How far the value is above the return. */
  above: number;
}

/**
 * Two texts of six and five tokens. Ratios are below, inside and above the clip range with either
 * sign of the advantage, values inside and beyond theirs with either error the larger one. What is
 * no action is a token of a document.
 */
const ROWS: readonly (Action | undefined)[] = [
  undefined,
  { ratio: 1.25, advantage: 1.2, moved: 0.1, above: 0.5 },
  { ratio: 1.6, advantage: 0.7, moved: 0.5, above: 0.4 },
  undefined,
  undefined,
  { ratio: 0.6, advantage: 0.9, moved: -0.6, above: 0.2 },
  { ratio: 0.6, advantage: -0.8, moved: -0.1, above: -0.7 },
  { ratio: 1.6, advantage: -1.5, moved: 0.4, above: -0.9 },
  undefined,
  { ratio: 0.9, advantage: -0.4, moved: -0.3, above: -0.8 },
  { ratio: 1.05, advantage: 0.6, moved: 0.15, above: 0.6 },
];
const N = ROWS.length, FIRST_TEXT = 6;
/** Clipped are the ratios 1.6 at 0.7 and 0.6 at −0.8, and the values that moved by −0.6 and 0.4. */
const RATIOS = { meanRatio: (1.25 + 1.6 + 0.6 + 0.6 + 1.6 + 0.9 + 1.05) / 7, clipShare: 2 / 7 };
const VALUE_CLIP_SHARE = 2 / 7;

const tokenMean = ROWS.map((row) => row ? 1 / 7 : 0);
/** The mean of each text's mean: three actions in the first, four in the second. */
const textMean = ROWS.map((row, n) => row ? 0.5 / (n < FIRST_TEXT ? 3 : 4) : 0);

const float = (data: ArrayLike<number>, ...shape: number[]): Input64 => ({
  dtype: "float32",
  shape: shape.length ? shape : [data.length],
  data,
});
const ints = (data: number[], ...shape: number[]): Input64 => ({
  dtype: "int32",
  shape: shape.length ? shape : [data.length],
  data,
});

/** Columns of what was sampled: what does not belong to the policy that learns. */
const COLUMNS = [
  "behaviorLogProbs",
  "referenceLogProbs",
  "advantages",
  "behaviorValues",
  "returns",
] as const;
const rows = { dtype: "float32", shape: ["N"] } as const;
const columnInputs: Record<string, ProgramInput> = {
  actions: { dtype: "int32", shape: ["N"] },
  weights: rows,
  ...Object.fromEntries(COLUMNS.map((name) => [name, rows])),
};

/** What a policy says about the rows. */
interface Policy {
  logits: F32<"N V">;
  values: F32<"N">;
}

/** A loss of a policy, and what is said on the way. */
type Objective = (policy: Policy, x: Record<string, tf.Tensor>) => Record<string, tf.Tensor>;

const column = (x: tf.Tensor): F32<"N"> => named(x, "N", {});

/** What a policy says of the actions, beside what was sampled. */
function sampledBy(
  { logits }: Policy,
  x: Record<string, tf.Tensor>,
): ActionLogProbs & GrpoLossInputs & Omit<ValueLossInputs, "values"> {
  return {
    ...actionLogProbs(logits, namedInts(x.actions, "N", {})),
    behaviorLogProbs: column(x.behaviorLogProbs),
    referenceLogProbs: column(x.referenceLogProbs),
    advantages: column(x.advantages),
    behaviorValues: column(x.behaviorValues),
    returns: column(x.returns),
    weights: column(x.weights),
  };
}

/** Policy + 0.1 · value − 0.01 · entropy + 0.05 · k3. */
const ppo: Objective = (policy, x) => {
  const sampled = sampledBy(policy, x), { logProbs, referenceLogProbs, weights } = sampled;
  const { loss: policyLoss, meanRatio, clipShare } = ppoPolicyLoss(sampled, CLIP);
  const { loss: errors, clipShare: valueClipShare } = valueLoss(
    { ...sampled, values: policy.values },
    { clip: VALUE_CLIP },
  );
  const entropy = actionMean(sampled.entropies, weights);
  const kl = actionMean(k3(logProbs, referenceLogProbs, weights), weights);
  const terms = [policyLoss, tf.mul(errors, 0.1), tf.mul(entropy, -0.01), tf.mul(kl, 0.05)];
  return { ...policy, loss: tf.addN(terms), meanRatio, clipShare, valueClipShare };
};

/** GRPO with β = 0.3. */
const grpo: Objective = (policy, x) => {
  const { loss, meanRatio, clipShare } = grpoLoss(sampledBy(policy, x), {
    ...CLIP,
    klCoefficient: 0.3,
  });
  return { ...policy, loss, meanRatio, clipShare };
};

const reinforce: Objective = (policy, x) => ({
  ...policy,
  loss: reinforceLoss(sampledBy(policy, x)),
});

/** By hand: what the policy says of an action, from the logits of its row. */
function said(logits: readonly number[], action: number): { logProb: number; entropy: number } {
  const logProbs = logits.map((z) => z - logSumExp(logits));
  return { logProb: logProbs[action], entropy: -dot(logProbs.map(Math.exp), logProbs) };
}

/** Log π_ref − log π of a row. */
const behind = (n: number): number => 0.4 * Math.sin(n + 1);
const k3Of = (n: number): number => Math.exp(behind(n)) - 1 - behind(n);
const clip = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const surrogateOf = ({ ratio, advantage }: Action): number =>
  Math.max(-advantage * ratio, -advantage * clip(ratio, 0.8, 1.3));
const valueErrorOf = ({ moved, above }: Action): number =>
  Math.max(above ** 2, (above - moved + clip(moved, -VALUE_CLIP, VALUE_CLIP)) ** 2) / 2;

/** A loss and what is known of it. */
interface Case {
  name: string;
  objective: Objective;
  weights: number[];
  /** The columns it reads. */
  reads: readonly (typeof COLUMNS[number])[];
  /** By hand: the loss of an action, of which the whole loss is the weighted sum. */
  lossOf: (action: Action, n: number, said: { logProb: number; entropy: number }) => number;
  /** Statistics of {@linkcode ROWS}, by hand. */
  statistics: Record<string, number>;
}

const cases: readonly Case[] = [
  {
    name: "ppo",
    objective: ppo,
    weights: tokenMean,
    reads: COLUMNS,
    lossOf: (action, n, { entropy }) =>
      surrogateOf(action) + 0.1 * valueErrorOf(action) - 0.01 * entropy + 0.05 * k3Of(n),
    statistics: { ...RATIOS, valueClipShare: VALUE_CLIP_SHARE },
  },
  {
    name: "grpo",
    objective: grpo,
    weights: textMean,
    reads: ["behaviorLogProbs", "referenceLogProbs", "advantages"],
    lossOf: (action, n) => surrogateOf(action) + 0.3 * k3Of(n),
    statistics: RATIOS,
  },
  {
    name: "reinforce",
    objective: reinforce,
    weights: tokenMean,
    reads: ["advantages"],
    lossOf: ({ advantage }, _, { logProb }) => -advantage * logProb,
    statistics: {},
  },
];

/** A loss as a function of some of its inputs. */
interface Subject {
  program: Program;
  /** All but the columns and the weights. */
  inputs: Inputs64;
  /** What the policy is made of. */
  policy: readonly string[];
  /** What the values are made of besides. */
  head: readonly string[];
}

/** Logits and values themselves are the parameters. */
function ofLogits({ name, objective }: Case): Subject {
  const inputs = {
    logits: float(normals("logits", N * 7), N, 7),
    values: float(normals("values", N)),
    actions: ints([0, 6, 2, 2, 5, 1, 3, 0, 4, 6, 1]),
  };
  const run: Program["run"] = (x) =>
    objective({ logits: named(x.logits, "N V", {}), values: column(x.values) }, x);
  const own = { logits: { dtype: "float32", shape: ["N", 7] }, values: rows } as const;
  return {
    program: { name, inputs: { ...own, ...columnInputs }, run },
    inputs,
    policy: ["logits"],
    head: ["values"],
  };
}

const config = tinyDecoderConfig("llama"), D = config.modelWidth;
const policyWeights = drawn(decoderParamSpecs(config)), headWeights = drawn(valueHeadParamSpecs(D));

/** A small Llama with a value head, read where the tokens of the rows are decided. */
function ofLlama({ name, objective }: Case): Subject {
  const inputs = {
    ...policyWeights,
    ...headWeights,
    // The second text is padded on the left. Rows are the tokens but the first of each text.
    inputIds: ints([3, 4, 5, 9, 2, 7, 1, 0, 8, 10, 6, 6, 2, 5], 2, 7),
    isToken: float([1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1], 2, 7),
    before: ints([0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12]),
    actions: ints([4, 5, 9, 2, 7, 1, 10, 6, 6, 2, 5]),
  };
  const run: Program["run"] = (x) => {
    const { hidden } = decoderStates(x, config, {
      inputIds: namedInts(x.inputIds, "B S", {}),
      isToken: named(x.isToken, "B S", {}),
    });
    const before = x.before as tf.Tensor1D;
    const states = tf.gather(tf.reshape(hidden as tf.Tensor, [-1, D]), before);
    const values = valueHead(x, named(hidden as tf.Tensor, "B T D", {})) as tf.Tensor;
    return objective({
      logits: named(decoderLogits(x, config, states), "N V", {}),
      values: column(tf.gather(tf.reshape(values, [-1]), before)),
    }, x);
  };
  const own = {
    ...inputsLike({ ...policyWeights, ...headWeights }),
    inputIds: { dtype: "int32", shape: ["B", "S"] },
    isToken: { dtype: "float32", shape: ["B", "S"] },
    before: { dtype: "int32", shape: ["N"] },
  } as const;
  return {
    program: { name, inputs: { ...own, ...columnInputs }, run },
    inputs,
    policy: Object.keys(policyWeights),
    head: Object.keys(headWeights),
  };
}

const saidOf = ({ data, shape }: Tensor64, { actions }: Inputs64): ReturnType<typeof said>[] =>
  rowsOf(data, shape[1]).map((row, n) => said(row, actions.data[n]));

/** All inputs of a subject, with columns that give its actions what {@linkcode ROWS} says. */
function sampleOf({ program, inputs }: Subject, weights: number[]): Inputs64 {
  const given = { ...inputs, weights: float(weights) };
  const blank = Object.fromEntries(COLUMNS.map((name) => [name, float(new Float64Array(N))]));
  const { logits, values } = runFloat64(program, { ...given, ...blank });
  const logProb = (n: number): number => saidOf(logits, inputs)[n].logProb;
  // What stands where there is no action must not matter.
  const sampled = (f: (row: Action, n: number) => number, other: number): Input64 =>
    float(ROWS.map((row, n) => row ? f(row, n) : other));
  return {
    ...given,
    behaviorLogProbs: sampled(({ ratio }, n) => logProb(n) - Math.log(ratio), -1e9),
    referenceLogProbs: sampled((_, n) => logProb(n) + behind(n), NaN),
    advantages: sampled(({ advantage }) => advantage, Infinity),
    behaviorValues: sampled(({ moved }, n) => values.data[n] - moved, NaN),
    returns: sampled(({ above }, n) => values.data[n] - above, -Infinity),
  };
}

/**
 * Fails unless the loss and its statistics are those worked out by hand, and the gradient for all
 * that it depends on is that of differences.
 */
function assertGradient(
  { weights, reads, lossOf, statistics }: Case,
  subject: Subject,
  samples?: number,
): void {
  const { program, policy, head } = subject, inputs = sampleOf(subject, weights);
  const outputs = runFloat64(program, inputs);
  const losses = saidOf(outputs.logits, inputs).map((said, n) =>
    ROWS[n] ? lossOf(ROWS[n], n, said) : 0
  );
  const expected = { loss: dot(weights, losses), ...statistics };
  for (const [name, value] of Object.entries(expected)) {
    assertAlmostEquals(outputs[name].data[0], value, LOSS_TOLERANCE, name);
  }
  const { error, where } = gradientError(program, inputs, {
    loss: "loss",
    parameters: reads.includes("returns") ? [...policy, ...head] : policy,
    samples,
  });
  assertLess(error, GRADIENT_TOLERANCE, where);
}

for (const c of cases) {
  const { name, weights, reads } = c, onLogits = ofLogits(c);

  Deno.test(`${name}: the loss by hand, its gradient for logits and values by differences`, () =>
    assertGradient(c, onLogits));

  Deno.test(`${name}: the loss by hand, its gradient for a small Llama by differences`, () =>
    assertGradient(c, ofLlama(c), 24));

  Deno.test(`${name}: no gradient flows to what was sampled, though the loss depends on it`, () => {
    const { program } = onLogits, inputs = sampleOf(onLogits, weights);
    const gradients = runFloat64(
      withGradients(program, { loss: "loss", parameters: reads }),
      inputs,
    );
    for (const read of reads) {
      assertEquals([...gradients[`grad:${read}`].data], Array(N).fill(0), read);
      const finite = float(Array.from(inputs[read].data, (x) => Number.isFinite(x) ? x : 0));
      const { error } = gradientError(program, { ...inputs, [read]: finite }, {
        loss: "loss",
        parameters: [read],
      });
      assertEquals(error, 1, read);
    }
  });

  Deno.test(`${name}: the logits of a row have a gradient where it is an action, else 0`, () => {
    const gradients = runFloat64(
      withGradients(onLogits.program, { loss: "loss", parameters: ["logits"] }),
      sampleOf(onLogits, weights),
    );
    const { data } = gradients["grad:logits"];
    ROWS.forEach((row, n) => {
      const isZero = data.subarray(n * 7, (n + 1) * 7).every((g) => g === 0);
      assertEquals(isZero, !row, `row ${n}`);
    });
  });
}
