/** The training loop: examples to steps, with evaluation, checkpoints and resuming. @module */
import { ConfigError } from "../errors.ts";
import { type OptimizerRule, type ScheduleConfig, scheduleFactor } from "../optim/mod.ts";
import type { Executor } from "../runtime/executor.ts";
import {
  createTrainStep,
  type JsonValue,
  Optimizer,
  ParameterStore,
  saveCheckpoint,
} from "../runtime/mod.ts";
import { type ProgressReporter, silentProgress } from "./progress.ts";
import { type CheckpointPlan, type Ending, endingOf, resumeFrom } from "./session.ts";
import type { TrainableModel } from "./trainable_model.ts";

/** One line of the log. */
export interface TrainingRecord {
  /** Steps done. */
  readonly step: number;
  /** Mean loss since the last line, nats per example. */
  readonly loss: number;
  /** Learning rate of the last step. */
  readonly learningRate: number;
  /** Norm of the last gradient before clipping. */
  readonly gradNorm: number;
  /** Throughput since the last line. */
  readonly examplesPerSecond: number;
  /** Share of padding since the last line, 0 … 1. */
  readonly paddingShare: number;
  /** Seconds of training so far, those before a resume included. */
  readonly seconds: number;
}

/** Results of an evaluation by name, such as `{ "hits@1": 0.8 }`. */
export type EvaluationRecord = Readonly<Record<string, number>>;

/** What to train, on what, and how. */
export interface TrainModelOptions<Example> {
  /** The model. */
  readonly model: TrainableModel<Example>;
  /** What runs the training program. */
  readonly executor: Executor;
  /** Examples of a step: a pure function of the step, so that a resumed run sees the same ones. */
  readonly examples: { batch(step: number, size: number): readonly Example[] };
  /** Seed of dropout. */
  readonly seed: number;
  /** Optimiser. */
  readonly rule: OptimizerRule;
  /** Highest learning rate. */
  readonly learningRate: number;
  /** Course of the learning rate. */
  readonly schedule: ScheduleConfig;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Examples per forward pass. */
  readonly batchSize: number;
  /** Batches per step. Default 1. */
  readonly accumulate?: number;
  /** Largest norm of the gradient. Default: no clipping. */
  readonly clipNorm?: number;
  /** Decay of a moving average of the parameters. Default: none. */
  readonly averageDecay?: number;
  /** Stop after this much time even if steps are left. */
  readonly maxMinutes?: number;
  /** Steps between lines of the log. Default 10. */
  readonly logEvery?: number;
  /** Measure the parameters in the store. The first figure decides which checkpoint is the best. */
  readonly evaluate?: (store: ParameterStore) => Promise<EvaluationRecord>;
  /** Steps between evaluations; 0 for one at the end only. Default 0. */
  readonly evalEvery?: number;
  /** Where checkpoints go. Default: none are written. */
  readonly checkpoints?: CheckpointPlan;
  /** Takes note of every record, in order. */
  readonly log?: (record: TrainingRecord | ({ step: number } & EvaluationRecord)) => void;
  /** Told the step a resumed run goes on from, before anything is logged. */
  readonly onStart?: (step: number) => Promise<void> | void;
  /** Shows progress. Default: nothing. */
  readonly progress?: ProgressReporter;
  /** When it is aborted, the loop saves and ends. */
  readonly signal?: AbortSignal;
}

/** How training ended. */
export interface TrainModelResult {
  /** The parameters; those of the moving average, if there is one. */
  readonly store: ParameterStore;
  /** Steps done, over all sessions. */
  readonly step: number;
  /** Why it ended. */
  readonly ended: Ending;
  /** Loss of the last line of the log. */
  readonly loss: number;
  /** Results of the last evaluation. */
  readonly evaluation: EvaluationRecord;
  /** Seconds of training over all sessions. */
  readonly seconds: number;
}

/** Running sums between two lines of the log. */
class Window {
  /** Those that a resumed run carries on with. */
  readonly sums = { loss: 0, batches: 0, tokens: 0, positions: 0 };
  /** Examples since `started`. */
  examples = 0;
  readonly started = performance.now();
}

/** What a checkpoint holds besides parameters and optimiser. JSON turns NaN into null. */
interface SavedState {
  readonly identity?: string;
  readonly seconds: number;
  readonly loss: number | null;
  readonly evaluation: EvaluationRecord;
  readonly evaluatedAt: number;
  readonly window: { loss: number | null; batches: number; tokens: number; positions: number };
}

/**
 * Train a model.
 *
 * Everything a step does is a pure function of the parameters, the optimiser's state and the step
 * number, so a run that was killed and resumed ends with the same bits as one that was not.
 *
 * @throws {ConfigError} If gradients of row-sparse parameters were to be accumulated
 * @throws {CheckpointError} If there is nothing to resume from, or it does not fit
 */
