/** Documents by the words they share with the query. @module */
import { documentText } from "../../data/document_text.ts";
import type { Document } from "../../data/types.ts";
import { ConfigError } from "../../errors.ts";
import { bm25Index, bm25SearchBatch, loadTokenizer, trainStemTokenizer } from "../../text/mod.ts";
import { type SparseMatrix, stackCsr } from "../../tensor/sparse.ts";
import type { DocumentRetriever, RetrievedDocument } from "../retriever.ts";
import { checkTop } from "./_answer_each.ts";

/** Choices of {@linkcode bm25Retriever}. */
export interface Bm25RetrieverOptions {
  /** What is counted. With stems "songs" finds "song". Default `"stems"`. */
  readonly tokenize?: "stems" | "words";
  /**
   * w ≥ 1: the score is BM25 of title and text as one, and w − 1 times that of the titles alone. Where
   * documents speak of each other, more than 1 finds the one that is asked about rather than one that
   * mentions it. Default 1.
   */
  readonly titleWeight?: number;
}

/**
 * BM25 over title and text, `bm25Index` with its defaults: the baseline of `evaluate-model`. Titles may
 * count more (like Elasticsearch's `most_fields`: fields are scored by themselves and added up). The
 * index is built at once. Documents that share no word with the query are not found. Scores are sums
 * of weights and have no unit.
 *
 * @param documents The corpus, in the order of its indices
 * @param options What is counted, and how much titles count
 * @throws {ConfigError} If the weight of titles is no number of 1 or more
 * @example
 * ```ts
 * import { bm25Retriever } from "./bm25_retriever.ts";
 * import { assertEquals } from "@std/assert";
 * const retriever = bm25Retriever([
 *   { docId: "a", title: "Otters", text: "They hold hands." },
 *   { docId: "b", title: "Bees", text: "They dance." },
 * ]);
 * const question = { queryId: "q", query: "What do bees do?", docIds: ["b"], answers: ["dance"] };
 * const random = { seed: 1, stream: "episode", step: 0 };
 * const [found] = await retriever.retrieve([{ query: "bee", question, seen: [], random }]);
 * assertEquals(found.map(({ doc }) => doc), [1]);
 * ```
 */
export function bm25Retriever(
  documents: readonly Document[],
  options: Bm25RetrieverOptions = {},
): DocumentRetriever {
  const { tokenize = "stems", titleWeight = 1 } = options;
  if (!(titleWeight >= 1 && Number.isFinite(titleWeight))) {
    throw new ConfigError([{
      key: "titleWeight",
      message: `is ${titleWeight}; give a number of 1 or more`,
    }]);
  }
  const texts = documents.map(documentText);
  const tokenizer = loadTokenizer(trainStemTokenizer(texts, { stem: tokenize === "stems" }));
  const V = tokenizer.vocabSize;
  const indexed = (of: readonly string[]): SparseMatrix => bm25Index(tokenizer.encodeBatch(of), V);
  const weighted = (matrix: SparseMatrix): SparseMatrix => ({
    ...matrix,
    values: matrix.values.map((x) => (titleWeight - 1) * x),
  });
  const ofTexts = indexed(texts), hasTitles = titleWeight > 1;
  // Row t has what term t weighs in the whole document, row V + t what it weighs in the title.
  const matrix = hasTitles
    ? stackCsr([ofTexts, weighted(indexed(documents.map(({ title }) => title)))])
    : ofTexts;
  return {
    name: "bm25",
    scoreUnit: "BM25",
    // deno-lint-ignore require-await -- errors become rejections, as with every other retriever
    async retrieve(requests, top = 1): Promise<RetrievedDocument[][]> {
      checkTop(top);
      const queries = tokenizer.encodeBatch(requests.map(({ query }) => query)).map((tokens) =>
        hasTitles ? [...tokens, ...Array.from(tokens, (t) => V + t)] : tokens
      );
      return bm25SearchBatch(matrix, queries, top).map(({ docs, scores }) =>
        Array.from(docs, (doc, k) => ({ doc, score: scores[k] }))
      );
    },
  };
}
