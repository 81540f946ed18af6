/** Policy optimisation of a tiny policy, its first step against one that is worked out by hand. */
import { assert, assertAlmostEquals, assertEquals, assertLess, assertRejects } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import {
  plainDemonstrator,
  policyRules,
  type PolicyText,
  type Trajectory,
} from "../../../src/agent/mod.ts";
import type { Query } from "../../../src/data/mod.ts";
import { CheckpointError, ConfigError, DataError, DeepragError } from "../../../src/errors.ts";
import {
  decoderLogits,
  type DecoderModel,
  decoderStates,
  VALUE_BIAS,
  VALUE_WEIGHT,
} from "../../../src/model/mod.ts";
import { adamw, scheduleFactor } from "../../../src/optim/mod.ts";
import {
  latestCheckpoint,
  onnxExecutor,
  Optimizer,
  ParameterStore,
  saveCheckpoint,
} from "../../../src/runtime/mod.ts";
import type { HostTensor } from "../../../src/tensor/host_tensor.ts";
import {
  actionRewards,
  type CompanionReport,
  type CompanionTurn,
  type Demonstration,
  demonstrationModel,
  isDegenerate,
  openPolicyJudge,
  type PolicyCompanion,
  policyParamSpecs,
  type ScoredTrajectory,
  trainPolicy,
  type TrainPolicyOptions,
  type TrainPolicyResult,
} from "../../../src/train/mod.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { withFolder } from "../../with_folder.ts";
import { DOCUMENTS, QUESTIONS, tinyEnvironment, tinyPolicy } from "../agent/_tiny_agent.ts";
import { TOKENS } from "../hub/_tiny_pretrained.ts";
import { ids as rowOf, paramsOf } from "../model/_tiny_decoder.ts";

/** Float32 sums of the same numbers in another order. */
const FLOAT32 = 2e-5;
/** The same of gradients: relative distance of their norms. */
const GRADIENT = 1e-4;
/** Components of a gradient beside which rounding is nothing: Adam's first step follows their sign. */
const CLEAR = 1e-3;

const executor = onnxExecutor({ threads: 1 });
const MODEL = tinyPolicy();
const ENVIRONMENT = tinyEnvironment({ turnTokens: 6 });
/** Any word is right: so that a random policy is, now and then. */
const WORDS = TOKENS.slice(6, 18).filter((word) => word !== "a" && word !== "the");
const EASY: readonly Query[] = QUESTIONS.map((q) => ({ ...q, answers: WORDS }));
/** One of the words; articles and question marks aside, as SQuAD counts. */
const isRight = ({ answer }: Trajectory): boolean =>
  WORDS.includes((answer ?? "").split(" ").filter((x) => !["a", "the", "?"].includes(x)).join(" "));
const REWARD = { em: 1, f1: 0, rouge_l: 0, format: 0.5 };
/** Nothing is an alarm. */
const CALM = { returnDrop: 100, displacement: 100, kl: 1000, brokenShare: 1 };

type Line = Record<string, unknown> & { step: number };

/** What a run left. */
interface Trained {
  result: TrainPolicyResult;
  lines: Line[];
  messages: string[];
  /** Episodes by iteration. */
  scored: Map<number, readonly ScoredTrajectory[]>;
}

async function train(over: Partial<TrainPolicyOptions> = {}): Promise<Trained> {
  const lines: Line[] = [], messages: string[] = [];
  const scored = new Map<number, readonly ScoredTrajectory[]>();
  const { onTrajectories, ...rest } = over;
  const result = await trainPolicy({
    model: MODEL,
    executor,
    environment: ENVIRONMENT,
    questions: EASY,
    costs: [0.1, 0.3],
    reward: REWARD,
    algorithm: "grpo",
    loss: {
      clipLow: 0.2,
      clipHigh: 0.2,
      clipValue: 0.5,
      valueCoefficient: 0.5,
      entropyCoefficient: 0.01,
    },
    iterations: 4,
    questionsPerIteration: 5,
    groupSize: 3,
    epochs: 2,
    minibatches: 2,
    learningRate: 0.003,
    schedule: { kind: "constant" },
    klCoefficient: 0.01,
    seed: 3,
    slots: 6,
    guard: CALM,
    log: (line) => lines.push({ ...line }),
    progress: { update: () => {}, message: (text) => messages.push(text), done: () => {} },
    ...rest,
    onTrajectories: (step, all) => {
      scored.set(step, all);
      return onTrajectories?.(step, all);
    },
  });
  return { result, lines, messages, scored };
}

/** All parameters of a result, by name. */
const paramsOfResult = ({ policy, valueHead }: TrainPolicyResult): Record<string, HostTensor> => ({
  ...policy.tensors,
  ...valueHead,
});
/** All numbers of some tensors. */
const numbersOf = (tensors: Readonly<Record<string, HostTensor>>): number[] =>
  Object.keys(tensors).toSorted().flatMap((name) => [...tensors[name].data]);
/** Lines without what the clock says. */
const comparable = (lines: readonly Line[]): Line[] =>
  lines.map(({ seconds: _, episodes_per_second: __, rollout_seconds: ___, ...rest }) =>
    rest as Line
  );
const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);
const mean = (values: ArrayLike<number>): number => sum(values) / values.length;
/** Unbiased standard deviation. */
function deviation(values: number[]): number {
  const middle = mean(values);
  return Math.sqrt(sum(values.map((x) => (x - middle) ** 2)) / (values.length - 1));
}

const ALGORITHMS: [string, Partial<TrainPolicyOptions>][] = [
  ["ppo", { algorithm: "ppo", gamma: 0.9, lambda: 0.8 }],
  ["grpo", { algorithm: "grpo" }],
  ["dr_grpo", { algorithm: "grpo", normalization: "dr_grpo" }],
  ["reinforce", { algorithm: "reinforce" }],
];

/** Two batches of lessons for a step; some choices are not to be learned. */
function lessonsAt(step: number): Demonstration[][] {
  const random = randomStream({ seed: 1, stream: "lessons", step });
  const teacher = plainDemonstrator(DOCUMENTS, ENVIRONMENT.protocol, { closedShare: 0.5 });
  const [first, ...others] = QUESTIONS.slice(0, 3)
    .flatMap((question) => teacher.demonstrate(question, 0.1, random))
    .map((lesson, i) => ({
      ...lesson,
      isTied: Array.from(lesson.actions, (_, t) => Number(t === i % 2)),
      weight: 0.02,
    }));
  return [[first], others];
}

