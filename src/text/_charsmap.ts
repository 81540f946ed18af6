/** SentencePiece's table of character replacements, as `Precompiled` normalizers hold it. */
import { fail } from "./_tokenizer_part.ts";

/** Clusters of this many bytes or more are replaced character by character. */
const LONG_CLUSTER_BYTES = 6;
const MAX_REMEMBERED = 10_000;

function decoded(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  } catch (cause) {
    fail("the precompiled_charsmap of a Normalizer is not base64", cause);
  }
}

/**
 * The replacement that a precompiled table describes.
 *
 * The table is a double-array trie over UTF-8 (darts-clone: 4 bytes a unit) and the texts that its
 * leaves point at. As in Python's `tokenizers`, a grapheme cluster below 6 bytes becomes what the
 * *shortest* prefix in the trie stands for, with the rest of the cluster lost; in longer clusters, and
 * where the trie has no prefix, each character is looked up on its own.
 *
 * @param base64 Content of `precompiled_charsmap`
 * @throws {DataError} If it is no such table
 */
export function charsmap(base64: string): (text: string) => string {
  const bytes = decoded(base64);
  const view = new DataView(bytes.buffer);
  const trieBytes = bytes.length < 4 ? 0 : view.getUint32(0, true);
  if (bytes.length < 4 || trieBytes % 4 !== 0 || trieBytes > bytes.length - 4) {
    fail("the precompiled_charsmap of a Normalizer contradicts its own size");
  }
  const units = Uint32Array.from(
    { length: trieBytes / 4 },
    (_, i) => view.getUint32(4 + 4 * i, true),
  );
  const texts = bytes.subarray(4 + trieBytes);
  const encoder = new TextEncoder(), decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);

  const replacement = (key: Uint8Array): string | undefined => {
    let at = offsetOf(units[0] ?? 0);
    for (const byte of key) {
      if (byte === 0) return undefined;
      at ^= byte;
      const unit = units[at] ?? 0;
      if ((unit & 0x800000ff) !== byte) return undefined;
      at ^= offsetOf(unit);
      if ((unit & 0x100) === 0) continue;
      const start = (units[at] ?? 0) & 0x7fffffff;
      const end = texts.indexOf(0, start);
      return decoder.decode(texts.subarray(start, end < 0 ? texts.length : end));
    }
    return undefined;
  };

  const known = new Map<string, string>();
  const cluster = (text: string): string => {
    let result = known.get(text);
    if (result === undefined) {
      const key = encoder.encode(text);
      result = (key.length < LONG_CLUSTER_BYTES ? replacement(key) : undefined) ??
        Array.from(text, (c) => replacement(encoder.encode(c)) ?? c).join("");
      if (known.size >= MAX_REMEMBERED) known.clear();
      known.set(text, result);
    }
    return result;
  };
  const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
  const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i));
  const keepsAscii = printable.every((c) => cluster(c) === c);
  return (text) => {
    if (keepsAscii && /^[\x20-\x7e]*$/.test(text)) return text;
    let out = "";
    for (const { segment } of segmenter.segment(text)) out += cluster(segment);
    return out;
  };
}
