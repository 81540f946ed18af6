import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import type { PromptAnswer } from "../../../src/data/mod.ts";
import { CheckpointError, ConfigError, DataError, ShapeError } from "../../../src/errors.ts";
import { loadAdapter, loadModel } from "../../../src/hub/mod.ts";
import { loraConfig } from "../../../src/model/mod.ts";
import { fineTune, type FineTuned, type FineTuneOptions } from "../../../src/recipe/fine_tune.ts";
import { openLanguageModel } from "../../../src/recipe/language_model.ts";
import {
  type Executable,
  type Executor,
  type HostTensors,
  onnxExecutor,
} from "../../../src/runtime/mod.ts";
import { loadTokenizer } from "../../../src/text/mod.ts";
import { withFolder } from "../../with_folder.ts";
import { idOf, tinyLoaded } from "../hub/_tiny_pretrained.ts";

/** Nats per token; that of a random choice among the rows is 3. */
const LEARNT = 0.1;

const executor = onnxExecutor({ threads: 1 });

const PAIRS: PromptAnswer[] = [
  { prompt: "who sleeps in the sea ?", answer: "the otter" },
  { prompt: "who wades ?", answer: "a heron" },
  { prompt: "the otter sleeps on", answer: "its back" },
  { prompt: "the heron wades", answer: "in the river" },
  { prompt: "a sea", answer: "?" },
];

const LORA = { targets: "all-linear", rank: 4, alpha: 8 };
/** Wide enough to learn by heart, and without dropout, so that a loss near 0 can be reached. */
const WIDE = {
  gpt2: { n_embd: 32, initializer_range: 0.2, embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 },
  t5: { d_model: 32, d_ff: 32, dropout_rate: 0 },
  flan_t5: { d_model: 32, d_ff: 32, dropout_rate: 0 },
  llama: { hidden_size: 32, intermediate_size: 32, initializer_range: 0.2 },
};

const WAYS: [string, keyof typeof WIDE, FineTuneOptions][] = [
  ["by adapters", "gpt2", { lora: LORA, learningRate: 0.03, steps: 120 }],
  ["by adapters", "llama", { lora: LORA, learningRate: 0.03, steps: 120 }],
  ["by adapters", "flan_t5", { lora: LORA, learningRate: 0.03, steps: 120 }],
  ["as a whole", "llama", { learningRate: 0.01, steps: 80 }],
  ["as a whole", "t5", { learningRate: 0.01, steps: 80 }],
];

/** What a model, or a folder, answers to every prompt. */
async function answersOf(
  ...[model, adapter]: [Parameters<typeof openLanguageModel>[0], adapter?: string]
): Promise<string[]> {
  await using opened = await openLanguageModel(model, { executor, adapter });
  const texts = await opened.writeAll(PAIRS.map(({ prompt }) => prompt), { maxNewTokens: 6 });
  return texts.map(([{ text }]) => text);
}

for (const [way, name, options] of WAYS) {
  Deno.test(`${name} learns its answers ${way}, and its folder answers`, () =>
    withFolder(async (folder) => {
      const model = tinyLoaded(name, WIDE[name]), before = structuredClone(model.tensors);
      const losses: number[] = [];
      const { training, ...tuned } = await fineTune(model, PAIRS, {
        executor,
        batchSize: 5,
        folder,
        log: ({ loss }) => void losses.push(loss),
        ...options,
      });
      assertEquals([training.ended, training.step], ["finished", options.steps]);
      assert(losses[0] > 0.5 && training.loss === losses.at(-1), `${losses}`);
      assert(training.loss < LEARNT, `loss ${training.loss}`);
      assertEquals(model.tensors, before);

      const names = (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name);
      const answers = PAIRS.map(({ answer }) => answer);
      if (options.lora) {
        assertEquals(names.sort(), [
          "adapter_config.json",
          "adapter_model.safetensors",
        ]);
        assertEquals(tuned.model, model);
        assertEquals(await loadAdapter(folder, model.config), tuned.adapter);
        assertEquals(tuned.adapter!.config.baseModel, model.folder);
        assertEquals(await answersOf(model, folder), answers);
      } else {
        assertEquals(names.sort(), [
          "config.json",
          "model.safetensors",
          "tokenizer.json",
        ]);
        assertEquals(tuned.adapter, undefined);
        assertEquals((await loadModel(folder)).tensors, tuned.model.tensors);
        assertEquals(await answersOf(folder), answers);
      }
      const numbers = Object.values(tuned.adapter?.tensors ?? tuned.model.tensors)
        .reduce((sum, { data }) => sum + data.length, 0);
      assertEquals(tuned.parameterCount, numbers);
      // Parameters, gradients and two moments, in float32.
      assert(tuned.trainingBytes >= 16 * numbers, `${tuned.trainingBytes} bytes for ${numbers}`);
      assert((await answersOf(model)).every((text, i) => text !== answers[i]), "the control");
    }));
}

