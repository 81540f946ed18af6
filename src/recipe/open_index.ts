/** A trained run, ready to be asked. @module */
import { join } from "@std/path";
import { DocumentStore, type StoredDocument } from "../data/mod.ts";
import { CheckpointError } from "../errors.ts";
import { DocidSearcher, searchProgram } from "../retriever/mod.ts";
import { type Executor, onnxExecutor, openOnnx } from "../runtime/mod.ts";
import { EXPORT_FILES } from "./export_index.ts";
import { INDEX_FILES, loadIndex } from "./index_folder.ts";
import { listRuns, openRunFolder, type RunFolder } from "./run_folder.ts";
import { RUN_FILES } from "./train_dsi.ts";
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
  /** What runs the model. Default: ONNX Runtime in this thread. */
  readonly executor?: Executor;
  /** `"model"` ignores an export. Default: the export, if there is one of this model. */
  readonly source?: "model";
}

const modified = (path: string) => Deno.stat(path).then((s) => s.mtime?.getTime(), () => undefined);

/**
 * The run at `path`, or the latest one that has a trained model.
 *
 * @throws {CheckpointError} If there is none; the message says what to do
 */
export async function findTrainedRun(path?: string): Promise<RunFolder> {
  if (path !== undefined) {
    const run = await openRunFolder(path);
    if (await modified(run.file(join(RUN_FILES.model, INDEX_FILES.weights))) === undefined) {
      throw new CheckpointError(
        `Cannot use the run ${path}: it has no trained model yet. Finish it with ` +
          `train-dsi training.resume=${path}`,
      );
    }
    return run;
  }
  for (const candidate of await listRuns()) {
    if (await modified(join(candidate, RUN_FILES.model, INDEX_FILES.weights)) !== undefined) {
      return await openRunFolder(candidate);
    }
  }
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
  const modelFolder = run.file(RUN_FILES.model);
  const exportFolder = run.file(EXPORT_FOLDER);
  const exported = await modified(join(exportFolder, EXPORT_FILES.search));
  const trained = await modified(join(modelFolder, INDEX_FILES.weights)) ?? 0;
  const useExport = options.source !== "model" && exported !== undefined && exported >= trained;
  const documents = DocumentStore.open(run.file(RUN_FILES.documents));
  const searcher = useExport
    ? await searcherOfExport(exportFolder)
    : await searcherOfModel(modelFolder, options);
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

/** A searcher over the files that `export` writes. */
export async function searcherOfExport(folder: string): Promise<DocidSearcher> {
  const json = async (name: string): Promise<unknown> => {
    try {
      return JSON.parse(await Deno.readTextFile(join(folder, name)));
    } catch (cause) {
      throw new CheckpointError(
        `Cannot open the export ${folder}: ${name}: ${(cause as Error).message}. Export it again`,
        { cause },
      );
    }
  };
  const tokenizer = loadTokenizer(
    await json(EXPORT_FILES.tokenizer),
    await json(EXPORT_FILES.tokenizerConfig),
  );
  return new DocidSearcher({
    executable: await openOnnx(join(folder, EXPORT_FILES.search)),
    encode: (text) => tokenizer.encode(text),
    padId: tokenizer.padId ?? 0,
  });
}

async function searcherOfModel(
  folder: string,
  options: OpenIndexOptions,
): Promise<DocidSearcher> {
  const { beam = 10, executor = onnxExecutor() } = options;
  const { scorer, trie, specs, tensors, tokenizer } = await loadIndex(folder);
  const program = searchProgram(scorer, trie, { beam, params: specs });
  const constants = Object.fromEntries(Object.keys(specs).map((name) => [name, tensors[name]]));
  return new DocidSearcher({
    executable: await executor.compile(program, { constants }),
    encode: (text) => tokenizer.encode(text),
    padId: tokenizer.padId ?? 0,
  });
}
