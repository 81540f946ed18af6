/** The `tokenizer.json` format of Hugging Face, as far as this project writes it. @module */

/** A value of a JSON file. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A token that is cut out of the text before anything else. */
export interface AddedTokenJson {
  /** Its id. */
  id: number;
  /** The text that stands for it. */
  content: string;
  /** Whether it only counts as a whole word. */
  single_word: boolean;
  /** Whether it swallows white space before it. */
  lstrip: boolean;
  /** Whether it swallows white space after it. */
  rstrip: boolean;
  /** Whether the text is normalised before it is looked for. */
  normalized: boolean;
  /** Whether decoding may leave it out. */
  special: boolean;
}

/**
 * The content of a `tokenizer.json`: plain data that `JSON.stringify` writes and that
 * `@huggingface/tokenizers`, Python's `tokenizers` and {@linkcode loadTokenizer} read.
 */
export interface TokenizerJson {
  /** Version of the format: `"1.0"`. */
  version: string;
  /** How to cut long texts; always `null` here. */
  truncation: Json;
  /** How to pad short texts; always `null` here. */
  padding: Json;
  /** Tokens that are cut out of the text first. */
  added_tokens: AddedTokenJson[];
  /** What happens to the text as a whole. */
  normalizer: Json;
  /** How the text is cut into words. */
  pre_tokenizer: Json;
  /** Which tokens are put around a text. */
  post_processor: Json;
  /** How tokens become text again. */
  decoder: Json;
  /** How a word becomes ids. */
  model: { type: string; vocab: { [token: string]: number }; [key: string]: Json };
}
