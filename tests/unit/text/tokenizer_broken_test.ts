/** Broken files: a `DataError`, or a tokenizer that keeps to its own vocabulary. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import { addTokens, loadTokenizer } from "../../../src/text/mod.ts";
import { AWKWARD, FAMILIES, gpt2, llama2, t5 } from "./_families.ts";

/** Well above what loading and encoding take, on a busy machine. */
const FOREVER_MS = 20_000;

type Container = Record<string | number, unknown>;

const nested = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
  let value: unknown = null;
  for (let i = 0; i < depth; i++) value = wrap(value);
  return value;
};

/** What may stand in the place of any value; functions make it, where it is too deep to be copied. */
const ODD: unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e15,
  2 ** 31,
  2 ** 32 - 2,
  1e300,
  "",
  "▁",
  "ByteLevel",
  "Sequence",
  "Replace",
  "Split",
  "Fuse",
  "Strip",
  "WordLevel",
  "Unigram",
  "first",
  "Removed",
  "x".repeat(100_000),
  "\ud800",
  "__proto__",
  "constructor",
  [],
  {},
  [[]],
  ["a", "b"],
  [null],
  { type: null },
  { type: "NFKC" },
  { type: "Prepend", prepend: "" },
  { type: "Replace", pattern: { String: "" }, content: "$&$&" },
  { type: "Replace", pattern: { Regex: "(" }, content: "x" },
  { type: "Replace", pattern: { Regex: "(?R)|\\K|\\g<1>" }, content: "x" },
  { type: "Replace", pattern: { Regex: "" }, content: "--" },
  { type: "Split", pattern: { Regex: "(?<=a)*[[:nope:]]" }, behavior: "Isolated" },
  { type: "Split", pattern: { Regex: "" }, behavior: "MergedWithNext", invert: true },
  { type: "FixedLength", length: 0 },
  { type: "Precompiled", precompiled_charsmap: "BAAAAA////8=" },
  { type: "Strip", content: "", start: 1e15, stop: 1e15 },
  { type: "TemplateProcessing", single: [{ SpecialToken: { id: "toString" } }] },
  { type: "TemplateProcessing", single: [{ Sequence: { id: "A" } }], special_tokens: [] },
  { type: "BertProcessing", cls: ["a", 1e15], sep: ["b", 0] },
  { Regex: "[a" },
  { Regex: "\\p{Nonsense}" },
  { String: "the" },
  () => nested(5000, (inner) => [inner]),
  () => nested(40, (normalizers) => ({ type: "Sequence", normalizers: [normalizers] })),
  () => nested(5000, (pretokenizers) => ({ type: "Sequence", pretokenizers: [pretokenizers] })),
  () => nested(5000, (decoders) => ({ type: "Sequence", decoders: [decoders] })),
  Array(40).fill({ type: "Replace", pattern: { String: "a" }, content: "aa" }),
];

/** Where a mutation strikes: at each level which of the entries, and how deep it goes. */
const MUTATION = fc.record({
  turns: fc.array(fc.nat(1000), { minLength: 1, maxLength: 6 }),
  act: fc.constantFrom("delete", "replace", "replace", "add", "duplicate", "rename"),
  // An index, because the shrinker cannot print what is nested too deeply.
  value: fc.nat(ODD.length - 1),
});

