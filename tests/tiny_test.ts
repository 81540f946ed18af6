/** The journey in small, through the public API alone: what must hold before every commit. */
import * as tf from "@tensorflow/tfjs-core";
import { assert, assertAlmostEquals, assertEquals, assertGreater, assertLess } from "@std/assert";
import { join } from "@std/path";
import {
  composeConfig,
  eagerExecutor,
  exportIndex,
  hitsAt,
  hostTensor,
  INDEX_FILES,
  loadDataset,
  loadIndex,
  onnxExecutor,
  openIndex,
  type Program,
  rankWithIndex,
  RUN_FILES,
  silentProgress,
  trainDsi,
  withGradients,
} from "../mod.ts";
import { withFolder } from "./with_folder.ts";

/** Two executors add float32 numbers in different orders. */
const FLOAT32_TOLERANCE = 1e-5;

const configOf = (dir: string, ...overrides: string[]) =>
  composeConfig({
    configName: "train/demo",
    overrides: ["data.documents=60", "model.width=64", `output.dir=${dir}`, ...overrides],
  });

Deno.test("documents and questions in, an exported searchable index out", () =>
  withFolder(async (folder) => {
    const config = configOf(join(folder, "run"), "training.max_steps=40");
    const dataset = await loadDataset(config.data, config.seed);
    const { run, evaluation } = await trainDsi(dataset, config);
    const [{ rows: [all] }] = evaluation!.systems;
    // Chance is 1 in 60; BM25 over words reaches about .8 on this dataset.
    assertGreater(all.hitsAt1.value, 0.6);

    const model = await loadIndex(run.file(RUN_FILES.model));
    const { verification } = await exportIndex(model, run.file("export"), { beam: 10 });
    assert(verification!.every(({ relativeError }) => relativeError < FLOAT32_TOLERANCE));

    await using exported = await openIndex(run);
    await using original = await openIndex(run, {
      source: "model",
      executor: eagerExecutor("cpu"),
    });
    assertEquals([exported.source, original.source], ["export", "model"]);
    const { ranks } = await rankWithIndex(exported.searcher, dataset, { part: "dev" });
    assertAlmostEquals(hitsAt(1, ranks.map((rank) => rank!)), all.hitsAt1.value, 1e-12);

    const questions = dataset.queries.dev.slice(0, 8).map((q) => q.query);
    const [ours, theirs] = [
      await exported.searcher.search(questions),
      await original.searcher.search(questions),
    ];
    ours.forEach(({ hits, droppedMass }, i) => {
      const total = hits.reduce((sum, { logProb }) => sum + Math.exp(logProb), droppedMass);
      assertAlmostEquals(total, 1, FLOAT32_TOLERANCE);
      hits.forEach(({ logProb }, k) =>
        assertAlmostEquals(
          Math.exp(logProb),
          Math.exp(theirs[i].hits[k].logProb),
          FLOAT32_TOLERANCE,
        )
      );
      assertEquals(hits[0].doc, theirs[i].hits[0].doc);
    });
  }));

Deno.test("a random start learns from right labels and not from shuffled ones", () =>
  withFolder(async (folder) => {
    const hits: number[] = [];
    for (const shuffle of [false, true]) {
      const config = configOf(
        join(folder, `${shuffle}`),
        "model.init=random",
        "training.distill.weight=0",
        "training.max_steps=40",
        "training.learning_rate=1e-2",
        "training.slot_rate_factor=1",
        `training.shuffle_labels=${shuffle}`,
      );
      const dataset = await loadDataset(config.data, config.seed);
      const { evaluation } = await trainDsi(dataset, config);
      hits.push(evaluation!.systems[0].rows[0].hitsAt1.value);
    }
    // Over two seeds: .52 to .63 with right labels, .01 to .03 with shuffled ones.
    assertGreater(hits[0], 0.4);
    assertLess(hits[1], 0.1);
  }));

Deno.test("a run that was stopped and resumed ends with the bits of one that was not", () =>
  withFolder(async (folder) => {
    const steps = ["training.max_steps=6", "training.log_every=1"];
    const config = configOf(join(folder, "whole"), ...steps);
    const dataset = await loadDataset(config.data, config.seed);
    const weights = async (dir: string) => {
      const bytes = await Deno.readFile(join(dir, RUN_FILES.model, INDEX_FILES.weights));
      return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    };
    await trainDsi(dataset, config);

    const stop = new AbortController();
    const dir = join(folder, "stopped");
    const { training } = await trainDsi(dataset, configOf(dir, ...steps), {
      signal: stop.signal,
      progress: { ...silentProgress, update: ({ step }) => step === 3 && stop.abort() },
    });
    assertEquals([training.ended, training.step], ["interrupted", 3]);
    await trainDsi(dataset, configOf(dir, ...steps, `training.resume=${dir}`));
    assertEquals(await weights(dir), await weights(join(folder, "whole")));
  }));

Deno.test("a recorded gradient is the one worked out by hand", async () => {
  const loss: Program = {
    name: "loss",
    inputs: { w: { dtype: "float32", shape: [2] }, x: { dtype: "float32", shape: ["B", 2] } },
    // L = mean over b of (w·x_b)²
    run: ({ w, x }) => ({ loss: tf.mean(tf.square(tf.sum(tf.mul(x, w), 1))) }),
  };
  for (const executor of [onnxExecutor(), eagerExecutor("cpu")]) {
    const executable = await executor.compile(
      withGradients(loss, { loss: "loss", parameters: ["w"] }),
    );
    const outputs = await executable.run({
      w: hostTensor("float32", Float32Array.of(1, 2), [2]),
      x: hostTensor("float32", Float32Array.of(1, 1, 3, -1), [2, 2]),
    });
    // w·x = 3 and 1; L = (9 + 1) / 2; ∂L/∂w = 3·(1, 1) + 1·(3, −1).
    assertEquals([...outputs.loss.data], [5]);
    assertEquals([...outputs["grad:w"].data], [6, 2]);
    await executable.dispose();
  }
});
