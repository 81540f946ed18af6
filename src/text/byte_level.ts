/** Bytes as printable characters, and the cut into words that GPT-2 makes. @module */

/**
 * The character that stands for each byte in a byte-level vocabulary (Radford et al. 2019): itself
 * where it is printable Latin-1, else one from U+0100 on, in order.
 */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
      (byte >= 0xae && byte <= 0xff);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

/**
 * GPT-2's cut into words, in Oniguruma's syntax: contractions; letters, digits or other signs, each
 * with at most one space in front; white space.
 */
export const WORD_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** {@linkcode WORD_PATTERN} for JavaScript, whose `\s` differs from Unicode's white space. */
const JS_WORD_PATTERN = WORD_PATTERN
  .replaceAll("\\s", "\\p{White_Space}").replaceAll("\\S", "\\P{White_Space}");

/**
 * Calls `visit` with each word of `text`, in order; together they are the text.
 *
 * @param text Any text
 * @param visit Receives each word, its leading space included
 */
export function forEachWord(text: string, visit: (word: string) => void): void {
  const pattern = new RegExp(JS_WORD_PATTERN, "gu");
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) visit(match[0]);
}
