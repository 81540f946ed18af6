/** Datasets as folders of JSON Lines: `docs.jsonl` and `queries.<part>.jsonl`. @module */
import { join } from "@std/path";
import { DatasetBuilder } from "./dataset_builder.ts";
import { listFolder, partsOf, requireFile } from "./folders.ts";
import { readBeirInto } from "./read_beir.ts";
import { readRecords } from "./record_fields.ts";
import type { Dataset, Document, Query } from "./types.ts";

/** File of the documents. */
export const DOCUMENTS_FILE = "docs.jsonl";

/** Choices of {@linkcode readDataset}. */
export interface ReadDatasetOptions {
  /** Parts to read. Default: all that have a file. */
  parts?: readonly string[];
}

/**
 * The documents of a folder, from `docs.jsonl`.
 *
 * One record a line: `{"doc_id": …, "title": …, "text": …}`, and perhaps `"sentences": […]`. Other fields are
 * ignored. Ids must be unique and not empty, texts not blank; a title may be empty.
 *
 * @throws {DataError} If the file is missing, or with all problems of its records at once
 */
export async function readDocuments(folder: string): Promise<Document[]> {
  const builder = new DatasetBuilder();
  await readDocumentsInto(builder, requireFile(folder, DOCUMENTS_FILE, await listFolder(folder)));
  builder.problems.throwIfAny(`read the documents in ${folder}`);
  return [...builder.documents];
}

/**
 * The questions of one part, from `queries.<part>.jsonl`.
 *
 * One record a line: `{"query_id": …, "query": …, "doc_ids": […], "answers": […]}`, and perhaps
 * `"supporting_facts": [["title", 0], …]`. Other fields are ignored, `answers` may be missing. Whether the
 * documents exist is only checked by {@linkcode readDataset}.
 *
 * @param part Such as `"train"` or `"dev"`
 * @throws {DataError} If the file is missing, or with all problems of its records at once
 */
export async function readQueries(folder: string, part: string): Promise<Query[]> {
  const builder = new DatasetBuilder();
  partsOf(folder, await listFolder(folder), { ...QUERY_FILES, wanted: [part] });
  await readQueriesInto(builder, folder, { part, checksReferences: false });
  builder.problems.throwIfAny(`read the questions of part "${part}" in ${folder}`);
  return [...builder.build().queries[part]];
}

/**
 * A corpus with its questions. A folder that holds `corpus.jsonl` but no `docs.jsonl` is read as BEIR.
 *
 * Everything that is wrong is reported together: broken lines, missing or mistyped fields, duplicate
 * ids, empty texts, and questions that name documents that are not there.
 *
 * @param folder The folder
 * @throws {DataError} If folder or files are missing, or with the first twenty problems and a count
 * @example
 * ```ts
 * import { readDataset, writeDataset } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * await writeDataset(folder, {
 *   documents: [{ docId: "d1", title: "Otters", text: "Otters hold hands while they sleep." }],
 *   queries: { dev: [{ queryId: "q1", query: "Who sleeps hand in hand?", docIds: ["d1"], answers: [] }] },
 * });
 * const { documents, queries } = await readDataset(folder, { parts: ["dev"] });
 * assertEquals([documents[0].title, queries.dev[0].docIds], ["Otters", ["d1"]]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function readDataset(
  folder: string,
  options: ReadDatasetOptions = {},
): Promise<Dataset> {
  const names = await listFolder(folder);
  const builder = new DatasetBuilder();
  if (!names.includes(DOCUMENTS_FILE) && names.includes("corpus.jsonl")) {
    await readBeirInto(builder, folder, options.parts);
  } else {
    await readDocumentsInto(builder, requireFile(folder, DOCUMENTS_FILE, names));
    for (const part of partsOf(folder, names, { ...QUERY_FILES, wanted: options.parts })) {
      await readQueriesInto(builder, folder, { part, checksReferences: true });
    }
  }
  builder.problems.throwIfAny(`read the dataset in ${folder}`);
  return builder.build();
}

/** Names of the files that hold questions. */
export const QUERY_FILES = { prefix: "queries.", suffix: ".jsonl" } as const;

async function readDocumentsInto(builder: DatasetBuilder, file: string): Promise<void> {
  for await (const record of readRecords(file, builder.problems)) {
    const docId = record.string("doc_id", "filled");
    const title = record.string("title", "any");
    const text = record.string("text", "filled");
    const sentences = record.has("sentences") ? record.strings("sentences", "required") : undefined;
    const document = { docId, title, text, ...(sentences && { sentences }) };
    if (record.isValid) builder.addDocument(document, record.location);
    else builder.claimDocument(docId, record.location);
  }
  builder.checkDocuments(file);
}

async function readQueriesInto(
  builder: DatasetBuilder,
  folder: string,
  options: { part: string; checksReferences: boolean },
): Promise<void> {
  const { part, checksReferences } = options;
  const file = join(folder, `${QUERY_FILES.prefix}${part}${QUERY_FILES.suffix}`);
  builder.addPart(part);
  for await (const record of readRecords(file, builder.problems)) {
    const queryId = record.string("query_id", "filled");
    const query = record.string("query", "filled");
    const docIds = [...new Set(record.strings("doc_ids", "required"))];
    const answers = record.strings("answers", "optional");
    const supportingFacts = record.has("supporting_facts")
      ? record.places("supporting_facts")
      : undefined;
    if (checksReferences) {
      for (const docId of docIds) builder.checkReference(docId, record.location);
    }
    if (record.isValid) {
      const facts = supportingFacts && { supportingFacts };
      builder.addQuery(part, { queryId, query, docIds, answers, ...facts }, record.location);
    }
  }
}
