/** The index that joint training begins with: taken from a run, trained here, or as it was initialised. @module */
import type { ResolvedConfig } from "../config/mod.ts";
import { corpusFingerprint, type Dataset, DocumentStore } from "../data/mod.ts";
import { CheckpointError } from "../errors.ts";
import { type Executor, ParameterStore } from "../runtime/mod.ts";
import type { ProgressReporter } from "../train/progress.ts";
import { type LoadedIndex, loadIndex, parametersOf, saveIndex } from "./index_folder.ts";
import { isJointRun, JOINT_FILES } from "./joint_files.ts";
import { findTrainedRun } from "./open_index.ts";
import { loadPretrained, type PreparedIndex, prepareIndex } from "./prepare_index.ts";
import { RUN_FILES } from "./run_files.ts";
import { configOf } from "./run_config.ts";
import type { MetricsLog, RunFolder } from "./run_folder.ts";
import { ruleOf, type SearchWithStore, trainIndex } from "./train_index.ts";

/** An index to go on with. */
export interface TakenIndex {
  /** Its files. */
  readonly loaded: LoadedIndex;
  /** Where it comes from, for messages. */
  readonly from: string;
  /** Sections of the configuration that it was made with. */
  readonly config: Pick<ResolvedConfig, "model" | "docid">;
}

/**
 * The index of another run, over these documents.
 *
 * @param path Folder of the run
 * @param data The documents
 * @throws {CheckpointError} If there is none, or it is over other documents
 */
export async function takeIndex(path: string, data: Dataset): Promise<TakenIndex> {
  const run = await findTrainedRun(path);
  {
    using store = DocumentStore.open(run.file(RUN_FILES.documents));
    if (store.fingerprint !== corpusFingerprint(data.documents)) {
      throw new CheckpointError(
        `Cannot go on with the index of ${path}: it was trained on other documents. Train one on the ` +
          "documents of this configuration with train-dsi",
      );
    }
  }
  const { model, docid } = configOf(run);
  return {
    loaded: await loadIndex(run.file(RUN_FILES.model)),
    from: path,
    config: { model, docid },
  };
}

/**
 * Prepare the index of a configuration, with the docids of one that is to be gone on with.
 *
 * @throws {CheckpointError} If that one has another tokenizer or other sizes
 */
export async function prepareJointIndex(
  data: Dataset,
  config: ResolvedConfig,
  { taken, onNote }: {
    taken?: Pick<TakenIndex, "loaded" | "from">;
    onNote: (note: string) => void;
  },
): Promise<PreparedIndex> {
  const pretrained = await loadPretrained(config, onNote);
  const index = prepareIndex(data, config, { pretrained, docids: taken?.loaded.docids });
  if (taken) {
    const key = (of: Pick<LoadedIndex, "modelConfig" | "tokenizerJson">): string =>
      JSON.stringify([of.modelConfig, of.tokenizerJson]);
    if (key(index) !== key(taken.loaded)) {
      throw new CheckpointError(
        `Cannot go on with the index of ${taken.from}: it has another tokenizer or other sizes. Give the ` +
          "data that it was trained with, its training questions included",
      );
    }
  }
  return index;
}

/** Choices of {@linkcode startIndex}. */
export interface StartIndexOptions {
  /** The configuration. */
  readonly config: ResolvedConfig;
  /** Documents and questions. */
  readonly data: Dataset;
  /** The run. */
  readonly run: RunFolder;
  /** What runs the programs. */
  readonly executor: Executor;
  /** That of another run. */
  readonly taken?: TakenIndex;
  /** Search over parameters; nothing where there is no question to evaluate on. */
  readonly search?: SearchWithStore;
  /** Opens metrics.jsonl. */
  readonly openLog: (phase: string, step: number) => Promise<MetricsLog>;
  /** Shows progress. */
  readonly progress: ProgressReporter;
  /** When it is aborted, the training saves and ends. */
  readonly signal?: AbortSignal;
}

/**
 * The first index of a run, in a store to be trained on; it is saved into the run.
 *
 * @returns Nothing if its training was interrupted; seconds of that training
 */
export async function startIndex(
  index: PreparedIndex,
  options: StartIndexOptions,
): Promise<{ store?: ParameterStore; seconds: number }> {
  const { config, run, taken } = options;
  const store = new ParameterStore(index.model.specs, { rule: ruleOf(config) });
  const folder = run.file(JOINT_FILES.before);
  if (await isJointRun(run)) {
    store.load(parametersOf(await loadIndex(folder)));
    return { store, seconds: 0 };
  }
  let seconds = 0;
  if (taken) {
    store.load(parametersOf(taken.loaded));
    options.progress.message(`index of ${taken.from}`);
  } else if (config.joint.pretrain) {
    let log: MetricsLog | undefined;
    const result = await trainIndex(index, {
      dataset: options.data,
      config,
      executor: options.executor,
      search: options.search,
      checkpoints: {
        folder: run.file(JOINT_FILES.indexCheckpoints),
        resume: config.joint.resume !== null,
      },
      onStart: async (step) => {
        log = await options.openLog("index", step);
      },
      log: (record) => log!.append({ phase: "index", ...record }),
      progress: options.progress,
      signal: options.signal,
    });
    seconds = result.seconds;
    if (result.ended === "interrupted") return { seconds };
    store.load(result.store.params);
  } else index.model.start(store);
  await saveIndex(folder, { ...index, tensors: store.params });
  return { store, seconds };
}
