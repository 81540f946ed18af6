import { assertEquals, assertThrows } from "@std/assert";
import { DataError, ShapeError } from "../../../src/errors.ts";
import { loadTokenizer, padBatch } from "../../../src/text/mod.ts";

/** A small word-level file; what each test changes is spread over it. */
const WORDS = {
  pre_tokenizer: { type: "WhitespaceSplit" },
  model: {
    type: "WordLevel",
    unk_token: "<unk>",
    vocab: { "<unk>": 0, "[PAD]": 1, "</s>": 2, hello: 3, ".": 4 } as Record<string, unknown>,
  } as Record<string, unknown>,
};

Deno.test("ids of padding, end and unknown are found by usual spelling or by configuration", () => {
  const usual = loadTokenizer(WORDS);
  assertEquals([usual.padId, usual.eosId, usual.unkId, usual.vocabSize], [1, 2, 0, 5]);
  const named = loadTokenizer(WORDS, { pad_token: { content: "hello" }, eos_token: "." });
  assertEquals([named.padId, named.eosId], [3, 4]);
  const absent = loadTokenizer(WORDS, { pad_token: "<none>" });
  assertEquals(absent.padId, undefined);
});

Deno.test("unknown words become the unknown token, or an error where there is none", () => {
  assertEquals([...loadTokenizer(WORDS).encode("hello world .")], [3, 0, 4]);
  const none = loadTokenizer({ ...WORDS, model: { ...WORDS.model, unk_token: undefined } });
  assertThrows(() => none.encode("hello world"), DataError, 'no "world" and no unknown token');
});

Deno.test("decoding leaves out special tokens, keeps spaces, and refuses unknown ids", () => {
  const tokenizer = loadTokenizer(WORDS);
  assertEquals(tokenizer.decode([3, 4, 2, 1, 1]), "hello .");
  assertEquals(tokenizer.decode([3, 2], { skipSpecialTokens: false }), "hello </s>");
  assertEquals(tokenizer.decode([]), "");
  assertEquals(
    loadTokenizer(WORDS, { clean_up_tokenization_spaces: true }).decode([3, 4]),
    "hello.",
  );
  assertThrows(() => tokenizer.decode([5]), DataError, "Cannot decode id 5");
  assertEquals([tokenizer.tokenToId("hello"), tokenizer.tokenToId("none")], [3, undefined]);
});

Deno.test("the post-processor's tokens can be left out", () => {
  const tokenizer = loadTokenizer({
    ...WORDS,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [],
      special_tokens: { "</s>": { id: "</s>", ids: [2], tokens: ["</s>"] } },
    },
  });
  assertEquals(tokenizer.encodeBatch(["hello", ""]).map((ids) => [...ids]), [[3, 2], [2]]);
  assertEquals([...tokenizer.encode("hello", { addSpecialTokens: false })], [3]);
});

Deno.test("a broken file is named by what is wrong with it", () => {
  const model = WORDS.model;
  const bad: [unknown, string][] = [
    ["{}", "does not hold an object; pass the parsed JSON"],
    [null, "does not hold an object"],
    [{}, 'has no "model"'],
    [{ model: { type: "Magic" } }, 'its model type is "Magic"; known types are BPE'],
    [{ model: { type: "BPE" } }, 'no vocabulary: "model.vocab" is undefined'],
    [{ model: { type: "BPE", vocab: {} } }, '"model.merges" is missing'],
    [{ model: { ...model, vocab: { a: "1" } } }, 'token "a" has the id "1", not a whole number'],
    [{ model, added_tokens: {} }, '"added_tokens" is not a list'],
    [{ model, added_tokens: [{ id: 1 }] }, 'an added token needs "id" and "content"'],
    [{ model, normalizer: { type: "Wash" } }, "Unknown Normalizer type: Wash"],
    [{ model, pre_tokenizer: { type: "Chop" } }, "Unknown PreTokenizer type: Chop"],
    [{ model, decoder: { type: "Guess" } }, "Unknown Decoder type: Guess"],
  ];
  for (const [json, message] of bad) {
    const error = assertThrows(() => loadTokenizer(json), DataError, message);
    assertEquals(error.message.startsWith("Cannot load the tokenizer: "), true);
  }
  assertThrows(() => loadTokenizer(WORDS, []), DataError, "tokenizer_config.json does not hold");
});

Deno.test("rows are padded on either side to the longest or a given length", () => {
  const { inputIds, isToken } = padBatch([[7], [], [8, 9]], { padId: 1, padTo: 3 });
  assertEquals([inputIds.dtype, inputIds.shape], ["int32", [3, 3]]);
  assertEquals([...inputIds.data], [7, 1, 1, 1, 1, 1, 8, 9, 1]);
  assertEquals([isToken.dtype, isToken.shape], ["float32", [3, 3]]);
  assertEquals([...isToken.data], [1, 0, 0, 0, 0, 0, 1, 1, 0]);
  assertEquals(padBatch([[1, 2], [3]], { padId: 0 }).inputIds.shape, [2, 2]);
  assertEquals(padBatch([[]], { padId: 0 }).inputIds.shape, [1, 1]);
  const left = padBatch([[7], [], [8, 9]], { padId: 1, padTo: 3, side: "left" });
  assertEquals([...left.inputIds.data], [1, 1, 7, 1, 1, 1, 1, 8, 9]);
  assertEquals([...left.isToken.data], [0, 0, 1, 0, 0, 0, 0, 1, 1]);
  assertThrows(() => padBatch([[1], [1, 2]], { padId: 0, padTo: 1 }), ShapeError, "row 1 has 2");
});