/** Tells what a program reads, before it runs. */
function watched(onRun: (inputs: HostTensors) => void): Executor {
  return {
    ...executor,
    async compile(program, options): Promise<Executable> {
      const executable = await executor.compile(program, options);
      return {
        inputs: executable.inputs,
        outputs: executable.outputs,
        run(inputs, runOptions): Promise<HostTensors> {
          onRun(inputs);
          return executable.run(inputs, runOptions);
        },
        dispose: () => executable.dispose(),
      };
    },
  };
}

for (const lora of [{ ...LORA, dropoutRate: 0.2 }, undefined]) {
  Deno.test(`${lora ? "adapters" : "a whole model"}: a resumed run ends with the same bits`, () =>
    withFolder(async (root) => {
      // GPT-2 drops out by default, so the random numbers of later steps must be the same ones too.
      const model = tinyLoaded("gpt2"), steps = 14;
      const run = (folder: string, more: FineTuneOptions = {}): Promise<FineTuned> =>
        fineTune(model, PAIRS, { executor, lora, steps, batchSize: 3, seed: 5, folder, ...more });
      const losses: number[][] = [[], []];
      const log = (i: number) => ({ loss }: { loss: number }): void => void losses[i].push(loss);
      const whole = await run(join(root, "whole"), { log: log(0) });
      const folder = join(root, "halves"), controller = new AbortController();
      let left = 7;
      const first = await run(folder, {
        signal: controller.signal,
        executor: watched(() => --left || controller.abort()),
      });
      assertEquals([first.training.ended, first.training.step], ["interrupted", 7]);
      const saved = lora ? first.adapter!.tensors : first.model.tensors;
      assertEquals(
        (lora ? await loadAdapter(folder, model.config) : await loadModel(folder)).tensors,
        saved,
      );
      assert((await Deno.stat(join(folder, "checkpoints"))).isDirectory);
      // Neither a new run nor another one may take its checkpoints.
      await assertRejects(() => run(folder), CheckpointError, "it holds checkpoints of one");
      for (const other of [{ lora: { targets: "all-linear", rank: 2 } }, { batchSize: 2 }]) {
        await assertRejects(
          () => run(folder, { resume: true, ...other }),
          CheckpointError,
          "Cannot resume from",
        );
      }
      const messages: string[] = [];
      const progress = {
        update: () => {},
        message: (text: string) => void messages.push(text),
        done: () => {},
      };
      const second = await run(folder, { resume: true, progress, log: log(1) });
      assert(messages[0].startsWith("resumed at step 7 from"), messages[0]);
      assertEquals([second.training.ended, second.training.step], ["finished", steps]);
      // The loss logged at step 10 is that of steps before the abort too.
      assertEquals(losses[1], losses[0]);
      assertEquals(losses[0].length, 2);
      const of = (tuned: FineTuned) => lora ? tuned.adapter!.tensors : tuned.model.tensors;
      assertEquals(of(second), of(whole));
      assert(
        Object.keys(saved).some((name) =>
          saved[name].data.some((x, i) => x !== of(whole)[name].data[i])
        ),
      );
      await assertRejects(() => Deno.stat(join(folder, "checkpoints")), Deno.errors.NotFound);
    }));
}

Deno.test("adapters are gone on from, and their configuration wins", async () => {
  const model = tinyLoaded("llama");
  const options = { executor, batchSize: 5, steps: 1, learningRate: 1e-9 };
  const { adapter } = await fineTune(model, PAIRS, {
    ...options,
    lora: { targets: ["v_proj"], rank: 3 },
    steps: 5,
    learningRate: 0.1,
  });
  const further = await fineTune(model, PAIRS, { ...options, adapter });
  assertEquals(further.adapter!.config, adapter!.config);
  for (const [name, { data }] of Object.entries(adapter!.tensors)) {
    assert(data.every((x, i) => Math.abs(x - further.adapter!.tensors[name].data[i]) < 1e-7), name);
  }
});

Deno.test("every example comes once before one comes twice, in an order of the seed's", async () => {
  const model = tinyLoaded("llama"), starts = PAIRS.map(({ prompt }) => prompt.split(" "));
  const orderOf = async (seed: number): Promise<string[]> => {
    const rows: number[][] = [];
    const watcher = watched(({ inputIds: { data, shape: [B, S] } }) => {
      for (let b = 0; b < B; b++) rows.push([...data.subarray(b * S, b * S + 2)]);
    });
    const options = { executor: watcher, steps: 5, batchSize: 4, seed };
    await fineTune(model, PAIRS, { ...options, lora: LORA });
    return rows.map((row) => {
      const found = starts.findIndex(([a, b]) => idOf(a) === row[0] && idOf(b) === row[1]);
      assert(found >= 0);
      return `${found}`;
    });
  };
  const order = await orderOf(1);
  assertEquals(order.length, 20);
  const epochs = [0, 5, 10, 15].map((from) => order.slice(from, from + 5));
  for (const epoch of epochs) assertEquals(epoch.toSorted(), ["0", "1", "2", "3", "4"]);
  assert(new Set(epochs.map((epoch) => epoch.join())).size > 1, "epochs have orders of their own");
  assertEquals(await orderOf(1), order);
  assert((await orderOf(2)).join() !== order.join());
});

