/** The training of a prepared index, and search over parameters while they are trained. @module */
import { createHash } from "node:crypto";
import type { ResolvedConfig } from "../config/mod.ts";
import type { Dataset } from "../data/mod.ts";
import { docidsToJson } from "../docid/mod.ts";
import { hitsAt, mrrAt } from "../metric/mod.ts";
import { adafactor, adamw, type OptimizerRule, type ScheduleConfig } from "../optim/mod.ts";
import { DocidSearcher, searchProgram } from "../retriever/mod.ts";
import type { Executor, HostTensors } from "../runtime/mod.ts";
import type { ProgressReporter } from "../train/progress.ts";
import type { CheckpointPlan } from "../train/session.ts";
import {
  type EvaluationRecord,
  trainModel,
  type TrainModelOptions,
  type TrainModelResult,
} from "../train/train_model.ts";
import type { IndexExample } from "../train/index_model.ts";
import { rankWithIndex } from "./evaluate_index.ts";
import type { IndexParts, PreparedIndex } from "./prepare_index.ts";

/** The optimiser of a configuration. */
export function ruleOf({ training: t }: ResolvedConfig): OptimizerRule {
  return t.optimizer === "adafactor"
    ? adafactor({ weightDecay: t.weight_decay })
    : adamw({ beta1: t.beta1, beta2: t.beta2, weightDecay: t.weight_decay });
}

function scheduleOf({ training: t }: ResolvedConfig): ScheduleConfig {
  return {
    kind: t.schedule === "inverse_sqrt" ? "inverseSqrt" : t.schedule,
    warmupSteps: Math.round(t.warmup_ratio * t.max_steps),
    totalSteps: t.max_steps,
    minFactor: t.min_factor,
  };
}

/** Hits@1, Hits@10 and MRR@10 on the part `dev`, for the log. */
export async function devFigures(
  searcher: DocidSearcher,
  dataset: Dataset,
  { evaluation }: ResolvedConfig,
): Promise<EvaluationRecord> {
  const { ranks } = await rankWithIndex(searcher, dataset, {
    part: "dev",
    batchSize: evaluation.batch_size,
  });
  const counted = ranks.filter((rank) => rank !== undefined);
  return {
    "hits@1": hitsAt(1, counted),
    "hits@10": hitsAt(10, counted),
    "mrr@10": mrrAt(10, counted),
  };
}

/** What a training of an index needs besides the index. */
export interface TrainIndexOptions {
  /** Documents and questions. */
  readonly dataset: Dataset;
  /** The configuration. */
  readonly config: ResolvedConfig;
  /** What runs the programs. */
  readonly executor: Executor;
  /** Search over its parameters; nothing where there is no question to evaluate on. */
  readonly search?: SearchWithStore;
  /** Where checkpoints go, and whether to start from the latest. */
  readonly checkpoints: Pick<CheckpointPlan, "folder" | "resume">;
  /** Takes note of every record. */
  readonly log: TrainModelOptions<IndexExample>["log"];
  /** Told the step a resumed run goes on from. */
  readonly onStart: (step: number) => Promise<void>;
  /** Shows progress. */
  readonly progress: ProgressReporter;
  /** When it is aborted, the loop saves and ends. */
  readonly signal?: AbortSignal;
}

/** Train a prepared index on supervised pairs, as the section `training` says. */
export async function trainIndex(
  index: PreparedIndex,
  options: TrainIndexOptions,
): Promise<TrainModelResult> {
  const { dataset, config, search } = options, { training } = config;
  return await trainModel({
    model: index.model,
    executor: options.executor,
    examples: index.examples,
    seed: config.seed,
    rule: ruleOf(config),
    learningRate: training.learning_rate,
    schedule: scheduleOf(config),
    steps: training.max_steps,
    batchSize: training.batch_size,
    accumulate: training.accumulate,
    clipNorm: training.clip_norm || undefined,
    averageDecay: training.ema_decay || undefined,
    maxMinutes: training.max_minutes ?? undefined,
    logEvery: training.log_every,
    evalEvery: training.eval_every,
    evaluate: search && ((store) => devFigures(search.over(store.params), dataset, config)),
    checkpoints: {
      ...options.checkpoints,
      every: training.checkpoint_every,
      keepLast: training.keep_last,
      identity: identityOf(index),
    },
    onStart: options.onStart,
    log: options.log,
    progress: options.progress,
    signal: options.signal,
  });
}

/** Checksum of what gives the parameters their meaning: sizes, tokenizer and docids. */
export function identityOf({ modelConfig, tokenizerJson, docids }: IndexParts): string {
  const parts = [modelConfig, tokenizerJson, docidsToJson(docids)];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Search over the parameters as they are: recorded once, with the parameters as inputs. */
export interface SearchWithStore {
  /** A searcher over these parameters, read where they lie. */
  over(parameters: HostTensors): DocidSearcher;
  /** Free the program. */
  dispose(): Promise<void>;
}

/** Compile the search of an index. */
export async function searchWithStore(
  index: IndexParts,
  config: ResolvedConfig,
  executor: Executor,
): Promise<SearchWithStore> {
  const { model, tokenizer } = index;
  const program = searchProgram(model.scorer, model.trie, {
    beam: config.evaluation.beam,
    params: model.specs,
  });
  const executable = await executor.compile(program);
  return {
    over: (parameters) =>
      new DocidSearcher({
        executable,
        parameters,
        encode: (text) => tokenizer.encode(text),
        padId: tokenizer.padId ?? 0,
      }),
    dispose: () => executable.dispose(),
  };
}
