/** Policy optimisation against TRL: PPO 0.7.11 and 1.9.0, GRPO 1.9.0. */
import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import { type Program, withGradients } from "../../src/graph/mod.ts";
import {
  actionLogProbs,
  actionMean,
  generalizedAdvantages,
  groupAdvantages,
  grpoLoss,
  k1,
  klShapedRewards,
  nextKlCoefficient,
  ppoPolicyLoss,
  sequenceMeanWeights,
  tokenMeanWeights,
  valueLoss,
  whiten,
} from "../../src/rl/mod.ts";
import { named, namedInts } from "../../src/tensor/axes.ts";
import { type HostTensor, hostTensor } from "../../src/tensor/host_tensor.ts";
import { runEager } from "../parity.ts";

const FILE = new URL("../../../shared/parity/rl_reference.json", import.meta.url);
/** Absolute, or relative to numbers above 1. */
const VALUE_TOLERANCE = 1e-5;
/** Relative to the largest gradient of the tensor. */
const GRADIENT_TOLERANCE = 1e-4;

/** Statistics that TRL 0.7.11 calls by these names. */
const PPO_STATISTICS = [
  "loss/total",
  "loss/policy",
  "loss/value",
  "policy/entropy",
  "policy/approxkl",
  "policy/policykl",
  "policy/clipfrac",
  "val/clipfrac",
];

type Rows = number[][];

interface PpoCase {
  config: {
    gamma: number;
    lam: number;
    whiten_rewards: boolean;
    kl_penalty: "kl" | "abs";
    cliprange: number;
    cliprange_value: number;
    vf_coef: number;
  };
  kl_coef: number;
  mask: Rows;
  scores: number[];
  logprobs: Rows;
  ref_logprobs: Rows;
  values: Rows;
  rewards: Rows;
  advantages_whitened: Rows;
  returns: Rows;
  loss_inputs: {
    logits: number[][][];
    actions: Rows;
    vpreds: Rows;
    logprobs: Rows;
    old_logprobs: Rows;
  };
  policy_loss: number;
  value_loss_times_vf_coef: number;
  stats: Record<string, number>;
  grad_logits: number[][][];
  grad_vpreds: Rows;
}

interface AdvantagesCase {
  args: { kl_estimator: string; kl_coef: number; gamma: number; lam: number };
  sequence_lengths: number[];
  logprobs: Rows;
  ref_logprobs: Rows;
  values: Rows;
  scores: number[];
  rewards: Rows;
  advantages: Rows;
  returns: Rows;
}

interface GrpoCase {
  loss_type: string;
  importance_sampling_level: "token" | "sequence";
  beta: number;
  epsilon_low: number;
  epsilon_high: number;
  completion_mask: Rows;
  logits: number[][][];
  completion_ids: Rows;
  advantages: number[];
  logps: Rows;
  old_logps: Rows;
  ref_logps: Rows;
  loss: number;
  grad_logits: number[][][];
  metrics: Record<string, number[]>;
}

interface Reference {
  "ppo_v0.7.11": PpoCase[];
  adaptive_kl: {
    init: number;
    target: number;
    horizon: number;
    n_steps: number;
    currents: number[];
    values: number[];
  };
  "ppo_v1.9.0_advantages": AdvantagesCase[];
  grpo_advantages: {
    scale_rewards: "group" | "batch";
    num_generations: number;
    rewards: number[];
    advantages: number[];
  }[];
  grpo_loss: GrpoCase[];
}

async function readReference(): Promise<Reference | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(FILE));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("skipped: policy losses against TRL (../shared/parity/rl_reference.json missing)");
    return undefined;
  }
}

function assertNumbers(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what: string,
): void {
  assertEquals(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const limit = VALUE_TOLERANCE * Math.max(1, Math.abs(expected[i]));
    const isNear = Math.abs(actual[i] - expected[i]) <= limit;
    assert(isNear, `${what}: element ${i} is ${actual[i]}, TRL has ${expected[i]}`);
  }
}

