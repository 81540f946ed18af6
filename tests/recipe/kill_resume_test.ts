/** A training that is killed at any moment and resumed ends with the bits of one that was not. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { openRunFolder } from "../../src/recipe/run_folder.ts";
import { randomStream } from "../../src/tensor/random.ts";
import { type Ended, runCliProcess, startCli, until } from "./_child.ts";
import { withFolder } from "./_journey.ts";

const KILLS = 20;

/** A few seconds of training with a checkpoint, a line and an evaluation every few steps. */
const TRAIN = [
  "train-dsi",
  "data=synthetic",
  "data.documents=80",
  "model=dsi_tiny",
  "docid=semantic",
  "docid.base=8",
  "model.head=tree",
  "training.max_steps=240",
  "training.batch_size=384",
  "training.log_every=6",
  "training.checkpoint_every=4",
  "training.eval_every=60",
  "training.ema_decay=0.9",
  "evaluation.bootstrap_samples=50",
  "device.threads=1",
];

const exists = (path: string): Promise<boolean> => Deno.stat(path).then(() => true, () => false);

/** Lines of metrics.jsonl without what the clock decides. */
async function linesOf(path: string): Promise<unknown[]> {
  const run = await openRunFolder(path);
  return (await run.readMetrics()).map(({ seconds: _, examplesPerSecond: __, ...rest }) => rest);
}

const weightsOf = (path: string): Promise<Uint8Array> =>
  Deno.readFile(join(path, "model", "model.safetensors"));

/** The latest checkpoint of a run, and how many half-written ones lie beside it. */
async function stateOf(path: string): Promise<{ step: number; halfWritten: number }> {
  if (!await exists(join(path, "checkpoints"))) return { step: 0, halfWritten: 0 };
  const names = [...Deno.readDirSync(join(path, "checkpoints"))].map(({ name }) => name);
  const steps = names.map((name) => Number(/^step-(\d+)$/.exec(name)?.[1] ?? 0));
  const halfWritten = names.filter((name) => name.startsWith(".")).length;
  return { step: Math.max(0, ...steps), halfWritten };
}

function assertDone({ code, err }: Ended): void {
  assertEquals(code, 0, err);
}

Deno.test("killed at 20 random moments and resumed, a run ends bit for bit as one that was not", () =>
  withFolder(async (root) => {
    const whole = join(root, "whole");
    const first = startCli([...TRAIN, `output.dir=${whole}`]);
    await until(() => exists(join(whole, "config.yaml")), "there is a run");
    const began = performance.now();
    assertDone(await first.ended());
    const lastsMs = performance.now() - began;
    const [weights, lines] = [await weightsOf(whole), await linesOf(whole)];

    const random = randomStream({ seed: 20, stream: "kills", step: 0 });
    const moments: string[] = [];
    let same = 0;
    for (let kill = 0; kill < KILLS;) {
      const run = join(root, `run-${kill}`);
      const child = startCli([...TRAIN, `output.dir=${run}`]);
      await until(() => exists(join(run, "config.yaml")), "there is a run");
      await new Promise((resolve) => setTimeout(resolve, random.uniform() * lastsMs));
      try {
        child.kill("SIGKILL");
      } catch {
        // It had just ended.
      }
      const { code } = await child.ended();
      if (code === 0) { // too late: another moment
        await Deno.remove(run, { recursive: true });
        continue;
      }
      const { step, halfWritten } = await stateOf(run);
      const phase = await exists(join(run, "model")) ? "saving the model" : `step ${step}`;
      moments.push(halfWritten ? `${phase} (${halfWritten} half-written)` : phase);
      assertDone(await runCliProcess(["train-dsi", `training.resume=${run}`]));
      assertEquals(await linesOf(run), lines, `metrics after kill ${kill} at ${moments.at(-1)}`);
      assertEquals(await weightsOf(run), weights, `weights after kill ${kill}`);
      same++;
      kill++;
      await Deno.remove(run, { recursive: true });
    }
    console.log(`killed after the checkpoints of: ${moments.join(", ")}`);
    console.log(`${same} of ${KILLS} resumed runs are bit-equal to the uninterrupted one`);
    assertEquals(same, KILLS);
    // They were spread over the run.
    assert(new Set(moments).size > 5);
  }));

Deno.test("every step is logged once, whatever happens", () =>
  withFolder(async (root) => {
    const run = join(root, "run");
    let child = startCli([...TRAIN, `output.dir=${run}`]);
    // One run, killed again and again a little later: after 2, 3 and 5 checkpoints.
    for (const step of [8, 12, 20]) {
      await until(async () => (await stateOf(run)).step >= step, `checkpoint ${step} is there`);
      child.kill("SIGKILL");
      await child.ended();
      child = startCli(["train-dsi", `training.resume=${run}`]);
    }
    assertDone(await child.ended());
    const lines = await linesOf(run) as Record<string, number>[];
    const steps = (key: string): number[] =>
      lines.filter((line) => key in line).map(({ step }) => step);
    assertEquals(steps("loss"), Array.from({ length: 40 }, (_, i) => 6 * (i + 1)));
    assertEquals(steps("hits@1"), [60, 120, 180, 240]);
  }));

Deno.test("Ctrl-C saves, exits with 130 and says how to go on; that line goes on", () =>
  withFolder(async (root) => {
    const [whole, run] = [join(root, "whole"), join(root, "run")];
    assertDone(await runCliProcess([...TRAIN, `output.dir=${whole}`]));
    const child = startCli([...TRAIN, `output.dir=${run}`]);
    await until(async () => (await stateOf(run)).step >= 8, "a checkpoint is there");
    child.kill("SIGINT");
    const { code, out, err } = await child.ended();
    assertEquals(code, 130, err);
    assertMatch(err, /stopping after this step/);
    const [, step, line] = out.match(
      /^Interrupted and saved at step (\d+)\. To go on:\n {2}deno task (.*)$/m,
    )!;
    assertEquals((await stateOf(run)).step, Number(step));
    console.log(`interrupted at step ${step}; on with: deno task ${line}`);
    assertDone(await runCliProcess(line.split(" ")));
    assertEquals(await weightsOf(run), await weightsOf(whole));
    assertEquals(await linesOf(run), await linesOf(whole));
  }));
