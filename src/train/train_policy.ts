/** Policy optimisation: episodes, rewards, advantages, steps. @module */
import {
  type AgentEnvironment,
  openPolicySlots,
  policyBatchOf,
  policyRules,
  type PolicySlots,
  type PolicyText,
  type RewardWeights,
  rollout,
  type Trajectory,
} from "../agent/mod.ts";
import type { Query } from "../data/types.ts";
import { ConfigError, DataError, DeepragError } from "../errors.ts";
import { exactMatch } from "../metric/mod.ts";
import { type DecoderModel, VALUE_BIAS, valueHeadParamSpecs } from "../model/mod.ts";
import { adamw, type ScheduleConfig, scheduleFactor } from "../optim/mod.ts";
import {
  explainedVariance,
  fixedLengthWeights,
  nextKlCoefficient,
  sequenceMeanWeights,
  tokenMeanWeights,
} from "../rl/mod.ts";
import {
  checkpointOf,
  createTrainStep,
  type Executor,
  type JsonValue,
  Optimizer,
  ParameterStore,
  saveCheckpoint,
} from "../runtime/mod.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import { randomStream } from "../tensor/random.ts";
import { type Demonstration, demonstrationModel } from "./demonstration_model.ts";
import { partsByLength } from "./parts_by_length.ts";
import type { PolicyCompanion } from "./policy_companion.ts";
import { type GuardLimits, PolicyGuard } from "./policy_guard.ts";
import {
  type PolicyAlgorithm,
  type PolicyLossOptions,
  policyLossProgram,
  policyParamSpecs,
} from "./policy_program.ts";
import {
  actionRewards,
  type GrpoNormalization,
  openTrajectoryScorer,
  type ScoredTrajectory,
} from "./score_trajectories.ts";
import { type ProgressReporter, silentProgress } from "./progress.ts";
import { type CheckpointPlan, type Ending, endingOf, resumeFrom } from "./session.ts";
import { shuffledEpochs } from "./shuffled_epochs.ts";
import { tensorsOf } from "./text_model.ts";
import type { EvaluationRecord } from "./train_model.ts";

/** One line of the log. Each figure is explained in docs/metrics.md. */
export interface PolicyRecord {
  /** Iterations done. */
  readonly step: number;
  /** Episodes so far. */
  readonly episodes: number;
  /** Mean return, reward. */
  readonly return: number;
  /** Mean best possible return of the questions, where it is known. */
  readonly oracle_return?: number;
  /** (oracle − return) / oracle, where it is known. */
  readonly regret?: number;
  /** Share of right answers. */
  readonly accuracy: number;
  /** Share of the episodes with a retrieval. */
  readonly retrieval_rate: number;
  /** Retrievals per episode. */
  readonly retrievals: number;
  /** Entropy of a choice, nats. */
  readonly entropy: number;
  /** Divergence from the reference (k3), nats per action. */
  readonly kl: number;
  /** β */
  readonly kl_coefficient: number;
  /** Share of the choices whose ratio was clipped. */
  readonly clip_share: number;
  /** Share of the variance of returns that the values explain (PPO). */
  readonly explained_variance?: number;
  /** Largest |ratio − 1| before the first step: 0 but for rounding. */
  readonly first_ratio_error: number;
  /** Mean log π of right episodes, nats per action. */
  readonly correct_log_prob: number;
  /** Its change by this iteration's steps. */
  readonly correct_log_prob_change: number;
  /** Share of the episodes that were cut off. */
  readonly truncated_share: number;
  /** Share of the episodes whose written text repeats itself. */
  readonly degenerate_share: number;
  /** Mean loss of the iteration's steps. */
  readonly loss: number;
  /** Norm of the last gradient before clipping. */
  readonly grad_norm: number;
  /** Learning rate of the last step. */
  readonly learning_rate: number;
  /** Episodes a second, steps included. */
  readonly episodes_per_second: number;
  /** Seconds of the rollout alone. */
  readonly rollout_seconds: number;
  /** Seconds of training so far. */
  readonly seconds: number;
}