/** Rewards by the words of the specification. */
function rewardsByHand({ trajectory }: ScoredTrajectory): number[] {
  const { actions, tokens, cost, isTruncated, isWellFormed } = trajectory;
  const { retrieve } = ENVIRONMENT.protocol.ids;
  return Array.from(actions, (at, t) => {
    const paid = tokens[at] === retrieve ? cost : 0;
    if (t < actions.length - 1 || isTruncated) return -paid;
    return Number(isRight(trajectory)) + (isWellFormed ? 0.5 : 0) - paid;
  });
}

/** Advantages and weights of every action, by the formulas of the papers. */
function byHand(
  algorithm: string,
  scored: readonly ScoredTrajectory[],
): { advantages: number[][]; weights: number[][] } {
  const rewards = scored.map(rewardsByHand), returns = rewards.map(sum);
  const lengths = rewards.map(({ length }) => length);
  const same = (values: number[]) =>
    values.map((value, i) => Array<number>(lengths[i]).fill(value));
  if (algorithm === "ppo") {
    const raw = scored.map(({ values }, i) => {
      const gae = Array<number>(lengths[i]).fill(0);
      for (let t = lengths[i] - 1; t >= 0; t--) {
        const surprise = rewards[i][t] + 0.9 * values![t + 1] - values![t];
        gae[t] = surprise + 0.9 * 0.8 * (gae[t + 1] ?? 0);
      }
      return gae;
    });
    const all = raw.flat(), middle = mean(all), spread = deviation(all);
    return {
      advantages: raw.map((gae) => gae.map((a) => (a - middle) / spread)),
      weights: same(lengths.map(() => 1 / sum(lengths))),
    };
  }
  const groups = returns.map((_, i) =>
    returns.slice(3 * Math.floor(i / 3), 3 * Math.floor(i / 3) + 3)
  );
  const advantages = same(returns.map((earned, i) => {
    const others = (sum(groups[i]) - earned) / 2;
    if (algorithm === "reinforce") return earned - others;
    return (earned - mean(groups[i])) / (algorithm === "grpo" ? deviation(groups[i]) + 1e-4 : 1);
  }));
  const weightOf: Record<string, (length: number) => number> = {
    grpo: (length) => 1 / (scored.length * length),
    // A turn of six tokens, three times.
    dr_grpo: () => 1 / (scored.length * 18),
    reinforce: () => 1 / sum(lengths),
  };
  return { advantages, weights: same(lengths.map(weightOf[algorithm])) };
}

/** log π, entropy and value of the choices of an episode, from the whole row, eagerly. */
function choicesOf(
  params: Record<string, tf.Tensor>,
  { config }: DecoderModel,
  { tokens, actions, mayRetrieve }: PolicyText,
): { logProbs: tf.Tensor1D; entropies: tf.Tensor1D; values: tf.Tensor1D | undefined } {
  const { forbidden, ids: { retrieve } } = ENVIRONMENT.protocol;
  const { hidden } = decoderStates(params, config, { inputIds: rowOf([Array.from(tokens)]) });
  const rows = tf.reshape(hidden as tf.Tensor3D, [-1, config.modelWidth]);
  const states = tf.gather(rows, tf.tensor1d(Array.from(actions, (at) => at - 1), "int32"));
  const closed = Array.from(
    mayRetrieve,
    (may) =>
      Array.from(
        { length: config.vocabSize },
        (_, v) => forbidden.includes(v) || (v === retrieve && !may) ? -1e9 : 0,
      ),
  );
  const logits = tf.add(decoderLogits(params, config, states), tf.tensor2d(closed));
  const all = tf.logSoftmax(logits as tf.Tensor2D);
  const isChosen = tf.oneHot(
    tf.tensor1d(Array.from(actions, (at) => tokens[at]), "int32"),
    config.vocabSize,
  );
  return {
    logProbs: tf.sum(tf.mul(all, isChosen), 1),
    entropies: tf.neg(tf.sum(tf.mul(tf.exp(all), all), 1)),
    values: VALUE_WEIGHT in params
      ? tf.add(
        tf.reshape(tf.matMul(states, params[VALUE_WEIGHT] as tf.Tensor2D, false, true), [-1]),
        params[VALUE_BIAS],
      )
      : undefined,
  };
}

/** Four episodes of a random policy, as if somebody had shown them. */
async function demonstrations(): Promise<{ model: DecoderModel; lessons: PolicyText[] }> {
  const { scored } = await train({ iterations: 1 });
  const lessons = scored.get(1)!.map(({ trajectory }) => trajectory).slice(0, 4);
  return { model: MODEL, lessons };
}

Deno.test("a demonstration is learned by its choices: the mean of −log π over all of a batch", async () => {
  const rules = policyRules(ENVIRONMENT.protocol), { model, lessons } = await demonstrations();
  const { trainingProgram, batch } = demonstrationModel(model, rules, { seed: 1 });
  const program = await executor.compile(trainingProgram);
  const { inputs, tokens, positions, rows } = batch(lessons);
  const { loss } = await program.run({ ...model.tensors, ...inputs });
  const weighted = batch(lessons.map((text, i) => ({ ...text, weight: i ? 0.5 * i : undefined })));
  const other = await program.run({ ...model.tensors, ...weighted.inputs });
  await program.dispose();
  const logProbs = tf.tidy(() => {
    const params = paramsOf(model.tensors);
    return lessons.map((text) => [...choicesOf(params, model, text).logProbs.dataSync()]);
  });
  assertAlmostEquals(loss.data[0], -mean(logProbs.flat()), FLOAT32);
  // Weights that are given take the place of the mean's.
  const count = logProbs.flat().length;
  const sums = logProbs.map((all, i) => -sum(all) * (i ? 0.5 * i : 1 / count));
  assertAlmostEquals(other.loss.data[0] / sum(sums), 1, FLOAT32);
  const lengths = lessons.map((text) => text.tokens.length);
  assertEquals([tokens, positions, rows], [sum(lengths), 4 * Math.max(...lengths), {}]);
});

