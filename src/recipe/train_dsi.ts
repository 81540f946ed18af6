/** The index journey: documents and questions in, a trained index with its evaluation out. @module */
import { createHash } from "node:crypto";
import type { ResolvedConfig } from "../config/mod.ts";
import { type Dataset, writeAtomically } from "../data/mod.ts";
import { docidsToJson, formatBalance } from "../docid/mod.ts";
import { loadModel } from "../hub/mod.ts";
import { hitsAt, mrrAt } from "../metric/mod.ts";
import { adafactor, adamw, type OptimizerRule, type ScheduleConfig } from "../optim/mod.ts";
import { DocidSearcher, searchProgram } from "../retriever/mod.ts";
import type { Executor } from "../runtime/mod.ts";
import type { EvaluationRecord, TrainModelResult } from "../train/train_model.ts";
import { trainModel } from "../train/train_model.ts";
import { type ProgressReporter, silentProgress } from "../train/progress.ts";
import {
  evaluateIndex,
  formatEvaluation,
  type IndexEvaluation,
  rankWithIndex,
} from "./evaluate_index.ts";
import { executorOf } from "./executor_of.ts";
import { saveIndex } from "./index_folder.ts";
import { type IndexParts, prepareIndex } from "./prepare_index.ts";
import { openRun } from "./open_run.ts";
import { RUN_FILES } from "./run_files.ts";
import type { MetricsLog, RunFolder } from "./run_folder.ts";

/** Who watches, and who may stop it. */
export interface TrainDsiOptions {
  /** Shows progress. */
  readonly progress?: ProgressReporter;
  /** When it is aborted, the run saves and ends. */
  readonly signal?: AbortSignal;
}

/** What a run ended with. */
export interface TrainDsiResult {
  /** Folder of the run. */
  readonly run: RunFolder;
  /** How training ended. */
  readonly training: TrainModelResult;
  /** Evaluation on the dev part; nothing if training was interrupted or there are no questions. */
  readonly evaluation?: IndexEvaluation;
}

function ruleOf({ training: t }: ResolvedConfig): OptimizerRule {
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

/**
 * Train an index. The run folder ends up with the resolved configuration, metrics.jsonl,
 * checkpoints, the documents, the model in Hugging Face layout and evaluation.json.
 *
 * @param dataset Documents, and questions in the parts `train` and `dev`
 * @param config A resolved configuration
 * @throws {CheckpointError} If the run to resume does not exist or does not fit
 */
export async function trainDsi(
  dataset: Dataset,
  config: ResolvedConfig,
  options: TrainDsiOptions = {},
): Promise<TrainDsiResult> {
  const { progress = silentProgress, signal } = options;
  const { training, evaluation, seed } = config;
  const { model: choice } = config;
  const pretrained = choice.family === "t5" && choice.pretrained !== null
    ? await loadModel(choice.pretrained, { onNote: (note) => progress.message(note) })
    : undefined;
  const run = await openRun(config, dataset.documents, {
    key: "training.resume",
    run: training.resume,
  });
  progress.message(`run folder ${run.path}`);

  const index = prepareIndex(dataset, config, { pretrained });
  progress.message(formatBalance(index.balance));
  const { model } = index;
  const executor = executorOf(config.device);
  const hasDev = dataset.queries.dev?.some((q) => q.docIds.length) ?? false;
  const search = hasDev ? await searchWithStore(index, config, executor) : undefined;

  let log: MetricsLog | undefined;
  try {
    const result = await trainModel({
      model,
      executor,
      examples: index.examples,
      seed,
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
      evaluate: search && (async (store): Promise<EvaluationRecord> => {
        const { ranks } = await rankWithIndex(search.over(store.params), dataset, {
          part: "dev",
          batchSize: evaluation.batch_size,
        });
        const counted = ranks.filter((rank) => rank !== undefined);
        return {
          "hits@1": hitsAt(1, counted),
          "hits@10": hitsAt(10, counted),
          "mrr@10": mrrAt(10, counted),
        };
      }),
      checkpoints: {
        folder: run.file(RUN_FILES.checkpoints),
        every: training.checkpoint_every,
        keepLast: training.keep_last,
        resume: training.resume !== null,
        identity: identityOf(index),
      },
      onStart: async (step) => {
        log = await run.openMetrics(step);
      },
      log: (record) => log!.append({ ...record }),
      progress,
      signal,
    });
    if (result.ended === "interrupted") return { run, training: result };

    await saveIndex(run.file(RUN_FILES.model), { ...index, tensors: result.store.params });
    if (!search) return { run, training: result };
    const measured = await evaluateIndex(search.over(result.store.params), dataset, {
      batchSize: evaluation.batch_size,
      resamples: evaluation.bootstrap_samples,
      seed,
    });
    await writeAtomically(
      run.file(RUN_FILES.evaluation),
      `${JSON.stringify(measured, null, 2)}\n`,
    );
    progress.message(formatEvaluation(measured));
    return { run, training: result, evaluation: measured };
  } finally {
    log?.[Symbol.dispose]();
    await search?.dispose();
  }
}

/** Checksum of what gives the parameters their meaning: sizes, tokenizer and docids. */
function identityOf({ modelConfig, tokenizerJson, docids }: IndexParts): string {
  const parts = [modelConfig, tokenizerJson, docidsToJson(docids)];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Search over the parameters as they are: recorded once, with the parameters as inputs. */
interface SearchWithStore {
  over(parameters: TrainModelResult["store"]["params"]): DocidSearcher;
  dispose(): Promise<void>;
}

async function searchWithStore(
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
