/** Documents that a trained index finds. @module */
import type { DocidSearcher } from "../../retriever/searcher.ts";
import type { DocumentRetriever, RetrievedDocument } from "../retriever.ts";
import { checkTop } from "./_answer_each.ts";

/**
 * A trained index as a retriever: all requests in one call of the searcher, equal queries once. The
 * score is p(d | q). At most as many documents are returned as the search has beams.
 *
 * @param index A `DocidSearcher`, or whatever searches as it does. It stays the caller's to dispose of
 * @example
 * ```ts
 * import { indexRetriever } from "./index_retriever.ts";
 * import { assertEquals } from "@std/assert";
 * const hits = [{ doc: 4, logProb: Math.log(0.5) }, { doc: 2, logProb: Math.log(0.25) }];
 * const search = (texts: readonly string[]) =>
 *   Promise.resolve(texts.map(() => ({ hits, droppedMass: 0.25 })));
 * const question = { queryId: "q", query: "What do bees do?", docIds: [], answers: [] };
 * const random = { seed: 1, stream: "episode", step: 0 };
 * const request = { query: "bees", question, seen: [], random };
 * assertEquals(await indexRetriever({ search }).retrieve([request]), [[{ doc: 4, score: 0.5 }]]);
 * ```
 */
export function indexRetriever(index: Pick<DocidSearcher, "search">): DocumentRetriever {
  return {
    name: "index",
    scoreUnit: "probability",
    async retrieve(requests, top = 1): Promise<RetrievedDocument[][]> {
      checkTop(top);
      // The searcher takes a blank text for a mistake; a policy may well write one.
      const written = requests.map(({ query }) => query).filter((query) => query.trim() !== "");
      const texts = [...new Set(written)];
      const results = await index.search(texts);
      const hits = new Map(texts.map((text, i) => [text, results[i].hits]));
      return requests.map(({ query }) =>
        (hits.get(query) ?? []).slice(0, top).map(({ doc, logProb }) => ({
          doc,
          score: Math.exp(logProb),
        }))
      );
    },
  };
}
