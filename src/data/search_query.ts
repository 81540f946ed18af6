/** From a question as typed to an FTS5 query that cannot be misread. @module */
import { STOP_WORDS } from "./stop_words.ts";

/** SQLite limits the size of a query; no question needs more. */
const MAX_TERMS = 256;
/** What FTS5's `unicode61` counts as part of a word, as far as Unicode versions agree. */
const WORD = /[\p{L}\p{N}\p{M}\p{Co}]+/gu;

/**
 * An FTS5 query that finds documents with any of the words, or `undefined` if there are no words.
 *
 * Every word becomes a quoted string, so that nothing a person types is an operator, a column name
 * or a syntax error. Repeated words count once. Stop words are dropped, unless nothing else is left.
 *
 * @example
 * ```ts
 * import { toSearchQuery } from "./search_query.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(toSearchQuery('Who said: "cats NOT dogs"*?'), '"said" OR "cats" OR "dogs"');
 * assertEquals(toSearchQuery("The Who"), '"the" OR "who"');
 * assertEquals(toSearchQuery("?!"), undefined);
 * ```
 */
export function toSearchQuery(question: string): string | undefined {
  const words = [...new Set(question.toLowerCase().match(WORD) ?? [])];
  const telling = words.filter((word) => !STOP_WORDS.has(word));
  const terms = (telling.length > 0 ? telling : words).slice(0, MAX_TERMS);
  return terms.length === 0 ? undefined : terms.map((term) => `"${term}"`).join(" OR ");
}