function assertGradient(actual: HostTensor, expected: number[], what: string): void {
  assertEquals(actual.data.length, expected.length, what);
  const largest = Math.max(...expected.map(Math.abs));
  assert(largest > 0);
  for (const [i, e] of expected.entries()) {
    const isNear = Math.abs(actual.data[i] - e) <= GRADIENT_TOLERANCE * largest;
    assert(isNear, `gradient of ${what}: element ${i} is ${actual.data[i]}, TRL has ${e}`);
  }
}

const lengthsOf = (mask: Rows): number[] => mask.map((row) => row.filter((m) => m === 1).length);
const actionsOf = (rows: Rows, lengths: number[]): number[] =>
  rows.flatMap((row, g) => row.slice(0, lengths[g]));

/** Weights of actions, and 0 on the padding behind each sequence. */
function padded(weights: Float64Array, mask: Rows): number[] {
  let action = 0;
  return mask.flat().map((m) => m === 1 ? weights[action++] : 0);
}

const floats = (x: ArrayLike<number>, ...shape: number[]): HostTensor =>
  hostTensor("float32", Float32Array.from(x), shape.length ? shape : [x.length]);

const reference = await readReference();

/** A test that needs the reference, and says so where there is none. */
const test = (name: string, fn: (reference: Reference) => void | Promise<void>): void =>
  Deno.test({ name, ignore: reference === undefined, fn: () => fn(reference!) });

test("rewards, advantages and returns equal those of TRL 0.7.11", (reference) => {
  for (const c of reference["ppo_v0.7.11"]) {
    const { config: { gamma, lam: lambda, whiten_rewards, kl_penalty }, kl_coef } = c;
    const lengths = lengthsOf(c.mask);
    // The penalty |log π − log π_ref| is not ours; its rewards go on as they are.
    const shaped = kl_penalty === "abs"
      ? c.rewards.map((row, g) => row.slice(0, lengths[g]))
      : lengths.map((T, g) =>
        Array.from(klShapedRewards({
          logProbs: c.logprobs[g].slice(0, T),
          referenceLogProbs: c.ref_logprobs[g].slice(0, T),
          coefficient: kl_coef,
          score: c.scores[g],
        }))
      );
    assertNumbers(shaped.flat(), actionsOf(c.rewards, lengths), "rewards");

    const all = shaped.flat();
    const white = Array.from(whiten_rewards ? whiten(all, { shiftMean: false }) : all);
    // Departure: TRL whitens the 0 of padding too, and what comes out counts as a reward there.
    const slope = (white[1] - white[0]) / (all[1] - all[0]);
    const rewardOfPadding = white[0] - slope * all[0];
    let at = 0;
    const trajectories = lengths.map((T, g) => {
      const padding = new Array<number>(7 - T);
      return generalizedAdvantages({
        rewards: [...white.slice(at, at += T), ...padding.fill(rewardOfPadding)],
        values: [...c.values[g].slice(0, T), ...padding.fill(0), 0],
        gamma,
        lambda,
      });
    });
    assertNumbers(
      trajectories.flatMap(({ returns }) => Array.from(returns)),
      c.returns.flat(),
      "returns",
    );
    const advantages = actionsOf(trajectories.map((t) => Array.from(t.advantages)), lengths);
    assertNumbers(whiten(advantages), actionsOf(c.advantages_whitened, lengths), "advantages");
  }
});

