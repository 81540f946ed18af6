/** Datasets written in the format that `read_dataset.ts` reads. @module */
import { join } from "@std/path";
import { DataError } from "../errors.ts";
import { type StagedFile, stageFile } from "./atomic_write.ts";
import { listFolder, partsOf } from "./folders.ts";
import { DOCUMENTS_FILE, QUERY_FILES } from "./read_dataset.ts";
import type { Dataset } from "./types.ts";

/**
 * Write a dataset as `docs.jsonl` and one `queries.<part>.jsonl` a part.
 *
 * All files are complete on disk before the first one is replaced. The folder is made if needed; it
 * must not hold a part that the dataset lacks, since that part would ask about other documents.
 *
 * @throws {DataError} If the folder holds another part, a part cannot be a file name, or a file
 *   cannot be written
 */
export async function writeDataset(folder: string, dataset: Dataset): Promise<void> {
  const parts = Object.keys(dataset.queries);
  const unusable = parts.find((part) => !/^[A-Za-z0-9][\w.-]*$/.test(part));
  if (unusable !== undefined) {
    throw new DataError(
      `Cannot write the dataset to ${folder}: part "${unusable}" cannot be part of a file name. ` +
        "Use letters, digits, dots, hyphens and underscores",
    );
  }
  await makeFolder(folder);
  const present = partsOf(folder, await listFolder(folder), QUERY_FILES);
  const stale = present.find((part) => !parts.includes(part));
  if (stale !== undefined) {
    throw new DataError(
      `Cannot write the dataset to ${folder}: it already holds part "${stale}", which would ask ` +
        "about documents of another dataset. Remove that file or choose another folder",
    );
  }
  const staged: StagedFile[] = [];
  try {
    staged.push(await stageFile(join(folder, DOCUMENTS_FILE), documentLines(dataset)));
    for (const part of parts) {
      const file = join(folder, `${QUERY_FILES.prefix}${part}${QUERY_FILES.suffix}`);
      staged.push(await stageFile(file, queryLines(dataset, part)));
    }
    for (const file of staged) await file.commit();
  } finally {
    for (const file of staged) await file.discard();
  }
}

function* documentLines({ documents }: Dataset): Generator<string> {
  for (const { docId, title, text, sentences } of documents) {
    yield JSON.stringify({ doc_id: docId, title, text, sentences }) + "\n";
  }
}

function* queryLines({ queries }: Dataset, part: string): Generator<string> {
  for (const { queryId, query, docIds, answers, supportingFacts } of queries[part]) {
    const record = { query_id: queryId, query, doc_ids: docIds, answers };
    yield JSON.stringify({ ...record, supporting_facts: supportingFacts }) + "\n";
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new DataError(
      `Cannot write the dataset to ${folder}: ${(cause as Error).message}`,
      {},
      { cause },
    );
  }
}
