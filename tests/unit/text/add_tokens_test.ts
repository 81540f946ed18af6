import { assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { addTokens, loadTokenizer, type NewToken } from "../../../src/text/mod.ts";
import { FAMILIES, gpt2, qwen2, t5 } from "./_families.ts";

for (const [name, file] of Object.entries(FAMILIES)) {
  Deno.test(`${name}: new tokens follow the highest id, are cut out of texts and come back`, () => {
    const tokenizerJson = file(), before = JSON.stringify(tokenizerJson);
    const { vocabSize: old } = loadTokenizer(tokenizerJson);
    const tokens = ["<RET>", { content: "<docid:17>", special: false, normalized: false }];
    const files = addTokens({ tokenizerJson }, tokens);
    assertEquals(JSON.stringify(tokenizerJson), before);
    assertEquals(files.ids, { "<RET>": old, "<docid:17>": old + 1 });
    assertEquals(files.vocabSize, old + 2);
    const tokenizer = loadTokenizer(
      JSON.parse(JSON.stringify(files.tokenizerJson)),
      files.tokenizerConfig,
    );
    assertEquals(tokenizer.vocabSize, old + 2);
    const ids = [...tokenizer.encode("<docid:17><RET><docid:17>", { addSpecialTokens: false })];
    assertEquals(ids, [old + 1, old, old + 1]);
    assertEquals(tokenizer.decode(ids), "<docid:17><docid:17>");
    assertEquals(tokenizer.decode(ids, { skipSpecialTokens: false }), "<docid:17><RET><docid:17>");
    assertEquals(addTokens(files, tokens).tokenizerJson, files.tokenizerJson);
  });
}

Deno.test("a token that exists keeps its id and what is not said about it", () => {
  const files = addTokens({ tokenizerJson: t5() }, ["</s>", "▁the", {
    content: "<pad>",
    rstrip: true,
  }]);
  assertEquals(files.ids, { "</s>": 1, "▁the": 4, "<pad>": 0 });
  assertEquals(files.vocabSize, 25);
  const added = files.tokenizerJson.added_tokens as Record<string, unknown>[];
  assertEquals(added.map(({ id }) => id), [0, 1, 2, 4, 24]);
  assertEquals([added[0].rstrip, added[0].special, added[0].normalized], [true, true, false]);
  assertEquals(addTokens({ tokenizerJson: t5() }, []).tokenizerJson, t5());
});

Deno.test("the configuration lists the tokens where it lists tokens, in the old way and the new", () => {
  // AutoTokenizer.from_pretrained of transformers 5.18 gives the ids of these very files.
  const tokens: NewToken[] = [{ content: "<RET>" }, {
    content: "cat",
    special: false,
    singleWord: true,
  }];
  const config = (tokenizerConfig: Record<string, unknown>): Record<string, unknown> =>
    addTokens({ tokenizerJson: qwen2(), tokenizerConfig }, tokens).tokenizerConfig;
  const flags = { lstrip: false, rstrip: false };
  assertEquals(
    config({ added_tokens_decoder: { "286": {} }, additional_special_tokens: ["<x>"] }),
    {
      added_tokens_decoder: {
        "286": {},
        "289": { ...flags, content: "<RET>", single_word: false, normalized: false, special: true },
        "290": { ...flags, content: "cat", single_word: true, normalized: true, special: false },
      },
      additional_special_tokens: ["<x>", "<RET>"],
    },
  );
  assertEquals(config({ extra_special_tokens: [{ content: "<RET>" }], pad_token: "a" }), {
    extra_special_tokens: [{ content: "<RET>" }],
    pad_token: "a",
  });
  assertEquals(config({ extra_special_tokens: [] }), { extra_special_tokens: ["<RET>"] });
  assertEquals(config({}), { additional_special_tokens: ["<RET>"] });
});

Deno.test("where ids have gaps the vocabulary spells the tokens out, so that Python keeps their ids", () => {
  const vocab = { "<unk>": 0, a: 3, b: 5 };
  const tokenizerJson = { model: { type: "WordLevel", unk_token: "<unk>", vocab } };
  const files = addTokens({ tokenizerJson }, ["<x>", "<y>"]);
  assertEquals(files.ids, { "<x>": 6, "<y>": 7 });
  const { vocab: spelled } = files.tokenizerJson.model as { vocab: unknown };
  assertEquals(spelled, { ...vocab, "<x>": 6, "<y>": 7 });
  const dense = addTokens({ tokenizerJson: gpt2() }, ["<x>"]).tokenizerJson;
  assertEquals(dense.model, gpt2().model);
  const gap = { ...t5(), added_tokens: [{ id: 99, content: "<far>" }] };
  assertThrows(() => addTokens({ tokenizerJson: gap }, ["<x>"]), DataError, "have gaps");
});

Deno.test("what is no token is refused", () => {
  const add = (token: unknown) => () => addTokens({ tokenizerJson: gpt2() }, [token as string]);
  assertThrows(add(""), DataError, 'Cannot add the token "": it must be a text');
  assertThrows(add({ content: 5 }), DataError, "Cannot add the token 5");
  assertThrows(add(null), DataError, "Cannot add the token undefined");
  assertThrows(add("\ud83d"), DataError, "half a character");
  assertThrows(
    () => addTokens({ tokenizerJson: "{}" }, ["<x>"]),
    DataError,
    "does not hold an object",
  );
});
