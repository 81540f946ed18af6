/** No documents. @module */
import type { DocumentRetriever } from "../retriever.ts";
import { answerEach } from "./_answer_each.ts";

/** Never finds anything: what an agent can do by itself. */
export function emptyRetriever(): DocumentRetriever {
  return answerEach("empty", "none", () => []);
}