Deno.test("chat: prompts stand in the template, answers end with the tokenizer's token", async () => {
  const chatTemplate = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}" +
    "{% if add_generation_prompt %}assistant{% endif %}";
  const plain = tinyLoaded("llama", { eos_token_id: [2, 1] });
  const model = { ...plain, chatTemplate };
  // Where the model does not end at the tokenizer's token, the first of its own.
  for (const [eos_token, end] of [["</s>", 1], ["<unk>", 2], ["<pad>", 2]] as const) {
    const rows: number[][] = [];
    const tokenizer = loadTokenizer(model.tokenizerJson, { eos_token });
    await fineTune({ ...model, tokenizer }, [{ prompt: "who ?", answer: "the otter" }], {
      executor: watched(({ inputIds }) => void rows.push([...inputIds.data])),
      steps: 1,
      batchSize: 1,
      isChat: true,
    });
    assertEquals(rows, [[...["user", "who", "?", "assistant", "the", "otter"].map(idOf), end]]);
  }
  const run = () => fineTune(plain, PAIRS, { executor, isChat: true });
  await assertRejects(run, DataError, "the model has none");
});

Deno.test("a signal that has come already leaves the start, saved", () =>
  withFolder(async (folder) => {
    const model = tinyLoaded("qwen2");
    const options = { executor, lora: LORA, folder, signal: AbortSignal.abort() };
    const { training, adapter } = await fineTune(model, PAIRS, options);
    assertEquals([training.ended, training.step], ["interrupted", 0]);
    assertEquals(await loadAdapter(folder, model.config), adapter);
  }));

Deno.test("what can't be learned is refused before anything is written", () =>
  withFolder(async (root) => {
    const model = tinyLoaded("gpt2"), folder = join(root, "out");
    const refuse = async (
      [pairs, options]: [readonly PromptAnswer[], FineTuneOptions],
      [type, message]: [typeof ConfigError | typeof DataError | typeof ShapeError, string],
      on = model,
    ): Promise<void> => {
      const run = () => fineTune(on, pairs, { executor, folder, lora: LORA, ...options });
      await assertRejects(run, type, message);
      await assertRejects(() => Deno.stat(folder), Deno.errors.NotFound);
    };
    await refuse([[], {}], [DataError, "there is no example"]);
    for (const steps of [0, -1, 1.5, NaN]) {
      await refuse([PAIRS, { steps }], [ConfigError, `steps: is ${steps}, not a positive integer`]);
    }
    await refuse([PAIRS, { batchSize: 0 }], [ConfigError, "batchSize: is 0"]);
    for (const learningRate of [0, -1, NaN, Infinity]) {
      await refuse([PAIRS, { learningRate }], [ConfigError, `learningRate: is ${learningRate}`]);
    }
    await refuse([PAIRS, { clipNorm: 0 }], [ConfigError, "clipNorm: is 0"]);
    const adapter = { config: loraConfig(LORA), tensors: {} };
    await refuse([PAIRS, { adapter }], [ConfigError, "lora: can't be given with adapters"]);
    await refuse([PAIRS, { lora: { targets: ["q_proj"] } }], [ConfigError, "q_proj is no proj"]);
    await refuse([PAIRS, { lora: { targets: "all-linear", rank: 0 } }], [ConfigError, "r: is 0"]);
    const long = { prompt: "the ".repeat(30), answer: "sea sea sea" };
    // Three words and the end behind thirty: 34 tokens for 32 positions.
    await refuse([[...PAIRS, long], {}], [
      ShapeError,
      "Cannot learn example 5: it has 34 tokens, 4 of them in its answer; at most 32 are allowed",
    ]);
    await refuse([PAIRS, { maxTokens: 8 }], [ShapeError, "example 0: it has 9 tokens"]);
    const mute = tinyLoaded("llama", { eos_token_id: null });
    await refuse([[{ prompt: "", answer: "sea" }], {}], [ShapeError, "example 0: it has 1"], mute);
    const { tokenizer: _, ...none } = model;
    await refuse([PAIRS, {}], [DataError, "tiny/gpt2 has no tokenizer"], none);
    await refuse(
      [PAIRS, { folder: root, lora: undefined }],
      [DataError, `Cannot save into ${root}: it holds the model`],
      { ...model, folder: root },
    );
    const file = join(root, "file");
    await Deno.writeTextFile(file, "");
    await refuse([PAIRS, { folder: file }], [DataError, `Cannot make the folder ${file}`]);
  }));
