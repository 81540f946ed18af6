/** A trained run, ready to be asked. @module */
import { join } from "@std/path";
import { DocumentStore, type StoredDocument } from "../data/mod.ts";
import { docidsFromJson } from "../docid/mod.ts";
import { CheckpointError } from "../errors.ts";
import { DocidSearcher, searchProgram } from "../retriever/mod.ts";
import { type Executor, onnxExecutor, type OnnxExecutorOptions, openOnnx } from "../runtime/mod.ts";
import { IndexReader } from "./_index_reader.ts";
import { EXPORT_FILES, SEARCH_BEAM } from "./export_index.ts";
import { INDEX_FILES, loadIndex, parametersOf } from "./index_folder.ts";
import { latestRun, openRunFolder, type RunFolder, type RunLocation } from "./run_folder.ts";
import { RUN_FILES } from "./run_files.ts";
import { loadTokenizer } from "../text/mod.ts";

/** Folder of the export in a run. */
export const EXPORT_FOLDER = "export";

/** A document that an index found. */
export interface FoundDocument extends StoredDocument {
  /** log p(d | q), natural logarithm. */
  readonly logProb: number;
  /** p(d | q). */
  readonly probability: number;
}

/** The answer to one question. */
export interface IndexAnswer {
  /** Best first. */
  readonly documents: readonly FoundDocument[];
  /** Probability of all documents that the index did not return. */
  readonly droppedMass: number;
}

/** A run that can be asked. */
export interface OpenedIndex extends AsyncDisposable {
  /** The run. */
  readonly run: RunFolder;
  /** Answers many questions at once, by document index. */
  readonly searcher: DocidSearcher;
  /** Its documents. */
  readonly documents: DocumentStore;
  /** Whether an exported graph answers, or the model. */
  readonly source: "export" | "model";
  /**
   * The most probable documents for a question.
   *
   * @throws {DataError} If the question is blank
   */
  search(question: string): Promise<IndexAnswer>;
}

/** Choices of {@linkcode openIndex}. */
export interface OpenIndexOptions {
  /** Documents returned, and prefixes kept. With an export that is fixed. Default 10. */
  readonly beam?: number;
  /** An export that returns fewer documents than this is passed over. Default 1. */
  readonly atLeast?: number;
  /** What runs the model. Default: ONNX Runtime in this thread, with the choices of `onnx`. */
  readonly executor?: Executor;
  /** Threads and provider of an export. Default: all cores, cpu. */
  readonly onnx?: OnnxExecutorOptions;
  /** `"model"` ignores an export. Default: the export, if there is one of this model. */
  readonly source?: "model";
}

const modified = (path: string) => Deno.stat(path).then((s) => s.mtime?.getTime(), () => undefined);

/** Whether a run has a trained index. */
export async function hasIndex(run: RunLocation): Promise<boolean> {
  return await modified(run.file(join(RUN_FILES.model, INDEX_FILES.weights))) !== undefined;
}

/**
 * The run at `path`, or the latest one that has a trained model.
 *
 * @throws {CheckpointError} If there is none; the message says what to do
 */
export async function findTrainedRun(path?: string): Promise<RunFolder> {
  if (path !== undefined) {
    const run = await openRunFolder(path);
    if (!await hasIndex(run)) {
      throw new CheckpointError(
        `Cannot use the run ${path}: it has no trained model yet. Finish it with ` +
          `train-dsi training.resume=${path}`,
      );
    }
    return run;
  }
  const latest = await latestRun(hasIndex);
  if (latest) return latest;
  throw new CheckpointError(
    "Cannot find a trained index: there is no finished run in outputs. Train one with " +
      "`deno task train-dsi`, or name its folder with --run=<folder>",
  );
}

/**
 * Open a run for searching.
 *
 * @param run A run with a trained model
 * @throws {CheckpointError} If its files are missing or do not fit each other
 */
