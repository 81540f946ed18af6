/**
 * One training step of T5 (loss, gradients, AdamW): ours, recorded and run by ONNX Runtime, against
 * PyTorch eager and torch.compile, interleaved in one run.
 *
 *     deno run -A --v8-flags=--expose-gc bench/train_step.ts [--config=small|t5-small] [--rounds=7] [--threads=2]
 *       [--python=python3] [--no-compile] [--no-short-targets] [--profile]
 *
 * Prints the ratios, the largest relative difference of a gradient, the peak memory of each process
 * and, with --profile, the time of each kind of operator. The interpreter can also be named by the
 * environment variable DEEPRAG_PYTHON; without PyTorch only our own figures are printed.
 *
 * @module
 */
import { cpuUsage } from "node:process";
import { parseArgs } from "@std/cli/parse-args";
import { readSafetensors, serialiseModel } from "../src/model/mod.ts";
import { createTrainStep, onnxExecutor, Optimizer } from "../src/runtime/mod.ts";
import { median } from "./_median.ts";
import { profileProgram } from "./_profile.ts";
import { t5Step } from "./_t5_step.ts";

const options = parseArgs(Deno.args, {
  string: ["config", "python", "rounds", "threads"],
  boolean: ["compile", "profile", "short-targets"],
  negatable: ["compile", "short-targets"],
  default: {
    config: "small",
    python: Deno.env.get("DEEPRAG_PYTHON") ?? "python3",
    rounds: "7",
    threads: String(navigator.hardwareConcurrency),
    compile: true,
    "short-targets": true,
  },
});
const threads = Number(options.threads);

const { config, sizes: [B, S, T], store, program, batch } = t5Step(options.config, {
  hasShortTargets: options["short-targets"],
});

/** A running PyTorch process. */
interface Peer {
  ask: (command: Record<string, unknown>) => Promise<Record<string, unknown>>;
  stop: () => Promise<void>;
}

async function startPeer(folder: string, mode: "eager" | "compile"): Promise<Peer | undefined> {
  const script = new URL("train_step_torch.py", import.meta.url).pathname;
  const command = new Deno.Command(options.python, {
    args: [script, folder, options.threads, mode],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  });
  let child: Deno.ChildProcess;
  try {
    child = command.spawn();
  } catch {
    return undefined;
  }
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const writer = child.stdin.getWriter();
  let text = "";
  const line = async (): Promise<Record<string, unknown> | undefined> => {
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) return undefined;
      text += value;
    }
    const end = text.indexOf("\n"), json = text.slice(0, end);
    text = text.slice(end + 1);
    return JSON.parse(json);
  };
  const hello = await line();
  if (!hello) {
    await child.status;
    return undefined;
  }
  console.log(`peer: torch ${hello.torch} ${mode}, ${threads} threads`);
  return {
    ask: async (command) => {
      await writer.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
      const reply = await line();
      if (!reply) throw new Error(`the ${mode} peer stopped`);
      return reply;
    },
    stop: async () => {
      await writer.close();
      await child.status;
    },
  };
}

const peakMegabytes = () =>
  Number(/VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))![1]) / 1024;

const folder = await Deno.makeTempDir();
for (const [name, bytes] of Object.entries(serialiseModel(config, store.params))) {
  await Deno.writeFile(`${folder}/${name}`, bytes);
}
const rows = (x: ArrayLike<number>, width: number) =>
  Array.from(
    { length: x.length / width },
    (_, i) => Array.from({ length: width }, (_, j) => x[i * width + j]),
  );
await Deno.writeTextFile(
  `${folder}/batch.json`,
  JSON.stringify({
    input_ids: rows(batch.inputIds.data, S),
    is_token: rows(batch.isToken.data, S),
    labels: rows(batch.labels.data, T),
  }),
);

