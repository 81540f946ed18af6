/** Cuts a text into sentences. @module */

/** Initials and dotted abbreviations: "George W.", "U.S.", "e.g.". */
const INITIALS = /(?:^|[^\p{L}\p{N}])(?:\p{Lu}|(?:\p{L}\.)+\p{L})\.\s*$/u;

/** Abbreviations that stand before a capital or a number more often than at the end of a sentence. */
const ABBREVIATION =
  /\b(?:mr|mrs|ms|dr|prof|st|jr|sr|v|vs|nos?|vol|fig|gen|col|lt|cpt|capt|sgt|rev|hon|gov|sen|rep|mt|ft|inc|ltd|co|corp|cf|ca|approx|pp|eds?)\.\s*$/i;

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/**
 * The sentences of a text, without the white space around them.
 *
 * Boundaries are Unicode's (UAX #29) with two departures: there is none after common English
 * abbreviations and initials, which keeps "Dr. King" whole and now and then joins two sentences of which
 * the first ends in one; and only a blank line is one, not every line break.
 *
 * @example
 * ```ts
 * import { sentences } from "./sentences.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(sentences("Dr. King spoke. Who heard it?"), ["Dr. King spoke.", "Who heard it?"]);
 * ```
 */
export function sentences(text: string): string[] {
  const out: string[] = [];
  for (const paragraph of text.split(/\r?\n\s*\n/)) {
    let open = "";
    for (const { segment } of segmenter.segment(paragraph.replace(/\s*[\r\n]\s*/g, " "))) {
      open += segment;
      if (INITIALS.test(open) || ABBREVIATION.test(open)) continue;
      out.push(open.trim());
      open = "";
    }
    out.push(open.trim());
  }
  return out.filter((sentence) => sentence !== "");
}
