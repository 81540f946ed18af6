/** The normalizers of a `tokenizer.json`. */
import { BertNormalizer } from "@huggingface/tokenizers";
import { charsmap } from "./_charsmap.ts";
import { bounded, Part } from "./_tokenizer_part.ts";
import { BYTE_CHARACTERS } from "./byte_level.ts";

/** Changes a text as a whole. */
export type Normalize = (text: string) => string;

/** Each character by itself: a final Σ becomes σ, as in Python's `tokenizers`. */
function lowercase(text: string): string {
  return text.includes("Σ")
    ? text.split("Σ").map((part) => part.toLowerCase()).join("σ")
    : text.toLowerCase();
}

function strip(part: Part): Normalize {
  const left = part.flag("strip_left", true), right = part.flag("strip_right", true);
  return (text) => {
    if (left) text = text.replace(/^\p{White_Space}+/u, "");
    return right ? trimEnd(text) : text;
  };
}

/** `text` without white space at its end; the pattern `\s+$` would take quadratic time. */
function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1])) end--;
  return text.slice(0, end);
}

/** SentencePiece's `nmt` rule: control characters go, odd spaces become spaces. */
function nmt(text: string): string {
  return text
    // deno-lint-ignore no-control-regex
    .replace(/[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g, "")
    .replace(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, " ");
}

function bert(part: Part): Normalize {
  const normalizer = new BertNormalizer({
    type: "BertNormalizer",
    clean_text: part.flag("clean_text", true),
    handle_chinese_chars: part.flag("handle_chinese_chars", true),
    lowercase: part.flag("lowercase", true),
    strip_accents: part.flag("strip_accents", part.flag("lowercase", true)),
  });
  return (text) => normalizer.normalize(text);
}

function step(part: Part): Normalize {
  switch (part.type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(part.type);
    case "Lowercase":
      return lowercase;
    case "StripAccents":
      return (text) => text.replace(/\p{Mn}+/gu, "");
    case "Strip":
      return strip(part);
    case "Nmt":
      return nmt;
    case "Precompiled":
      return part.json.precompiled_charsmap == null
        ? (text) => text
        : charsmap(part.text("precompiled_charsmap"));
    case "Prepend": {
      const prefix = part.text("prepend");
      return (text) => text === "" ? text : prefix + text;
    }
    case "Replace": {
      const pattern = part.pattern(), content = part.text("content");
      return (text) => text.replace(pattern, () => content);
    }
    case "ByteLevel": {
      const encoder = new TextEncoder();
      return (text) => Array.from(encoder.encode(text), (byte) => BYTE_CHARACTERS[byte]).join("");
    }
    case "BertNormalizer":
      return bert(part);
    default:
      return part.unknown();
  }
}

/** The steps of a part in order, those of sequences inside sequences among them. */
function stepsOf(part: Part): Normalize[] {
  return part.type === "Sequence" ? part.steps("normalizers").flatMap(stepsOf) : [step(part)];
}

/**
 * What the `normalizer` of a file does.
 *
 * @param json Its content; `null` changes nothing
 * @throws {DataError} If it is broken or unknown
 */
export function normalizerOf(json: unknown): Normalize {
  const part = Part.of("Normalizer", json);
  const steps = part === undefined ? [] : stepsOf(part);
  return (text) => {
    const { length } = text;
    return steps.reduce((changed, normalize) => bounded(normalize(changed), length), text);
  };
}
