import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { composeConfig } from "../../../src/config/mod.ts";
import type { Dataset } from "../../../src/data/mod.ts";
import { CheckpointError, DataError } from "../../../src/errors.ts";
import { openRunFolder } from "../../../src/recipe/run_folder.ts";
import { trainDsi } from "../../../src/recipe/train_dsi.ts";
import { withFolder } from "../../with_folder.ts";
import { DOCUMENTS, tinyT5, trainTiny } from "./_tiny_run.ts";

const weights = (path: string): Promise<Uint8Array> =>
  Deno.readFile(join(path, "model", "model.safetensors"));

Deno.test("a run leaves its configuration, metrics, documents, checkpoints, model and evaluation", () =>
  withFolder(async (folder) => {
    const messages: string[] = [];
    const progress = { update: () => {}, message: (s: string) => messages.push(s), done: () => {} };
    const { run, training, evaluation, config, dataset } = await trainTiny(folder, [], {
      progress,
    });
    assertEquals([training.ended, training.step], ["finished", 4]);
    const names = [...Deno.readDirSync(run.path)].map(({ name }) => name).sort();
    assertEquals(names, [
      "checkpoints",
      "config.yaml",
      "documents.sqlite",
      "evaluation.json",
      "metrics.jsonl",
      "model",
    ]);
    const reopened = await openRunFolder(run.path);
    const resolved = { text: reopened.config, origin: "config.yaml" };
    assertEquals(composeConfig({ resolved }), config);
    const lines = await run.readMetrics();
    assertEquals(lines.map((line) => [line.step, "loss" in line, "hits@1" in line]), [
      [2, true, false],
      [4, true, false],
      [4, false, true],
    ]);
    assertEquals(evaluation!.documents, DOCUMENTS);
    assertEquals(evaluation!.systems[0].rows[0].questions, dataset.queries.dev.length);
    assertEquals(evaluation!.systems[0].rows[0].hitsAt1.value, training.evaluation["hits@1"]);
    const written = JSON.parse(await Deno.readTextFile(run.file("evaluation.json")));
    assertEquals(written, JSON.parse(JSON.stringify(evaluation)));
    assert(messages.some((text) => text.includes(run.path)));
  }));

Deno.test("interrupted, a run saves; resumed, it ends with the bits of one that was not", () =>
  withFolder(async (folder) => {
    const whole = await trainTiny(folder);
    const controller = new AbortController();
    let updates = 0;
    const progress = {
      update: () => void (++updates === 1 && controller.abort()),
      message: () => {},
      done: () => {},
    };
    const options = { progress, signal: controller.signal };
    const stopped = await trainTiny(join(folder, "b"), [], options);
    assertEquals([stopped.training.ended, stopped.training.step], ["interrupted", 2]);
    assertEquals(stopped.evaluation, undefined);
    await assertRejects(() => weights(stopped.run.path), Deno.errors.NotFound);
    // As if it had been killed after the line of a step that no checkpoint holds.
    {
      using metrics = await stopped.run.openMetrics();
      metrics.append({ step: 4, loss: 99 });
    }
    const resume = [`training.resume=${stopped.run.path}`];
    const resumed = await trainTiny(join(folder, "b"), resume);
    assertEquals(resumed.run.path, stopped.run.path);
    assertEquals(await weights(resumed.run.path), await weights(whole.run.path));
    const steps = async (run: typeof whole.run): Promise<unknown[]> =>
      (await run.readMetrics()).map(({ seconds: _, examplesPerSecond: __, ...rest }) => rest);
    assertEquals(await steps(resumed.run), await steps(whole.run));
  }));

Deno.test("a run is resumed with its own documents, docids and seed only", () =>
  withFolder(async (folder) => {
    const { dataset: generated } = await trainTiny(join(folder, "a"));
    // A rare word in a question: another one in its place moves the numbers of stems between them.
    const asking = (query: string): Dataset => {
      const train = generated.queries.train.map((q, i) => i ? q : { ...q, query });
      return { ...generated, queries: { ...generated.queries, train } };
    };
    const dataset = asking("Aardvark?");
    const { run } = await trainTiny(folder, [], { dataset });
    const before = await weights(run.path);
    const resume = (overrides: string[], other: Dataset = dataset): Promise<unknown> =>
      trainTiny(folder, [`training.resume=${run.path}`, "training.max_steps=6", ...overrides], {
        dataset: other,
      });
    const documents = dataset.documents.map((d, i) => i ? d : { ...d, text: `${d.text} More.` });
    await assertRejects(
      () => resume([], { ...dataset, documents }),
      CheckpointError,
      "it was trained on other documents",
    );
    await assertRejects(() => resume(["seed=2"]), CheckpointError, "seed=1, not 2");
    await assertRejects(() => resume(["docid=naive"]), CheckpointError, "other data, docids");
    await assertRejects(
      () => resume([], asking("Zyzzyva?")),
      CheckpointError,
      "belongs to other data",
    );
    await assertRejects(
      () => trainTiny(folder, [`training.resume=${join(folder, "elsewhere")}`]),
      CheckpointError,
      "there is no such folder",
    );
    assertEquals(await weights(run.path), before);
    await resume([]);
    assertEquals((await run.readMetrics()).at(-1)!.step, 6);
  }));

Deno.test("without questions to test it, a run trains and is not evaluated", () =>
  withFolder(async (folder) => {
    const { dataset } = await trainTiny(folder);
    const bare = { documents: dataset.documents, queries: {} };
    const { evaluation, training, run } = await trainTiny(join(folder, "bare"), [], {
      dataset: bare,
    });
    assertEquals([training.ended, evaluation], ["finished", undefined]);
    assert((await weights(run.path)).length > 0);
    await assertRejects(
      () =>
        trainTiny(join(folder, "one"), [], {
          dataset: { ...bare, documents: [bare.documents[0]] },
        }),
      DataError,
      "needs at least 2",
    );
  }));

Deno.test("a T5 runs the same journey, in a Worker too", () =>
  withFolder(async (folder) => {
    const overrides = [...tinyT5, "docid.base=8", "training.max_steps=1", "training.accumulate=2"];
    const { training, evaluation, run } = await trainTiny(folder, [
      ...overrides,
      "device.executor=onnx-worker",
    ]);
    assertEquals(training.ended, "finished");
    assertEquals(evaluation!.systems[0].system, "this index");
    const [line] = await run.readMetrics();
    assert(line.paddingShare as number > 0);
    const { run: here } = await trainTiny(join(folder, "here"), overrides);
    assertEquals(await weights(here.path), await weights(run.path));
  }));

Deno.test("a folder that holds a run is not trained into again", () =>
  withFolder(async (folder) => {
    const { config, dataset } = await trainTiny(folder);
    const error = await assertRejects(() => trainDsi(dataset, config), DataError);
    assertStringIncludes(error.message, "training.resume=");
  }));
