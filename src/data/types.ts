/** Documents and questions as they come in. @module */

/** One document. */
export interface Document {
  /** Unique, non-empty. */
  readonly docId: string;
  /** May be empty. */
  readonly title: string;
  /** Not empty. */
  readonly text: string;
  /** Its sentences, where supporting facts are counted in them. */
  readonly sentences?: readonly string[];
}

/** One question and the documents that answer it. */
export interface Query {
  /** Unique within its part, non-empty. */
  readonly queryId: string;
  /** The question. */
  readonly query: string;
  /** Ids of right documents; empty where none is known. */
  readonly docIds: readonly string[];
  /** Accepted answers; may be empty. */
  readonly answers: readonly string[];
  /** Sentences that the answer rests on, where they are known: title and number of each, from 0. */
  readonly supportingFacts?: readonly (readonly [title: string, sentence: number])[];
}

/** A corpus with its questions by part (`"train"`, `"dev"`, …). */
export interface Dataset {
  /** Documents, in file order: their position is the document index used everywhere else. */
  readonly documents: readonly Document[];
  /** Questions by part. */
  readonly queries: Readonly<Record<string, readonly Query[]>>;
}
