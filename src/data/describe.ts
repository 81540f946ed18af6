/** What a dataset looks like in numbers. @module */
import { DataError } from "../errors.ts";
import { corpusFingerprint } from "./fingerprint.ts";
import type { Dataset } from "./types.ts";

/** Lengths in words, counted between spaces. All are NaN where there is nothing to measure. */
export interface LengthSummary {
  /** Shortest. */
  readonly min: number;
  /** Middle one (the lower of two). */
  readonly median: number;
  /** Arithmetic mean. */
  readonly mean: number;
  /** Longest. */
  readonly max: number;
}

/** Numbers of one part. */
export interface PartDescription {
  /** Number of questions. */
  readonly questions: number;
  /** Questions without a right document: evaluations leave them out. */
  readonly withoutDocuments: number;
  /** Questions with more than one right document. */
  readonly withSeveralDocuments: number;
  /** Questions with at least one accepted answer. */
  readonly withAnswers: number;
  /** Length of the questions, in words. */
  readonly words: LengthSummary;
}

/** Numbers of a dataset. */
export interface DatasetDescription {
  /** {@linkcode corpusFingerprint} of the documents. */
  readonly fingerprint: string;
  /** Number of documents. */
  readonly documents: number;
  /** Length of title and text together, in words. */
  readonly words: LengthSummary;
  /** Documents for which no question of part `"train"` asks. */
  readonly withoutTrainingQuestions: number;
  /** Numbers of each part. */
  readonly parts: Readonly<Record<string, PartDescription>>;
}

/**
 * Counts, lengths and coverage of a dataset.
 *
 * @example
 * ```ts
 * import { describeDataset } from "./describe.ts";
 * import { assertEquals } from "@std/assert";
 * const description = describeDataset({
 *   documents: [{ docId: "d", title: "Otters", text: "They hold hands." }],
 *   queries: { dev: [{ queryId: "q", query: "Who?", docIds: [], answers: [] }] },
 * });
 * assertEquals([description.words.mean, description.withoutTrainingQuestions], [4, 1]);
 * assertEquals(description.parts.dev.withoutDocuments, 1);
 * ```
 */
export function describeDataset(dataset: Dataset): DatasetDescription {
  const parts: Record<string, PartDescription> = {};
  for (const [part, queries] of Object.entries(dataset.queries)) {
    parts[part] = {
      questions: queries.length,
      withoutDocuments: queries.filter((q) => q.docIds.length === 0).length,
      withSeveralDocuments: queries.filter((q) => q.docIds.length > 1).length,
      withAnswers: queries.filter((q) => q.answers.length > 0).length,
      words: summariseLengths(queries.map((q) => countWords(q.query))),
    };
  }
  const isTrained = trainedDocuments(dataset);
  return {
    fingerprint: corpusFingerprint(dataset.documents),
    documents: dataset.documents.length,
    words: summariseLengths(dataset.documents.map((d) => countWords(`${d.title} ${d.text}`))),
    withoutTrainingQuestions: dataset.documents.filter((d) => !isTrained.has(d.docId)).length,
    parts,
  };
}

/** Membership of each question of a part in the two groups an evaluation reports. */
export interface CoverageGroups {
  /** [Q] at least one right document has a training question. */
  readonly "with training questions": readonly boolean[];
  /** [Q] there are right documents and none of them has one. */
  readonly "without training questions": readonly boolean[];
}

/**
 * Split the questions of a part by whether part `"train"` asks for their documents: the second
 * group shows whether an index knows a document or only the questions it saw.
 *
 * @param part Part to split, such as `"dev"`
 * @throws {DataError} If the dataset has no such part
 * @example
 * ```ts
 * import { coverageGroups } from "./describe.ts";
 * import { assertEquals } from "@std/assert";
 * const ask = (queryId: string, docId: string) => ({ queryId, query: "?", docIds: [docId], answers: [] });
 * const groups = coverageGroups(
 *   { documents: [], queries: { train: [ask("1", "a")], dev: [ask("2", "a"), ask("3", "b")] } },
 *   "dev",
 * );
 * assertEquals(groups["with training questions"], [true, false]);
 * assertEquals(groups["without training questions"], [false, true]);
 * ```
 */
export function coverageGroups(dataset: Dataset, part: string): CoverageGroups {
  const queries = dataset.queries[part];
  if (queries === undefined) {
    throw new DataError(
      `Cannot group the questions of part "${part}": the dataset has ` +
        (Object.keys(dataset.queries).join(", ") || "no questions"),
    );
  }
  const isTrained = trainedDocuments(dataset);
  const isWith = queries.map((q) => q.docIds.some((docId) => isTrained.has(docId)));
  return {
    "with training questions": isWith,
    "without training questions": queries.map((q, i) => q.docIds.length > 0 && !isWith[i]),
  };
}

function trainedDocuments({ queries }: Dataset): Set<string> {
  return new Set((queries.train ?? []).flatMap((query) => query.docIds));
}

function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => word !== "").length;
}

function summariseLengths(lengths: readonly number[]): LengthSummary {
  const sorted = Float64Array.from(lengths).sort();
  const n = sorted.length;
  return {
    min: sorted.at(0) ?? NaN,
    median: sorted.at((n - 1) >> 1) ?? NaN,
    mean: sorted.reduce((a, b) => a + b, 0) / n,
    max: sorted.at(-1) ?? NaN,
  };
}
