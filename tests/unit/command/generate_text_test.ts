import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { loadModel } from "../../../src/hub/mod.ts";
import { exportModel } from "../../../src/recipe/export_model.ts";
import { openLanguageModel } from "../../../src/recipe/language_model.ts";
import { withFolder } from "../../with_folder.ts";
import { testUnusable, warningsOf } from "../runtime/unusable_provider.ts";
import { assertRefused, cli, prepare } from "./_models.ts";

Deno.test("generate-text writes to the output, and its speed elsewhere", () =>
  withFolder(async (root) => {
    const { model, adapter } = await prepare(root), inModel = `--model=${model}`;
    const generate = (...args: string[]) =>
      cli("generate-text", inModel, "--max-tokens=9", ...args);
    await using opened = await openLanguageModel(model);
    const expected = await opened.write("who sleeps ?", { maxNewTokens: 9 });

    const plain = await generate("who", "sleeps", "?");
    assertEquals([plain.code, plain.out], [0, expected.text]);
    assertMatch(plain.err, /^9 tokens, \d+\.\d ms each \(\d+\.\d s to load\)$/);
    const { code, out, err } = await generate("who sleeps ?", "--json");
    assertEquals([code, err], [0, ""]);
    const { logProbs, milliseconds, ...json } = JSON.parse(out);
    assertEquals(json, {
      prompt: "who sleeps ?",
      text: expected.text,
      tokens: [...expected.tokens],
      end: "length",
    });
    assertEquals(logProbs.map(Math.fround), [...expected.logProbs]);
    assert(milliseconds > 0);

    const text = async (...args: string[]): Promise<string> => {
      const said = await generate("who sleeps ?", ...args);
      assertEquals(said.code, 0, said.err);
      return said.out;
    };
    const seeded = await text("--temperature=2", "--top-k=20", "--top-p=0.99", "--seed=3");
    assertEquals(await text("--temperature=2", "--top-k=20", "--top-p=0.99", "--seed=3"), seeded);
    assert(await text("--temperature=2", "--top-k=20", "--top-p=0.99", "--seed=4") !== seeded);
    const sampled = { temperature: 2, topK: 20, topP: 0.99, seed: 3 };
    const options = { maxNewTokens: 9, sampling: sampled };
    assertEquals((await opened.write("who sleeps ?", options)).text, seeded);
    const beams = await opened.write("who sleeps ?", { maxNewTokens: 9, beam: { beams: 3 } });
    assertEquals(await text("--beams=3"), beams.text);
    assertEquals(JSON.parse(await text("--beams=3", "--json")).score, beams.score);
    assert(await text(`--adapter=${adapter}`) !== expected.text);
    const chat = [
      { role: "system", content: "the sea" },
      { role: "user", content: "who sleeps ?" },
    ];
    assertEquals(
      await text("--chat", "--system=the sea"),
      (await opened.chat(chat, { maxNewTokens: 9 })).text,
    );
  }));

testUnusable(
  "generate-text says that a provider can't be used and goes on, or stops",
  (provider, { reason }) =>
    withFolder(async (root) => {
      const { model } = await prepare(root, "t5"), exported = join(root, "exported");
      await exportModel(await loadModel(model), exported);
      const note = `provider ${provider} is not available here (${reason})`;
      const words = ["who", "sleeps", "?", "--max-tokens=5"], on = `--provider=${provider}`;
      const sources = [[`--model=${model}`], [`--model=${exported}`, "--exported=float32"]];
      const warnings = await warningsOf(async () => {
        for (const source of sources) {
          const plain = await cli("generate-text", ...words, ...source);
          const said = await cli("generate-text", ...words, ...source, on);
          assertEquals([said.code, said.out], [0, plain.out]);
          const stopped = await cli(
            ...["generate-text", ...words, ...source, on] as const,
            "--provider-fallback=error",
          );
          assertEquals([stopped.code, stopped.out], [1, ""]);
          assertStringIncludes(stopped.err, note);
        }
      });
      assertEquals(warnings, [`${note}; running on cpu`]);
    }),
);

