/**
 * One training step of T5 on a GPU (loss, gradients, clipping, AdamW): ours against PyTorch eager,
 * torch.compile, and torch.compile with CUDA graphs, interleaved in one run.
 *
 *     deno run -A bench/cuda_step.ts [--config=t5-small|t5-base|small] [--batch=512,64,8] [--precision=bfloat16]
 *       [--peers=eager,compile,graphs] [--rounds=5] [--python=python3] [--profile] [--tune]
 *       [--short-targets] [--host]
 *
 * Prints the ratios, launches, memory, the share of the device's measured matrix rate, and with
 * --profile the time of each kind of step. --host runs on this processor instead of a GPU, which says
 * nothing about time but that the bench works.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { withGradients } from "../src/graph/mod.ts";
import { createTrainStep, Optimizer } from "../src/runtime/mod.ts";
import { deviceExecutor } from "../src/runtime/cuda/cuda_executor.ts";
import type { Device, MatrixPrecision, MatrixProduct } from "../src/runtime/cuda/device.ts";
import { DeviceExecutable } from "../src/runtime/cuda/device_executable.ts";
import { openCudaDevice } from "../src/runtime/cuda/open_cuda_device.ts";
import { openHostDevice } from "../src/runtime/cuda/host_device.ts";
import type { PreparedProgram } from "../src/runtime/cuda/prepared_program.ts";
import { median } from "./_median.ts";
import { type Peer, startPeer } from "./_peer.ts";
import { t5Step } from "./_t5_step.ts";

const options = parseArgs(Deno.args, {
  string: ["config", "batch", "precision", "peers", "rounds", "python"],
  boolean: ["profile", "tune", "host", "short-targets"],
  default: {
    config: "t5-small",
    precision: "bfloat16",
    peers: "eager,compile",
    rounds: "5",
    python: Deno.env.get("DEEPRAG_PYTHON") ?? "python3",
  },
});
const precision = options.precision as MatrixPrecision;
const sizes = options.batch?.split(",").map(Number) as [number, number, number] | undefined;
/** Steps of a round. */
const STEPS = 10;

type Times = { times: number[]; loss: number; megabytes: number };
const peers = new Map<string, Peer<Record<string, unknown>, Times>>();
const { config, store, program, batch } = t5Step(options.config, {
  sizes,
  isQuick: true,
  hasShortTargets: options["short-targets"],
});
const [B, S, T] = [...batch.inputIds.shape, batch.labels.shape[1]];

const folder = await Deno.makeTempDir();
await Deno.writeTextFile(
  `${folder}/config.json`,
  JSON.stringify({
    vocab_size: config.vocabSize,
    d_model: config.modelWidth,
    d_kv: config.headWidth,
    d_ff: config.innerWidth,
    num_heads: config.heads,
    num_layers: config.encoderLayers,
    num_decoder_layers: config.decoderLayers,
    relative_attention_num_buckets: config.buckets,
    relative_attention_max_distance: config.maxDistance,
    layer_norm_epsilon: config.epsilon,
  }),
);
// They warm up one after the other: compiling takes a minute.
const script = new URL("cuda_step_torch.py", import.meta.url).pathname;
for (const mode of options.peers.split(",").filter(Boolean)) {
  const peer = await startPeer<Record<string, unknown>, Times>(options.python, [
    Deno.env.get("DEEPRAG_PEER") ?? script,
    `${folder}/config.json`,
    [B, S, T].join(),
    mode,
    precision,
  ]);
  if (!peer) {
    console.log(`skipped: ${options.python} with PyTorch and CUDA, ${mode}`);
    continue;
  }
  const { torch, warm } = peer.hello;
  console.log(`peer: torch ${torch} ${mode}, warm after ${Number(warm).toFixed(1)} s`);
  peers.set(mode, peer);
}

const device: Device = options.host
  ? await openHostDevice()
  : await openCudaDevice({ tune: options.tune });
const executor = deviceExecutor(device, { precision });
const parameters = store.parameterCount / 1e6;
console.log(
  `${device.name}; ${options.config}, ${parameters.toFixed(1)} M parameters, ` +
    `batch ${B}×${S}→${T}, ${precision}`,
);

const begin = performance.now();
const train = await createTrainStep(executor, program, store);
const optimizer = new Optimizer(store);
const step = async (): Promise<number> => {
  const start = performance.now();
  await train.step(batch);
  optimizer.step(1e-4, { clipNorm: 1 });
  return performance.now() - start;
};
let first = 0;
for (let i = 0; i < 4; i++) {
  const ms = await step();
  if (i === 0) first = performance.now() - begin;
  if (i < 2) console.log(`step ${i + 1}: ${ms.toFixed(0)} ms`);
}
const { free, total } = device.memory();
console.log(
  `first step after ${(first / 1000).toFixed(1)} s; ${executor.library.size} kernels; ` +
    `${((total - free) / 2 ** 20).toFixed(0)} MiB of the device in use`,
);

const ours: number[][] = [], theirs = new Map<string, number[][]>();
let peerMegabytes = 0;
for (let round = 0; round < Number(options.rounds); round++) {
  const times: number[] = [];
  for (let i = 0; i < STEPS; i++) times.push(await step());
  ours.push(times);
  for (const [mode, peer] of peers) {
    const { times, megabytes } = await peer.ask({ do: "step", count: STEPS });
    theirs.set(mode, [...theirs.get(mode) ?? [], times]);
    peerMegabytes = megabytes;
  }
}
const fastest = (rounds: number[][]): string => Math.min(...rounds.flat()).toFixed(2);
console.log(
  `ours: ${median(ours.flat()).toFixed(2)} ms a step, fastest ${fastest(ours)}`,
);
for (const [mode, rounds] of theirs) {
  const ratio = median(rounds.map((times, i) => median(ours[i]) / median(times)));
  console.log(
    `torch ${mode}: ${median(rounds.flat()).toFixed(2)} ms, fastest ${fastest(rounds)}, ` +
      `${peerMegabytes.toFixed(0)} MiB; ours / torch = ${ratio.toFixed(3)}`,
  );
}

