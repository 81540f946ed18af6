/** The one interface between an agent and whatever finds documents for it. @module */
import type { Query } from "../data/types.ts";
import type { RandomKey } from "../tensor/random.ts";

/** One retrieval of one episode. */
export interface RetrievalRequest {
  /** What the policy wrote to search for, or the question if it wrote nothing. */
  readonly query: string;
  /** The question that the episode is to answer. */
  readonly question: Query;
  /** Indices of the documents already returned in this episode, in order. */
  readonly seen: readonly number[];
  /** Of this episode and turn. Chance is drawn from it alone, so the same request gets the same answer. */
  readonly random: RandomKey;
}

/** A document that was found. */
export interface RetrievedDocument {
  /** Index of the document in its corpus. */
  readonly doc: number;
  /** How well it fits, in the retriever's unit; larger is better. */
  readonly score: number;
}

/**
 * Finds documents. What a request is answered with depends on that request and on nothing else:
 * neither on the requests beside it nor on those before it.
 */
export interface DocumentRetriever {
  /** Name in reports, such as `"bm25"`. */
  readonly name: string;
  /** What a score is, such as `"probability"`. */
  readonly scoreUnit: string;
  /**
   * Answer every request.
   *
   * @param requests What to look for; a blank query is not an error
   * @param top Documents at most for each request. Default 1
   * @returns One list per request, in their order: best first, no document twice, fewer than `top`
   * or none where no more are found. A smaller `top` gives the beginning of what a larger one gives
   * @throws {DataError} If `top` is not a positive whole number
   */
  retrieve(
    requests: readonly RetrievalRequest[],
    top?: number,
  ): Promise<readonly (readonly RetrievedDocument[])[]>;
}
