/** Finds titles in a text. @module */

const WORD = /[\p{L}\p{M}\p{N}]+/gu;

/** Words without case and punctuation. Each is put in lower case alone: σ or ς depends on what follows. */
function plainWords(text: string): string[] {
  return (text.normalize("NFKC").match(WORD) ?? []).map((word) => word.toLowerCase());
}

/**
 * Finds the documents whose titles stand in a text as whole words, case and punctuation aside. A title
 * without a letter or digit stands nowhere. Scripts without spaces between words are not segmented.
 *
 * @param titles Document indices and their titles
 * @returns A function from a text to documents: by where the title begins, the longest first of those
 * that begin at the same word, and in the order of `titles` where they are equal
 */
export function titleFinder(
  titles: Iterable<readonly [doc: number, title: string]>,
): (text: string) => number[] {
  const docsOf = new Map<string, number[]>();
  let longest = 0;
  for (const [doc, title] of titles) {
    const words = plainWords(title), key = words.join(" ");
    const docs = docsOf.get(key);
    if (docs) docs.push(doc);
    else docsOf.set(key, [doc]);
    longest = Math.max(longest, words.length);
  }
  return (text) => {
    const words = plainWords(text), found = new Set<number>();
    for (let start = 0; start < words.length; start++) {
      for (let end = Math.min(start + longest, words.length); end > start; end--) {
        for (const doc of docsOf.get(words.slice(start, end).join(" ")) ?? []) found.add(doc);
      }
    }
    return [...found];
  };
}
