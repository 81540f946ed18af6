/**
 * The real setup of tfjs-node, in a cache folder of its own: compiled, found again, killed, used. It needs
 * a compiler, an npm registry and a TensorFlow wheel: the one that DEEPRAG_LIBTENSORFLOW names, that of
 * the active Python environment, or one that pip installs.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { findCompiler } from "../../src/runtime/build_tfjs_node.ts";
import { findTensorflow } from "../../src/runtime/tensorflow_library.ts";
import { folder, run, test as testUnless } from "./_peers.ts";

/** A wheel of several hundred MB. */
const INSTALL_LIMIT_MS = 240_000;

const root = fromFileUrl(new URL("../../", import.meta.url));
const cache = join(folder, "cache");

async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

// Setups go into the new folder; what Deno has downloaded stays where it is.
const env = { XDG_CACHE_HOME: cache, DENO_DIR: await denoDir(), NO_COLOR: "1" };

const deno = (...args: string[]): Deno.Command =>
  new Deno.Command(Deno.execPath(), { args, cwd: root, env, stdout: "piped", stderr: "piped" });

async function output(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await deno(...args).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out, err };
}

/** Folder of a wheel. It is not imported, so it needs none of what it depends on. */
async function findWheel(): Promise<string> {
  const named = Deno.env.get("DEEPRAG_LIBTENSORFLOW");
  if (named) return await findTensorflow(named);
  try {
    return await findTensorflow();
  } catch {
    const venv = join(folder, "venv"), pip = join(venv, "bin", "pip");
    for (
      const [command, ...args] of [
        ["python3", "-m", "venv", venv],
        [pip, "install", "--quiet", "--retries=1", "--no-deps", "tensorflow-cpu==2.21.0"],
      ]
    ) {
      const { problem } = await run(command, args, { limitMs: INSTALL_LIMIT_MS });
      if (problem) throw new Error(problem);
    }
    return await findTensorflow(venv);
  }
}

let wheel = "", missing: string | undefined;
try {
  await findCompiler();
  wheel = await findWheel();
} catch (error) {
  missing = (error as Error).message.split("\n")[0];
}
const test = (name: string, f: () => Promise<void>): void =>
  testUnless(`tfjs-node: ${name}`, missing, f);

const setup = ["run", "-A", "--quiet", "cli.ts", "setup-tfjs-node", `--libtensorflow=${wheel}`];
const setups = join(cache, "deeprag", "tfjs-node");
const names = (): string[] => [...Deno.readDirSync(setups)].map(({ name }) => name).sort();

test("before the setup, doctor and the executor say what to do", async () => {
  const { out } = await output("run", "-A", "--quiet", "cli.ts", "doctor", "--json");
  const finding = JSON.parse(out).find((f: { name: string }) => f.name === "Executor tfjs-node");
  assertEquals([finding.status, finding.isNeeded], ["missing", false]);
  assertStringIncludes(finding.detail, "it was not set up for this user");
  assertStringIncludes(finding.remedy, "setup-tfjs-node --libtensorflow");
});

test("a setup that is killed leaves none", async () => {
  const child = deno(...setup).spawn();
  let text = "";
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("compiling against")) break;
  }
  child.kill("SIGKILL");
  await Promise.all([child.status, child.stdout.cancel()]);
  assertEquals(names().filter((name) => !name.startsWith(".stage-")), []);
});

test("the addon is compiled, tried, and there the next time", async () => {
  const first = await output(...setup);
  assertEquals(first.code, 0, first.err);
  assertStringIncludes(first.out, `in ${wheel}\nlists /device:CPU:0 (CPU)`);
  assertStringIncludes(first.out, "\ncompiled: tfjs-node 4.22.0 in ");
  const again = await output(...setup);
  assertEquals(again.code, 0, again.err);
  assertStringIncludes(again.out, "\nwas there already: tfjs-node 4.22.0 in ");
});

test("doctor runs a program on it", async () => {
  const { out } = await output("run", "-A", "--quiet", "cli.ts", "doctor", "--json");
  const finding = JSON.parse(out).find((f: { name: string }) => f.name === "Executor tfjs-node");
  assertEquals(finding.status, "ok");
});

test("conformance, kernels and memory, by the unit tests", async () => {
  const { code, out, err } = await output("test", "-A", "tests/unit/runtime/tfjs_node_test.ts");
  assertEquals(code, 0, out + err);
  assertStringIncludes(out, "200 training steps leave nothing behind, and learn ... ok");
});

test("an index is trained on it", async () => {
  const { code, err } = await output(
    ...["run", "-A", "--quiet", "cli.ts", "train-dsi", "--config-name=train/dsi_pretrain"],
    ...["device.executor=tfjs-node", "training.max_steps=20", `output.dir=${join(cache, "run")}`],
  );
  assertEquals(code, 0, err);
  const metrics = (await Deno.readTextFile(join(cache, "run", "metrics.jsonl"))).trim().split("\n")
    .map((line) => JSON.parse(line)).filter(({ loss }) => typeof loss === "number");
  assertEquals(metrics.at(-1).loss < metrics[0].loss, true);
});