export async function trainModel<Example>(
  options: TrainModelOptions<Example>,
): Promise<TrainModelResult> {
  const { model, executor, examples, schedule, steps, batchSize, checkpoints, evaluate } = options;
  const { accumulate = 1, logEvery = 10, evalEvery = 0, progress = silentProgress } = options;
  const isSparse = Object.values(model.specs).some((spec) => spec.isRowSparse);
  if (accumulate > 1 && isSparse) {
    throw new ConfigError([{
      key: "training.accumulate",
      message: `must be 1 for a ${model.family} model, whose batches touch different rows; use a ` +
        "larger training.batch_size",
    }]);
  }
  const store = new ParameterStore(model.specs, {
    rule: options.rule,
    average: options.averageDecay !== undefined,
    accumulate: accumulate > 1,
  });
  const optimizer = new Optimizer(store, { averageDecay: options.averageDecay });
  let step = 0, secondsBefore = 0, loss = NaN, evaluation: EvaluationRecord = {};
  let savedAt = -1, evaluatedAt = -1;
  let window = new Window();

  const resumed = checkpoints?.resume
    ? await resumeFrom<SavedState>(checkpoints, {
      optimizer,
      seed: options.seed,
      unit: "step",
      writer: "a training",
      belongings: "data, docids, settings or another model",
      isOwn: (state) => Boolean(state.window),
      progress,
    })
    : undefined;
  if (resumed) {
    const { state } = resumed;
    ({ step } = resumed);
    ({ seconds: secondsBefore, evaluation, evaluatedAt } = state);
    loss = state.loss ?? NaN;
    Object.assign(window.sums, state.window, { loss: state.window.loss ?? NaN });
  } else model.start(store);
  await options.onStart?.(step);

  const train = await createTrainStep(executor, model.trainingProgram, store);
  const began = performance.now();
  const seconds = () => secondsBefore + (performance.now() - began) / 1000;
  let ended: TrainModelResult["ended"] | undefined;

  const measure = async (): Promise<void> => {
    if (!evaluate || evaluatedAt === step) return;
    const run = () => evaluate(store);
    evaluation = options.averageDecay === undefined
      ? await run()
      : await optimizer.withAverage(run);
    evaluatedAt = step;
    options.log?.({ step, ...evaluation });
    progress.update({ step, total: steps, loss, metrics: evaluation });
  };
  const save = async (): Promise<void> => {
    if (!checkpoints || savedAt === step) return;
    const [metric] = evaluatedAt === step ? Object.values(evaluation) : [];
    await saveCheckpoint(checkpoints.folder, {
      step,
      metric,
      seed: options.seed,
      schedule,
      state: {
        identity: checkpoints.identity,
        seconds: seconds(),
        loss,
        evaluation,
        evaluatedAt,
        window: window.sums,
      } satisfies SavedState as unknown as JsonValue,
    }, { store, optimizer, keepLast: checkpoints.keepLast });
    savedAt = step;
  };

  try {
    while (!ended) {
      const { maxMinutes, signal } = options;
      ended = endingOf({ step, steps, seconds: seconds(), maxMinutes, signal });
      if (ended) break;

      let rows: Readonly<Record<string, Int32Array>> = {};
      for (let part = 0; part < accumulate; part++) {
        const index = step * accumulate + part;
        const batch = model.batch(examples.batch(index, batchSize));
        rows = batch.rows;
        const random = { seed: options.seed, stream: "dropout", step: index };
        const result = await train.step(batch.inputs, { random, rows });
        window.sums.loss += result.loss;
        window.sums.batches++;
        window.sums.tokens += batch.tokens;
        window.sums.positions += batch.positions;
        window.examples += batchSize;
        if (accumulate > 1) optimizer.accumulate();
      }
      const learningRate = options.learningRate * scheduleFactor(schedule, step);
      const { gradNorm, isApplied } = optimizer.step(learningRate, {
        clipNorm: options.clipNorm,
        rows,
      });
      step++;
      if (!isApplied) {
        progress.message(`step ${step}: the gradient is not finite, so the step was left out`);
      }
      if (step % logEvery === 0 || step === steps) {
        const { sums } = window;
        loss = sums.loss / sums.batches;
        const examplesPerSecond = window.examples / ((performance.now() - window.started) / 1000);
        options.log?.({
          step,
          loss,
          learningRate,
          gradNorm,
          examplesPerSecond,
          paddingShare: 1 - sums.tokens / Math.max(1, sums.positions),
          seconds: seconds(),
        });
        progress.update({ step, total: steps, loss, examplesPerSecond });
        window = new Window();
      }
      if (evalEvery > 0 && step % evalEvery === 0 && step < steps) await measure();
      const isDue = checkpoints && checkpoints.every > 0 && step % checkpoints.every === 0;
      if (isDue && step < steps) await save(); // the last one waits for the last evaluation
      // ONNX Runtime blocks the thread: let signals and timers in.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    if (ended !== "interrupted") await measure();
    await save();
    if (options.averageDecay !== undefined && optimizer.updates > 0) {
      store.flat.set(store.training.average!);
    }
    return { store, step, ended: ended!, loss, evaluation, seconds: seconds() };
  } finally {
    progress.done();
    await train.dispose();
  }
}
