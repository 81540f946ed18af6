/** Datasets as BEIR folders: `corpus.jsonl`, `queries.jsonl`, `qrels/<part>.tsv`. @module */
import { join } from "@std/path";
import type { DataLocation } from "../errors.ts";
import type { DatasetBuilder } from "./dataset_builder.ts";
import { listFolder, partsOf, requireFile } from "./folders.ts";
import { readTextLines } from "./json_lines.ts";
import { readRecords } from "./record_fields.ts";

/** Judged documents of one question of a part. */
interface Judgements {
  readonly first: Required<DataLocation>;
  readonly docIds: Set<string>;
}

/**
 * Read a BEIR folder (Thakur et al. 2021).
 *
 * The questions of a part are those its judgements name, in that order; documents judged above 0 are
 * right. BEIR has no answers. Departure: a document without text (some BEIR sets have them) takes
 * its title as text, since ours must have one.
 */
export async function readBeirInto(
  builder: DatasetBuilder,
  folder: string,
  wanted: readonly string[] | undefined,
): Promise<void> {
  const names = await listFolder(folder);
  await readCorpus(builder, requireFile(folder, "corpus.jsonl", names));
  const queriesFile = requireFile(folder, "queries.jsonl", names);
  const texts = new Map<string, string>();
  for await (const record of readRecords(queriesFile, builder.problems)) {
    const queryId = record.string("_id", "filled");
    const text = record.string("text", "filled");
    if (record.isValid && texts.has(queryId)) record.fail(`_id "${queryId}" is not unique`);
    texts.set(queryId, text);
  }
  const qrels = join(folder, "qrels");
  const judged = names.includes("qrels") ? await listFolder(qrels) : [];
  const parts = partsOf(qrels, judged, { prefix: "", suffix: ".tsv", wanted });
  for (const part of parts) {
    builder.addPart(part);
    for (
      const [queryId, { first, docIds }] of await readJudgements(
        builder,
        join(qrels, `${part}.tsv`),
      )
    ) {
      const query = texts.get(queryId);
      if (query === undefined) {
        builder.problems.add(`no question has the _id "${queryId}"`, first);
      } else {
        builder.addQuery(part, { queryId, query, docIds: [...docIds], answers: [] }, first);
      }
    }
  }
}

async function readCorpus(builder: DatasetBuilder, file: string): Promise<void> {
  for await (const record of readRecords(file, builder.problems)) {
    const docId = record.string("_id", "filled");
    const title = record.string("title", "optional");
    const text = record.string("text", "any");
    if (text.trim() === "" && title.trim() === "") record.fail("title and text are both empty");
    if (record.isValid) {
      builder.addDocument({ docId, title, text: text.trim() ? text : title }, record.location);
    } else {
      builder.claimDocument(docId, record.location);
    }
  }
  builder.checkDocuments(file);
}

async function readJudgements(
  builder: DatasetBuilder,
  file: string,
): Promise<Map<string, Judgements>> {
  const judgements = new Map<string, Judgements>();
  for await (const { line, text } of readTextLines(file)) {
    const [queryId, docId, score, ...rest] = text.split("\t");
    if (line === 1 && score === "score") continue;
    if (rest.length > 0 || !queryId || !docId || !/^-?\d+$/.test(score?.trim() ?? "")) {
      builder.problems.add("not query-id, corpus-id and a whole score between tabs", {
        file,
        line,
      });
      continue;
    }
    const judged = judgements.get(queryId) ?? { first: { file, line }, docIds: new Set() };
    judgements.set(queryId, judged);
    if (Number(score) > 0) {
      builder.checkReference(docId, { file, line });
      judged.docIds.add(docId);
    }
  }
  return judgements;
}