/** What to train, in what, and how. */
export interface TrainPolicyOptions {
  /** The policy to start from; the reference that it is held to. */
  readonly model: DecoderModel;
  /** What runs the programs. */
  readonly executor: Executor;
  /** What the policy lives in. */
  readonly environment: AgentEnvironment;
  /** Questions to practise on. */
  readonly questions: readonly Query[];
  /** Prices of a retrieval; each question is asked at one of them. */
  readonly costs: readonly number[];
  /** What an answer earns. */
  readonly reward: Omit<RewardWeights, "cost">;
  /** How the policy is improved. */
  readonly algorithm: PolicyAlgorithm;
  /** Clipping and coefficients. */
  readonly loss: Omit<PolicyLossOptions, "algorithm">;
  /** Weights of a GRPO batch. Default `"grpo"`. */
  readonly normalization?: GrpoNormalization;
  /** Iterations: one batch of episodes each. */
  readonly iterations: number;
  /** Questions of an iteration. */
  readonly questionsPerIteration: number;
  /** G, episodes per question. */
  readonly groupSize: number;
  /** Passes over the episodes of an iteration. */
  readonly epochs: number;
  /** Steps per pass. */
  readonly minibatches: number;
  /** Rows of one forward pass; a step adds up the gradients of several. Default 64. */
  readonly rows?: number;
  /** Highest learning rate. */
  readonly learningRate: number;
  /** Course of the learning rate over the iterations. */
  readonly schedule: ScheduleConfig;
  /** Largest norm of the gradient. Default 1. */
  readonly clipNorm?: number;
  /** Multiplies the learning rate of the value head (PPO). Default 1. */
  readonly valueRate?: number;
  /** γ. Default 1. */
  readonly gamma?: number;
  /** λ of GAE (PPO). Default 0.95. */
  readonly lambda?: number;
  /** β, what a nat of divergence from the reference costs. Default 0. */
  readonly klCoefficient?: number;
  /** Divergence in nats per action that β is steered to. Default: β is fixed. */
  readonly klTarget?: number;
  /** Temperature of the policy. Default 1. */
  readonly temperature?: number;
  /** Episodes played at once. Default 64. */
  readonly slots?: number;
  /** Seed of everything. */
  readonly seed: number;
  /** Stop after this much time even if iterations are left. */
  readonly maxMinutes?: number;
  /**
   * Lessons of a teacher that are replayed in every step beside the episodes, so that nothing of the warm
   * start is forgotten (as in Ouyang et al. 2022, where pretraining is mixed in): a pure function of the
   * step, in parts. Weights count as those of the loss do, whose sum is 1.
   */
  readonly lessons?: (step: number) => readonly (readonly Demonstration[])[];
  /** What learns beside the policy. */
  readonly companion?: PolicyCompanion;
  /** When to go back. */
  readonly guard?: GuardLimits;
  /** Best possible return of a question at a price, where it can be known. */
  readonly oracleReturn?: (question: Query, cost: number) => number;
  /**
   * Measure the policy, in its slots (where no gate can decide) or outside. The first figure decides which
   * checkpoint is the best.
   */
  readonly evaluate?: (policy: DecoderModel, slots: PolicySlots) => Promise<EvaluationRecord>;
  /** Iterations between evaluations; 0 for one at the end only. Default 0. */
  readonly evalEvery?: number;
  /** Where checkpoints go. Default: none are written. */
  readonly checkpoints?: CheckpointPlan;
  /** Takes note of every record, in order. */
  readonly log?: (record: PolicyRecord | ({ step: number } & Record<string, unknown>)) => void;
  /** Takes note of the episodes of an iteration. */
  readonly onTrajectories?: (
    step: number,
    trajectories: readonly ScoredTrajectory[],
  ) => Promise<void> | void;
  /** Told the iteration a resumed run goes on from. */
  readonly onStart?: (step: number) => Promise<void> | void;
  /** Shows progress. */
  readonly progress?: ProgressReporter;
  /** When it is aborted, the loop saves and ends. */
  readonly signal?: AbortSignal;
}

