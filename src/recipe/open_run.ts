/** The run of a training: a new one, or the one that is to go on. @module */
import { printConfig, type ResolvedConfig } from "../config/mod.ts";
import { corpusFingerprint, type Document, DocumentStore } from "../data/mod.ts";
import { CheckpointError } from "../errors.ts";
import { createRunFolder, openRunFolder, type RunFolder } from "./run_folder.ts";
import { RUN_FILES } from "./run_files.ts";

/** Which run is to go on. */
export interface ResumeChoice {
  /** The key that names it, such as `training.resume`. */
  readonly key: string;
  /** Its folder; null starts a new one. */
  readonly run: string | null;
}

/**
 * The run to write to: a new one, which gets the documents, or the one to resume, whose documents must be
 * the same.
 *
 * @throws {CheckpointError} If there is no run to resume, or it was trained on other documents
 */
export async function openRun(
  config: ResolvedConfig,
  documents: readonly Document[],
  resume: ResumeChoice,
): Promise<RunFolder> {
  const run = resume.run !== null
    ? await openRunFolder(resume.run)
    : await createRunFolder({ config: printConfig(config), dir: config.output.dir });
  using store = DocumentStore.open(run.file(RUN_FILES.documents));
  if (store.count === 0) store.put(documents);
  else if (store.fingerprint !== corpusFingerprint(documents)) {
    throw new CheckpointError(
      `Cannot resume ${run.path}: it was trained on other documents. Start a new run without ` +
        `${resume.key}, or give the documents it was started with`,
    );
  }
  return run;
}