test("rewards, advantages and returns equal those of TRL 1.9.0", (reference) => {
  for (const c of reference["ppo_v1.9.0_advantages"]) {
    const { args: { kl_estimator, kl_coef, gamma, lam: lambda }, sequence_lengths } = c;
    assertEquals(kl_estimator, "k1");
    const lengths = sequence_lengths.map((last) => last + 1);
    const trajectories = lengths.map((T, g) => {
      const isFull = T === c.rewards[g].length;
      const shaped = klShapedRewards({
        logProbs: c.logprobs[g].slice(0, T),
        referenceLogProbs: c.ref_logprobs[g].slice(0, T),
        coefficient: kl_coef,
        score: isFull ? c.scores[g] : 0,
      });
      // Departure: where there is room, TRL gives the score to a step of its own behind the last.
      const rewards = isFull ? [...shaped] : [...shaped, c.scores[g]];
      assertNumbers(rewards, c.rewards[g].slice(0, rewards.length), "rewards");
      const values = [...c.values[g].slice(0, rewards.length), 0];
      const found = generalizedAdvantages({ rewards, values, gamma, lambda });
      assertNumbers(found.returns, c.returns[g].slice(0, rewards.length), "returns");
      return Array.from(found.advantages);
    });
    assertNumbers(
      whiten(actionsOf(trajectories, lengths)),
      actionsOf(c.advantages, lengths),
      "advantages",
    );
  }
});

test("the KL coefficient takes the steps of TRL", ({ adaptive_kl: c }) => {
  const { target, horizon, n_steps: samples } = c;
  let coefficient = c.init;
  const found = c.currents.map((kl) =>
    coefficient = nextKlCoefficient(coefficient, kl, { target, horizon, samples })
  );
  assertNumbers(found, c.values, "coefficients");
});

test("group advantages equal those of TRL", (reference) => {
  for (
    const { scale_rewards, num_generations: G, rewards, advantages } of reference.grpo_advantages
  ) {
    const groups = rewards.flatMap((_, i) => i % G ? [] : [rewards.slice(i, i + G)]);
    const scale = scale_rewards === "group" ? "std" : "none";
    const found = groups.flatMap((group) => Array.from(groupAdvantages(group, { scale })));
    // TRL's "batch" divides what Dr. GRPO leaves as it is by the deviation of the whole batch.
    const mean = rewards.reduce((a, b) => a + b) / rewards.length;
    const squares = rewards.reduce((sum, r) => sum + (r - mean) ** 2, 0);
    const divisor = scale === "std" ? 1 : Math.sqrt(squares / (rewards.length - 1)) + 1e-4;
    assertNumbers(found.map((a) => a / divisor), advantages, scale_rewards);
  }
});

test("PPO's losses, statistics and gradients equal those of TRL", async (reference) => {
  for (const c of reference["ppo_v0.7.11"]) {
    const { config, loss_inputs: given } = c;
    const N = c.mask.flat().length, V = given.logits[0][0].length;
    const weights = padded(tokenMeanWeights(lengthsOf(c.mask)), c.mask);
    const actions = namedInts(tf.tensor1d(given.actions.flat(), "int32"), "N", {});
    const column = (rows: Rows) => named(tf.tensor1d(rows.flat()), "N", {});
    const program: Program = {
      name: "ppo",
      inputs: {
        logits: { dtype: "float32", shape: [N, V] },
        values: { dtype: "float32", shape: [N] },
      },
      run: (x) => {
        const { logProbs, entropies } = actionLogProbs(named(x.logits, "N V", {}), actions);
        const w = column([weights]), behaviorLogProbs = column(given.old_logprobs);
        const policy = ppoPolicyLoss({
          logProbs,
          behaviorLogProbs,
          advantages: column(c.advantages_whitened),
          weights: w,
        }, { clipLow: config.cliprange, clipHigh: config.cliprange });
        const value = valueLoss({
          values: named(x.values, "N", {}),
          behaviorValues: column(c.values),
          returns: column(c.returns),
          weights: w,
        }, { clip: config.cliprange_value });
        return {
          "loss/total": tf.add(policy.loss, tf.mul(value.loss, config.vf_coef)),
          "loss/policy": policy.loss,
          "loss/value": value.loss,
          "policy/entropy": actionMean(entropies, w),
          "policy/approxkl": policy.approximateKl,
          "policy/policykl": tf.neg(actionMean(k1(logProbs, behaviorLogProbs, w), w)),
          "policy/clipfrac": policy.clipShare,
          "val/clipfrac": value.clipShare,
          logProbs,
        };
      },
    };
    const found = await runEager(
      withGradients(program, { loss: "loss/total", parameters: ["logits", "values"] }),
      { logits: floats(given.logits.flat(2), N, V), values: floats(given.vpreds.flat()) },
    );
    assertNumbers(found.logProbs.data, given.logprobs.flat(), "log-probabilities");
    for (const name of PPO_STATISTICS) assertNumbers(found[name].data, [c.stats[name]], name);
    assertNumbers(found["loss/policy"].data, [c.policy_loss], "policy loss");
    assertNumbers(
      [found["loss/value"].data[0] * config.vf_coef],
      [c.value_loss_times_vf_coef],
      "value loss",
    );
    assertGradient(found["grad:logits"], c.grad_logits.flat(2), "logits");
    assertGradient(found["grad:values"], c.grad_vpreds.flat(), "values");
  }
});