/** How training ended. */
export interface TrainPolicyResult {
  /** The policy, copied out. */
  readonly policy: DecoderModel;
  /** Parameters of its value head (PPO). */
  readonly valueHead?: Record<string, HostTensor<"float32">>;
  /** Iterations done. */
  readonly step: number;
  /** How it ended. */
  readonly ended: Ending;
  /** Times the guard went back. */
  readonly rollbacks: number;
  /** Results of the last evaluation. */
  readonly evaluation: EvaluationRecord;
  /** Seconds of training over all sessions. */
  readonly seconds: number;
}

/** Episodes by which the likelihood of right ones is watched. */
const WATCHED = 64;
/** The guard goes back this often; then training is given up. */
const MAX_ROLLBACKS = 5;

/** Whether what a policy wrote repeats itself: a piece of up to four tokens, four times in a row. */
export function isDegenerate({ tokens, actions }: PolicyText): boolean {
  const written = Array.from(actions, (at) => tokens[at]);
  for (let period = 1; period <= 4; period++) {
    let same = 0;
    for (let i = period; i < written.length; i++) {
      same = written[i] === written[i - period] ? same + 1 : 0;
      if (same >= 3 * period) return true;
    }
  }
  return false;
}

interface SavedState {
  readonly identity?: string;
  readonly seconds: number;
  readonly evaluation: EvaluationRecord;
  readonly evaluatedAt: number;
  readonly klCoefficient: number;
  readonly rateFactor: number;
  readonly rollbacks: number;
  readonly guard: JsonValue;
}

const mean = (values: readonly number[]): number =>
  values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0;

/** The parameters of a policy in a store to be trained: those of a model, and a value head if asked for. */
function storeOf(
  { config, tensors }: DecoderModel,
  hasValues: boolean,
  valueRate?: number,
): ParameterStore {
  const store = new ParameterStore(policyParamSpecs(config, hasValues, valueRate), {
    rule: adamw({ beta2: 0.98, weightDecay: 0 }),
    accumulate: true,
  });
  // The value head starts at 0, as the store does.
  store.load({ ...store.params, ...tensors });
  return store;
}

/**
 * Improve a policy by the returns of its own episodes.
 *
 * Each iteration asks questions, G episodes each, scores them, and takes `epochs · minibatches` steps.
 * What an iteration does is a pure function of the parameters, the optimiser's state and its number, so
 * a run that was killed and resumed ends with the same bits as one that was not. An abort saves the
 * iteration it ended with: an alarm after resuming may then go back to that one.
 *
 * - PPO (Schulman et al. 2017): advantages by GAE over the sampled actions, whitened over the batch; an
 *   episode that was cut off bootstraps from its last value.
 * - GRPO (Shao et al. 2024): the return against those of the same question. Questions whose episodes all
 *   earned the same give nothing. `dr_grpo` (Liu et al. 2025) divides neither by deviation nor by length.
 * - REINFORCE (Williams 1992): the return less the mean of the others of the question (Ahmadian et al.
 *   2024), one step an iteration: the simple control.
 *
 * A guard looks at every iteration. On an alarm the parameters and the optimiser go back to the last
 * iteration that was kept while all was well, the learning rate is halved, and training goes on with new
 * episodes.
 *
 * @throws {ConfigError} If options contradict each other
 * @throws {DataError} If there is no question
 * @throws {CheckpointError} If there is nothing to resume from, or it does not fit
 * @throws {DeepragError} If the guard had to go back too often
 */