function mutate(root: unknown, turns: number[], act: string, value: unknown): void {
  let at = root as Container;
  for (const [depth, turn] of turns.entries()) {
    const keys = Object.keys(at);
    if (keys.length === 0) return;
    const key = keys[turn % keys.length];
    const child = at[key];
    const isLast = depth === turns.length - 1 || typeof child !== "object" || child === null;
    if (!isLast) {
      at = child as Container;
      continue;
    }
    if (act === "delete") Array.isArray(at) ? at.splice(Number(key), 1) : delete at[key];
    else if (act === "replace") at[key] = value;
    else if (act === "add") Array.isArray(at) ? at.push(value) : at["added"] = value;
    else if (act === "duplicate") at[keys[(turn + 1) % keys.length]] = child;
    else if (typeof value === "string" && !Array.isArray(at)) {
      delete at[key];
      // As JSON.parse does it: `__proto__` is a key like any other.
      Object.defineProperty(at, value, {
        value: child,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return;
  }
}

const CONFIG = {
  clean_up_tokenization_spaces: true,
  pad_token: { content: "<pad>" },
  eos_token: "</s>",
  additional_special_tokens: ["<x>"],
  added_tokens_decoder: { "0": { content: "<pad>" } },
};

for (const [name, file] of Object.entries(FAMILIES)) {
  Deno.test(`${name}: a file with anything wrong in it is refused or keeps to its vocabulary`, () => {
    const start = performance.now();
    let refused = 0, read = 0;
    fc.assert(
      fc.property(
        fc.array(MUTATION, { minLength: 1, maxLength: 3 }),
        fc.nat(9),
        (mutations, which) => {
          const files = {
            tokenizerJson: structuredClone(file()) as unknown,
            tokenizerConfig: structuredClone(CONFIG),
          };
          for (const { turns, act, value } of mutations) {
            const root = which === 0 ? files.tokenizerConfig : files.tokenizerJson;
            const odd = ODD[value];
            mutate(root, turns, act, typeof odd === "function" ? odd() : structuredClone(odd));
          }
          try {
            const tokenizer = loadTokenizer(files.tokenizerJson, files.tokenizerConfig);
            for (const text of [...AWKWARD, "a".repeat(2000)]) {
              const ids = tokenizer.encode(text);
              for (const id of ids) {
                assert(
                  id >= 0 && id < tokenizer.vocabSize && tokenizer.idToToken(id) !== undefined,
                );
              }
              tokenizer.decode(ids);
              tokenizer.decode(ids, { skipSpecialTokens: false });
            }
            assertEquals(typeof addTokens(files, ["<new>"]).ids["<new>"], "number");
            read++;
          } catch (error) {
            if (!(error instanceof DataError)) throw error;
            assert(error.message.length < 1000, error.message.slice(0, 200));
            refused++;
          }
        },
      ),
      { numRuns: 120, seed: 22 },
    );
    assert(refused > 20 && read > 20, `${refused} refused, ${read} read`);
    assert(performance.now() - start < FOREVER_MS);
  });
}

Deno.test("no id makes an array of its size", () => {
  const vocab = (id: number) => ({ model: { type: "WordLevel", vocab: { a: 0, b: id } } });
  for (const id of [2 ** 24, 2 ** 31, 2 ** 32, 1e15, -1, 0.5]) {
    assertThrows(
      () => loadTokenizer(vocab(id)),
      DataError,
      `"b" has the id ${id}, not a whole number`,
    );
    const added = { ...vocab(1), added_tokens: [{ id, content: "<x>" }] };
    assertThrows(() => loadTokenizer(added), DataError, "<x>");
  }
  const start = performance.now();
  for (let i = 0; i < 200; i++) {
    const bpe = { ...gpt2(), added_tokens: [{ id: 2 ** 24 - 1, content: "<x>" }] };
    assertEquals(loadTokenizer(bpe).vocabSize, 2 ** 24);
  }
  assert(performance.now() - start < FOREVER_MS);
});

Deno.test("what is wrong is named", () => {
  const model = (part: object) => ({
    ...llama2(),
    model: { ...llama2().model as object, ...part },
  });
  const pieces = (vocab: unknown, unk_id: unknown = 0) => ({
    ...t5(),
    model: { type: "Unigram", unk_id, vocab },
  });
  const step = (part: string, json: object) => ({ ...gpt2(), [part]: json });
  const bad: [unknown, string][] = [
    [model({ merges: ["a zz"] }), 'merge 0 needs the token "zz", which is not in the vocabulary'],
    [model({ merges: ["a"] }), 'merge 0 is "a", not two tokens'],
    [model({ merges: [["a", 1]] }), "merge 0 is a list, not two tokens"],
    [model({ byte_fallback: 1 }), '"byte_fallback" of the Model BPE is 1, not true or false'],
    [model({ continuing_subword_prefix: "##" }), "is not supported"],
    [pieces([]), "vocabulary is empty"],
    [pieces([["a"]]), "entry 0 of its Unigram vocabulary is a list, not a token and its score"],
    [pieces([["a", 1]], 1), "its unk_id is 1, but its vocabulary has 1 tokens"],
    [
      step("pre_tokenizer", { type: "Split", pattern: { Regex: "(" } }),
      'the pattern "(" of the PreTokenizer Split',
    ],
    [step("pre_tokenizer", { type: "FixedLength", length: 0 }), "not a whole number of 1 or more"],
    [
      step("normalizer", { type: "Prepend", prepend: 5 }),
      '"prepend" of the Normalizer Prepend is 5, not a text',
    ],
    [
      step("decoder", { type: "Sequence" }),
      '"decoders" of the Decoder Sequence is undefined, not a list',
    ],
    [step("post_processor", { type: "BertProcessing" }), '"cls" of its PostProcessor'],
    [
      step("post_processor", {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "[CLS]" } }],
      }),
      'its PostProcessor adds "[CLS]", which is not in the vocabulary',
    ],
    [
      step("post_processor", { type: "BertProcessing", cls: ["a", 999], sep: ["b", 1] }),
      "its PostProcessor adds the id 999, which no token has",
    ],
  ];
  for (const [json, message] of bad) assertThrows(() => loadTokenizer(json), DataError, message);
});

Deno.test("rules that let a text explode are stopped", () => {
  const rules = Array(64).fill({ type: "Replace", pattern: { String: "a" }, content: "aa" });
  const normalizer = { type: "Sequence", normalizers: rules };
  const decoder = { type: "Sequence", decoders: rules };
  const tokenizer = loadTokenizer({ ...gpt2(), normalizer });
  assertThrows(
    () => tokenizer.encode("aaaa"),
    DataError,
    "Cannot follow the rules",
  );
  assertThrows(
    () => loadTokenizer({ ...gpt2(), decoder }).decode([97]),
    DataError,
    "Cannot follow the rules",
  );
});
