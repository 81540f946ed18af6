/** What the example sampler takes and gives. @module */
import type { Document, Query } from "../../data/types.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";

/**
 * Where the text of an example comes from.
 *
 * | kind | text |
 * |---|---|
 * | `real` | a training question |
 * | `template` | a training question whose content words were replaced by words of another document |
 * | `keywords` | a few content words of a document, likelier ones more often |
 * | `span` | 4 to 16 words in a row of a document |
 * | `sentence` | a sentence of a document |
 */
export type ExampleKind = "real" | "template" | "keywords" | "span" | "sentence";

/** Every kind, in the order in which random numbers choose among them. */
export const EXAMPLE_KINDS: readonly ExampleKind[] = [
  "real",
  "template",
  "keywords",
  "span",
  "sentence",
];

/** How often each kind is drawn, relative to the others. A kind that is not named is never drawn. */
export type ExampleMix = Readonly<Partial<Record<ExampleKind, number>>>;

/** A text and the document it should lead to. */
export interface PseudoQuery {
  /** The text, after words were dropped. */
  readonly text: string;
  /** The same as token ids: those of each word, one after the other. */
  readonly tokenIds: Int32Array;
  /** Index of the right document. */
  readonly doc: number;
  /** Where the text comes from. */
  readonly kind: ExampleKind;
  /** Whether a person asked it: `kind` is `"real"`. */
  readonly isReal: boolean;
}

/** Options of `createExampleSampler`. */
export interface ExampleSamplerOptions {
  /** The documents; their position is the document index. At least one. */
  readonly documents: readonly Document[];
  /** Questions with right documents; those without one are passed over. May be empty. */
  readonly trainQueries: readonly Query[];
  /**
   * Token ids of a piece of text without white space. Called once for each distinct piece. A tokenizer
   * in which a space belongs to the word that follows (GPT-2's) wants `(w) => encode(" " + w)`.
   */
  readonly encode: (piece: string) => ArrayLike<number>;
  /** Seed of all draws. */
  readonly seed: number;
  /** Default `{ real: 2, template: 1 }`. `real` counts only if there are questions. */
  readonly mix?: ExampleMix;
  /** Probability that a word is left out; at least one word stays. Default 0.15. */
  readonly tokenDropout?: number;
  /** Share of made examples that go to documents without a training question. Default 0.1. */
  readonly unseenShare?: number;
  /** What counts as the same word in a question and in a document. Default: stems of the documents. */
  readonly stems?: Tokenizer;
}

/** Draws training examples. */
export interface ExampleSampler {
  /** [N] 1 for documents no training question asks for, all 0 if there are no questions at all. */
  readonly isUnseen: Uint8Array;
  /** Number of templates mined from the questions. */
  readonly minedTemplates: number;
  /**
   * The examples of one step: a pure function of the options, `step` and `size`.
   *
   * @param step Training step, from 0
   * @param size How many, B
   */
  batch(step: number, size: number): PseudoQuery[];
}
