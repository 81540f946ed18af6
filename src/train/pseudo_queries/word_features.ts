/** How likely a person is to use a word of a document when asking for it. @module */
import type { Document } from "../../data/types.ts";
import { isStopWord, words } from "../../text/words.ts";
import { fitLogisticRegression } from "./logistic_regression.ts";

/** Numbers that describe a word of a document; the names of the columns of the regression. */
export const WORD_FEATURES = [
  "one",
  "idf",
  "idfSquared",
  "logCount",
  "position",
  "isInTitle",
  "capitalised",
  "isNumber",
  "length",
] as const;

const WIDTH = WORD_FEATURES.length;

/**
 * Weights used when there are too few questions to fit any: those of a fit to the training part of a
 * SQuAD corpus (docs/log.md), where a content word of the document stood in 1 of 14 of its questions.
 */
export const DEFAULT_WORD_WEIGHTS: readonly number[] = [
  -3.12,
  0.31,
  -0.36,
  1.3,
  -1.06,
  0.3,
  0.22,
  -0.47,
  -0.12,
];

/** Fewest questions that {@linkcode fitWordChoice} fits weights to. */
const FEWEST_QUESTIONS = 30;

/** Most questions it looks at, evenly spaced: more would cost a second and change the third digit. */
const MOST_QUESTIONS = 2_000;

/** A content word of a document. */
export interface ContentWord {
  /** As first written in the document. */
  readonly word: string;
  /** Its stem. */
  readonly stem: string;
  /** Columns of {@linkcode WORD_FEATURES}. */
  readonly features: readonly number[];
}

/**
 * The content words of each document with their features.
 *
 * idf = ln(1 + (N − df + ½) / (df + ½)); `logCount` is ln tf; `position` is that of the first use over
 * the number of words; `capitalised` the share of uses that start with a capital; `length` in tens of
 * letters of the stem.
 *
 * @param documents N documents
 * @param stemOf Stem of a word; words with the same one are the same
 */
export function contentWordsOf(
  documents: readonly Document[],
  stemOf: (word: string) => string,
): ReadonlyMap<string, ContentWord>[] {
  interface Use {
    word: string;
    count: number;
    first: number;
    capitals: number;
    isInTitle: boolean;
  }
  const df = new Map<string, number>();
  const all = documents.map(({ title, text }) => {
    const titleWords = words(title);
    const uses = new Map<string, Use>();
    const list = [...titleWords, ...words(text)];
    list.forEach((word, at) => {
      if (isStopWord(word)) return;
      const stem = stemOf(word);
      if (stem === "") return;
      let use = uses.get(stem);
      if (use === undefined) {
        const isInTitle = at < titleWords.length;
        uses.set(stem, use = { word, count: 0, first: at / list.length, capitals: 0, isInTitle });
        df.set(stem, (df.get(stem) ?? 0) + 1);
      }
      use.count++;
      if (/^\p{Lu}/u.test(word)) use.capitals++;
    });
    return uses;
  });
  const N = documents.length;
  return all.map((uses) =>
    new Map([...uses].map(([stem, use]) => {
      const n = df.get(stem)!;
      const idf = Math.log(1 + (N - n + 0.5) / (n + 0.5));
      const features = [
        1,
        idf,
        idf * idf / 10,
        Math.log(use.count),
        use.first,
        use.isInTitle ? 1 : 0,
        use.capitals / use.count,
        /^\p{N}/u.test(use.word) ? 1 : 0,
        stem.length / 10,
      ];
      return [stem, { word: use.word, stem, features }];
    }))
  );
}

/** A question as the stems of its content words, and its document. */
export interface StemmedQuestion {
  /** Distinct stems. */
  readonly stems: ReadonlySet<string>;
  /** Index of a right document. */
  readonly doc: number;
}

/**
 * Weights of a logistic regression that tells which content words of a document stand in a question for
 * it, from pairs of both. With fewer than 30 pairs {@linkcode DEFAULT_WORD_WEIGHTS}.
 *
 * @returns One weight a column of {@linkcode WORD_FEATURES}
 */
export function fitWordChoice(
  content: readonly ReadonlyMap<string, ContentWord>[],
  questions: readonly StemmedQuestion[],
): readonly number[] {
  if (questions.length < FEWEST_QUESTIONS) return DEFAULT_WORD_WEIGHTS;
  const features: number[] = [], labels: number[] = [];
  const count = Math.min(questions.length, MOST_QUESTIONS);
  for (let i = 0; i < count; i++) {
    const { stems, doc } = questions[Math.floor(i * questions.length / count)];
    for (const word of content[doc].values()) {
      for (const x of word.features) features.push(x);
      labels.push(stems.has(word.stem) ? 1 : 0);
    }
  }
  return Array.from(fitLogisticRegression(features, labels, { width: WIDTH }));
}

/** Odds p / (1 − p) = exp(w·x) of a word to be used. */
export function wordOdds(word: ContentWord, weights: readonly number[]): number {
  return Math.exp(word.features.reduce((sum, x, f) => sum + x * weights[f], 0));
}
