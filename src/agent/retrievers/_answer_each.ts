/** Retrievers that answer one request at a time. @module */
import { DataError } from "../../errors.ts";
import type { DocumentRetriever, RetrievalRequest, RetrievedDocument } from "../retriever.ts";

/** @throws {DataError} If `top` is not a positive whole number */
export function checkTop(top: number): void {
  if (!Number.isSafeInteger(top) || top < 1) {
    throw new DataError(`Cannot retrieve ${top} documents a request: give a positive whole number`);
  }
}

/** @throws {DataError} If `documents`, a number of documents, is not a positive whole number */
export function checkDocuments(documents: number): void {
  if (!Number.isSafeInteger(documents) || documents < 1) {
    throw new DataError(`Cannot draw one of ${documents} documents: give a positive whole number`);
  }
}

/** A retriever that is a function of one request; of what it returns, the first `top` are kept. */
export function answerEach(
  name: string,
  scoreUnit: string,
  answer: (request: RetrievalRequest, top: number) => readonly RetrievedDocument[],
): DocumentRetriever {
  return {
    name,
    scoreUnit,
    // deno-lint-ignore require-await -- errors become rejections, as with every other retriever
    async retrieve(requests, top = 1): Promise<RetrievedDocument[][]> {
      checkTop(top);
      return requests.map((request) => answer(request, top).slice(0, top));
    },
  };
}