Deno.test("demonstrations are learned from a model or from random numbers, with its dropout", async () => {
  const rules = policyRules(ENVIRONMENT.protocol), { model, lessons } = await demonstrations();
  const started = (start: Parameters<typeof demonstrationModel>[0], seed = 1) => {
    const subject = demonstrationModel(start, rules, { seed });
    const store = new ParameterStore(subject.specs);
    subject.start(store);
    return numbersOf(store.params);
  };
  assertEquals(started(model), numbersOf(model.tensors));
  const { config } = model;
  assertEquals(started({ config }), started({ config }));
  assert(started({ config }).join() !== started({ config }, 2).join());

  const gpt2 = tinyPolicy("gpt2");
  const { trainingProgram, batch } = demonstrationModel(gpt2, rules, { seed: 1 });
  const program = await executor.compile(trainingProgram);
  const inputs = { ...gpt2.tensors, ...batch(lessons).inputs };
  const lossOf = async (step: number) =>
    (await program.run(inputs, { random: { seed: 1, stream: "dropout", step } })).loss.data[0];
  assert(await lossOf(1) !== await lossOf(2));
  assertEquals(await lossOf(1), await lossOf(1));
  await program.dispose();
});

Deno.test("the price is paid on the retrieve token, the reward earned by the last one", () => {
  const made = (over: Partial<Trajectory> = {}): Trajectory => ({
    question: { ...QUESTIONS[0], answers: ["otter"] },
    cost: 0.25,
    episode: 0,
    tokens: Int32Array.of(1, 2, 3, 20, 21, 22, 27, 20, 21, 22, 26, 23, 6, 24),
    promptLength: 3,
    actions: Int32Array.of(3, 7, 11, 12, 13),
    mayRetrieve: Uint8Array.of(1, 1, 0, 0, 0),
    behaviorLogProbs: new Float32Array(5),
    retrieveProbs: new Float32Array(5),
    retrievals: [0, 1].map((action) => ({ action, query: "", isWritten: false, documents: [] })),
    answer: "otter",
    isTruncated: false,
    isWellFormed: true,
    ...over,
  });
  const reward = { em: 1, f1: 0.5, rouge_l: 0, format: 0.125 };
  const rewards = (over: Partial<Trajectory>) => [...actionRewards(made(over), reward)];
  assertEquals(rewards({}), [-0.25, -0.25, 0, 0, 1.625]);
  assertEquals(rewards({ answer: "sea" }), [-0.25, -0.25, 0, 0, 0.125]);
  assertEquals(rewards({ answer: undefined, isWellFormed: false }), [-0.25, -0.25, 0, 0, 0]);
  // Cut off there is no end to earn anything, whatever was written.
  assertEquals(rewards({ isTruncated: true }), [-0.25, -0.25, 0, 0, 0]);
  // Cut off by a document that did not fit, the last action is the one that pays.
  const last = {
    isTruncated: true,
    answer: undefined,
    actions: Int32Array.of(3, 7),
    retrievals: made().retrievals,
  };
  assertEquals(rewards(last), [-0.25, -0.25]);
  assertEquals([...actionRewards(made({ cost: 0 }), reward)].at(0), -0);
});

Deno.test("a text repeats itself if up to four tokens stand there four times in a row", () => {
  const isBroken = (written: number[], before: number[] = [9]) =>
    isDegenerate({
      tokens: [...before, ...written],
      actions: written.map((_, i) => before.length + i),
      mayRetrieve: written.map(() => 1),
    });
  assertEquals(isBroken([5, 5, 5, 5]), true);
  assertEquals(isBroken([5, 5, 5]), false);
  assertEquals(isBroken([1, 5, 5, 5, 5, 2]), true);
  assertEquals(isBroken([5, 5, 5, 6, 5, 5, 5]), false);
  assertEquals(isBroken([1, 2, 1, 2, 1, 2, 1, 2]), true);
  assertEquals(isBroken([1, 2, 1, 2, 1, 2, 1]), false);
  assertEquals(isBroken([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]), true);
  assertEquals(isBroken(Array(4).fill([1, 2, 3, 4, 5]).flat()), false);
  assertEquals(isBroken([]), false);
  // What was given does not count, wherever it stands.
  assertEquals(isBroken([5, 5], [5, 5, 5]), false);
  assertEquals(
    isDegenerate({ tokens: [5, 5, 7, 5, 5], actions: [0, 1, 3, 4], mayRetrieve: [] }),
    true,
  );
});

