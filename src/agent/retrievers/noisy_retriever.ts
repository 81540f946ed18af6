/** A retriever that errs now and then. @module */
import { DataError } from "../../errors.ts";
import { randomStream } from "../../tensor/random.ts";
import type { DocumentRetriever, RetrievedDocument } from "../retriever.ts";
import { checkDocuments } from "./_answer_each.ts";

/** Choices of {@linkcode noisyRetriever}. */
export interface NoisyRetrieverOptions {
  /** Probability that the first document is replaced, in [0, 1]. */
  readonly rate: number;
  /** How many documents the corpus holds. */
  readonly documents: number;
}

/**
 * Another retriever whose first document is, with probability `rate`, replaced by one drawn uniformly
 * from the corpus: by chance the same one. The score of the place stays, so that it does not betray the
 * error; and where the drawn document stands further down, the two change places. Where nothing was
 * found nothing is replaced. Drawn from the stream `<request's stream>/noise`.
 *
 * @param inner What is disturbed
 * @throws {DataError} If `rate` is not a probability or `documents` not a positive whole number
 * @example
 * ```ts
 * import { exactRetriever } from "./exact_retriever.ts";
 * import { noisyRetriever } from "./noisy_retriever.ts";
 * import { assertEquals } from "@std/assert";
 * const exact = exactRetriever([{ docId: "a", title: "Otters", text: "They hold hands." }]);
 * assertEquals(noisyRetriever(exact, { rate: 0.2, documents: 1 }).name, "noisy(exact, 0.2)");
 * ```
 */
export function noisyRetriever(
  inner: DocumentRetriever,
  options: NoisyRetrieverOptions,
): DocumentRetriever {
  const { rate, documents } = options;
  if (!(rate >= 0 && rate <= 1)) {
    throw new DataError(
      `Cannot disturb the retriever "${inner.name}": the rate is ${rate}; it must lie between 0 and 1`,
    );
  }
  checkDocuments(documents);
  return {
    name: `noisy(${inner.name}, ${rate})`,
    scoreUnit: inner.scoreUnit,
    async retrieve(requests, top): Promise<(readonly RetrievedDocument[])[]> {
      const found = await inner.retrieve(requests, top);
      return found.map((list, i) => {
        const { random } = requests[i];
        const stream = randomStream({ ...random, stream: `${random.stream}/noise` });
        return stream.uniform() < rate ? withFirst(list, stream.int(documents)) : list;
      });
    },
  };
}

/** The list with `doc` in the first place; the one that stood there goes where `doc` was, if anywhere. */
function withFirst(list: readonly RetrievedDocument[], doc: number): RetrievedDocument[] {
  const [first] = list;
  return list.map((at, k) => {
    if (k === 0) return { doc, score: at.score };
    return at.doc === doc ? { doc: first.doc, score: at.score } : at;
  });
}
