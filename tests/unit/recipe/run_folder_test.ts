import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { CheckpointError, DataError } from "../../../src/errors.ts";
import { createRunFolder, listRuns, openRunFolder } from "../../../src/recipe/run_folder.ts";
import { withFolder } from "../../with_folder.ts";

const config = "seed: 1\n";
const now = new Date(2026, 0, 31, 9, 5, 7);

Deno.test("runs of the same second get folders of their own", () =>
  withFolder(async (root) => {
    const runs = await Promise.all(
      Array.from({ length: 12 }, () => createRunFolder({ config, root, now })),
    );
    const paths = runs.map(({ path }) => path).sort();
    assertEquals(new Set(paths).size, 12);
    assertEquals(paths[0], join(root, "2026-01-31", "09-05-07"));
    assertEquals((await listRuns(root))[0], join(root, "2026-01-31", "09-05-07-12"));
  }));

Deno.test("a folder that holds a run is never used again", () =>
  withFolder(async (root) => {
    const dir = join(root, "mine");
    const attempts = await Promise.allSettled(
      ["a: 1\n", "b: 2\n"].map((config) => createRunFolder({ config, dir })),
    );
    assertEquals(attempts.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    const before = await Deno.readTextFile(join(dir, "config.yaml"));
    const error = await assertRejects(() => createRunFolder({ config, dir }), DataError);
    assertStringIncludes(error.message, `training.resume=${dir}`);
    assertEquals(await Deno.readTextFile(join(dir, "config.yaml")), before);
  }));

Deno.test("a run that is opened again has its configuration and its metrics", () =>
  withFolder(async (root) => {
    const { path } = await createRunFolder({ config, root });
    {
      using metrics = await (await openRunFolder(path)).openMetrics();
      metrics.append({ step: 1, loss: 2 });
      metrics.append({ step: 2, loss: NaN });
    }
    const run = await openRunFolder(path);
    assertEquals(run.config, config);
    assertEquals(await run.readMetrics(), [{ step: 1, loss: 2 }, { step: 2, loss: null }]);
  }));

Deno.test("every line is in the file as soon as it is appended", () =>
  withFolder(async (root) => {
    const run = await createRunFolder({ config, root });
    using metrics = await run.openMetrics();
    metrics.append({ step: 1 });
    assertEquals(await Deno.readTextFile(run.file("metrics.jsonl")), '{"step":1}\n');
  }));

Deno.test("resuming drops the lines after the step and a torn one", () =>
  withFolder(async (root) => {
    const run = await createRunFolder({ config, root });
    await Deno.writeTextFile(
      run.file("metrics.jsonl"),
      '{"step":10}\n{"step":20,"hits":0.5}\n{"step":30}\n{"step":4',
    );
    {
      using metrics = await run.openMetrics(20);
      metrics.append({ step: 30, again: true });
    }
    assertEquals(
      await Deno.readTextFile(run.file("metrics.jsonl")),
      '{"step":10}\n{"step":20,"hits":0.5}\n{"step":30,"again":true}\n',
    );
  }));

Deno.test("broken metrics are reported with file and line", () =>
  withFolder(async (root) => {
    const run = await createRunFolder({ config, root });
    await Deno.writeTextFile(run.file("metrics.jsonl"), '{"step":1}\noops\n');
    const error = await assertRejects(() => run.readMetrics(), DataError);
    assertEquals(error.line, 2);
  }));

Deno.test("a missing run is named, with the most recent ones", () =>
  withFolder(async (root) => {
    const none = await assertRejects(() => openRunFolder("no/run", root), CheckpointError);
    assertStringIncludes(none.message, "Cannot open the run no/run: there is no such folder");
    assertStringIncludes(none.message, "There are no runs");
    for (let day = 1; day <= 7; day++) {
      await createRunFolder({ config, root, now: new Date(2026, 4, day) });
    }
    await Deno.mkdir(join(root, "empty"));
    const some = await assertRejects(
      () => openRunFolder(join(root, "empty"), root),
      CheckpointError,
    );
    assertStringIncludes(some.message, "it has no config.yaml");
    const shown = some.message.split("\n").slice(1);
    assertEquals(shown.length, 5);
    assertStringIncludes(shown[0], join("2026-05-07", "00-00-00"));
    assert(!some.message.includes("2026-05-02"));
  }));