export async function openIndex(
  run: RunFolder,
  options: OpenIndexOptions = {},
): Promise<OpenedIndex> {
  const folder = run.file(EXPORT_FOLDER), { atLeast = 1 } = options;
  const useExport = options.source !== "model" && await isCurrent(run) &&
    await returnsEnough(folder, atLeast);
  const documents = await documentsOf(run);
  let searcher: DocidSearcher;
  try {
    searcher = useExport
      ? await searcherOfExport(folder, options.onnx)
      : await searcherOfModel(run.file(RUN_FILES.model), options);
  } catch (error) {
    documents.close();
    throw error;
  }
  return {
    run,
    searcher,
    documents,
    source: useExport ? "export" : "model",
    async search(question): Promise<IndexAnswer> {
      const [{ hits, droppedMass }] = await searcher.search([question]);
      const found = hits.map(({ doc, logProb }) => ({
        ...documents.get(doc)!,
        logProb,
        probability: Math.exp(logProb),
      }));
      return { documents: found, droppedMass };
    },
    async [Symbol.asyncDispose](): Promise<void> {
      documents.close();
      await searcher.dispose();
    },
  };
}

/** Whether there is an export that is not older than the model. */
async function isCurrent(run: RunFolder): Promise<boolean> {
  const exported = await modified(join(run.file(EXPORT_FOLDER), EXPORT_FILES.search));
  const trained = await modified(run.file(join(RUN_FILES.model, INDEX_FILES.weights)));
  return exported !== undefined && exported >= (trained ?? 0);
}

const exportReader = (folder: string): IndexReader => new IndexReader(folder, "Export it again");

/** Whether an export returns as many documents as are wanted, or all there are. */
async function returnsEnough(folder: string, wanted: number): Promise<boolean> {
  const reader = exportReader(folder);
  const beam = await reader.readObject(EXPORT_FILES.config, (config) => config[SEARCH_BEAM]);
  const { digits } = await reader.readObject(EXPORT_FILES.docids, docidsFromJson);
  return Number(beam) >= Math.min(wanted, digits.length);
}

/** The documents of a run: as many as its model has docids. */
async function documentsOf(run: RunFolder): Promise<DocumentStore> {
  const reader = new IndexReader(run.file(RUN_FILES.model), "Train again");
  const { digits } = await reader.readObject(INDEX_FILES.docids, docidsFromJson);
  const path = run.file(RUN_FILES.documents);
  const isThere = await modified(path) !== undefined; // opening a store makes it
  const documents = isThere ? DocumentStore.open(path) : undefined;
  const count = documents?.count ?? 0;
  if (documents && count === digits.length) return documents;
  documents?.close();
  throw new CheckpointError(
    `Cannot open the run ${run.path}: its model is over ${digits.length} documents, ` +
      `${RUN_FILES.documents} ${isThere ? `holds ${count}` : "is not there"}. Train again`,
  );
}

/**
 * A searcher over the files that `export` writes.
 *
 * @param folder The folder
 * @param options Threads, and which provider computes
 * @throws {CheckpointError} If a file is missing or broken
 * @throws {KernelError} If the provider can't be used and nothing may take its place
 */
export async function searcherOfExport(
  folder: string,
  options: OnnxExecutorOptions = {},
): Promise<DocidSearcher> {
  const reader = exportReader(folder);
  const tokenizerConfig = await reader.readObject(EXPORT_FILES.tokenizerConfig, (json) => json);
  const tokenizer = await reader.readObject(
    EXPORT_FILES.tokenizer,
    (json) => loadTokenizer(json, tokenizerConfig),
  );
  return new DocidSearcher({
    executable: await openOnnx(join(folder, EXPORT_FILES.search), options),
    encode: (text) => tokenizer.encode(text),
    padId: tokenizer.padId ?? 0,
  });
}

/**
 * A searcher over an index folder.
 *
 * @param folder The folder
 * @param options Documents returned, and what runs it
 * @throws {CheckpointError} If a file is missing or broken
 */
export async function searcherOfModel(
  folder: string,
  options: Pick<OpenIndexOptions, "beam" | "executor" | "onnx"> = {},
): Promise<DocidSearcher> {
  const { beam = 10, executor = onnxExecutor(options.onnx) } = options;
  const index = await loadIndex(folder), { scorer, trie, specs, tokenizer } = index;
  const program = searchProgram(scorer, trie, { beam, params: specs });
  return new DocidSearcher({
    executable: await executor.compile(program, { constants: parametersOf(index) }),
    encode: (text) => tokenizer.encode(text),
    padId: tokenizer.padId ?? 0,
  });
}
