/** The pre-tokenizers of a `tokenizer.json`: they cut a text into words. */
import { Part } from "./_tokenizer_part.ts";
import { BYTE_CHARACTERS, WORD_PATTERN } from "./byte_level.ts";

/**
 * Cuts a text into words.
 *
 * @param text Never empty
 * @param isFirst Whether the text stands at the very start of what is encoded
 */
export type Cut = (text: string, isFirst: boolean) => string[];

const BEHAVIOURS = [
  "removed",
  "isolated",
  "mergedwithprevious",
  "mergedwithnext",
  "contiguous",
] as const;
type Behaviour = typeof BEHAVIOURS[number];

/** Punctuation as BERT sees it: Unicode's, and every ASCII sign. */
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/gu;
const WORDS = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+/gu;
const SPACE = /\p{White_Space}/gu;
const SPACES = /\p{White_Space}+/gu;

const pattern = (regex: string): RegExp => new Part("", { pattern: { Regex: regex } }).pattern();

/** Cuts at the matches of `pattern`; `behaviour` says what becomes of them. */
function split(pattern: RegExp, behaviour: Behaviour, invert = false): Cut {
  return (text) => {
    const spans: { text: string; isMatch: boolean }[] = [];
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      if (end < match.index) spans.push({ text: text.slice(end, match.index), isMatch: invert });
      if (match[0] !== "") spans.push({ text: match[0], isMatch: !invert });
      end = match.index + match[0].length;
    }
    if (end < text.length) spans.push({ text: text.slice(end), isMatch: invert });
    if (behaviour === "isolated") return spans.map((span) => span.text);
    if (behaviour === "removed") return spans.filter((s) => !s.isMatch).map((span) => span.text);
    const pieces: string[] = [];
    spans.forEach((span, i) => {
      const before = spans[i - 1];
      const joins = before !== undefined &&
        (behaviour === "contiguous"
          ? span.isMatch === before.isMatch
          : behaviour === "mergedwithprevious"
          ? span.isMatch && !before.isMatch
          : before.isMatch && !span.isMatch);
      if (joins) pieces[pieces.length - 1] += span.text;
      else pieces.push(span.text);
    });
    return pieces;
  };
}

function behaviourOf(part: Part, fallback?: Behaviour): Behaviour {
  const text = part.text("behavior", fallback).toLowerCase().replaceAll("_", "");
  return BEHAVIOURS.find((known) => known === text) ?? part.unknown();
}

function sequence(cuts: readonly Cut[]): Cut {
  return (text, isFirst) => {
    let words = [text];
    for (const cut of cuts) {
      words = words.flatMap((word, i) =>
        word === "" ? [] : cut(word, isFirst && i === 0 && (word === text || text.startsWith(word)))
      );
    }
    return words;
  };
}

function byteLevel(part: Part): Cut {
  const encoder = new TextEncoder();
  const prefix = part.flag("add_prefix_space", true);
  const words = part.flag("use_regex", true) ? split(pattern(WORD_PATTERN), "isolated") : undefined;
  const spelled = (word: string): string => {
    let out = "";
    for (const byte of encoder.encode(word)) out += BYTE_CHARACTERS[byte];
    return out;
  };
  return (text, isFirst) => {
    if (prefix && !text.startsWith(" ")) text = ` ${text}`;
    return (words?.(text, isFirst) ?? [text]).map(spelled);
  };
}

/** Spaces become `▁`, one is put in front, and every `▁` begins a word. */
function metaspace(part: Part): Cut {
  const sign = part.character("replacement", "▁");
  const scheme = part.json.add_prefix_space === false && part.json.prepend_scheme == null
    ? "never"
    : part.text("prepend_scheme", "always");
  if (!["always", "first", "never"].includes(scheme)) part.unknown();
  const words = part.flag("split", true)
    ? split(new Part("", { pattern: { String: sign } }).pattern(), "mergedwithnext")
    : undefined;
  return (text, isFirst) => {
    text = text.replaceAll(" ", () => sign);
    const prepends = scheme === "always" || (scheme === "first" && isFirst);
    if (prepends && !text.startsWith(sign)) text = sign + text;
    return words?.(text, isFirst) ?? [text];
  };
}

function fixedLength(part: Part): Cut {
  const length = part.count("length", 5, 1);
  return (text) => {
    const letters = Array.from(text);
    const words: string[] = [];
    for (let i = 0; i < letters.length; i += length) {
      words.push(letters.slice(i, i + length).join(""));
    }
    return words;
  };
}

function step(part: Part): Cut {
  switch (part.type) {
    case "Sequence":
      return sequence(part.steps("pretokenizers").map(step));
    case "ByteLevel":
      return byteLevel(part);
    case "Metaspace":
      return metaspace(part);
    case "Split":
      return split(part.pattern(), behaviourOf(part), part.flag("invert", false));
    case "Digits":
      return split(/\p{N}/gu, part.flag("individual_digits", false) ? "isolated" : "contiguous");
    case "Punctuation":
      return split(PUNCTUATION, behaviourOf(part, "isolated"));
    case "Whitespace":
      return sequence([split(SPACES, "removed"), split(WORDS, "isolated")]);
    case "WhitespaceSplit":
      return split(SPACES, "removed");
    case "BertPreTokenizer":
      return sequence([split(SPACE, "removed"), split(PUNCTUATION, "isolated")]);
    case "CharDelimiterSplit": {
      const delimiter = new Part("", { pattern: { String: part.character("delimiter") } })
        .pattern();
      return split(delimiter, "removed");
    }
    case "FixedLength":
      return fixedLength(part);
    default:
      return part.unknown();
  }
}

/**
 * What the `pre_tokenizer` of a file does.
 *
 * @param json Its content; `null` leaves the text whole
 * @throws {DataError} If it is broken or unknown
 */
export function preTokenizerOf(json: unknown): Cut {
  const part = Part.of("PreTokenizer", json);
  return part === undefined ? (text) => [text] : step(part);
}
