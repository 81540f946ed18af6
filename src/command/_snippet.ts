const SNIPPET_LETTERS = 160;

/** The beginning of a text, cut at a word. */
export function snippet(text: string): string {
  const flat = text.replace(/\s+/g, " ").trim();
  if (flat.length <= SNIPPET_LETTERS) return flat;
  return `${flat.slice(0, SNIPPET_LETTERS).replace(/\s+\S*$/, "")} …`;
}
