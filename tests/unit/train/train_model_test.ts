import * as tf from "@tensorflow/tfjs-core";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { assignDocids } from "../../../src/docid/assign.ts";
import { buildTrie } from "../../../src/docid/trie.ts";
import { CheckpointError, ConfigError } from "../../../src/errors.ts";
import { adamw, scheduleFactor, sgd } from "../../../src/optim/mod.ts";
import { latestCheckpoint, onnxExecutor, saveCheckpoint } from "../../../src/runtime/mod.ts";
import { ParameterStore } from "../../../src/runtime/parameter_store.ts";
import type { IndexExample, IndexModel } from "../../../src/train/index_model.ts";
import type { TrainingBatch } from "../../../src/train/trainable_model.ts";
import { digitTokens, t5Index } from "../../../src/train/t5_index.ts";
import {
  trainModel,
  type TrainModelOptions,
  type TrainModelResult,
} from "../../../src/train/train_model.ts";
import { tinyConfig } from "../model/_tiny_t5.ts";
import { withFolder } from "../../with_folder.ts";
import { randomExamples, tinyIndex } from "./_lexical.ts";

/** One step of Adam from gradients whose float32 sums were added up in another order. */
const ACCUMULATED = 1e-5;

const atomic = buildTrie(assignDocids(12, { scheme: "atomic" }), { slots: "compact" });
const executor = onnxExecutor({ threads: 1 });
const lexical = tinyIndex(atomic, { init: "random", isUnseen: new Uint8Array(12) });

/** A T5 over codes 0 … 8, with dropout unless said otherwise. */
function t5(dropoutRate = 0.2): IndexModel {
  const trie = buildTrie(assignDocids(9, { scheme: "naive", base: 3 }));
  const config = tinyConfig({
    vocab_size: 30 + digitTokens(trie),
    dropout_rate: dropoutRate,
    num_layers: 1,
  });
  return t5Index({ config, trie, firstDigit: 30, maxTokens: 8, seed: 1 });
}

type Line = Record<string, number>;
type Options = TrainModelOptions<IndexExample> & { model: IndexModel };

/** Train with everything given a value. */
async function train(
  over: Partial<Options> = {},
): Promise<{
  result: TrainModelResult;
  lines: Line[];
  messages: string[];
  params: Float32Array;
}> {
  const lines: Line[] = [], messages: string[] = [];
  const { model = lexical } = over;
  const result = await trainModel({
    model,
    executor,
    examples: { batch: (step, size) => randomExamples(model.trie.docCount, size, { step }) },
    seed: 3,
    rule: adamw({ weightDecay: 0.01 }),
    learningRate: 0.05,
    schedule: { kind: "cosine", warmupSteps: 2, totalSteps: over.steps ?? 10 },
    steps: 10,
    batchSize: 4,
    logEvery: 4,
    log: (line) => lines.push({ ...line }),
    progress: { update: () => {}, message: (text) => messages.push(text), done: () => {} },
    ...over,
  });
  return { result, lines, messages, params: result.store.flat.slice() };
}

/** What must not depend on interruptions. */
const comparable = (lines: readonly Line[]): Line[] =>
  lines.map(({ seconds: _, examplesPerSecond: __, ...rest }) => rest);

/** A figure that follows from the parameters alone. */
const evaluate = (store: ParameterStore): Promise<Record<string, number>> =>
  Promise.resolve({ "hits@1": store.flat.reduce((sum, x) => sum + Math.abs(x), 0), count: 1 });

for (
  const [name, over] of Object.entries({
    "lexical": { model: lexical, averageDecay: 0.8, clipNorm: 0.05 },
    "T5 with dropout, accumulating": { model: t5(), accumulate: 2 },
  })
) {
  Deno.test(`stopped three times and resumed, a run ends as one that was not: ${name}`, () =>
    withFolder(async (root) => {
      const options = { ...over, evaluate, evalEvery: 5, steps: 12 };
      const whole = await train(options);
      const lines: Line[] = [];
      let last: Awaited<ReturnType<typeof train>> | undefined;
      for (const stopAfter of [3, 5, 10, Infinity]) {
        const controller = new AbortController();
        const checkpoints = { folder: root, every: 2, keepLast: 2, resume: stopAfter > 3 };
        let started = NaN;
        last = await train({
          ...options,
          checkpoints,
          signal: controller.signal,
          onStart: (step) => void (started = step),
          examples: {
            batch: (index, size) => {
              if (index + 1 >= stopAfter * (options.accumulate ?? 1)) controller.abort();
              return randomExamples(options.model.trie.docCount, size, { step: index });
            },
          },
        });
        assertEquals(started, { 3: 0, 5: 3, 10: 5, Infinity: 10 }[stopAfter]);
        assertEquals(last.result.ended, stopAfter === Infinity ? "finished" : "interrupted");
        assertEquals(last.result.step, Math.min(stopAfter, 12));
        lines.push(...last.lines);
      }
      assertEquals(last!.params, whole.params);
      assertEquals(comparable(lines), comparable(whole.lines));
      assertEquals(last!.result.evaluation, whole.result.evaluation);
      // Resuming what is finished changes nothing and says nothing twice.
      const again = await train({
        ...options,
        checkpoints: { folder: root, every: 2, keepLast: 2, resume: true },
      });
      assertEquals([again.params, again.lines.length], [whole.params, 0]);
      assertEquals(again.result.loss, whole.result.loss);
    }));
}

