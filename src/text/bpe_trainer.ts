/** Learns a byte-level BPE vocabulary. @module */
import { DataError } from "../errors.ts";
import { learnMerges } from "./_bpe_merges.ts";
import { BYTE_CHARACTERS, forEachWord, WORD_PATTERN } from "./byte_level.ts";
import type { Json, TokenizerJson } from "./tokenizer_json.ts";

/** How far {@linkcode trainBpe} is. */
export interface BpeProgress {
  /** `"count"` while texts are read, `"merge"` while pairs are merged. */
  readonly phase: "count" | "merge";
  /** Texts read, or ids given out so far. */
  readonly done: number;
  /** Ids asked for; `undefined` while texts are read, whose number is not known. */
  readonly total: number | undefined;
}

/** Options of {@linkcode trainBpe}. */
export interface BpeOptions {
  /** V: special tokens, 256 bytes and merges together. Few texts may yield fewer. */
  vocabSize: number;
  /** Tokens that get the first ids, in this order, and are never split. Default: none. */
  specialTokens?: readonly string[];
  /** How often a pair must stand in the texts to be merged, ≥ 1. Default 2. */
  minFrequency?: number;
  /** The special token that encoding puts behind every text, such as `</s>`. Default: none. */
  endToken?: string;
  /** Called now and then. */
  onProgress?: (progress: BpeProgress) => void;
}

const REPORT_EVERY_TEXTS = 1024;

/** The 256 byte characters in the order of their ids: by code point. */
const ALPHABET = [...BYTE_CHARACTERS].sort();

function check(options: BpeOptions): void {
  const { vocabSize, specialTokens = [], minFrequency = 2, endToken } = options;
  const fail = (state: string): never => {
    throw new DataError(`Cannot train a BPE vocabulary: ${state}`);
  };
  const least = specialTokens.length + ALPHABET.length;
  if (!Number.isInteger(vocabSize) || vocabSize < least) {
    fail(`vocabSize is ${vocabSize}; special tokens and 256 bytes alone need ${least}`);
  }
  if (!(minFrequency >= 1)) fail(`minFrequency is ${minFrequency}; it must be 1 or more`);
  const seen = new Set(ALPHABET);
  for (const token of specialTokens) {
    if (token === "") fail("a special token is empty");
    if (seen.has(token)) {
      fail(`the special token ${JSON.stringify(token)} stands for something else`);
    }
    seen.add(token);
  }
  if (endToken !== undefined && !specialTokens.includes(endToken)) {
    fail(`the end token ${JSON.stringify(endToken)} is not among the special tokens`);
  }
}

function countWords(
  texts: Iterable<string>,
  onProgress?: (progress: BpeProgress) => void,
): Map<string, number> {
  const counts = new Map<string, number>();
  const visit = (word: string): void => {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  };
  let done = 0;
  for (const text of texts) {
    forEachWord(text, visit);
    if (++done % REPORT_EVERY_TEXTS === 0) onProgress?.({ phase: "count", done, total: undefined });
  }
  onProgress?.({ phase: "count", done, total: undefined });
  return counts;
}

/** Puts `endToken` behind a text, and behind each of a pair. */
function endTemplate(endToken: string, id: number): Json {
  const end = { SpecialToken: { id: endToken, type_id: 0 } };
  const single = [{ Sequence: { id: "A", type_id: 0 } }, end];
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, { Sequence: { id: "B", type_id: 0 } }, end],
    special_tokens: { [endToken]: { id: endToken, ids: [id], tokens: [endToken] } },
  };
}

/**
 * Learns a byte-level BPE vocabulary (Sennrich et al. 2016; bytes: Radford et al. 2019).
 *
 * Texts are cut into words as GPT-2 does, words into bytes; then the most frequent pair of neighbours
 * becomes a token, again and again. Of equally frequent pairs the one whose left token has the smaller
 * id wins, then the one whose right token has. Ids: special tokens, bytes in the order of the
 * characters that stand for them, merges in the order in which they were learnt. These are the rules of
 * Python's `tokenizers`, so `BpeTrainer` with `initial_alphabet=ByteLevel.alphabet()` learns the same
 * merges. Any text can be encoded and decoded again.
 *
 * Departure from GPT-2: white space is Unicode's in every library (the file spells the cut out), where
 * `ByteLevel` with `use_regex` means U+FEFF but not U+0085 by it in JavaScript.
 *
 * Takes time in proportion to the text, memory in proportion to its distinct words.
 *
 * @param texts What to learn from; read once
 * @returns The content of `tokenizer.json`
 * @throws {DataError} If an option is out of range, or special tokens clash
 * @example
 * ```ts
 * import { trainBpe } from "./bpe_trainer.ts";
 * import { loadTokenizer } from "./tokenizer.ts";
 * import { assertEquals } from "@std/assert";
 * const json = trainBpe(["low lower lowest"], { vocabSize: 260, specialTokens: ["<pad>"] });
 * const tokenizer = loadTokenizer(json);
 * assertEquals([...tokenizer.encode("low")].map((id) => tokenizer.idToToken(id)), ["low"]);
 * assertEquals(tokenizer.decode(tokenizer.encode("naïve 🙂")), "naïve 🙂");
 * ```
 */
export function trainBpe(texts: Iterable<string>, options: BpeOptions): TokenizerJson {
  check(options);
  const { vocabSize, specialTokens = [], minFrequency = 2, endToken, onProgress } = options;
  const counts = countWords(texts, onProgress);
  const { tokens, merges } = learnMerges(counts, {
    tokens: [...specialTokens, ...ALPHABET],
    vocabSize,
    minFrequency,
    onProgress,
  });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORD_PATTERN }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: endToken === undefined
      ? null
      : endTemplate(endToken, specialTokens.indexOf(endToken)),
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map(([left, right]) => `${tokens[left]} ${tokens[right]}`),
    },
  };
}