export async function trainPolicy(options: TrainPolicyOptions): Promise<TrainPolicyResult> {
  const { model, executor, environment, questions, costs, reward, algorithm, seed } = options;
  const { iterations, questionsPerIteration: Q, groupSize: G, checkpoints } = options;
  const { rows = 64, clipNorm = 1, gamma = 1, lambda = 0.95, temperature = 1 } = options;
  const { normalization = "grpo", evalEvery = 0, progress = silentProgress } = options;
  if (!questions.length) throw new DataError("Cannot train an agent: there is no question");
  if (algorithm !== "ppo" && G < 2) {
    throw new ConfigError([{
      key: "agent.group_size",
      message: `must be 2 or more for ${algorithm}, whose baseline is the others of the group`,
    }]);
  }
  const epochs = algorithm === "reinforce" ? 1 : options.epochs;
  const minibatches = algorithm === "reinforce" ? 1 : options.minibatches;
  const hasValues = algorithm === "ppo";
  const store = storeOf(model, hasValues, options.valueRate), optimizer = new Optimizer(store);
  const reference = tensorsOf(store);
  const pick = <T>(all: Readonly<Record<string, T>>, names: object): Record<string, T> =>
    Object.fromEntries(Object.keys(names).map((name) => [name, all[name]]));
  /** The policy as it stands, read where it lies. */
  const policy: DecoderModel = {
    config: model.config,
    tensors: pick(store.params, model.tensors),
  };
  const batchOf = (texts: readonly PolicyText[]) =>
    policyBatchOf(texts, model.config.padToken ?? 0);
  const rules = policyRules(environment.protocol, temperature);
  const guard = new PolicyGuard(options.guard);
  let step = 0, secondsBefore = 0, evaluation: EvaluationRecord = {}, evaluatedAt = -1;
  let klCoefficient = options.klCoefficient ?? 0, rateFactor = 1, rollbacks = 0, savedAt = -1;

  const resumed = checkpoints?.resume
    ? await resumeFrom<SavedState>(checkpoints, {
      optimizer,
      seed,
      unit: "iteration",
      writer: "policy optimisation",
      belongings: "data, settings or another model",
      isOwn: (state) => state.rateFactor !== undefined,
      progress,
    })
    : undefined;
  if (resumed) {
    ({ step } = resumed);
    ({ seconds: secondsBefore, evaluation, evaluatedAt } = resumed.state);
    ({ klCoefficient, rateFactor, rollbacks } = resumed.state);
    guard.restore(resumed.state.guard);
  }
  const { companion } = options;
  if (companion && resumed) {
    await (await checkpointOf(companion.folder, step)).restore(companion.optimizer);
  }
  await options.onStart?.(step);

  const specs = store.specs;
  const scorer = await openTrajectoryScorer({
    executor,
    config: model.config,
    specs,
    rules,
    endToken: environment.protocol.ids.end,
    reward,
    algorithm,
    normalization,
    groupSize: G,
    gamma,
    lambda,
    rows: 2 * rows,
  });
  const train = await createTrainStep(
    executor,
    policyLossProgram(model.config, specs, rules, { ...options.loss, algorithm }),
    store,
  );
  const school = options.lessons || companion
    ? demonstrationModel(model, rules, { seed, hasValues })
    : undefined;
  const learn = school && await createTrainStep(executor, school.trainingProgram, store);
  const slots = await openPolicySlots(policy, rules, {
    executor,
    slots: Math.min(options.slots ?? 64, Q * G),
    isLive: true,
    hasOther: false,
  });

  const began = performance.now();
  const seconds = (): number => secondsBefore + (performance.now() - began) / 1000;
  const optimizers = [optimizer, ...(companion ? [companion.optimizer] : [])];
  const keep = () =>
    optimizers.map(({ store: { flat, training }, updates }) => ({
      flat: flat.slice(),
      state: training.state.slice(),
      updates,
    }));
  let kept = keep();

  const returnOf = (trajectory: Trajectory): number =>
    actionRewards(trajectory, reward).reduce((a, b) => a + b, 0);
  const questionAt = shuffledEpochs(questions, { seed, stream: "agent/questions" });

  const weightsOf = (lengths: readonly number[]): Float64Array =>
    algorithm !== "grpo"
      ? tokenMeanWeights(lengths)
      : normalization === "grpo"
      ? sequenceMeanWeights(lengths)
      : fixedLengthWeights(
        lengths,
        Math.max(...lengths, environment.turnTokens * (environment.protocol.budget + 1)),
      );

  /** One step on some of the episodes, whose gradients are added up part by part. */
  const update = async (
    scored: readonly ScoredTrajectory[],
    chosen: readonly number[],
    { learningRate, more }: { learningRate: number; more: readonly Demonstration[] },
  ) => {
    const weights = weightsOf(chosen.map((i) => scored[i].advantages.length));
    const startOf = new Map<number, number>();
    chosen.reduce((at, i) => (startOf.set(i, at), at + scored[i].advantages.length), 0);
    const total = weights.length;
    const parts = partsByLength(chosen, rows, (i) => scored[i].trajectory.tokens.length);
    const sums: Record<string, number> = {};
    for (const part of parts) {
      const { inputs, lengths } = batchOf(part.map((i) => scored[i].trajectory));
      const count = lengths.reduce((a, b) => a + b, 0);
      const column = (of: (i: number) => ArrayLike<number>): HostTensor<"float32"> => {
        const data = new Float32Array(count);
        let at = 0;
        for (const i of part) {
          const values = of(i), { length } = scored[i].advantages;
          for (let t = 0; t < length; t++) data[at++] = values[t];
        }
        return hostTensor("float32", data, [count]);
      };
      const { loss, aux } = await train.step({
        ...inputs,
        behaviorLogProbs: column((i) => scored[i].trajectory.behaviorLogProbs),
        referenceLogProbs: column((i) => scored[i].referenceLogProbs),
        advantages: column((i) => scored[i].advantages),
        weights: column((i) =>
          weights.subarray(startOf.get(i)!, startOf.get(i)! + scored[i].advantages.length)
        ),
        klCoefficient: hostTensor("float32", Float32Array.of(klCoefficient), []),
        ...(hasValues
          ? {
            returns: column((i) => scored[i].returns!),
            behaviorValues: column((i) => scored[i].values!),
          }
          : {}),
      });
      optimizer.accumulate();
      sums.loss = (sums.loss ?? 0) + loss;
      for (const [name, { data }] of Object.entries(aux)) {
        sums[name] = name === "largestRatioError"
          ? Math.max(sums[name] ?? 0, data[0])
          : (sums[name] ?? 0) + data[0] * count / total;
      }
    }
    const lessons = [
      ...options.lessons?.(optimizer.updates) ?? [],
      ...(more.length
        ? partsByLength(more.map((_, i) => i), rows, (i) => more[i].tokens.length)
          .map((part) => part.map((i) => more[i]))
        : []),
    ];
    for (const part of lessons) {
      const { inputs } = school!.batch(part);
      await learn!.step(inputs, {
        random: { seed, stream: "agent/lessons", step: optimizer.updates },
      });
      optimizer.accumulate();
    }
    // An accumulated step takes a mean; the parts are to be added up.
    const { gradNorm, isApplied } = optimizer.step(learningRate, {
      clipNorm,
      scale: parts.length + lessons.length,
    });
    return { statistics: sums, gradNorm, isApplied };
  };

  const iterate = async (): Promise<PolicyRecord | undefined> => {
    const from = performance.now();
    const random = randomStream({ seed, stream: "agent/costs", step });
    const requests = Array.from({ length: Q }, (_, q) => {
      const question = questionAt(step * Q + q), cost = costs[random.int(costs.length)];
      return Array.from({ length: G }, (_, g) => ({
        question,
        cost,
        episode: (step * Q + q) * G + g,
      }));
    }).flat();
    const played = await rollout(slots, environment, requests, { seed });
    const rolledOut = performance.now();
    // Values start from what episodes earn at first, and not from 0.
    if (hasValues && optimizer.updates === 0) {
      store.params[VALUE_BIAS].data[0] = mean(played.map(returnOf));
    }
    const scored = await scorer.score(played, { params: store.params, reference });
    await options.onTrajectories?.(step + 1, scored);

    const rateAt = (at: number): number => rateFactor * scheduleFactor(options.schedule, at);
    const taught = await companion?.learn({
      step,
      scored,
      judge: (texts) => scorer.judge(store.params, texts),
      updates: epochs * minibatches,
      // A step ahead: a warm-up begins with 0, and what a companion reads first may be dear.
      rateFactor: rateAt(step + 1),
    });

    const learningRate = options.learningRate * rateAt(step);
    const all: Record<string, number>[] = [];
    let gradNorm = 0, isFinite = true, firstRatioError = 0;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = randomStream({ seed, stream: "agent/minibatches", step: step * epochs + epoch })
        .shuffle(scored.map((_, i) => i));
      const size = Math.ceil(order.length / minibatches);
      for (let from = 0; from < order.length; from += size) {
        const done = await update(scored, order.slice(from, from + size), {
          learningRate,
          more: taught?.lessons[all.length] ?? [],
        });
        if (!all.length) firstRatioError = done.statistics.largestRatioError;
        all.push(done.statistics);
        gradNorm = done.gradNorm;
        isFinite &&= done.isApplied;
      }
    }
    const isRight = played.map(({ answer, question }) =>
      answer === undefined ? 0 : exactMatch(answer, question.answers)
    );
    const right = played.filter((_, i) => isRight[i]).slice(0, WATCHED);
    const after = await scorer.judge(store.params, right);
    const before = mean(right.flatMap((t) => mean([...t.behaviorLogProbs])));
    const now = mean(after.flatMap(({ logProbs }) => mean([...logProbs])));
    const statistic = (name: string): number => mean(all.map((s) => s[name] ?? 0));
    const kl = statistic("kl");
    const earned = mean(scored.map((s) => s.return));
    const oracle = options.oracleReturn &&
      mean(played.map(({ question, cost }) => options.oracleReturn!(question, cost)));
    const record: PolicyRecord = {
      step: step + 1,
      episodes: (step + 1) * Q * G,
      return: earned,
      ...(oracle === undefined
        ? {}
        : { oracle_return: oracle, regret: (oracle - earned) / oracle }),
      accuracy: mean(isRight),
      retrieval_rate: mean(played.map(({ retrievals }) => Number(retrievals.length > 0))),
      retrievals: mean(played.map(({ retrievals }) => retrievals.length)),
      entropy: statistic("entropy"),
      kl,
      kl_coefficient: klCoefficient,
      clip_share: statistic("clipShare"),
      ...(hasValues
        ? {
          explained_variance: explainedVariance(
            scored.flatMap((s) => [...s.values!.subarray(0, s.returns!.length)]),
            scored.flatMap((s) => [...s.returns!]),
          ),
        }
        : {}),
      first_ratio_error: firstRatioError,
      correct_log_prob: before,
      correct_log_prob_change: right.length ? now - before : 0,
      truncated_share: mean(played.map(({ isTruncated }) => Number(isTruncated))),
      degenerate_share: mean(played.map((t) => Number(isDegenerate(t)))),
      loss: statistic("loss"),
      grad_norm: gradNorm,
      learning_rate: learningRate,
      episodes_per_second: played.length / ((performance.now() - from) / 1000),
      rollout_seconds: (rolledOut - from) / 1000,
      seconds: seconds(),
    };
    step++;
    options.log?.({ ...record, ...taught?.figures });
    progress.update({
      step,
      total: iterations,
      loss: record.loss,
      examplesPerSecond: record.episodes_per_second,
      metrics: { return: record.return, retrievals: record.retrievals },
    });
    if (options.klTarget !== undefined) {
      klCoefficient = nextKlCoefficient(klCoefficient, kl, {
        target: options.klTarget,
        horizon: 10_000,
        samples: played.length,
      });
    }
    const alarm = guard.observe({
      return: record.return,
      correctLogProbChange: record.correct_log_prob_change,
      kl,
      truncatedShare: record.truncated_share,
      degenerateShare: record.degenerate_share,
      isFinite,
    });
    if (!alarm) return record;
    rollbacks++;
    rateFactor /= 2;
    optimizers.forEach((one, i) => {
      one.store.flat.set(kept[i].flat);
      one.store.training.state.set(kept[i].state);
      one.resumeAt(kept[i].updates);
    });
    options.log?.({ step, alarm: alarm.reason, rollbacks });
    progress.message(
      `iteration ${step}: alarm: ${alarm.reason}. Back to the last good state, at half the learning rate`,
    );
    if (rollbacks > MAX_ROLLBACKS) {
      throw new DeepragError(
        `Cannot go on training: the policy went wrong ${rollbacks} times, at last because ` +
          `${alarm.reason}. Lower agent.learning_rate or raise agent.kl_coefficient`,
      );
    }
    return undefined;
  };

  const measure = async (): Promise<void> => {
    if (!options.evaluate || evaluatedAt === step) return;
    evaluation = await options.evaluate(policy, slots);
    evaluatedAt = step;
    options.log?.({ step, ...evaluation });
    progress.update({ step, total: iterations, metrics: evaluation });
  };
  const save = async (): Promise<void> => {
    if (!checkpoints || savedAt === step) return;
    const [metric] = evaluatedAt === step ? Object.values(evaluation) : [];
    if (companion) {
      // It comes first and one more is kept: whatever the policy goes on from, its companion is there.
      await saveCheckpoint(companion.folder, { step, metric, seed }, {
        store: companion.optimizer.store,
        optimizer: companion.optimizer,
        keepLast: checkpoints.keepLast + 1,
      });
    }
    await saveCheckpoint(checkpoints.folder, {
      step,
      metric,
      seed,
      schedule: options.schedule,
      state: {
        identity: checkpoints.identity,
        seconds: seconds(),
        evaluation,
        evaluatedAt,
        klCoefficient,
        rateFactor,
        rollbacks,
        guard: guard.state,
      } satisfies SavedState as unknown as JsonValue,
    }, { store, optimizer, keepLast: checkpoints.keepLast });
    savedAt = step;
  };

  let ended: TrainPolicyResult["ended"] | undefined;
  const every = checkpoints?.every || 20;
  try {
    while (!ended) {
      const { maxMinutes, signal } = options;
      ended = endingOf({ step, steps: iterations, seconds: seconds(), maxMinutes, signal });
      if (ended) break;
      const record = await iterate();
      if (evalEvery > 0 && step % evalEvery === 0 && step < iterations) await measure();
      // Kept only where all is well, so that going back and resuming lead to the same state.
      if (record && guard.isHealthy && step % every === 0 && step < iterations) {
        kept = keep();
        if (checkpoints?.every) await save();
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    if (ended !== "interrupted") await measure();
    // While the guard is worried, the last state that was kept is what a resumed run goes on from.
    if (guard.isHealthy) await save();
    const copy = tensorsOf(store);
    return {
      policy: { config: model.config, tensors: pick(copy, model.tensors) },
      valueHead: hasValues ? pick(copy, valueHeadParamSpecs(model.config.modelWidth)) : undefined,
      step,
      ended: ended!,
      rollbacks,
      evaluation,
      seconds: seconds(),
    };
  } finally {
    progress.done();
    await Promise.all([train.dispose(), scorer.dispose(), slots.dispose(), learn?.dispose()]);
  }
}