Deno.test("generate-text does what the model's file says, part by part, or not", () =>
  withFolder(async (root) => {
    const { model } = await prepare(root);
    const text = async (...args: string[]): Promise<string> => {
      const words = ["who", "sleeps", "?", `--model=${model}`, "--max-tokens=12", ...args];
      const { code, out, err } = await cli("generate-text", ...words);
      assertEquals(code, 0, err);
      return out;
    };
    const greedy = await text();
    const sampling = { do_sample: true, temperature: 3, top_k: 20 };
    await Deno.writeTextFile(join(model, "generation_config.json"), JSON.stringify(sampling));
    const drawn = await text();
    assertEquals(await text("--temperature=3", "--top-k=20", "--seed=0"), drawn);
    assertEquals([await text("--greedy"), await text("--no-defaults")], [greedy, greedy]);
    const all = [greedy, drawn, await text("--seed=1"), await text("--temperature=1")];
    assertEquals(new Set(all).size, 4);
    assertEquals(await text("--top-k=1"), greedy);
  }));

Deno.test("generate-text refuses what contradicts itself, is no number, or is not there", () =>
  withFolder(async (root) => {
    const { model, adapter } = await prepare(root), inModel = `--model=${model}`;
    const refuse = (message: string, ...args: string[]) =>
      assertRefused("generate-text", args, message);
    await refuse("there is no prompt", inModel);
    await refuse("there is no prompt", inModel, "  ");
    await refuse("there is no model. Name one with --model", "the sea");
    for (
      const [flag, range] of [
        ["--temperature=0", "a number from 0.001 to 100"],
        ["--temperature=hot", "a number from"],
        ["--top-k=0", "a whole number from 1 on"],
        ["--top-k=2.5", "a whole number from 1 on"],
        ["--top-p=1.5", "a number from 0.000001 to 1"],
        ["--seed=-1", "a whole number from 0 on"],
        ["--beams=65", "a whole number from 1 to 64"],
        ["--max-tokens=0", "a whole number from 1 on"],
      ]
    ) {
      await refuse(`Cannot take ${flag}: it must be ${range}`, inModel, "the", flag);
    }
    await refuse("Cannot take --top-k: --beams searches", inModel, "the", "--beams=2", "--top-k=4");
    await refuse("Cannot take --seed: --greedy takes", inModel, "the", "--greedy", "--seed=1");
    await refuse("Cannot take --system: it belongs to --chat", inModel, "the", "--system=x");
    await refuse("Cannot use --seed: this model takes the likeliest", inModel, "the", "--seed=1");
    await refuse("Cannot open the precision int4", inModel, "the", "--exported=int4");
    await refuse(
      "Cannot take --adapter: an exported folder",
      inModel,
      "the",
      "--exported=int8",
      `--adapter=${adapter}`,
    );
    await refuse(
      "Cannot take --provider=tpu: it takes cpu, cuda, webgpu",
      inModel,
      "the",
      "--provider=tpu",
    );
    await refuse("it takes cpu, error", inModel, "the", "--provider-fallback=gpu");
    await refuse("did you mean --top-k?", inModel, "the", "--topk=3");
    await refuse("there is no such folder", `--model=${root}/none`, "the");
    await refuse("none/adapter_config.json: ", inModel, "the", `--adapter=${root}/none`);
    await Deno.remove(join(model, "chat_template.jinja"));
    await refuse("the model has none", inModel, "the", "--chat");
    await Deno.remove(join(model, "tokenizer.json"));
    await refuse("it has no tokenizer.json", inModel, "the");
    await Deno.writeTextFile(join(model, "config.json"), "{");
    await refuse("config.json: Cannot read JSON", inModel, "the");
  }));