Deno.test("a line every few steps and at the end, with the loss of the steps since the last one", async () => {
  const schedule = { kind: "linear", warmupSteps: 3, totalSteps: 9 } as const;
  const each = await train({ steps: 9, logEvery: 1, schedule });
  const some = await train({ steps: 9, logEvery: 4, schedule });
  assertEquals(some.params, each.params);
  assertEquals(some.lines.map(({ step }) => step), [4, 8, 9]);
  const losses = each.lines.map(({ loss }) => loss);
  const mean = (from: number, to: number): number =>
    losses.slice(from, to).reduce((a, b) => a + b, 0) / (to - from);
  const expected = [mean(0, 4), mean(4, 8), mean(8, 9)];
  some.lines.forEach(({ loss }, i) => assertAlmostEquals(loss, expected[i], 1e-12));
  each.lines.forEach(({ learningRate, step }) =>
    assertAlmostEquals(learningRate, 0.05 * scheduleFactor(schedule, step - 1), 1e-12)
  );
  assert(losses[8] < losses[0]);
  for (const line of some.lines) {
    assert(line.gradNorm > 0 && line.examplesPerSecond > 0 && line.seconds > 0);
    assertEquals(line.paddingShare, 0);
  }
});

Deno.test("evaluations: every few steps, at the end, once each; the first figure rates checkpoints", () =>
  withFolder(async (folder) => {
    const figures = [0.2, 0.9, 0.5, 0.4];
    const { lines, result } = await train({
      steps: 7,
      logEvery: 100,
      evalEvery: 2,
      evaluate: () => Promise.resolve({ "hits@1": figures.shift()!, other: 7 }),
      checkpoints: { folder, every: 1, keepLast: 1 },
    });
    const evaluations = lines.filter((line) => "other" in line);
    assertEquals(evaluations, [
      { step: 2, "hits@1": 0.2, other: 7 },
      { step: 4, "hits@1": 0.9, other: 7 },
      { step: 6, "hits@1": 0.5, other: 7 },
      { step: 7, "hits@1": 0.4, other: 7 },
    ]);
    assertEquals(result.evaluation, { "hits@1": 0.4, other: 7 });
    const kept = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(kept, ["step-4", "step-7"]);
    assertEquals((await latestCheckpoint(folder)).checkpoint?.manifest.metric, 0.4);
  }));

Deno.test("time that is up ends the run after a step, measured and saved; resuming knows", () =>
  withFolder(async (folder) => {
    const options = {
      steps: 1_000_000,
      maxMinutes: 1e-9,
      schedule: { kind: "constant" } as const,
      evaluate,
      checkpoints: { folder, every: 0, keepLast: 1 },
    };
    const first = await train({
      ...options,
      // The clock is looked at before a step: let the first one pass.
      maxMinutes: 0.3 / 60,
      examples: {
        batch: (step, size) => {
          for (const until = performance.now() + 200; performance.now() < until;);
          return randomExamples(12, size, { step });
        },
      },
    });
    const { ended, step, evaluation, seconds } = first.result;
    assertEquals(ended, "time");
    assert(step >= 1 && step <= 3 && seconds >= 0.3, `${step} steps, ${seconds} s`);
    assert(evaluation["hits@1"] > 0);
    assertEquals((await latestCheckpoint(folder)).checkpoint?.manifest.step, step);
    const resumed = await train({
      ...options,
      checkpoints: { ...options.checkpoints, resume: true },
    });
    assertEquals([resumed.result.ended, resumed.result.step], ["time", step]);
    assertEquals(resumed.params, first.params);
  }));

Deno.test("two batches accumulated equal one of twice the size", async () => {
  const model = t5(0);
  const big = (step: number, size: number) => randomExamples(9, size, { step });
  const schedule = { kind: "constant" } as const;
  const once = await train({ model, schedule, steps: 1, batchSize: 8, examples: { batch: big } });
  const twice = await train({
    model,
    schedule,
    steps: 1,
    accumulate: 2,
    examples: {
      batch: (index, size) =>
        big(Math.floor(index / 2), 2 * size).slice(index % 2 * size, (index % 2 + 1) * size),
    },
  });
  assertAlmostEquals(twice.lines[0].loss, once.lines[0].loss, ACCUMULATED);
  assertAlmostEquals(twice.lines[0].gradNorm, once.lines[0].gradNorm, ACCUMULATED);
  // Adam's first step is the sign of the gradient: where that is about 0 it may go either way.
  const same = once.params.filter((x, i) => Math.abs(x - twice.params[i]) <= ACCUMULATED).length;
  assert(same > 0.98 * once.params.length);
  await assertRejects(
    () => train({ accumulate: 2 }),
    ConfigError,
    "must be 1 for a lexical model",
  );
});