for (
  const [title, name, options] of ALGORITHMS.flatMap(([name, options]) =>
    [
      [name, name, options],
      [`${name} with lessons`, name, { ...options, lessons: lessonsAt }],
    ] as [string, string, Partial<TrainPolicyOptions>][]
  )
) {
  Deno.test(`${title}: advantages, weights and the first step, worked out by hand`, async () => {
    const once = { ...options, iterations: 1, epochs: 1, minibatches: 1 };
    const { scored, lines: [line], result } = await train(once);
    const episodes = scored.get(1)!, { advantages, weights } = byHand(name, episodes);
    // The head starts from the mean return; behind an end there is nothing.
    const first = Math.fround(mean(episodes.map((one) => one.return)));
    let cut = 0;
    episodes.forEach((one, i) => {
      const { trajectory } = one;
      assertEquals([...one.rewards].map((x) => x + 0), rewardsByHand(one));
      assertAlmostEquals(one.return, sum(rewardsByHand(one)), 1e-12);
      one.advantages.forEach((a, t) => assertAlmostEquals(a, advantages[i][t], 1e-6));
      cut += Number(trajectory.isTruncated);
      if (name !== "ppo") return assertEquals([one.values, one.returns], [undefined, undefined]);
      const values = Array(one.rewards.length + 1).fill(first);
      if (!trajectory.isTruncated) values[one.rewards.length] = 0;
      one.values!.forEach((value, t) => assertAlmostEquals(value, values[t], 1e-6));
    });
    assert(cut > 0 && cut < episodes.length && new Set(episodes.map((e) => e.return)).size > 2);

    const specs = policyParamSpecs(MODEL.config, name === "ppo");
    const start = new ParameterStore(specs);
    start.initialise(3);
    start.load({ ...start.params, ...MODEL.tensors });
    if (name === "ppo") start.params[VALUE_BIAS].data[0] = first;
    const names = Object.keys(specs), params = paramsOf(start.params);
    const loss = (...values: tf.Tensor[]): tf.Scalar => {
      const x = Object.fromEntries(names.map((name, i) => [name, values[i]]));
      const ofEpisodes = episodes.map(({ trajectory, returns }, i) => {
        const { logProbs, entropies, values } = choicesOf(x, MODEL, trajectory);
        const w = tf.tensor1d(weights[i]);
        const gain = tf.mul(logProbs, tf.tensor1d(advantages[i]));
        const terms = tf.add(gain, tf.mul(entropies, 0.01));
        const objective = tf.neg(tf.sum(tf.mul(terms, w)));
        if (!values) return objective;
        const error = tf.squaredDifference(values, tf.tensor1d([...returns!]));
        return tf.add(objective, tf.mul(tf.sum(tf.mul(error, w)), 0.5 * 0.5));
      });
      const ofLessons = (options.lessons?.(0) ?? []).flat().map((lesson) => {
        const w = Array.from(lesson.isTied!, (tied) => tied ? 0 : -0.02);
        return tf.sum(tf.mul(choicesOf(x, MODEL, lesson).logProbs, tf.tensor1d(w)));
      });
      return [...ofEpisodes, ...ofLessons].reduce((a, b) => tf.add(a, b)) as tf.Scalar;
    };
    const gradients = tf.tidy(() =>
      tf.grads(loss)(names.map((name) => params[name])).map((g) => [...g.dataSync()])
    );
    const norm = Math.hypot(...gradients.flat());
    assertAlmostEquals(line.grad_norm as number / norm, 1, GRADIENT);
    const after = paramsOfResult(result);
    let clear = 0;
    names.forEach((name, i) =>
      gradients[i].forEach((g, j) => {
        const moved = after[name].data[j] - start.params[name].data[j];
        // Adam's first step is as long as the learning rate, whatever the gradient.
        if (Math.abs(g) < CLEAR * norm) return;
        clear++;
        assertAlmostEquals(moved, -0.003 * Math.sign(g), 1e-5, `${name} ${j}`);
      })
    );
    assert(clear > 200, `${clear}`);
  });
}

Deno.test("taken in parts of three rows, a step is the one of all rows at once", async () => {
  for (const [name, options] of ALGORITHMS) {
    const once = { ...options, iterations: 1, epochs: 1, minibatches: 1 };
    const whole = await train({ ...once, rows: 64 }), parts = await train({ ...once, rows: 3 });
    const [a, b] = [whole.lines[0], parts.lines[0]] as Record<string, number>[];
    for (const figure of ["loss", "grad_norm", "entropy", "kl", "explained_variance"]) {
      if (a[figure] === undefined) continue;
      assertAlmostEquals(
        a[figure],
        b[figure],
        GRADIENT * Math.max(1, a[figure]),
        `${name} ${figure}`,
      );
    }
    const [x, y] = [whole, parts].map(({ result }) => numbersOf(paramsOfResult(result)));
    // Where a gradient is about 0, Adam's first step may go either way.
    const same = x.filter((value, i) => Math.abs(value - y[i]) < FLOAT32).length;
    assert(same > 0.98 * x.length, `${name}: ${same} of ${x.length}`);
  }
});

Deno.test("an episode that was cut off bootstraps from the value of its last state", async () => {
  const options = { ...ALGORITHMS[0][1], learningRate: 0.01, questionsPerIteration: 10 };
  const first = await train({ ...options, iterations: 1 });
  const second = await train({ ...options, iterations: 2 });
  const tensors = paramsOfResult(first.result), params = paramsOf(tensors);
  const reference = paramsOf(MODEL.tensors);
  const episodes = second.scored.get(2)!, { advantages } = byHand("ppo", episodes);
  const ends = { cut: 0, ended: 0 };
  episodes.forEach(({ trajectory, values, returns, ...one }, i) => {
    const { tokens, actions, mayRetrieve, isTruncated, behaviorLogProbs } = trajectory;
    // Behind the last token stands a state that no action was taken in.
    const text = {
      tokens: [...tokens, 0],
      actions: [...actions, tokens.length],
      mayRetrieve: [...mayRetrieve, 0],
    };
    const [expected, old, now] = tf.tidy(() => [
      [...choicesOf(params, MODEL, text).values!.dataSync()],
      [...choicesOf(reference, MODEL, trajectory).logProbs.dataSync()],
      [...choicesOf(params, MODEL, trajectory).logProbs.dataSync()],
    ]) as unknown as number[][];
    if (isTruncated) ends.cut++;
    else {
      ends.ended++;
      expected[actions.length] = 0;
    }
    assert(Math.abs(expected[0]) > 1e-3);
    values!.forEach((v, t) => assertAlmostEquals(v, expected[t], FLOAT32));
    one.advantages.forEach((a, t) => assertAlmostEquals(a, advantages[i][t], 1e-6));
    behaviorLogProbs.forEach((x, t) => assertAlmostEquals(x, now[t], FLOAT32));
    one.referenceLogProbs.forEach((x, t) => assertAlmostEquals(x, old[t], FLOAT32));
    // Targets: the return that GAE looks forward to, not whitened.
    const gae = new Float64Array(returns!.length + 1);
    for (let t = returns!.length - 1; t >= 0; t--) {
      const surprise = one.rewards[t] + 0.9 * values![t + 1] - values![t];
      gae[t] = surprise + 0.9 * 0.8 * gae[t + 1];
      assertAlmostEquals(returns![t], gae[t] + values![t], 1e-9);
    }
  });
  assert(ends.cut > 1 && ends.ended > 1);
});

