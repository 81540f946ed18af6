/** How well an index retrieves, beside BM25 on the same documents and questions. @module */
import { coverageGroups, type Dataset, documentText } from "../data/mod.ts";
import { DataError } from "../errors.ts";
import {
  bestRank,
  comparePairedRanks,
  type Estimate,
  type PairedTest,
  type RetrievalRow,
  summariseRetrieval,
} from "../metric/mod.ts";
import type { DocidSearcher } from "../retriever/mod.ts";
import { pValueText } from "./text_table.ts";
import { bm25Index, bm25SearchBatch, loadTokenizer, trainStemTokenizer } from "../text/mod.ts";

/** Figures of one system. */
export interface SystemEvaluation {
  /** Name of the system. */
  readonly system: string;
  /** Row "all", then questions for documents with and without training questions. */
  readonly rows: readonly RetrievalRow[];
  /** Sign test of the index against this system, on the ranks to depth 10. */
  readonly indexAgainst?: PairedTest;
}

/** Result of an evaluation. */
export interface IndexEvaluation {
  /** Part whose questions were asked. */
  readonly part: string;
  /** Documents searched. */
  readonly documents: number;
  /** The index first, then the baselines. */
  readonly systems: readonly SystemEvaluation[];
  /** Mean probability of all documents that the index did not return. */
  readonly droppedMass: number;
  /** Mean time of the index per question, tokenizing included, in batches. */
  readonly millisecondsPerQuestion: number;
}

/** Choices of {@linkcode evaluateIndex}. */
export interface EvaluateOptions {
  /** Part whose questions are asked. Default `"dev"`. */
  readonly part?: string;
  /** Questions per run of the graph. Default 64. */
  readonly batchSize?: number;
  /** Resamplings behind the interval of MRR. Default 1000. */
  readonly resamples?: number;
  /** Seed of the resampling. */
  readonly seed: number;
}

/** Ranks of the first right document, `undefined` where a question has none. */
export type Ranks = readonly (number | undefined)[];

/**
 * Ranks of the right documents in the answers of an index.
 *
 * @returns Ranks, mean dropped mass and mean time per question
 */
export async function rankWithIndex(
  searcher: DocidSearcher,
  dataset: Dataset,
  options: { part: string; batchSize?: number },
): Promise<{ ranks: Ranks; droppedMass: number; millisecondsPerQuestion: number }> {
  const queries = questionsOf(dataset, options.part);
  const began = performance.now();
  const results = await searcher.search(queries.map((q) => q.query), options.batchSize);
  const elapsed = performance.now() - began;
  const ids = dataset.documents.map((d) => d.docId);
  return {
    ranks: queries.map((q, i) => bestRank(results[i].hits.map((h) => ids[h.doc]), q.docIds)),
    droppedMass: results.reduce((sum, r) => sum + r.droppedMass, 0) / results.length,
    millisecondsPerQuestion: elapsed / queries.length,
  };
}

function questionsOf(dataset: Dataset, part: string): Dataset["queries"][string] {
  const queries = dataset.queries[part];
  if (!queries?.some((q) => q.docIds.length)) {
    throw new DataError(
      `Cannot evaluate on part "${part}": it has no question with a right document. Parts: ` +
        (Object.keys(dataset.queries).join(", ") || "none"),
    );
  }
  return queries;
}

/** Names of the baselines. */
export const BASELINES = {
  words: "BM25, words",
  stems: "BM25, stems",
  expanded: "BM25, stems, plus training questions",
} as const;

