/** Documents by chance. @module */
import { randomStream } from "../../tensor/random.ts";
import type { DocumentRetriever } from "../retriever.ts";
import { answerEach, checkDocuments } from "./_answer_each.ts";

/**
 * Documents drawn uniformly without replacement, whatever the query: the floor that a retriever must
 * beat. Drawn from the stream `<request's stream>/random`. The score is 1 / `documents`, the
 * probability of each to be drawn first.
 *
 * @param documents How many the corpus holds
 * @throws {DataError} If `documents` is not a positive whole number
 */
export function randomRetriever(documents: number): DocumentRetriever {
  checkDocuments(documents);
  return answerEach("random", "probability", ({ random }, top) => {
    const stream = randomStream({ ...random, stream: `${random.stream}/random` });
    const drawn = new Set<number>();
    while (drawn.size < Math.min(top, documents)) drawn.add(stream.int(documents));
    return [...drawn].map((doc) => ({ doc, score: 1 / documents }));
  });
}