for (const [name, options] of ALGORITHMS) {
  Deno.test(`${name}: the loss of the second iteration, with its divergence, worked out by hand`, async () => {
    const once = { ...options, klCoefficient: 2, epochs: 1, minibatches: 1, learningRate: 0.01 };
    const first = await train({ ...once, iterations: 1 });
    const second = await train({ ...once, iterations: 2 });
    const params = paramsOf(paramsOfResult(first.result)), episodes = second.scored.get(2)!;
    const { advantages, weights } = byHand(name, episodes);
    const loss = { policy: 0, entropy: 0, divergence: 0, value: 0 }, divergences: number[] = [];
    episodes.forEach(({ trajectory, referenceLogProbs, values, returns }, i) => {
      const { logProbs, entropies } = tf.tidy(() => {
        const outputs = choicesOf(params, MODEL, trajectory);
        return { logProbs: outputs.logProbs.arraySync(), entropies: outputs.entropies.arraySync() };
      });
      logProbs.forEach((logProb, t) => {
        const w = weights[i][t], difference = referenceLogProbs[t] - logProb;
        // Nothing has moved since the episodes were played: the ratio is 1.
        loss.policy -= w * advantages[i][t] * (name === "reinforce" ? logProb : 1);
        loss.entropy -= 0.01 * w * entropies[t];
        divergences.push(Math.exp(difference) - 1 - difference);
        loss.divergence += 2 * w * divergences.at(-1)!;
        if (values) loss.value += 0.5 * 0.5 * w * (values[t] - returns![t]) ** 2;
      });
    });
    const line = second.lines[1] as Line & Record<string, number>;
    assertAlmostEquals(line.loss, sum(Object.values(loss)), FLOAT32);
    assertAlmostEquals(line.kl, mean(divergences), FLOAT32);
    assert(loss.divergence > 1e-3 && Math.abs(loss.entropy) > 1e-3);
    assertEquals(loss.value > 1e-3, name === "ppo");
  });
}

Deno.test("the figures of a line are those of its episodes", async () => {
  const oracleReturn = (question: Query, cost: number) => 2 + Number(question.queryId) - cost;
  for (const algorithm of ["ppo", "grpo"] as const) {
    const { lines, scored } = await train({ algorithm, oracleReturn, groupSize: 4 });
    assertEquals(lines.map(({ step }) => step), [1, 2, 3, 4]);
    for (const line of lines as (Line & Record<string, number>)[]) {
      const all = scored.get(line.step)!, episodes = all.map((one) => one.trajectory);
      const share = (isSo: (t: Trajectory) => boolean) => episodes.filter(isSo).length / all.length;
      const best = mean(episodes.map(({ question, cost }) => oracleReturn(question, cost)));
      const expected: Record<string, number> = {
        episodes: 20 * line.step,
        return: mean(all.map((one) => one.return)),
        oracle_return: best,
        regret: 1 - mean(all.map((one) => one.return)) / best,
        accuracy: share(isRight),
        retrieval_rate: share(({ retrievals }) => retrievals.length > 0),
        retrievals: mean(episodes.map(({ retrievals }) => retrievals.length)),
        truncated_share: share(({ isTruncated }) => isTruncated),
        kl_coefficient: 0.01,
        learning_rate: 0.003,
      };
      const right = episodes.filter(isRight);
      if (right.length) {
        expected.correct_log_prob = mean(right.map((t) => mean(t.behaviorLogProbs)));
      }
      if (algorithm === "ppo") {
        const pairs = all.flatMap(({ values, returns }) =>
          Array.from(returns!, (r, t) => [r, r - values![t]])
        );
        const [total, rest] = [0, 1].map((i) => deviation(pairs.map((pair) => pair[i])) ** 2);
        expected.explained_variance = 1 - rest / total;
      }
      for (const [name, value] of Object.entries(expected)) {
        assertAlmostEquals(line[name], value, 1e-6, `${name} of iteration ${line.step}`);
      }
      assert(line.first_ratio_error <= 1e-4, `${line.first_ratio_error}`);
      assert(line.entropy > 0 && line.clip_share >= 0 && line.clip_share <= 1);
      assert(line.seconds > 0 && line.rollout_seconds > 0 && line.episodes_per_second > 0);
      assertEquals("explained_variance" in line, algorithm === "ppo");
    }
    assert(lines.some(({ accuracy }) => accuracy as number > 0));
    assert(lines.some((line) => line.correct_log_prob_change !== 0));
  }
});

Deno.test("every question once before one comes again; a group has one question and one price", async () => {
  const { scored } = await train({
    iterations: 5,
    questionsPerIteration: 2,
    costs: [0.1, 0.3, 0.5],
  });
  const asked: string[] = [], prices = new Set<number>(), numbers: number[] = [];
  for (const episodes of scored.values()) {
    for (let q = 0; q < 2; q++) {
      const group = episodes.slice(3 * q, 3 * q + 3).map(({ trajectory }) => trajectory);
      assertEquals(new Set(group.map(({ question, cost }) => question.queryId + cost)).size, 1);
      asked.push(group[0].question.queryId);
      prices.add(group[0].cost);
      numbers.push(...group.map(({ episode }) => episode));
    }
  }
  assertEquals(asked.slice(0, 5).toSorted(), ["0", "1", "2", "3", "4"]);
  assertEquals(asked.slice(5).toSorted(), ["0", "1", "2", "3", "4"]);
  assert(asked.slice(0, 5).join() !== asked.slice(5).join());
  assertEquals(prices, new Set([0.1, 0.3, 0.5]));
  assertEquals(numbers, Array.from({ length: 30 }, (_, i) => i));
});

/** Ends a run as a crash does. */
class Killed extends Error {}
const killAt = (iteration: number) => (step: number): void => {
  if (step === iteration) throw new Killed();
};

/** An alarm now and then: at any fall of the averaged return. */
const NERVOUS = { ...CALM, returnDrop: 0, patience: 1 };