/** Ranks of BM25 (k1 0.9, b 0.4; title and text) to depth 10: by words, by stems, and expanded. */
export function rankWithBm25(dataset: Dataset, part: string): Record<string, Ranks> {
  const { documents } = dataset, queries = questionsOf(dataset, part);
  const texts = documents.map(documentText);
  const index = new Map(documents.map((d, i) => [d.docId, i]));
  const expanded = [...texts];
  for (const { query, docIds } of dataset.queries.train ?? []) {
    for (const id of docIds) expanded[index.get(id)!] += ` ${query}`;
  }
  const rank = (corpus: readonly string[], stem: boolean): Ranks => {
    const tokenizer = loadTokenizer(trainStemTokenizer(corpus, { stem }));
    const ignoredIds = [0, 1];
    const matrix = bm25Index(tokenizer.encodeBatch(corpus), tokenizer.vocabSize, { ignoredIds });
    const found = bm25SearchBatch(matrix, queries.map((q) => tokenizer.encode(q.query)), 10);
    return queries.map((q, i) =>
      bestRank([...found[i].docs], q.docIds.map((id) => index.get(id)!))
    );
  };
  return {
    [BASELINES.words]: rank(texts, false),
    [BASELINES.stems]: rank(texts, true),
    ...(dataset.queries.train?.length ? { [BASELINES.expanded]: rank(expanded, true) } : {}),
  };
}

/**
 * Evaluate an index beside BM25.
 *
 * @param searcher The index; it should return at least 10 documents
 * @param dataset Documents in the order of the index, and questions
 * @throws {DataError} If the part has no question with a right document
 */
export async function evaluateIndex(
  searcher: DocidSearcher,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<IndexEvaluation> {
  const { part = "dev", batchSize, seed, resamples } = options;
  const own = await rankWithIndex(searcher, dataset, { part, batchSize });
  const groups = { ...coverageGroups(dataset, part) };
  const summarise = (ranks: Ranks) => summariseRetrieval({ ranks, groups, seed, resamples });
  const counted = (ranks: Ranks) =>
    ranks.filter((rank) => rank !== undefined).map((rank) => rank <= 10 ? rank : Infinity);
  const baselines = Object.entries(rankWithBm25(dataset, part)).map(([system, ranks]) => ({
    system,
    rows: summarise(ranks),
    indexAgainst: comparePairedRanks(counted(own.ranks), counted(ranks)),
  }));
  return {
    part,
    documents: dataset.documents.length,
    systems: [{ system: "this index", rows: summarise(own.ranks) }, ...baselines],
    droppedMass: own.droppedMass,
    millisecondsPerQuestion: own.millisecondsPerQuestion,
  };
}

const percent = (x: number) => Number.isFinite(x) ? x.toFixed(3).replace(/^0/, "") : "–";
const withInterval = ({ value, low, high }: Estimate) =>
  Number.isFinite(value) ? `${percent(value)} [${percent(low)}–${percent(high)}]` : "–";

/** The evaluation as a table for people, 95 % intervals in brackets. */
export function formatEvaluation(evaluation: IndexEvaluation): string {
  const header = ["system", "questions", "", "Hits@1", "Hits@10", "MRR@10"];
  const lines = [header];
  for (const { system, rows } of evaluation.systems) {
    rows.forEach((row, i) => {
      if (row.questions === 0) return;
      lines.push([
        i === 0 ? system : "",
        row.group,
        String(row.questions),
        withInterval(row.hitsAt1),
        withInterval(row.hitsAt10),
        withInterval(row.mrrAt10),
      ]);
    });
  }
  const widths = header.map((_, c) => Math.max(...lines.map((line) => line[c].length)));
  const table = lines.map((line) =>
    line.map((cell, c) => c === 2 ? cell.padStart(widths[c]) : cell.padEnd(widths[c])).join("  ")
      .trimEnd()
  );
  table.splice(1, 0, "─".repeat(Math.max(...table.map((line) => line.length))));
  const tests = evaluation.systems.flatMap(({ system, indexAgainst: t }) =>
    t ? [`against ${system}: ${t.wins} better, ${t.losses} worse, p = ${pValueText(t.pValue)}`] : []
  );
  return [
    ...table,
    "",
    ...tests,
    `${evaluation.millisecondsPerQuestion.toFixed(1)} ms a question in batches; the index leaves ` +
    `${
      (evaluation.droppedMass * 100).toFixed(1)
    } % of its probability to documents it did not return`,
  ].join("\n");
}
