import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { CheckpointError } from "../../../src/errors.ts";
import { adafactor, adamw, sgd } from "../../../src/optim/mod.ts";
import {
  latestCheckpoint,
  openCheckpoint,
  Optimizer,
  ParameterStore,
  saveCheckpoint,
} from "../../../src/runtime/mod.ts";
import type { ParamSpecs } from "../../../src/tensor/params.ts";
import { withFolder } from "../../with_folder.ts";
import { toyOptimizer, trainToy } from "./toy_training.ts";

const vectorsOf = ({ store }: Optimizer): number[][] => {
  const { state, average } = store.training;
  return [store.flat, state, average ?? []].map((v) => Array.from(v));
};

const namesIn = async (folder: string): Promise<string[]> =>
  (await Array.fromAsync(Deno.readDir(folder))).map((e) => e.name).sort();

Deno.test("killed with SIGKILL at three moments, training ends with the same bits", async () => {
  await withFolder(async (folder) => {
    const steps = 30, every = 2;
    const whole = join(folder, "whole"), torn = join(folder, "torn");
    const expected = vectorsOf(await trainToy(whole, { steps, every }));
    const script = new URL("toy_training.ts", import.meta.url).pathname;
    const start = (): Deno.ChildProcess =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--quiet", script, torn, `${steps}`, `${every}`],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
    let kills = 0;
    // Seconds are of no use on a busy machine: it dies a little after a step it reports, which with
    // a checkpoint every other step falls into training, writing and renaming alike.
    for (const [after, delayMs] of [[1, 1], [7, 3], [6, 0]]) {
      const child = start();
      let seen = 0;
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        seen += text.split("\n").length - 1;
        if (seen < after) continue;
        if (delayMs) await new Promise((done) => setTimeout(done, delayMs));
        child.kill("SIGKILL");
        break;
      }
      const { signal } = await child.status;
      if (signal === "SIGKILL") kills++;
    }
    assertEquals(kills, 3);
    assertEquals(vectorsOf(await trainToy(torn, { steps, every })), expected);
    assertEquals(await namesIn(torn), ["step-28", "step-30"]);
  });
});

Deno.test("what training needs comes back, and a store for inference takes either weights", async () => {
  await withFolder(async (folder) => {
    const trained = await trainToy(folder, { steps: 4, every: 4 });
    const { checkpoint, skipped } = await latestCheckpoint(folder);
    assertEquals(skipped, []);
    const { step, seed, schedule, position, optimizer } = checkpoint!.manifest;
    assertEquals({ step, seed, position }, { step: 4, seed: 5, position: 4 });
    assertEquals(schedule, { kind: "cosine", warmupSteps: 3, totalSteps: 40 });
    assertEquals(optimizer?.updates, 4);
    const fresh = toyOptimizer();
    await checkpoint!.restore(fresh);
    assertEquals(fresh.updates, 4);
    assertEquals(vectorsOf(fresh), vectorsOf(trained));
    const plain = new ParameterStore(fresh.store.specs);
    await checkpoint!.restoreParameters(plain);
    assertEquals(plain.flat, trained.store.flat);
    await checkpoint!.restoreParameters(plain, { average: true });
    assertEquals(Array.from(plain.flat), Array.from(trained.store.training.average!));
  });
});

Deno.test("every kind of damage is found, named, and an older checkpoint taken", async () => {
  const damages: [string, (path: string) => Promise<void>][] = [
    ["params.f32 has 100 of", (p) => Deno.truncate(join(p, "params.f32"), 100)],
    ["state.f32 has changed", async (p) => {
      const bytes = await Deno.readFile(join(p, "state.f32"));
      bytes[bytes.length >> 1] ^= 1;
      await Deno.writeFile(join(p, "state.f32"), bytes);
    }],
    ["average.f32 cannot be opened", (p) => Deno.remove(join(p, "average.f32"))],
    ["manifest.json cannot be opened", (p) => Deno.remove(join(p, "manifest.json"))],
    ["manifest.json is no JSON", (p) => Deno.truncate(join(p, "manifest.json"), 80)],
    ["not a manifest of version 1 (version", async (p) => {
      const text = await Deno.readTextFile(join(p, "manifest.json"));
      await Deno.writeTextFile(
        join(p, "manifest.json"),
        text.replace('"version": 1', '"version": 2'),
      );
    }],
    ["params.f32 is shorter than the parameters", async (p) => {
      const text = await Deno.readTextFile(join(p, "manifest.json"));
      await Deno.writeTextFile(
        join(p, "manifest.json"),
        text.replace("8,\n    16", "8,\n    1600"),
      );
    }],
  ];
  for (const [message, damage] of damages) {
    await withFolder(async (folder) => {
      const optimizer = await trainToy(folder, { steps: 4, every: 2 });
      await damage(join(folder, "step-4"));
      const error = await assertRejects(
        () => openCheckpoint(join(folder, "step-4")),
        CheckpointError,
      );
      if (!error.message.includes(message)) throw new Error(`not "${message}": ${error.message}`);
      assertEquals(error.message.includes("step-4"), true);
      assertEquals(error.message.includes("Delete this folder"), true);
      const { checkpoint, skipped } = await latestCheckpoint(folder);
      assertEquals(checkpoint?.manifest.step, 2);
      assertEquals(skipped.map((s) => s.path), [join(folder, "step-4")]);
      // Saving goes on below the broken one, whatever `keepLast` says.
      await saveCheckpoint(folder, { step: 3 }, {
        store: optimizer.store,
        optimizer,
        keepLast: 1,
      });
      assertEquals((await latestCheckpoint(folder)).checkpoint?.manifest.step, 3);
    });
  }
});