for (
  const [name, options] of [
    ["ppo", { algorithm: "ppo" }],
    ["grpo", { algorithm: "grpo" }],
    ["reinforce", { algorithm: "reinforce" }],
    ["ppo with lessons", { algorithm: "ppo", lessons: lessonsAt }],
    ["ppo with a guard that goes back", { algorithm: "ppo", guard: NERVOUS }],
    ["grpo with lessons and a guard that goes back", {
      algorithm: "grpo",
      lessons: lessonsAt,
      guard: NERVOUS,
    }],
    ["reinforce with a guard that goes back", { algorithm: "reinforce", guard: NERVOUS }],
  ] as [string, Partial<TrainPolicyOptions>][]
) {
  Deno.test(`killed again and again and resumed, a run ends as one that was not: ${name}`, () =>
    withFolder(async (folder) => {
      const evaluate = ({ tensors }: DecoderModel) =>
        Promise.resolve({ size: sum(numbersOf(tensors).map(Math.abs)) });
      const run = {
        ...options,
        iterations: 7,
        schedule: { kind: "linear", warmupSteps: 2, totalSteps: 7, minFactor: 0.1 },
        klTarget: 0.01,
        evaluate,
        evalEvery: 3,
      } as const;
      const none = { every: 2, keepLast: 2 };
      const whole = await train({ ...run, checkpoints: { ...none, folder: `${folder}/whole` } });
      assertEquals([whole.result.ended, whole.result.step], ["finished", 7]);
      assertEquals(whole.result.rollbacks > 0, options.guard === NERVOUS);
      const checkpoints = { ...none, folder: `${folder}/killed` };
      let lines: Line[] = [];
      for (const iteration of [2, 4, 6]) {
        const seen: Line[] = [];
        await assertRejects(
          () =>
            train({
              ...run,
              checkpoints: { ...checkpoints, resume: iteration > 2 },
              onStart: (step) => void (lines = lines.filter((line) => line.step <= step)),
              log: (line) => seen.push({ ...line }),
              onTrajectories: killAt(iteration),
            }),
          Killed,
        );
        lines.push(...seen);
      }
      const last = await train({
        ...run,
        checkpoints: { ...checkpoints, resume: true },
        onStart: (step) => void (lines = lines.filter((line) => line.step <= step)),
      });
      lines.push(...last.lines);
      assertEquals(comparable(lines), comparable(whole.lines));
      assertEquals(numbersOf(paramsOfResult(last.result)), numbersOf(paramsOfResult(whole.result)));
      assertEquals(last.result.rollbacks, whole.result.rollbacks);
      assertEquals(last.result.evaluation, whole.result.evaluation);
      assertEquals(
        "valueHead" in last.result && last.result.valueHead !== undefined,
        name.startsWith("ppo"),
      );
      // Resuming what is finished changes nothing, and says nothing twice.
      const again = await train({ ...run, checkpoints: { ...checkpoints, resume: true } });
      assertEquals(again.result.policy, whole.result.policy);
      assertEquals(again.lines, []);
    }));
}

Deno.test("an alarm puts back parameters and optimiser bit by bit, and halves the rate", () =>
  withFolder(async (folder) => {
    for (const algorithm of ["ppo", "grpo"] as const) {
      const checkpoints = { folder: `${folder}/${algorithm}`, every: 1, keepLast: 9 };
      // Unless right episodes became more likely by a nat, an alarm at each iteration.
      const guard = { ...CALM, displacement: -1, patience: 1 };
      const { result, lines, messages } = await train({
        algorithm,
        guard,
        checkpoints,
        iterations: 3,
      });
      assertEquals([result.ended, result.step, result.rollbacks], ["finished", 3, 3]);
      assertEquals(result.policy.tensors, MODEL.tensors);
      const rates = lines.flatMap(({ learning_rate }) => learning_rate ?? []);
      assertEquals(rates, [0.003, 0.0015, 0.00075]);
      const alarms = lines.filter(({ alarm }) => alarm !== undefined);
      assertEquals(alarms.map(({ step, rollbacks }) => [step, rollbacks]), [[1, 1], [2, 2], [
        3,
        3,
      ]]);
      assert(String(alarms[0].alarm).startsWith("right episodes become less likely"));
      assertEquals(
        messages[0],
        `iteration 1: alarm: ${
          alarms[0].alarm
        }. Back to the last good state, at half the learning rate`,
      );
      // The only checkpoint is that of the end. It holds an optimiser that never did a step.
      const names = [...Deno.readDirSync(checkpoints.folder)].map(({ name }) => name);
      assertEquals(names, ["step-3"]);
      const { checkpoint } = await latestCheckpoint(checkpoints.folder);
      const store = new ParameterStore(policyParamSpecs(MODEL.config, algorithm === "ppo"), {
        rule: adamw({ beta2: 0.98, weightDecay: 0 }),
        accumulate: true,
      });
      const optimizer = new Optimizer(store);
      store.training.state.fill(1);
      await checkpoint!.restore(optimizer);
      assertEquals(optimizer.updates, 0);
      assert(store.training.state.every((x) => x === 0));
      for (const [name, { data }] of Object.entries(MODEL.tensors)) {
        assertEquals(store.params[name].data, data);
      }
    }
  }));

Deno.test("what an alarm goes back to is the last state that was kept in health", () =>
  withFolder(async (folder) => {
    const states: number[][] = [numbersOf(MODEL.tensors)];
    const { lines, result } = await train({
      guard: NERVOUS,
      iterations: 8,
      checkpoints: { folder, every: 2, keepLast: 9 },
      evalEvery: 1,
      evaluate: ({ tensors }) => {
        states.push(numbersOf(tensors));
        return Promise.resolve({});
      },
    });
    let kept = 0, alarms = 0;
    for (let step = 1; step <= 8; step++) {
      const isAlarm = lines.some((line) => line.step === step && line.alarm !== undefined);
      if (isAlarm) {
        alarms++;
        assertEquals(states[step], states[kept], `iteration ${step} goes back to ${kept}`);
      } else {
        assert(states[step].join() !== states[step - 1].join());
        if (step % 2 === 0) kept = step;
      }
    }
    assertEquals(alarms, result.rollbacks);
    assert(alarms > 0 && kept > 0);
    const saved = [...Deno.readDirSync(folder)].map(({ name }) => Number(name.slice(5)));
    assert(saved.every((step) => step === 8 || !lines.some((l) => l.step === step && l.alarm)));
  }));