const start = performance.now();
const train = await createTrainStep(onnxExecutor({ threads }), program, store);
console.log(
  `${options.config}: ${
    (store.parameterCount / 1e6).toFixed(1)
  } M parameters, batch ${B}×${S}→${T}; ` +
    `recorded and compiled in ${(performance.now() - start).toFixed(0)} ms`,
);
const optimizer = new Optimizer(store);
/** One step: its milliseconds, those of AdamW, and the processor's, which other programs blur less. */
const ourStep = async (): Promise<number[]> => {
  const begin = performance.now(), cpu = cpuUsage();
  await train.step(batch);
  const middle = performance.now();
  optimizer.step(1e-3);
  const end = performance.now();
  const { user, system } = cpuUsage(cpu);
  return [end - begin, end - middle, (user + system) / 1000];
};

const peers: Record<string, Peer> = {};
for (const mode of options.compile ? ["eager", "compile"] as const : ["eager"] as const) {
  const peer = await startPeer(folder, mode);
  if (peer) peers[mode] = peer;
  else console.log(`skipped: ${options.python} with PyTorch and safetensors, ${mode}`);
}
if (peers.eager) {
  const { loss } = await train.step(batch);
  const path = `${folder}/gradients.safetensors`;
  const reply = await peers.eager.ask({ do: "gradients", to: path });
  const { tensors } = readSafetensors(await Deno.readFile(path));
  // One relu whose input rounds to the other side of 0 moves the gradient of a norm by 1e-4: float32
  // PyTorch is as far from its own float64. The whole gradient says more than the worst parameter.
  let worst = 0, where = "", allDifferences = 0, allSizes = 0;
  for (const [name, { data }] of Object.entries(store.gradients)) {
    const expected = tensors[name].data;
    let difference = 0, size = 0;
    for (let i = 0; i < data.length; i++) {
      difference += (data[i] - expected[i]) ** 2;
      size += expected[i] ** 2;
    }
    allDifferences += difference;
    allSizes += size;
    const error = Math.sqrt(difference / size);
    if (error > worst) [worst, where] = [error, name];
  }
  const lossError = Math.abs(loss / (reply.loss as number) - 1);
  console.log(
    `loss ${loss.toFixed(4)}, relative difference ${
      lossError.toExponential(1)
    }; largest relative ` +
      `L2 difference of a gradient ${worst.toExponential(1)} (${where})`,
  );
}

// Peaks count from here: the weights were held a second and third time for the comparison.
(globalThis as { gc?: () => void }).gc?.();
await Deno.writeTextFile("/proc/self/clear_refs", "5");
const times: Record<string, number[][]> = { ours: [] };
await ourStep();
for (const [mode, peer] of Object.entries(peers)) {
  times[mode] = [];
  await peer.ask({ do: "step", count: 2 });
}
for (let round = 0; round < Number(options.rounds); round++) {
  times.ours.push(await ourStep());
  for (const [mode, peer] of Object.entries(peers)) {
    times[mode].push(...(await peer.ask({ do: "step", count: 1 })).times as number[][]);
  }
}
for (const [name, list] of Object.entries(times)) {
  const column = (i: number) => list.map((row) => row[i]);
  const ratio = (i: number) => median(times.ours.map((row, k) => row[i] / list[k][i])).toFixed(3);
  const megabytes = name === "ours"
    ? peakMegabytes()
    : (await peers[name].ask({ do: "memory" })).megabytes as number;
  const [ms, adamwMs, cpuMs] = [0, 1, 2].map((i) => median(column(i)).toFixed(0));
  console.log(
    `${name.padEnd(8)} ${ms.padStart(5)} ms a step, of which AdamW ${adamwMs}; fastest ${
      Math.min(...column(0)).toFixed(0)
    }; processor ${cpuMs} ms; peak ${megabytes.toFixed(0)} MB` +
      (name === "ours" ? "" : `; ours / ${name} = ${ratio(0)}, processor ${ratio(2)}`),
  );
}
for (const peer of Object.values(peers)) await peer.stop();
await train.dispose();
await Deno.remove(folder, { recursive: true });

if (options.profile) {
  await profileProgram(program, {
    parameters: Object.keys(store.params),
    inputs: { ...store.params, ...batch },
    threads,
  });
}
