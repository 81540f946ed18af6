import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { loadAdapter, loadModel } from "../../../src/hub/mod.ts";
import { withFolder } from "../../with_folder.ts";
import { assertRefused, cli, prepare } from "./_models.ts";
import { interruptCli } from "./_interrupt.ts";

const PAIRS = [
  '{"prompt": "who sleeps ?", "answer": "the otter"}',
  '{"prompt": "a", "answer": "sea"}',
];

Deno.test("fine-tune saves adapters or a model that generate-text takes", () =>
  withFolder(async (root) => {
    const { model } = await prepare(root), data = join(root, "pairs.jsonl");
    await Deno.writeTextFile(data, PAIRS.join("\n"));
    const tune = (out: string, ...args: string[]) =>
      cli("fine-tune", `--model=${model}`, `--data=${data}`, `--out=${out}`, "--batch=2", ...args);
    const adapter = join(root, "tuned"), whole = join(root, "whole");
    const lora = await tune(
      adapter,
      "--steps=3",
      "--targets=q_proj,v_proj",
      "--rank=2",
      "--alpha=6",
    );
    assertEquals(lora.code, 0, lora.err);
    const { config } = await loadModel(model);
    const { rank, alpha, targets, dropoutRate } = (await loadAdapter(adapter, config)).config;
    assertEquals([rank, alpha, targets, dropoutRate], [2, 6, ["q_proj", "v_proj"], 0]);
    const lines = lora.out.split("\n");
    assertMatch(lines[0], /^3 steps over 2 pairs in 0\.\d minutes; loss \d\.\d{3}$/);
    // Adapters of 8 to 24 and of 8 to 12 numbers, of rank 2.
    assertMatch(lines[1], /^104 parameters trained; \d\.\d MiB for them, /);
    assertEquals(lines[2], `Saved in ${adapter}`);
    const [, next] = lines[3].match(/^Next: deno task (generate-text .*) "…"$/)!;
    assertEquals((await cli(...next.split(" "), "who", "--max-tokens=3")).code, 0);

    const { code, out } = await tune(whole, "--steps=2", "--whole", "--rate=0.01", "--seed=1");
    assertEquals(code, 0);
    assertStringIncludes(out, `Next: deno task generate-text --model=${whole} "…"`);
    const before = (await loadModel(model)).tensors, after = (await loadModel(whole)).tensors;
    assertEquals(Object.keys(after), Object.keys(before));
    assert(
      Object.keys(after).every((name) =>
        after[name].data.some((x, i) => x !== before[name].data[i])
      ),
    );
  }));

Deno.test("fine-tune refuses flags, data and models that are none", () =>
  withFolder(async (root) => {
    const { model } = await prepare(root), data = join(root, "pairs.jsonl");
    await Deno.writeTextFile(data, PAIRS.join("\n"));
    const [inModel, inData, inOut] = [`--model=${model}`, `--data=${data}`, `--out=${root}/out`];
    const refuse = (message: string, ...args: string[]) =>
      assertRefused("fine-tune", args, message);
    await refuse("there is no model", inData, inOut);
    await refuse("--data is missing", inModel, inOut);
    await refuse("--out is missing", inModel, inData);
    for (
      const [flag, range] of [
        ["--rank=0", "a whole number from 1 to 4096"],
        ["--alpha=0", "a number from 0.000001 on"],
        ["--dropout=1", "a number from 0 to 0.99"],
        ["--steps=0", "a whole number from 1 on"],
        ["--batch=x", "a whole number from 1 on"],
        ["--rate=-1", "a number from 0 on"],
        ["--max-tokens=1", "a whole number from 2 on"],
        ["--minutes=0", "a number from 0.01 on"],
      ]
    ) {
      await refuse(`Cannot take ${flag}: it must be ${range}`, inModel, inData, inOut, flag);
    }
    await refuse("Cannot take --rank: there are no", inModel, inData, inOut, "--whole", "--rank=2");
    await refuse("it takes no words", inModel, inData, inOut, "words");
    await refuse("has no flag --adapter", inModel, inData, inOut, "--adapter=x");
    await refuse(
      "c_attn is no projection of this model",
      inModel,
      inData,
      inOut,
      "--targets=c_attn",
    );
    await refuse(
      "Cannot learn example 0: it has 5 tokens",
      inModel,
      inData,
      inOut,
      "--max-tokens=4",
    );
    await refuse("there is no such folder", `--model=${root}/none`, inData, inOut);
    await refuse("none.jsonl", inModel, `--data=${root}/none.jsonl`, inOut);
    await Deno.writeTextFile(data, `${PAIRS[0]}\n\n{"prompt": "a"}\n`);
    await refuse(`${data}:3: Cannot read the pairs`, inModel, inData, inOut);
    await Deno.writeTextFile(data, "");
    await refuse("there is no record", inModel, inData, inOut);
    const made = await Deno.stat(join(root, "out")).then(() => true, () => false);
    assert(!made, "no output folder");
  }));

Deno.test({
  name: "fine-tune saves at Ctrl-C, and --resume goes on from there",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (root) => {
      const { model } = await prepare(root), data = join(root, "pairs.jsonl");
      await Deno.writeTextFile(data, PAIRS.join("\n"));
      const out = join(root, "out");
      const args = ["fine-tune", `--model=${model}`, `--data=${data}`, `--out=${out}`, "--batch=2"];
      // The first line of progress: it is training.
      const { code, out: said, err } = await interruptCli(root, "fine-tune", [
        ...args,
        "--steps=100000",
      ]);
      assertEquals(code, 130, err);
      const [, step] = said.match(
        /^Interrupted and saved at step (\d+)\. To go on, run the same command with --resume$/m,
      )!;
      assert(Number(step) > 0);
      await loadAdapter(out, (await loadModel(model)).config);
      const resumed = await cli(...args, "--steps=100000", "--resume", "--minutes=0.02");
      assertEquals(resumed.code, 0, resumed.err);
      assertStringIncludes(resumed.err, `resumed at step ${step}`);
      const [, steps] = resumed.out.match(/^(\d+) steps over 2 pairs/)!;
      assert(Number(steps) > Number(step), `${steps} steps after ${step}`);
    }),
});
