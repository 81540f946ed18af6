/** What is saved here, loaded by transformers and PEFT: weights, tokenizers, adapters, added tokens. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { loadAdapter, loadModel, saveAdapter, saveModel } from "../../src/hub/mod.ts";
import { resizeVocabulary } from "../../src/model/mod.ts";
import { onnxExecutor } from "../../src/runtime/mod.ts";
import { addTokens, encodeChat, loadTokenizer } from "../../src/text/mod.ts";
import * as decoders from "../parity/_decoder.ts";
import * as t5s from "../parity/_t5.ts";
import { relativeMax } from "../parity/_t5.ts";
import { folder, test } from "./_peers.ts";
import {
  ADAPTED,
  asDecoder,
  asT5,
  batchIn,
  countedRows,
  jsonOf,
  load,
  NAMES,
  noPython,
  once,
  references,
  runPython,
  tensorsOf,
  texts,
  Worst,
} from "./_references.ts";

const VALUE_TOLERANCE = 1e-5;
const DTYPES = ["float32", "float16", "bfloat16"] as const;
const TOKENS = ["<RET>", "<DOC>", "</DOC>"];
const ADDED_TEXTS = ["Where is it?<RET><DOC>The grey heron</DOC> waits", "a <RET> b<DOC>\n</DOC>"];

interface Saved {
  readonly problems: string[];
  readonly different: string[];
  readonly error: number;
  readonly tokenizer: string;
  readonly tokens_equal: boolean;
  readonly generation_equal: boolean;
}

interface Added {
  readonly problems: string[];
  readonly ids: Record<string, number>;
  readonly encoded: number[][];
  readonly decoded: string[];
  readonly special: string[];
  readonly size: number;
  readonly rows: number;
  readonly outputs: number;
}

interface Answers {
  readonly saved: Record<string, Saved>;
  readonly adapters: Record<string, { problems: string[]; error: number }>;
  readonly added: Record<string, Added>;
}

const at = (...path: string[]): string => join(folder, "written", ...path);

/** Write everything, then let Python load all of it. */
const answers = once(async (): Promise<Answers> => {
  const root = await references();
  const manifest: Record<keyof Answers, Record<string, unknown>> = {
    saved: {},
    adapters: {},
    added: {},
  };
  for (const name of NAMES) {
    const model = await load(name), original = join(root, name);
    for (const dtype of DTYPES) {
      const path = at(name, dtype);
      // Half of them in several files.
      const maxShardBytes = dtype === "float16" || name.length % 2 ? 50_000 : undefined;
      await saveModel(path, model, { dtype, maxShardBytes });
      manifest.saved[`${name} ${dtype}`] = { folder: path, original, dtype };
    }
    const { tokenizerJson, tokenizerConfig, vocabSize } = addTokens(
      model as Parameters<typeof addTokens>[0],
      TOKENS,
    );
    const larger = resizeVocabulary(model, vocabSize);
    await saveModel(at(name, "added"), { ...model, ...larger, tokenizerJson, tokenizerConfig });
    manifest.added[name] = { folder: at(name, "added"), texts: ADDED_TEXTS };
  }
  for (const name of ADAPTED) {
    const { config } = await load(name);
    const adapter = await loadAdapter(join(root, name, "adapter"), config);
    await saveAdapter(at(name, "adapter"), adapter, config);
    manifest.adapters[name] = { folder: at(name, "adapter"), original: join(root, name) };
  }
  await Deno.writeTextFile(at("manifest.json"), JSON.stringify(manifest));
  await runPython("check_written.py", at("manifest.json"));
  return await jsonOf<Answers>(at("answers.json"));
});

for (const name of NAMES) {
  test(`${name}: saved here, loaded by transformers`, noPython, async () => {
    const { saved } = await answers(), worst = new Worst();
    for (const dtype of DTYPES) {
      const { problems, different, error, tokens_equal, generation_equal } =
        saved[`${name} ${dtype}`];
      assertEquals(problems, [], dtype);
      assertEquals(different, [], `${dtype}: parameters that are not the original's, rounded`);
      assert(worst.note(dtype, error) <= VALUE_TOLERANCE, `${dtype}: logits are off by ${error}`);
      assert(tokens_equal, `${dtype}: the tokenizer is another one`);
      assert(generation_equal, `${dtype}: generation_config.json is another one`);
    }
    worst.print(`${name} by ${saved[`${name} float32`].tokenizer}; logits off by`);
  });

  test(`${name}: tokens added here, read by transformers`, noPython, async () => {
    const { problems, ids, encoded, decoded, special, size, rows, outputs } =
      (await answers()).added[name];
    assertEquals(problems, []);
    const model = await loadModel(at(name, "added")), tokenizer = model.tokenizer!;
    for (const token of TOKENS) assertEquals(tokenizer.tokenToId(token), ids[token], token);
    assertEquals(special, TOKENS);
    ADDED_TEXTS.forEach((text, i) => {
      assertEquals([...tokenizer.encode(text)], encoded[i], text);
      assertEquals(tokenizer.decode(encoded[i]), decoded[i], text);
      assert(encoded[i].includes(ids["<RET>"]), text);
    });
    assertEquals([tokenizer.vocabSize, rows, outputs], [size, size, size]);
    assertEquals((await load(name)).config.vocabSize + TOKENS.length, size);
    // Both compute the same from the larger tables.
    const theirs = await tensorsOf(at(name, "added"), "values.safetensors"), t5 = asT5(model);
    assertEquals(theirs.logits.shape[2], size);
    const executable = await onnxExecutor().compile(
      t5 ? t5s.valueProgram(t5) : decoders.valueProgram(asDecoder(model)),
    );
    const { logits } = await executable.run({ ...model.tensors, ...batchIn(theirs) });
    await executable.dispose();
    const [actual, expected] = [logits, theirs.logits].map((x) => countedRows(x, theirs, !!t5));
    const error = relativeMax(actual, expected);
    assert(error <= VALUE_TOLERANCE, `logits are off by ${error}`);
    console.log(`${name}: ${JSON.stringify(ids)}, logits off by ${error.toExponential(1)}`);
  });

  test(`${name}: texts and chats have the ids that transformers gives`, noPython, async () => {
    const { prompts, models } = await texts(), { ids, chats } = models[name];
    const { tokenizerJson, ...files } = await load(name);
    const tokenizer = loadTokenizer(tokenizerJson, files.tokenizerConfig);
    assertEquals(tokenizer.encodeBatch(prompts).map((row) => [...row]), ids);
    for (const { messages, prompt, ids } of chats) {
      const options = { addGenerationPrompt: prompt };
      assertEquals([...encodeChat(tokenizer, files, messages, options)], ids);
    }
    console.log(`${name}: ${ids.length} texts, ${chats.length} chats`);
  });
}

for (const name of ADAPTED) {
  test(`${name}: adapters saved here, loaded by PEFT`, noPython, async () => {
    const { problems, error } = (await answers()).adapters[name];
    assertEquals(problems, []);
    assert(error <= VALUE_TOLERANCE, `logits are off by ${error}`);
    console.log(`${name}: logits off by ${error.toExponential(1)}`);
  });
}