Deno.test("while the guard is worried nothing is kept, nor at the end", () =>
  withFolder(async (folder) => {
    const guard = { ...CALM, displacement: -1, patience: 3 };
    const checkpoints = { folder, every: 1, keepLast: 9 };
    const { result } = await train({ guard, checkpoints, iterations: 2 });
    assertEquals([result.ended, result.step, result.rollbacks], ["finished", 2, 0]);
    assertEquals((await latestCheckpoint(folder)).checkpoint, undefined);
    assert(numbersOf(result.policy.tensors).join() !== numbersOf(MODEL.tensors).join());
  }));

Deno.test("a gradient that is not finite is an alarm at once", async () => {
  // Too dear for float32.
  const { lines, result } = await train({ algorithm: "reinforce", costs: [1e39], iterations: 1 });
  assertEquals(result.rollbacks, 1);
  assertEquals(lines.at(-1)!.alarm, "a gradient is not finite");
  assertEquals(result.policy.tensors, MODEL.tensors);
});

Deno.test("a policy that goes wrong six times is given up, with a remedy", async () => {
  const lines: Line[] = [];
  const error = await assertRejects(
    () =>
      train({
        iterations: 20,
        guard: { ...CALM, displacement: -1, patience: 1 },
        log: (line) => lines.push({ ...line }),
      }),
    DeepragError,
    "Cannot go on training: the policy went wrong 6 times, at last because right episodes",
  );
  assert(error.message.endsWith("Lower agent.learning_rate or raise agent.kl_coefficient"));
  assertEquals(lines.filter(({ alarm }) => alarm !== undefined).length, 6);
  assertEquals(lines.at(-1)!.step, 6);
});

Deno.test("an abort saves and ends the run; so does time that is up, which also measures", () =>
  withFolder(async (folder) => {
    const run = { iterations: 6, evaluate: () => Promise.resolve({ good: 1 }) };
    const whole = await train(run);
    const controller = new AbortController();
    const checkpoints = { folder, every: 4, keepLast: 1 };
    const stopped = await train({
      ...run,
      checkpoints,
      signal: controller.signal,
      onTrajectories: (step) => void (step === 3 && controller.abort()),
    });
    assertEquals([stopped.result.ended, stopped.result.step], ["interrupted", 3]);
    assertEquals([stopped.result.evaluation, stopped.lines.length], [{}, 3]);
    assertEquals((await latestCheckpoint(folder)).checkpoint!.manifest.step, 3);
    let started = NaN;
    const resumed = await train({
      ...run,
      checkpoints: { ...checkpoints, resume: true },
      onStart: (step) => void (started = step),
    });
    assertEquals([started, resumed.result.ended], [3, "finished"]);
    assertEquals(resumed.messages, [`resumed at iteration 3 from ${folder}/step-3`]);
    assertEquals(numbersOf(resumed.result.policy.tensors), numbersOf(whole.result.policy.tensors));

    // The clock is looked at before an iteration: the first one takes all the time.
    const late = await train({
      ...run,
      maxMinutes: 0.2 / 60,
      onTrajectories: () => new Promise((resolve) => setTimeout(resolve, 250)),
    });
    assertEquals(late.result.ended, "time");
    assert(late.result.step <= 1 && late.result.seconds > 0.2);
    assertEquals(late.result.evaluation, { good: 1 });
    // Seconds of earlier sessions count.
    const { state } = (await latestCheckpoint(folder)).checkpoint!.manifest;
    const saved = (state as { seconds: number }).seconds;
    const again = await train({ ...run, checkpoints: { ...checkpoints, resume: true } });
    assert(saved > 0 && again.result.seconds >= saved);
    const { messages } = await train({
      ...run,
      iterations: 1,
      checkpoints: { ...checkpoints, folder: `${folder}/none`, resume: true },
    });
    assertEquals(messages, [`no checkpoint in ${folder}/none yet: starting at iteration 0`]);
  }));

Deno.test("checkpoints: every so often, rated by the first figure; with 0 at the end only", () =>
  withFolder(async (folder) => {
    const names = (of: string) => [...Deno.readDirSync(of)].map(({ name }) => name).toSorted();
    const figures = [0.9, 0.2, 0.1];
    const some = await train({
      iterations: 5,
      evalEvery: 2,
      evaluate: () => Promise.resolve({ "dev return": figures.shift()!, other: 7 }),
      checkpoints: { folder: `${folder}/some`, every: 1, keepLast: 1 },
    });
    assertEquals(names(`${folder}/some`), ["step-2", "step-5"]);
    const { manifest } = (await latestCheckpoint(`${folder}/some`)).checkpoint!;
    assertEquals([manifest.step, manifest.metric, manifest.seed], [5, 0.1, 3]);
    assertEquals(some.lines.filter((line) => "other" in line), [
      { step: 2, "dev return": 0.9, other: 7 },
      { step: 4, "dev return": 0.2, other: 7 },
      { step: 5, "dev return": 0.1, other: 7 },
    ]);
    await train({
      iterations: 21,
      questionsPerIteration: 1,
      groupSize: 2,
      checkpoints: { folder: `${folder}/last`, every: 0, keepLast: 9 },
    });
    assertEquals(names(`${folder}/last`), ["step-21"]);
  }));

Deno.test("what can't be trained or resumed is refused by name", () =>
  withFolder(async (folder) => {
    await assertRejects(() => train({ questions: [] }), DataError, "there is no question");
    for (const algorithm of ["grpo", "reinforce"] as const) {
      await assertRejects(
        () => train({ algorithm, groupSize: 1 }),
        ConfigError,
        `agent.group_size: must be 2 or more for ${algorithm}`,
      );
    }
    await train({ algorithm: "ppo", groupSize: 1, iterations: 1 });

    const checkpoints = { folder, every: 1, keepLast: 1, identity: "a" };
    await train({ iterations: 1, checkpoints });
    const resume = (over: Partial<TrainPolicyOptions>, identity = "a") =>
      train({ iterations: 2, ...over, checkpoints: { ...checkpoints, identity, resume: true } });
    await assertRejects(() => resume({ seed: 4 }), CheckpointError, "its run has seed=3, not 4");
    await assertRejects(() => resume({}, "b"), CheckpointError, "other data, settings or another");
    await assertRejects(
      () => resume({ algorithm: "ppo" }),
      CheckpointError,
      "do not fit the model",
    );
    assertEquals((await resume({})).result.step, 2);
    const store = new ParameterStore(policyParamSpecs(MODEL.config, false), { rule: adamw() });
    await saveCheckpoint(folder, { step: 9, seed: 3 }, { store });
    await assertRejects(
      () => resume({}),
      CheckpointError,
      "it was not written by policy optimisation",
    );
  }));

