import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { ConfigError, DataError, ShapeError } from "../../../src/errors.ts";
import { generate, openDecoder, openT5, type SequenceModel } from "../../../src/generate/mod.ts";
import { saveAdapter, saveModel } from "../../../src/hub/mod.ts";
import {
  isDecoder,
  loraConfig,
  loraParamSpecs,
  loraScaling,
  modelProjections,
  type T5Model,
} from "../../../src/model/mod.ts";
import { exportModel } from "../../../src/recipe/export_model.ts";
import {
  LanguageModel,
  openExportedLanguageModel,
  openLanguageModel,
} from "../../../src/recipe/language_model.ts";
import { onnxExecutor } from "../../../src/runtime/mod.ts";
import { loadTokenizer } from "../../../src/text/mod.ts";
import { withFolder } from "../../with_folder.ts";
import { tableModel } from "../generate/_table_model.ts";
import { idOf, tinyLoaded, tinyTokenizer, TOKENS, VOCAB_SIZE } from "../hub/_tiny_pretrained.ts";
import { drawn } from "../model/_tiny_decoder.ts";

const executor = onnxExecutor({ threads: 1 });
const tokenizer = loadTokenizer(tinyTokenizer(), {});
const END = idOf("</s>");
/** A row of the model that no token stands for. */
const NAMELESS = TOKENS.length + 1;

/** A model that follows a script: which token comes after which. `seen` has every row it read. */
function scripted(
  next: Readonly<Record<number, number>>,
): { model: SequenceModel; seen: number[][] } {
  const seen: number[][] = [];
  const { model } = tableModel({
    vocabSize: VOCAB_SIZE,
    endTokens: [END],
    logits: (tokens) => {
      seen.push([...tokens]);
      const wanted = next[tokens.at(-1)!] ?? END;
      return Array.from({ length: VOCAB_SIZE }, (_, v) => v === wanted ? 9 : -v / 100);
    },
  });
  return { model, seen };
}

const after = (...words: string[]): Record<number, number> =>
  Object.fromEntries(words.slice(1).map((word, i) => [idOf(words[i]), idOf(word)]));

Deno.test("write gives the text without special tokens, writeAll one for each prompt", async () => {
  const { model, seen } = scripted(after("?", "the", "otter", "sleeps"));
  const written = new LanguageModel(model, tokenizer);
  const result = await written.write("who ?");
  assertEquals(result.text, "the otter sleeps");
  assertEquals([...result.tokens], [...["the", "otter", "sleeps"].map(idOf), END]);
  assertEquals([result.end, result.logProbs.length], ["stop", 4]);
  assertEquals(seen[0], ["who", "?"].map(idOf));
  const all = await written.writeAll(["the otter", "who ?", "its"], { maxNewTokens: 2 });
  assertEquals(all.map((texts) => texts.map(({ text }) => text)), [["sleeps"], ["the otter"], [
    "",
  ]]);
  assertEquals(all.map(([{ end }]) => end), ["stop", "length", "stop"]);
});

Deno.test("onText gives each prompt's text in pieces, onToken every token", async () => {
  const { model } = scripted(after("?", "the", "otter", "sleeps"));
  const written = new LanguageModel(model, tokenizer);
  const pieces: string[][] = [[], []], tokens: number[][] = [[], []];
  const results = await written.writeAll(["who ?", "the otter"], {
    onText: (piece, prompt) => void pieces[prompt].push(piece),
    onToken: ({ prompt, token }) => void tokens[prompt].push(token),
  });
  assertEquals(pieces.map((all) => all.join("")), results.map(([{ text }]) => text));
  assertEquals(pieces[0].length, 3);
  assert(pieces.flat().every((piece) => piece !== ""));
  assertEquals(tokens, results.map(([{ tokens }]) => [...tokens]));
  const stopped = await written.write("who ?", {
    onText: () => {},
    onToken: ({ token }) => token !== idOf("otter"),
  });
  assertEquals([stopped.text, stopped.end], ["the otter", "aborted"]);
});

