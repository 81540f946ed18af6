/** A tokenizer of word stems for lexical retrieval. @module */
import { Tokenizer as HfTokenizer } from "@huggingface/tokenizers";
import { DataError } from "../errors.ts";
import { JOIN_RULES, type ReplaceRule, STEM_RULES, stopWordRule } from "./stem_rules.ts";
import type { Json, TokenizerJson } from "./tokenizer_json.ts";

/** Options of {@linkcode trainStemTokenizer}. */
export interface StemOptions {
  /** How often a stem must stand in the texts to get an id, ≥ 1. Default 1. */
  minFrequency?: number;
  /** How many ids there may be, `<pad>` and `<unk>` among them; the rarest stems go. Default: all. */
  maxVocab?: number;
  /** Words that leave no token, in lower case. Default: none. */
  stopWords?: Iterable<string>;
  /** Whether to join abbreviations and take suffixes off; `false` gives whole words. Default `true`. */
  stem?: boolean;
}

const PAD = "<pad>";
const UNK = "<unk>";

/**
 * Decompose, drop marks, lower case. `StripAccents` is not used: its tables are older in some libraries
 * than in others. Whether a final sigma becomes ς differs too, so all become σ.
 */
const NORMALISE: Json[] = [
  { type: "Prepend", prepend: " " },
  { type: "NFKD" },
  { type: "Replace", pattern: { Regex: "\\p{M}+" }, content: "" },
  { type: "Lowercase" },
  { type: "Replace", pattern: { String: "\u03c2" }, content: "\u03c3" },
];

function describe(
  rules: readonly ReplaceRule[],
  vocab: { [token: string]: number },
): TokenizerJson {
  const replacements = rules.map(({ pattern, content }): Json => (
    { type: "Replace", pattern: { Regex: pattern }, content }
  ));
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: { type: "Sequence", normalizers: [...NORMALISE, ...replacements] },
    pre_tokenizer: {
      type: "Split",
      pattern: { Regex: "[^\\p{L}\\p{N}]+" },
      behavior: "Removed",
      invert: false,
    },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab, unk_token: UNK },
  };
}

function checkedStopWords(words: Iterable<string>): string[] {
  const list = [...new Set(words)];
  const wrong = list.find((word) => !/^[\p{L}\p{N}]+$/u.test(word) || word !== word.toLowerCase());
  if (wrong !== undefined) {
    throw new DataError(
      `Cannot use ${JSON.stringify(wrong)} as a stop word: it must be one lower-case word of ` +
        `letters and digits`,
    );
  }
  return list;
}

/**
 * The `tokenizer.json` of a tokenizer that gives every word stem of `texts` an id.
 *
 * Text is decomposed (NFKD), stripped of accents and put in lower case; dots of abbreviations, commas
 * between thousands and possessive 's go; then the suffix rules of `stem_rules.ts`; then everything
 * that is neither letter nor digit separates tokens: "US$3" gives us, 3 and "O'Brien" o, brien. Scripts
 * without spaces between words are not segmented. `<pad>` is 0, `<unk>` is 1, then stems follow by
 * falling frequency, equal ones in code unit order. All of this is data inside the file, so that any
 * library gives the same ids, but for characters younger than its Unicode tables. One needs help:
 * `@huggingface/tokenizers` on its own, without {@linkcode loadTokenizer}, takes the unknown token from
 * `tokenizer_config.json` (`{"unk_token": "<unk>", "pad_token": "<pad>"}`).
 *
 * Reading a text costs time in proportion to its length (about 4 MB/s of English). An inflection that
 * the rules do not know, such as "wrote", stays a word of its own.
 *
 * @param texts What to learn the vocabulary from, in any order
 * @throws {DataError} If an option is out of range or a stop word is not one word
 * @example
 * ```ts
 * import { trainStemTokenizer } from "./stem_tokenizer.ts";
 * import { loadTokenizer } from "./tokenizer.ts";
 * import { assertEquals } from "@std/assert";
 * const stems = loadTokenizer(trainStemTokenizer(["It uses oil. We used oils."]));
 * assertEquals(stems.encode("using oil"), stems.encode("use oils"));
 * assertEquals([...stems.encode("coal")], [stems.unkId]);
 * ```
 */
export function trainStemTokenizer(
  texts: Iterable<string>,
  options: StemOptions = {},
): TokenizerJson {
  const { minFrequency = 1, maxVocab = Infinity, stem = true } = options;
  if (!(minFrequency >= 1)) {
    throw new DataError(
      `Cannot train stems: minFrequency is ${minFrequency}; it must be 1 or more`,
    );
  }
  if (!(maxVocab >= 3)) {
    throw new DataError(
      `Cannot train stems: maxVocab is ${maxVocab}; ${PAD}, ${UNK} and one stem need 3`,
    );
  }
  const stopWords = checkedStopWords(options.stopWords ?? []);
  const stops = stopWords.length > 0 ? [stopWordRule(stopWords)] : [];
  const rules = stem ? [...JOIN_RULES, ...stops, ...STEM_RULES] : stops;
  // The library itself cuts the texts, so that training cannot differ from encoding.
  const cutter = new HfTokenizer(describe(rules, {}), { unk_token: UNK });
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const token of cutter.tokenize(text)) counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  const kept = [...counts].filter(([, count]) => count >= minFrequency)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, maxVocab - 2);
  const tokens = [PAD, UNK, ...kept.map(([token]) => token)];
  return describe(rules, Object.fromEntries(tokens.map((token, id) => [token, id])));
}