Deno.test("the coefficient of divergence is steered to its target", async () => {
  const { lines } = await train({ klTarget: 1e-6, klCoefficient: 0.5 });
  const betas = lines.map((line) => line.kl_coefficient as number);
  // Fifteen episodes far above the target: a fifth of 15 / 10,000 more each time.
  betas.forEach((beta, i) => assertAlmostEquals(beta, 0.5 * (1 + 0.2 * 15 / 10_000) ** i, 1e-12));
});

Deno.test("a GPT-2 with dropout and few positions is trained without dropout, up to its last position", async () => {
  const model = tinyPolicy("gpt2", { n_positions: 24 });
  assertEquals(model.config.residualDropout, 0.1);
  for (const algorithm of ["ppo", "grpo"] as const) {
    const { lines, scored } = await train({
      algorithm,
      model,
      environment: tinyEnvironment(),
      iterations: 2,
    });
    const lengths = [...scored.values()].flat().map(({ trajectory }) => trajectory.tokens.length);
    assertEquals(Math.max(...lengths), 23);
    for (const line of lines) assert(line.first_ratio_error as number <= 1e-4);
  }
});

/** A companion of three numbers that move by what the episodes earned, and what it saw. */
function smallCompanion(
  folder: string,
  lessons: readonly Demonstration[] = [],
): { companion: PolicyCompanion; store: ParameterStore; turns: CompanionTurn[] } {
  const specs = { w: { shape: [3], init: { kind: "normal", std: 1 } } } as const;
  const store = new ParameterStore(specs, { rule: adamw() });
  store.initialise(4);
  const optimizer = new Optimizer(store), turns: CompanionTurn[] = [];
  const companion: PolicyCompanion = {
    optimizer,
    folder,
    async learn(turn): Promise<CompanionReport> {
      turns.push(turn);
      const [{ logProbs }] = await turn.judge([turn.scored[0].trajectory]);
      store.gradients.w.data.set([
        mean(turn.scored.map((one) => one.return)),
        mean(logProbs),
        turn.step,
      ]);
      optimizer.step(0.1 * turn.rateFactor);
      return {
        figures: { companion: store.params.w.data[0] },
        lessons: Array.from({ length: turn.updates }, () => lessons),
      };
    },
  };
  return { companion, store, turns };
}

Deno.test("a companion sees each iteration first, and is saved, resumed and taken back with the policy", () =>
  withFolder(async (folder) => {
    const schedule = { kind: "linear", totalSteps: 7, minFactor: 0.1 } as const;
    const run = { iterations: 7, guard: NERVOUS, algorithm: "grpo", schedule } as const;
    const none = { every: 2, keepLast: 1 };
    const whole = smallCompanion(`${folder}/whole-beside`);
    const { result, lines } = await train({
      ...run,
      companion: whole.companion,
      checkpoints: { ...none, folder: `${folder}/whole` },
    });
    assert(result.rollbacks > 0);
    assertEquals(whole.turns.map(({ step, updates }) => [step, updates]), [
      ...Array.from({ length: 7 }, (_, step) => [step, 4]),
    ]);
    assertEquals(lines.filter((line) => "companion" in line).length, 7);
    // Taken back with the policy, it has taken fewer steps than there were iterations.
    assert(whole.companion.optimizer.updates < 7);
    // Scheduled as the policy is, a step ahead, and lowered with it.
    let lowered = 1;
    for (const { step, rateFactor } of whole.turns) {
      const share = rateFactor / scheduleFactor(schedule, step + 1);
      if (share < 0.75 * lowered) lowered /= 2;
      assertAlmostEquals(share, lowered, 1e-12);
    }
    assertLess(lowered, 1);

    const checkpoints = { ...none, folder: `${folder}/killed` };
    const beside = `${folder}/killed-beside`;
    for (const iteration of [3, 5]) {
      const { companion } = smallCompanion(beside);
      await assertRejects(
        () =>
          train({
            ...run,
            companion,
            checkpoints: { ...checkpoints, resume: iteration > 3 },
            onTrajectories: killAt(iteration),
          }),
        Killed,
      );
    }
    const last = smallCompanion(beside);
    const resumed = await train({
      ...run,
      companion: last.companion,
      checkpoints: { ...checkpoints, resume: true },
    });
    assertEquals(numbersOf(paramsOfResult(resumed.result)), numbersOf(paramsOfResult(result)));
    assertEquals(last.store.flat, whole.store.flat);
    assertEquals(last.companion.optimizer.updates, whole.companion.optimizer.updates);
    // Without its checkpoint there is nothing to go on from.
    await Deno.remove(beside, { recursive: true });
    await assertRejects(
      () =>
        train({
          ...run,
          companion: smallCompanion(beside).companion,
          checkpoints: { ...checkpoints, resume: true },
        }),
      CheckpointError,
      "which belongs to the one beside it",
    );
  }));

Deno.test("a companion's lessons are added to the policy's steps, signs and all", async () => {
  const { scored } = await train({ iterations: 1 });
  const [{ trajectory }] = scored.get(1)!;
  const told = (weight: number) =>
    train({
      iterations: 1,
      companion: smallCompanion("", [{ ...trajectory, weight }]).companion,
    });
  const likelihood = async (weight: number): Promise<number> => {
    const { result: { policy } } = await told(weight);
    const store = new ParameterStore(policyParamSpecs(MODEL.config, false));
    store.load(policy.tensors);
    const judge = await openPolicyJudge({
      executor,
      config: MODEL.config,
      specs: store.specs,
      rules: policyRules(ENVIRONMENT.protocol),
      rows: 4,
    });
    const [{ logProbs }] = await judge.judge(store.params, [trajectory]);
    await judge.dispose();
    return sum(logProbs);
  };
  const [less, none, more] = [await likelihood(-5), await likelihood(0), await likelihood(5)];
  assert(less < none && none < more, `${less} ${none} ${more}`);
});
