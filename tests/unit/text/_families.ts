/** Small tokenizers with the parts that well-known models' files have. */
import type { Json } from "../../../src/text/mod.ts";
import { BYTE_CHARACTERS } from "../../../src/text/byte_level.ts";

type File = { [key: string]: Json };

const LLAMA3_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
  "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const QWEN_WORDS = LLAMA3_WORDS.replace("\\p{N}{1,3}", "\\p{N}");

/** Every byte, then what these merges make. */
const MERGES = "Ġ Ġ|ĠĠ ĠĠ|Ġ t|h e|Ġt he|Ġ w|a s|Ġw as|i n|Ċ Ċ|1 8|18 5|' s|' l|'l l|Ã ©|e Ì|Ġ Ġt|" +
  "Â ½|à ¸|Ù ¡|Ù ¢|Ù¡ Ù¢|ð Ł|! !|Â ħ|'s Ċ|Ġ 1|Ġ1 8|a Ġ";

export function added(content: string, id: number, flags: { [flag: string]: Json } = {}): Json {
  return {
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
    ...flags,
  };
}

function file(parts: File): File {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...parts,
  };
}

function bytePairs(
  tokens: string[] = [],
  flags: File = {},
): File & { vocab: { [t: string]: number } } {
  const merges = MERGES.split("|");
  const all = [...BYTE_CHARACTERS, ...merges.map((merge) => merge.replace(" ", "")), ...tokens];
  return {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: "",
    end_of_word_suffix: "",
    fuse_unk: false,
    byte_fallback: false,
    ...flags,
    vocab: Object.fromEntries(all.map((token, id) => [token, id])),
    merges,
  };
}

const BYTE_LEVEL = {
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: true,
};
const BYTES_ONLY = { ...BYTE_LEVEL, use_regex: false };
const BASE = 256 + MERGES.split("|").length;

