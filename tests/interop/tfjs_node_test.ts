/**
 * The real setup of tfjs-node, in a cache folder of its own: compiled, found again, killed, used. It needs
 * a TensorFlow wheel, named by DEEPRAG_LIBTENSORFLOW or in the active Python environment, a compiler and
 * an npm registry.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { findCompiler } from "../../src/runtime/build_tfjs_node.ts";
import { findTensorflow } from "../../src/runtime/tensorflow_library.ts";

const root = fromFileUrl(new URL("../../", import.meta.url));
const cache = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(cache, { recursive: true }));

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

let wheel = "", reason = "";
try {
  wheel = await findTensorflow(Deno.env.get("DEEPRAG_LIBTENSORFLOW"));
  await findCompiler();
} catch (error) {
  reason = (error as Error).message.split("\n")[0];
  console.log(`skipped: the setup of tfjs-node: ${reason}`);
}
const test = (name: string, f: () => Promise<void>): void =>
  Deno.test({ name, ignore: reason !== "", fn: f });

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
