/** The index journey: documents and questions in, a trained index with its evaluation out. @module */
import type { ResolvedConfig } from "../config/mod.ts";
import { type Dataset, writeAtomically } from "../data/mod.ts";
import { formatBalance } from "../docid/mod.ts";
import type { TrainModelResult } from "../train/train_model.ts";
import { type ProgressReporter, silentProgress } from "../train/progress.ts";
import { evaluateIndex, formatEvaluation, type IndexEvaluation } from "./evaluate_index.ts";
import { openExecutor } from "./executor_of.ts";
import { saveIndex } from "./index_folder.ts";
import { loadPretrained, prepareIndex } from "./prepare_index.ts";
import { searchWithStore, trainIndex } from "./train_index.ts";
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

/**
 * Train an index. The run folder ends up with the resolved configuration, metrics.jsonl,
 * checkpoints, the documents, the model in Hugging Face layout and evaluation.json.
 *
 * @param dataset Documents, and questions in the parts `train` and `dev`
 * @param config A resolved configuration
 * @throws {CheckpointError} If the run to resume does not exist or does not fit
 * @throws {DeviceError} If `device.executor` is cuda and can't be used here
 */
export async function trainDsi(
  dataset: Dataset,
  config: ResolvedConfig,
  options: TrainDsiOptions = {},
): Promise<TrainDsiResult> {
  const { progress = silentProgress, signal } = options;
  const { training, evaluation, seed } = config;
  const executor = await openExecutor(config.device);
  const pretrained = await loadPretrained(config, (note) => progress.message(note));
  const run = await openRun(config, dataset.documents, {
    key: "training.resume",
    run: training.resume,
  });
  progress.message(`run folder ${run.path}`);

  const index = prepareIndex(dataset, config, { pretrained });
  progress.message(formatBalance(index.balance));
  const hasDev = dataset.queries.dev?.some((q) => q.docIds.length) ?? false;
  const search = hasDev ? await searchWithStore(index, config, executor) : undefined;

  let log: MetricsLog | undefined;
  try {
    const result = await trainIndex(index, {
      dataset,
      config,
      executor,
      search,
      checkpoints: {
        folder: run.file(RUN_FILES.checkpoints),
        resume: training.resume !== null,
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