function split(regex: string): Json {
  return { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
}

/** Words by the fixed pattern of `ByteLevel`. */
export function gpt2(): File {
  return file({
    added_tokens: [added("<|endoftext|>", BASE)],
    pre_tokenizer: BYTE_LEVEL,
    post_processor: BYTE_LEVEL,
    decoder: BYTE_LEVEL,
    model: bytePairs(),
  });
}

/** Words by a pattern of its own; whole words before merges; a token at the start. */
export function llama3(): File {
  const begin = "<|begin_of_text|>";
  return file({
    added_tokens: [added(begin, BASE + 1), added("<|eot_id|>", BASE + 2)],
    pre_tokenizer: { type: "Sequence", pretokenizers: [split(LLAMA3_WORDS), BYTES_ONLY] },
    post_processor: {
      type: "Sequence",
      processors: [BYTE_LEVEL, {
        type: "TemplateProcessing",
        single: [
          { SpecialToken: { id: begin, type_id: 0 } },
          { Sequence: { id: "A", type_id: 0 } },
        ],
        pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
        special_tokens: { [begin]: { id: begin, ids: [BASE + 1], tokens: [begin] } },
      }],
    },
    decoder: BYTE_LEVEL,
    model: bytePairs(["Ġwizard"], { ignore_merges: true }),
  });
}

/** Composed characters; every digit a word; added tokens that are not special. */
export function qwen2(): File {
  return file({
    added_tokens: [
      added("<|im_start|>", BASE),
      added("<|im_end|>", BASE + 1),
      added("<tool>", BASE + 2, { special: false }),
    ],
    normalizer: { type: "NFC" },
    pre_tokenizer: { type: "Sequence", pretokenizers: [split(QWEN_WORDS), BYTES_ONLY] },
    post_processor: BYTES_ONLY,
    decoder: BYTES_ONLY,
    model: bytePairs(),
  });
}

/** Digits by themselves, then words as GPT-2's. */
export function smollm2(): File {
  const digits = { type: "Digits", individual_digits: true };
  return file({
    added_tokens: [added("<|im_start|>", BASE), added("<|im_end|>", BASE + 1)],
    pre_tokenizer: { type: "Sequence", pretokenizers: [digits, BYTE_LEVEL] },
    decoder: BYTE_LEVEL,
    model: bytePairs(),
  });
}

/** `▁` for spaces and nothing else before the merges; bytes for what the vocabulary lacks. */
export function llama2(): File {
  const merges = "▁ ▁|▁ t|h e|▁t he|a s|▁ w|▁w as|1 8";
  const tokens = [
    "<unk>",
    "<s>",
    "</s>",
    ...BYTE_CHARACTERS.map((_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`),
    ...Array.from("▁theaswion.18'"),
    ...merges.split("|").map((merge) => merge.replace(" ", "")),
  ];
  return file({
    added_tokens: ["<unk>", "<s>", "</s>"].map((token, id) => added(token, id)),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.split("|"),
    },
  });
}

/**
 * A table of replacements as `Precompiled` holds it: a double-array trie over UTF-8, where unit `i` has
 * its children at `i ^ offset ^ byte`, and the texts that its leaves point at.
 */
export function charsmapOf(replacements: { [from: string]: string }): string {
  interface Node {
    children: Map<number, Node>;
    value?: number;
  }
  const encoder = new TextEncoder(), root: Node = { children: new Map() }, texts: number[] = [];
  for (const [from, to] of Object.entries(replacements)) {
    let node = root;
    for (const byte of encoder.encode(from)) {
      if (!node.children.has(byte)) node.children.set(byte, { children: new Map() });
      node = node.children.get(byte)!;
    }
    node.value = texts.length;
    texts.push(...encoder.encode(to), 0);
  }
  const units: number[] = [0], taken = new Set([0]);
  const place = (node: Node, at: number, label: number): void => {
    const places = [...node.children.keys(), ...(node.value === undefined ? [] : [0])];
    let base = 1;
    while (places.some((byte) => taken.has(base ^ byte))) base++;
    for (const byte of places) taken.add(base ^ byte);
    units[at] = label | (node.value === undefined ? 0 : 0x100) | ((base ^ at) << 10);
    if (node.value !== undefined) units[base] = node.value | 0x80000000;
    for (const [byte, child] of node.children) place(child, base ^ byte, byte);
  };
  place(root, 0, 0);
  units.length = Math.ceil(units.length / 256) * 256; // Python reads a whole block of children
  const bytes = new Uint8Array(4 + 4 * units.length + texts.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 4 * units.length, true);
  for (let i = 0; i < units.length; i++) view.setUint32(4 + 4 * i, units[i] ?? 0, true);
  bytes.set(texts, 4 + 4 * units.length);
  return btoa(String.fromCharCode(...bytes));
}

/** Pieces with scores; `▁` begins words; odd characters replaced by a table. */
export function t5(): File {
  const pieces: [string, number][] = [
    ["<pad>", 0],
    ["</s>", 0],
    ["<unk>", 0],
    ["▁", -2],
    ["▁the", -3],
    ["▁was", -3.5],
    ["▁w", -4],
    ["he", -4],
    ["in", -4.5],
    ["'s", -4.25],
    ...Array.from("theaswion.1f\u00e9'", (letter, i): [string, number] => [letter, -5 - i / 8]),
  ];
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  return file({
    added_tokens: [
      ...["<pad>", "</s>", "<unk>"].map((token, id) => added(token, id)),
      added("<extra_id_0>", pieces.length),
    ],
    normalizer: {
      type: "Precompiled",
      precompiled_charsmap: charsmapOf({
        "\ufb01": "fi",
        "\u00bd": "1 2",
        "e\u0301": "\u00e9",
        "\u200d": " ",
        "\n": " ",
        "\t": " ",
      }),
    },
    pre_tokenizer: metaspace,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
    decoder: metaspace,
    model: { type: "Unigram", unk_id: 2, byte_fallback: false, vocab: pieces },
  });
}

/** All of them by name. */
export const FAMILIES: Record<string, () => File> = { gpt2, llama3, qwen2, smollm2, llama2, t5 };

/** Texts that tokenizers differ about. */
export const AWKWARD = [
  "",
  "   ",
  " the  the   was",
  "It's\n\n the was'll 'S 's\n",
  "1859 12345 \u0661\u0662\u0663 \u00bd",
  "caf\u00e9 cafe\u0301 \ufb01ne",
  "🙂🙂\u{1f3fd} 👩\u200d👩",
  "\u0e2a\u0e27\u0e31\u0e2a \u6771\u4eac",
  "a\u0085b\u00a0c\ufeff's \u200d\u0301x",
  "<|im_start|>the<|im_end|> <|endoftext|>the<|eot_id|>",
  "<s>the</s> <extra_id_0> was<tool>in<unk>",
  " wizard wizard ▁▁the <0xE2>",
  "\t\r\n  !!!  \u0000",
];