Deno.test("a longer gradient is cut to the length that was asked for, and its norm is told", async () => {
  const model = t5(0), clipNorm = 0.01;
  const { lines, params } = await train({
    model,
    clipNorm,
    rule: sgd(),
    learningRate: 1,
    schedule: { kind: "constant" },
    steps: 1,
  });
  const store = new ParameterStore(model.specs);
  model.start(store);
  assertAlmostEquals(Math.hypot(...params.map((x, i) => x - store.flat[i])), clipNorm, 1e-6);
  assert(lines[0].gradNorm > clipNorm);
});

Deno.test("with a moving average, that is what is measured and what is left", async () => {
  const decay = 0.6, plain: Float32Array[] = [], measured: Float32Array[] = [];
  const keep = (into: Float32Array[]) => (store: ParameterStore) => {
    into.push(store.flat.slice());
    return Promise.resolve({ "hits@1": 1 });
  };
  const options = { steps: 4, evalEvery: 1 };
  await train({ ...options, evaluate: keep(plain) });
  const { params } = await train({ ...options, evaluate: keep(measured), averageDecay: decay });
  const store = new ParameterStore(lexical.specs);
  lexical.start(store);
  let average = [...store.flat];
  plain.forEach((after, i) => {
    average = average.map((x, j) => decay * x + (1 - decay) * after[j]);
    measured[i].forEach((x, j) => assertAlmostEquals(x, average[j], 1e-6));
  });
  assertEquals(params, measured[3]);
});

Deno.test("a gradient that is not finite is left out, said, and forgotten", async () => {
  const { trainingProgram } = lexical;
  let poisoned = NaN;
  const model: IndexModel = {
    ...lexical,
    trainingProgram: {
      ...trainingProgram,
      // A bag that counts a stem infinitely often stands for whatever goes wrong.
      run: (x) => {
        const { loss } = trainingProgram.run(x);
        return { loss: tf.mul(loss, tf.max(x.bag)) };
      },
    },
    batch(examples): TrainingBatch {
      const batch = lexical.batch(examples);
      if (poisoned-- === 0) (batch.inputs.bag.data as Float32Array)[0] = Infinity;
      return batch;
    },
  };
  poisoned = 1;
  const { messages, lines, params, result } = await train({ model, steps: 4, logEvery: 1 });
  assertEquals(messages, ["step 2: the gradient is not finite, so the step was left out"]);
  assertEquals(result.step, 4);
  assert(!Number.isFinite(lines[1].loss) && Number.isFinite(lines[2].loss));
  assert(params.every(Number.isFinite));
});

Deno.test("what can't be resumed is refused", () =>
  withFolder(async (folder) => {
    const checkpoints = { folder, every: 0, keepLast: 1, identity: "a" };
    const { params } = await train({ steps: 2, checkpoints });
    const resume = (over: Partial<Options> = {}, identity = "a") =>
      train({ steps: 3, ...over, checkpoints: { ...checkpoints, identity, resume: true } });
    await assertRejects(() => resume({ seed: 4 }), CheckpointError, "seed=3, not 4");
    await assertRejects(() => resume({}, "b"), CheckpointError, "other data, docids");
    await assertRejects(
      () => resume({ model: tinyIndex(atomic, { width: 8 }) }),
      CheckpointError,
      "do not fit the model",
    );
    await assertRejects(
      () => resume({ averageDecay: 0.5 }),
      CheckpointError,
      "without a moving average",
    );
    const { result } = await resume();
    assertEquals(result.step, 3);
    const store = new ParameterStore(lexical.specs, { rule: adamw() });
    await saveCheckpoint(folder, { step: 9, seed: 3 }, { store });
    await assertRejects(() => resume(), CheckpointError, "not written by a training");
    assert(params.length > 0);
  }));

Deno.test("resuming before the first checkpoint starts at the beginning, and says so", () =>
  withFolder(async (folder) => {
    const { params } = await train({ steps: 2 });
    const resumed = await train({
      steps: 2,
      checkpoints: { folder, every: 0, keepLast: 1, resume: true },
    });
    assertEquals(resumed.params, params);
    assertEquals(resumed.messages, [`no checkpoint in ${folder} yet: starting at step 0`]);
  }));

Deno.test("a run resumed between two lines before the first one still ends with a loss", () =>
  withFolder(async (folder) => {
    const checkpoints = { folder, every: 1, keepLast: 1 };
    const controller = new AbortController();
    const stop = {
      batch: (step: number, size: number) => {
        controller.abort();
        return randomExamples(12, size, { step });
      },
    };
    const options = { steps: 9, logEvery: 5, checkpoints };
    const first = await train({ ...options, signal: controller.signal, examples: stop });
    assertEquals([first.result.step, first.result.loss], [1, NaN]);
    const second = await train({
      ...options,
      signal: AbortSignal.abort(),
      checkpoints: { ...checkpoints, resume: true },
    });
    assertEquals([second.result.step, second.result.loss], [1, NaN]);
  }));
