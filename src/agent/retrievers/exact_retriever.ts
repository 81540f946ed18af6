/** Documents by title. @module */
import type { Document } from "../../data/types.ts";
import type { DocumentRetriever } from "../retriever.ts";
import { answerEach } from "./_answer_each.ts";
import { titleFinder } from "./_title_finder.ts";

/**
 * The documents whose titles stand in the query as whole words, case and punctuation aside: the one
 * named first, and of those that begin at the same word the longest title. Documents of one title come
 * in the order of the corpus. A query that names none finds nothing. The score is 1, for a match.
 *
 * @param documents The corpus, in the order of its indices
 * @example
 * ```ts
 * import { exactRetriever } from "./exact_retriever.ts";
 * import { assertEquals } from "@std/assert";
 * const titles = ["York", "New York", "Nick Park"];
 * const retriever = exactRetriever(titles.map((title) => ({ docId: title, title, text: "…" })));
 * const question = { queryId: "q", query: "Who was born in New York?", docIds: [], answers: [] };
 * const random = { seed: 1, stream: "episode", step: 0 };
 * const [found] = await retriever.retrieve([{ query: question.query, question, seen: [], random }]);
 * assertEquals(found, [{ doc: 1, score: 1 }]);
 * ```
 */
export function exactRetriever(documents: readonly Document[]): DocumentRetriever {
  const docsNamed = titleFinder(documents.map(({ title }, doc) => [doc, title]));
  return answerEach(
    "exact",
    "match",
    ({ query }) => docsNamed(query).map((doc) => ({ doc, score: 1 })),
  );
}
