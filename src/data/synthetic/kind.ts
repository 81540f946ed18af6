/** What a kind of thing in the synthetic world consists of. @module */
import type { Concept } from "./concepts.ts";

/** Where the value of a fact comes from. */
export type FactSource =
  | { readonly from: "concepts"; readonly concepts: readonly Concept[] }
  | { readonly from: "year" | "count"; readonly min: number; readonly max: number }
  | { readonly from: "person" }
  | { readonly from: "town" };

/** Wordings of questions. No wording of one part is used in the other. */
export interface Phrasings {
  /** For training. */
  readonly train: readonly string[];
  /** For the held-out part. */
  readonly dev: readonly string[];
}

/**
 * A kind of thing. In templates `{key}` is a fact, `{a key}` the same with an article, `{name}` the
 * thing itself, `{bare}` its name without the article, `{rival}` another thing of the kind; `{they}`, `{them}` and `{their}` are its pronouns.
 */
export interface Kind {
  /** In lower case: `town`. */
  readonly name: string;
  /** Share of the documents. */
  readonly share: number;
  /** What stands before the name inside a sentence, such as `the `. */
  readonly article: string;
  /** Facts of every thing of this kind. A document states some of them. */
  readonly facts: Readonly<Record<string, FactSource>>;
  /** First sentences; each names the thing. */
  readonly openings: readonly string[];
  /** Further sentences by the fact they are about; they may state others besides. */
  readonly sentences: Readonly<Record<string, readonly string[]>>;
  /** Sentences that answer nothing but share words with other documents. */
  readonly asides: readonly string[];
  /** Questions about a fact that name the thing; the fact is the answer. */
  readonly byName: Readonly<Record<string, Phrasings>>;
  /** Questions that describe the thing by its facts; its name is the answer. */
  readonly byDescription: Phrasings;
}

/** A fact out of a table of concepts. */
export function oneOf(concepts: readonly Concept[]): FactSource {
  return { from: "concepts", concepts };
}

/** A year between two others, both included. */
export function year(min: number, max: number): FactSource {
  return { from: "year", min, max };
}

/** A number between two others, both included. */
export function count(min: number, max: number): FactSource {
  return { from: "count", min, max };
}

/** A person who has no document. */
export const PERSON: FactSource = { from: "person" };

/** A town that has a document. */
export const TOWN: FactSource = { from: "town" };
