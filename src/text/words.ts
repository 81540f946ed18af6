/** Cuts a text into words as they are written. @module */
import { STOP_WORDS } from "./stop_words.ts";

const WORD = /[\p{L}\p{M}\p{N}]+(?:['\u2019.,-][\p{L}\p{M}\p{N}]+)*/gu;

/**
 * The words of a text as they are written: runs of letters and digits, with single apostrophes,
 * hyphens, dots and commas inside.
 *
 * @example
 * ```ts
 * import { words } from "./words.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(words("O'Brien paid US$3.50, well-known."), ["O'Brien", "paid", "US", "3.50", "well-known"]);
 * ```
 */
export function words(text: string): string[] {
  return text.match(WORD) ?? [];
}

/** Whether a word says little: it, or each part around its apostrophes, is in {@linkcode STOP_WORDS}. */
export function isStopWord(word: string): boolean {
  return word.toLowerCase().split(/['\u2019]/).every((part) => STOP_WORDS.has(part));
}

/**
 * The words of a text that say what it is about, as they are written.
 *
 * @example
 * ```ts
 * import { contentWords } from "./words.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(contentWords("When did it begin? It didn't."), ["begin"]);
 * ```
 */
export function contentWords(text: string): string[] {
  return words(text).filter((word) => !isStopWord(word));
}