Deno.test("a character is not given before all of its bytes are there", async () => {
  const bytes = loadTokenizer({
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", merges: [], vocab: { h: 0, Ã: 1, "©": 2, "<|e|>": 3 } },
    added_tokens: [{ id: 3, content: "<|e|>", special: true }],
  });
  // é, then the first byte of another one.
  const script = [1, 2, 1, 3];
  const { model } = tableModel({
    vocabSize: 4,
    endTokens: [3],
    logits: (row) => [0, 1, 2, 3].map((v) => v === script[row.length - 1] ? 5 : 0),
  });
  const pieces: string[] = [];
  const { text } = await new LanguageModel(model, bytes).write("h", {
    onText: (piece) => void pieces.push(piece),
  });
  assertEquals([text, pieces], ["é\ufffd", ["é", "\ufffd"]]);
});

Deno.test("an id without a token is no text, and stays among the tokens", async () => {
  const next = { ...after("?", "the"), [idOf("the")]: NAMELESS, [NAMELESS]: idOf("sea") };
  const { model } = scripted(next), pieces: string[] = [];
  const { text, tokens } = await new LanguageModel(model, tokenizer).write("?", {
    onText: (piece) => void pieces.push(piece),
  });
  assertEquals([text, pieces.join("")], ["the sea", "the sea"]);
  assertEquals([...tokens], [idOf("the"), NAMELESS, idOf("sea"), END]);
});

Deno.test("generation_config.json says how to write, options say otherwise", async () => {
  const { model } = tableModel({ vocabSize: VOCAB_SIZE, endTokens: [END] });
  const prompt = [idOf("who"), idOf("?")], maxNewTokens = 12;
  const open = (generationConfig?: unknown) =>
    new LanguageModel(model, tokenizer, { generationConfig });
  const write = async (
    [config, options]: [unknown, Parameters<LanguageModel["writeTokens"]>[1]?],
  ): Promise<number[]> => {
    const [[{ tokens }]] = await open(config).writeTokens([prompt], { maxNewTokens, ...options });
    return [...tokens];
  };
  const expect = async (
    options: Parameters<typeof generate>[2],
  ): Promise<number[]> => [
    ...(await generate(model, [prompt], { maxNewTokens, ...options }))[0][0].tokens,
  ];

  const sampled = { do_sample: true, temperature: 0.8, top_k: 7, top_p: 0.9 };
  const sampling = { temperature: 0.8, topK: 7, topP: 0.9 };
  const beams = { num_beams: 3, length_penalty: 2 }, beam = { beams: 3, lengthPenalty: 2 };
  assertEquals(open().defaults, {});
  assertEquals(open(sampled).defaults, { sampling });
  const [greedy, drawn, searched] = [
    await expect({}),
    await expect({ sampling }),
    await expect({ beam }),
  ];
  assert(new Set([greedy.join(), drawn.join(), searched.join()]).size === 3, "three ways");
  assertEquals(await write([undefined]), greedy);
  assertEquals(await write([sampled]), drawn);
  assertEquals(await write([beams]), searched);
  // One way of choosing in the place of the other.
  assertEquals(await write([sampled, { beam }]), searched);
  assertEquals(await write([beams, { sampling }]), drawn);
  assertEquals(await write([sampled, { sampling: undefined }]), drawn);
  for (const config of [sampled, beams]) {
    assertEquals(await write([config, { sampling: false }]), greedy);
  }
  // What is left out of it comes from the file.
  assertEquals(
    await write([sampled, { sampling: { seed: 4, topK: 20 } }]),
    await expect({ sampling: { ...sampling, seed: 4, topK: 20 } }),
  );

  const stop = greedy[3];
  assertEquals(await write([{ eos_token_id: stop }]), greedy.slice(0, greedy.indexOf(stop) + 1));
  assertEquals(
    await write([{ eos_token_id: [stop] }, { stopTokens: [] }]),
    await expect({ stopTokens: [] }),
  );
  const [[{ tokens }]] = await open({ max_new_tokens: 2 }).writeTokens([prompt]);
  assertEquals([...tokens], greedy.slice(0, 2));
  // In a beam no piece is certain before the end.
  const pieces: string[] = [];
  const onText = (piece: string) => void pieces.push(piece);
  const [text] = await open(beams).writeAll(["who ?"], { maxNewTokens, onText });
  assertEquals(pieces, [text[0].text]);
  await assertRejects(
    () => write([{ num_beams: 2 }, { onToken: () => {} }]),
    ConfigError,
    "can't be called in a beam",
  );
});

const TEMPLATE = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}" +
  "{% if add_generation_prompt %}assistant{% endif %}";

