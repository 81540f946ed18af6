/** Text from ids that come a few at a time. @module */
import type { DecodeOptions, Decoding, Tokenizer } from "./tokenizer.ts";
import { DataError } from "../errors.ts";

/**
 * Decodes ids while they are being generated. All that it gives, put together, is
 * `tokenizer.decode(ids)` of all ids; what it gave it never takes back.
 *
 * Held back is only what later ids can change: bytes of an unfinished character; a run of byte tokens
 * (`<0xE2>` …), which are read as one; with `clean_up_tokenization_spaces`, spaces and apostrophes that
 * a mark may still swallow. A push costs time in proportion to its own ids and what is held back. A file
 * whose decoder replaces patterns in the whole text, behind `Fuse` or `ByteLevel`, gives everything at
 * the end; no usual tokenizer does.
 *
 * @example
 * ```ts
 * import { TextStream } from "./text_stream.ts";
 * import { loadTokenizer } from "./tokenizer.ts";
 * import { assertEquals } from "@std/assert";
 * const tokenizer = loadTokenizer({
 *   decoder: { type: "ByteLevel" },
 *   model: { type: "BPE", merges: [], vocab: { h: 0, Ã: 1, "©": 2 } },
 * });
 * const stream = new TextStream(tokenizer);
 * assertEquals([stream.push([0, 1]), stream.push([2, 1]), stream.end()], ["h", "é", "\ufffd"]);
 * ```
 */
export class TextStream {
  readonly #decoding: Decoding;
  #isEnded = false;

  /**
   * Begins a text.
   *
   * @param tokenizer What the ids belong to
   * @param options Whether special tokens are left out; they are by default
   */
  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.#decoding = tokenizer.startDecoding(options);
  }

  /**
   * Takes the next ids.
   *
   * @param ids Any number of them
   * @returns The text that is certain now and was not before
   * @throws {DataError} If an id is not in the vocabulary, or the stream has ended
   */
  push(ids: ArrayLike<number>): string {
    if (this.#isEnded) throw new DataError("Cannot decode more ids: the stream has ended");
    let text = "";
    for (let i = 0; i < ids.length; i++) text += this.#decoding.push(ids[i]);
    return text;
  }

  /**
   * Ends the text.
   *
   * @returns What was held back; nothing when called again
   */
  end(): string {
    if (this.#isEnded) return "";
    this.#isEnded = true;
    return this.#decoding.end();
  }
}
