/** A document, prepared for drawing words, spans and sentences from it. @module */
import type { Document } from "../../data/types.ts";
import type { RandomStream } from "../../tensor/random.ts";
import { sentences } from "../../text/sentences.ts";
import { words } from "../../text/words.ts";
import type { PieceTable } from "./pieces.ts";
import { type ContentWord, wordOdds } from "./word_features.ts";

/** Words to choose from, with how likely each is against the others. */
export interface WordPool {
  /** [W] pieces, numbered by the piece table. */
  readonly pieces: Int32Array;
  /** [W] odds of each to be chosen, > 0. */
  readonly odds: Float64Array;
}

/** A document, prepared for drawing from it. */
export interface DocumentWords {
  /** All of it, title first, as numbered pieces. */
  readonly all: Int32Array;
  /** Its sentences as numbered pieces; at least one. */
  readonly sentences: readonly Int32Array[];
  /** Content words of each sentence and of the title. */
  readonly sentencePools: readonly WordPool[];
  /** Content words of the whole; all pieces if it has none. */
  readonly pool: WordPool;
}

/**
 * Prepare a document.
 *
 * @param document The document
 * @param content Its content words by stem
 * @param context Stems, weights of the word features, and where pieces are numbered
 */
export function documentWords(
  document: Document,
  content: ReadonlyMap<string, ContentWord>,
  context: {
    readonly stemOf: (word: string) => string;
    readonly weights: readonly number[];
    readonly pieces: PieceTable;
  },
): DocumentWords {
  const { stemOf, weights, pieces } = context;
  const all = pieces.addAll(`${document.title} ${document.text}`);
  const toPool = (list: readonly ContentWord[]): WordPool => ({
    pieces: Int32Array.from(list, (word) => pieces.add(word.word)),
    odds: Float64Array.from(list, (word) => wordOdds(word, weights)),
  });
  const contentOf = (text: string) => {
    const stems = new Set(words(text).map(stemOf));
    return [...stems].flatMap((stem) => content.get(stem) ?? []);
  };
  const title = contentOf(document.title);
  const parts = sentences(document.text);
  const whole = [...content.values()];
  return {
    all,
    sentences: parts.length > 0 ? parts.map((part) => pieces.addAll(part)) : [all],
    sentencePools: (parts.length > 0 ? parts : [document.text]).map((part) =>
      toPool([...new Set([...contentOf(part), ...title])])
    ),
    pool: whole.length > 0
      ? toPool(whole)
      : { pieces: all, odds: new Float64Array(all.length).fill(1) },
  };
}

/** The words of two pools, each once. */
export function joinPools(a: WordPool, b: WordPool): WordPool {
  const odds = new Map<number, number>();
  for (const pool of [a, b]) pool.pieces.forEach((piece, i) => odds.set(piece, pool.odds[i]));
  return { pieces: Int32Array.from(odds.keys()), odds: Float64Array.from(odds.values()) };
}

/**
 * Draw distinct words: each next one among those left, with probability proportional to its odds.
 *
 * @param pool What to draw from
 * @param count How many; fewer come if the pool is smaller
 * @returns Numbers of pieces, in the order drawn
 */
export function drawWords(pool: WordPool, count: number, random: RandomStream): number[] {
  const odds = pool.odds.slice();
  let total = odds.reduce((a, b) => a + b, 0);
  const drawn: number[] = [];
  const most = Math.min(count, odds.length);
  while (drawn.length < most) {
    let u = random.uniform() * total, at = 0;
    while (at < odds.length - 1 && (u -= odds[at]) >= 0) at++;
    while (odds[at] === 0) at = (at + 1) % odds.length; // rounding may stop at a word already drawn
    drawn.push(pool.pieces[at]);
    total -= odds[at];
    odds[at] = 0;
  }
  return drawn;
}