Deno.test("chat writes behind the model's own template", async () => {
  const { model, seen } = scripted(after("assistant", "the", "otter"));
  const messages = [
    { role: "system", content: "the sea" },
    { role: "user", content: "who sleeps ?" },
  ];
  const ids = ["system", "the", "sea", "user", "who", "sleeps", "?", "assistant"].map(idOf);
  for (
    const side of [{ chatTemplate: TEMPLATE }, { tokenizerConfig: { chat_template: TEMPLATE } }]
  ) {
    seen.length = 0;
    const { text } = await new LanguageModel(model, tokenizer, side).chat(messages);
    assertEquals([text, seen[0]], ["the otter", ids]);
  }
  seen.length = 0;
  const chat = new LanguageModel(model, tokenizer, { chatTemplate: TEMPLATE });
  const { text } = await chat.chat(messages, {
    maxNewTokens: 1,
    template: { addGenerationPrompt: false },
  });
  assertEquals([text, seen[0]], ["", ids.slice(0, -1)]);
  await assertRejects(
    () => new LanguageModel(model, tokenizer).chat(messages),
    DataError,
    "Cannot apply the chat template: the model has none",
  );
});

for (const name of ["gpt2", "llama", "t5"]) {
  Deno.test(`${name}: merged adapters write what adapters beside the weights write`, () =>
    withFolder(async (folder) => {
      const model = tinyLoaded(name);
      const lora = loraConfig({ targets: "all-linear", rank: 2, alpha: 3 });
      const tensors = drawn(loraParamSpecs(lora, modelProjections(model.config)));
      const beside = { ...model, tensors: { ...model.tensors, ...tensors } };
      const options = { executor, lora: loraScaling(lora) };
      const sequences = isDecoder(beside)
        ? await openDecoder(beside, options)
        : await openT5(beside as unknown as T5Model, options);
      await saveAdapter(folder, { config: lora, tensors }, model.config);
      const before = structuredClone(model.tensors), texts: string[] = [];
      for (const adapter of [folder, { config: lora, tensors }, undefined]) {
        await using merged = await openLanguageModel(model, { executor, adapter });
        const prompts = merged.tokenizer.encodeBatch(["who sleeps in the sea ?", "the heron"]);
        const generation = { maxNewTokens: 10, stopTokens: [] };
        const results = await merged.writeTokens(prompts, generation);
        texts.push(results.map(([{ tokens }]) => tokens.join()).join(" "));
        if (!adapter) continue;
        const expected = await generate(sequences, prompts, generation);
        results.forEach(([{ tokens, logProbs }], i) => {
          assertEquals(tokens, expected[i][0].tokens);
          logProbs.forEach((x, t) => assert(Math.abs(x - expected[i][0].logProbs[t]) < 1e-4));
        });
      }
      assertEquals(texts[0], texts[1]);
      assert(texts[0] !== texts[2], "adapters change the texts");
      assertEquals(model.tensors, before);
      await sequences.dispose();
    }));
}

Deno.test("a folder, a loaded model and an export write the same; without a tokenizer none does", () =>
  withFolder(async (root) => {
    for (const name of ["llama", "flan_t5"]) {
      const model = { ...tinyLoaded(name), chatTemplate: TEMPLATE };
      const [folder, exported] = [join(root, name), join(root, `${name}_exported`)];
      await saveModel(folder, model);
      await exportModel(model, exported);
      const texts: string[][] = [];
      for (
        const open of [
          () => openLanguageModel(model, { executor, threads: 1 }),
          () => openLanguageModel(folder, { executor }),
          () => openExportedLanguageModel(exported, { threads: 1 }),
        ]
      ) {
        await using opened = await open();
        const options = { maxNewTokens: 8, stopTokens: [] };
        const written = await opened.writeAll(["who sleeps ?", "the heron"], options);
        const answer = await opened.chat([{ role: "user", content: "the sea" }], options);
        if (name === "llama") await assertRejects(() => opened.write(""), ShapeError, "row 0");
        texts.push([...written.map(([{ text }]) => text), answer.text]);
      }
      assert(texts[0].every((text) => text.length > 5), texts[0].join());
      assertEquals(texts[1], texts[0]);
      assertEquals(texts[2], texts[0]);
      const message = "it has no tokenizer.json";
      for (const path of [folder, exported]) await Deno.remove(join(path, "tokenizer.json"));
      await assertRejects(() => openLanguageModel(folder), DataError, message);
      await assertRejects(() => openExportedLanguageModel(exported), DataError, message);
    }
    await assertRejects(() => openExportedLanguageModel(join(root, "none")), DataError);
  }));
