/** The right documents. @module */
import type { Document } from "../../data/types.ts";
import { DataError } from "../../errors.ts";
import type { DocumentRetriever } from "../retriever.ts";
import { answerEach } from "./_answer_each.ts";
import { titleFinder } from "./_title_finder.ts";

/**
 * The question's right documents: the ceiling of what retrieval can do. First those whose titles the
 * query names, as `exactRetriever` finds them; then those not yet seen, in the question's
 * order; then the rest, last one first. So an agent that asks again gets the next document, and after
 * the last one that one again. Nothing where no right document is known. The score is 1, for a match.
 *
 * @param documents The corpus, in the order of its indices
 * @returns A retriever that throws a `DataError` for a question whose document is not in the corpus
 * @example
 * ```ts
 * import { oracleRetriever } from "./oracle_retriever.ts";
 * import { assertEquals } from "@std/assert";
 * const retriever = oracleRetriever([
 *   { docId: "a", title: "Otters", text: "They hold hands." },
 *   { docId: "b", title: "Bees", text: "They dance." },
 * ]);
 * const question = { queryId: "q", query: "Who dances?", docIds: ["b"], answers: ["bees"] };
 * const random = { seed: 1, stream: "episode", step: 0 };
 * const [found] = await retriever.retrieve([{ query: "", question, seen: [], random }]);
 * assertEquals(found, [{ doc: 1, score: 1 }]);
 * ```
 */
export function oracleRetriever(documents: readonly Document[]): DocumentRetriever {
  const indexOf = new Map(documents.map(({ docId }, doc) => [docId, doc]));
  return answerEach("oracle", "match", ({ query, question, seen }) => {
    const right = question.docIds.map((docId) => {
      const doc = indexOf.get(docId);
      if (doc === undefined) {
        throw new DataError(
          `Cannot find the right documents of question "${question.queryId}": document ` +
            `"${docId}" is not in the corpus. Give the oracle the documents of the same dataset`,
        );
      }
      return doc;
    });
    const named = titleFinder(right.map((doc) => [doc, documents[doc].title]))(query);
    const isSeen = new Set(seen);
    const unseen = right.filter((doc) => !isSeen.has(doc));
    return [...new Set([...named, ...unseen, ...right.toReversed()])].map((doc) => ({
      doc,
      score: 1,
    }));
  });
}