Deno.test("a folder without checkpoints is a fresh start, one with only broken ones is not", async () => {
  await withFolder(async (folder) => {
    assertEquals(await latestCheckpoint(join(folder, "nothing")), { skipped: [] });
    assertEquals(await latestCheckpoint(folder), { skipped: [] });
    await Deno.mkdir(join(folder, ".step-9.00000000-0000-0000-0000-000000000000.tmp"));
    assertEquals(await latestCheckpoint(folder), { skipped: [] });
    await Deno.mkdir(join(folder, "step-9"));
    await assertRejects(
      () => latestCheckpoint(folder),
      CheckpointError,
      "none of its 1 checkpoints",
    );
  });
});

Deno.test("the best and the last stay, leftovers of killed processes go", async () => {
  await withFolder(async (folder) => {
    const { store } = toyOptimizer();
    const leftover = ".step-1.00000000-0000-0000-0000-000000000000.tmp";
    await Deno.mkdir(join(folder, leftover));
    const metrics = [0.1, 0.5, 0.2, 0.4, 0.3];
    for (const [i, metric] of metrics.entries()) {
      await saveCheckpoint(folder, { step: i + 1, metric }, { store, keepLast: 2 });
    }
    assertEquals(await namesIn(folder), ["step-2", "step-4", "step-5"]);
    await saveCheckpoint(folder, { step: 6, metric: 0.4 }, { store, keepLast: 1, better: "min" });
    assertEquals(await namesIn(folder), ["step-5", "step-6"]);
  });
});

Deno.test("saving a step again replaces it, and a kill between the two renames loses nothing", async () => {
  await withFolder(async (folder) => {
    const { store } = toyOptimizer();
    await saveCheckpoint(folder, { step: 1, metric: 1 }, { store });
    store.flat.fill(3);
    const path = await saveCheckpoint(folder, { step: 1, metric: 2 }, { store });
    assertEquals(await namesIn(folder), ["step-1"]);
    assertEquals((await openCheckpoint(path)).manifest.metric, 2);
    await Deno.rename(path, join(folder, ".step-1.replaced"));
    assertEquals((await latestCheckpoint(folder)).checkpoint?.manifest.metric, 2);
    await saveCheckpoint(folder, { step: 2 }, { store });
    assertEquals(await namesIn(folder), ["step-2"]);
  });
});

Deno.test("a checkpoint of another model or optimiser is refused in words", async () => {
  await withFolder(async (folder) => {
    const init = { kind: "constant", value: 0 } as const;
    const specs: ParamSpecs = { a: { shape: [2, 3], init }, b: { shape: [4], init } };
    const store = new ParameterStore(specs, { rule: adamw() });
    const path = await saveCheckpoint(folder, { step: 1 }, {
      store,
      optimizer: new Optimizer(store),
    });
    const checkpoint = await openCheckpoint(path);
    const other = new ParameterStore({ a: { shape: [3, 2], init }, c: { shape: [4], init } });
    const { message } = await assertRejects(
      () => checkpoint.restoreParameters(other),
      CheckpointError,
    );
    for (const part of ["a is [2, 3], not [3, 2]", "c is missing", "b is unexpected"]) {
      assertEquals(message.includes(part), true, message);
    }
    const restore = (options: ConstructorParameters<typeof ParameterStore>[1]): Promise<void> =>
      checkpoint.restore(
        new Optimizer(
          new ParameterStore(specs, options),
          options?.average ? { averageDecay: 0.9 } : {},
        ),
      );
    await assertRejects(
      () => restore({ rule: sgd() }),
      CheckpointError,
      "adamw, this run's is sgd",
    );
    await assertRejects(() => restore({ rule: adafactor() }), CheckpointError, "is adafactor");
    await assertRejects(
      () => restore({ rule: adamw(), average: true }),
      CheckpointError,
      "without a moving average",
    );
    await assertRejects(
      () => checkpoint.restoreParameters(store, { average: true }),
      CheckpointError,
      "no moving average",
    );
    const bare = await saveCheckpoint(folder, { step: 2 }, { store });
    const weights = await openCheckpoint(bare);
    await assertRejects(() => weights.restore(new Optimizer(store)), CheckpointError, "without an");
  });
});

Deno.test("what cannot be written is refused: averages in place, NaN, no folder", async () => {
  await withFolder(async (folder) => {
    const optimizer = toyOptimizer(), { store } = optimizer;
    store.training.gradients.fill(1);
    optimizer.step(0.1);
    await optimizer.withAverage(async () => {
      await assertRejects(
        () => saveCheckpoint(folder, { step: 1 }, { store, optimizer }),
        CheckpointError,
        "moving average",
      );
    });
    await assertRejects(
      () => saveCheckpoint(folder, { step: 1, metric: NaN }, { store }),
      CheckpointError,
      "metric: ",
    );
    assertEquals(await latestCheckpoint(folder), { skipped: [] });
    await assertRejects(
      () => saveCheckpoint("/dev/null/x", { step: 1 }, { store }),
      CheckpointError,
      "Cannot write",
    );
  });
});