test("GRPO's and GSPO's losses, statistics and gradients equal those of TRL", async (reference) => {
  for (const c of reference.grpo_loss) {
    assertEquals(c.loss_type, "grpo");
    const [G, T] = [c.completion_mask.length, c.completion_mask[0].length];
    const N = G * T, V = c.logits[0][0].length;
    const lengths = lengthsOf(c.completion_mask);
    const weights = padded(sequenceMeanWeights(lengths), c.completion_mask);
    const actions = namedInts(tf.tensor1d(c.completion_ids.flat(), "int32"), "N", {});
    const isSequence = c.importance_sampling_level === "sequence";
    // GSPO: a row is a sequence, its log-probability the mean over the actions.
    const rows = (x: tf.Tensor) => {
      if (!isSequence) return named(x, "N", {});
      const means = tf.mul(tf.sum(tf.reshape(tf.mul(x, weights), [G, T]), 1), G);
      return named(means, "N", {});
    };
    const perRow = c.advantages.flatMap((a) => isSequence ? a : new Array<number>(T).fill(a));
    const program: Program = {
      name: "grpo",
      inputs: { logits: { dtype: "float32", shape: [N, V] } },
      run: ({ logits }) => {
        const { logProbs, entropies } = actionLogProbs(named(logits, "N V", {}), actions);
        const { loss, kl, clipShare } = grpoLoss({
          logProbs: rows(logProbs),
          behaviorLogProbs: rows(tf.tensor1d(c.old_logps.flat())),
          referenceLogProbs: rows(tf.tensor1d(c.ref_logps.flat())),
          advantages: named(tf.tensor1d(perRow), "N", {}),
          weights: named(tf.tensor1d(isSequence ? new Array(G).fill(1 / G) : weights), "N", {}),
        }, { clipLow: c.epsilon_low, clipHigh: c.epsilon_high, klCoefficient: c.beta });
        return {
          loss,
          kl,
          "clip_ratio/region_mean": clipShare,
          entropy: actionMean(entropies, named(tf.tensor1d(weights), "N", {})),
          logProbs,
        };
      },
    };
    const found = await runEager(
      withGradients(program, { loss: "loss", parameters: ["logits"] }),
      { logits: floats(c.logits.flat(2), N, V) },
    );
    assertNumbers(found.logProbs.data, c.logps.flat(), "log-probabilities");
    assertNumbers(found.loss.data, [c.loss], "loss");
    const names = ["clip_ratio/region_mean", "entropy", ...(c.beta ? ["kl"] : [])];
    for (const name of names) assertNumbers(found[name].data, c.metrics[name], name);
    assertGradient(found["grad:logits"], c.grad_logits.flat(2), "logits");
  }
});