// The same step without reading anything back, and what it consists of.
const alone = await store.resident!.compile(
  withGradients(program, { loss: "loss", parameters: Object.keys(store.specs) }),
  {},
) as DeviceExecutable;
await alone.run(batch);
const prepared = await alone.prepare({ B, S, T });
const { steps, recordedCount } = prepared.lowered;
console.log(`${steps.length} launches for ${recordedCount} recorded operations`);
const replayed = (): number => {
  const start = performance.now();
  prepared.enqueue();
  device.synchronize();
  return performance.now() - start;
};
replayed();
const graphMs = median(Array.from({ length: STEPS }, replayed));
const flops = prepared.lowered.steps.reduce(
  (sum, s) =>
    sum +
    (s.kind === "product" ? 2 * s.product.m * s.product.n * s.product.k * s.product.batch : 0),
  0,
);
const achieved = flops / (median(ours.flat()) / 1000);
const inTera = (rate: number): string => (rate / 1e12).toFixed(0);
console.log(
  `gradients alone ${graphMs.toFixed(2)} ms; ${(flops / 1e12).toFixed(2)} TFLOP in products`,
);
if (!options.host) {
  const rate = matrixRate(device), share = (100 * achieved / rate).toFixed(0);
  console.log(`${inTera(achieved)} TFLOP/s over the step, ${share} % of ${inTera(rate)} measured`);
}
if (options.profile) profile(prepared);
for (const peer of peers.values()) peer.stop();
await train.dispose();
await alone.dispose();
executor.dispose();
await Deno.remove(folder, { recursive: true });

/** FLOP/s of one large product in this precision, on random numbers. */
function matrixRate(device: Device): number {
  const size = 8192, type = precision === "bfloat16" ? "bfloat16" : "float32";
  const matrix = { type, rowStride: size, batchStride: 0 } as const;
  const product: MatrixProduct = {
    m: size,
    n: size,
    k: size,
    batch: 1,
    transposeA: false,
    transposeB: true,
    a: matrix,
    b: matrix,
    c: matrix,
    precision,
    hasAddend: false,
  };
  const bytes = size * size * (type === "bfloat16" ? 2 : 4);
  const [a, b, c] = [0, 1, 2].map(() => device.allocate(bytes));
  const random = type === "bfloat16"
    ? Uint16Array.from(
      { length: size * size },
      () => (Math.random() < 0.5 ? 0x8000 : 0) | 0x3f00 + Math.random() * 256,
    )
    : Float32Array.from({ length: size * size }, () => Math.random() * 2 - 1);
  for (const p of [a, b]) device.upload(p, random);
  const ready = device.prepareProduct(product);
  const run = (count: number): number => {
    device.synchronize();
    const start = performance.now();
    for (let i = 0; i < count; i++) device.multiply(ready, { a, b, c });
    device.synchronize();
    return (performance.now() - start) / 1000 / count;
  };
  run(3);
  const seconds = run(10);
  for (const p of [a, b, c]) device.free(p);
  return 2 * size ** 3 / seconds;
}

/** Each distinct step alone, repeated: what the whole consists of. */
function profile(prepared: PreparedProgram): void {
  const groups = new Map<string, { count: number; index: number; label: string; flops: number }>();
  prepared.lowered.steps.forEach((s, index) => {
    const known = JSON.stringify(
      s.kind === "kernel" ? [s.text, s.grid] : s.kind === "product" ? s.product : [s.kind, s.bytes],
    );
    const group = groups.get(known);
    if (group) {
      group.count++;
      return;
    }
    let label: string = s.kind, flops = 0;
    if (s.kind === "kernel") flops = s.flops ?? 0;
    if (s.kind === "kernel") label = `${s.label} ${s.grid.join("×")} blocks of ${s.threads}`;
    if (s.kind === "product") {
      const { m, n, k, batch, transposeA, transposeB, c } = s.product;
      flops = 2 * m * n * k * batch;
      label = `product ${batch} × ${m}×${n}×${k} ${transposeA ? "T" : "N"}${
        transposeB ? "T" : "N"
      } ${c.type}`;
    }
    groups.set(known, { count: 1, index, label: `${label} #${index}`, flops });
  });
  const rows = [...groups.values()]
    // What is sorted in place can't be repeated.
    .filter(({ label }) => !/^(sort|segment)/.test(label))
    .map((group) => {
      const run = prepared.stepAt(group.index);
      run();
      device.synchronize();
      const start = performance.now();
      for (let i = 0; i < STEPS; i++) run();
      device.synchronize();
      const us = (performance.now() - start) / STEPS * 1000;
      return { ...group, us, total: us * group.count };
    })
    .sort((a, b) => b.total - a.total);
  const total = rows.reduce((sum, r) => sum + r.total, 0);
  console.log(`${total.toFixed(0)} µs, step by step:`);
  for (const { total, count, us, label, flops } of rows) {
    const rate = flops ? `, ${(flops / us / 1e6).toFixed(0)} TFLOP/s` : "";
    console.log(`${total.toFixed(0).padStart(7)} = ${count} × ${us.toFixed(1)} ${label}${rate}`);
  }
}
