/**
 * A training step by operations of an eager backend against the recorded graph in ONNX Runtime, taken in
 * turns, and what the eager one leaves in memory:
 *
 *     deno run -A bench/eager_step.ts --config=small --backend=tfjs-node --rounds=7 --steps=200
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import * as tf from "@tensorflow/tfjs-core";
import {
  createTrainStep,
  type EagerBackend,
  eagerExecutor,
  onnxExecutor,
} from "../src/runtime/mod.ts";
import { median } from "./_median.ts";
import { t5Step } from "./_t5_step.ts";

const options = parseArgs(Deno.args, {
  string: ["config", "backend", "rounds", "steps", "threads"],
  default: {
    config: "small",
    backend: "tfjs-node",
    rounds: "7",
    steps: "0",
    threads: String(navigator.hardwareConcurrency),
  },
});
const threads = Number(options.threads);
const sides = await Promise.all(
  [onnxExecutor({ threads }), eagerExecutor(options.backend as EagerBackend, { threads })].map(
    async (executor) => {
      const { store, program, batch, sizes } = t5Step(options.config);
      const train = await createTrainStep(executor, program, store);
      return { name: executor.name, train, store, batch, sizes, times: [] as number[] };
    },
  ),
);
const [onnx, eager] = sides;
const [B, S, T] = onnx.sizes;
console.log(
  `${options.config}: ${
    (onnx.store.parameterCount / 1e6).toFixed(1)
  } M parameters, batch ${B}×${S}→${T}`,
);

const losses = [];
for (const { train, batch } of sides) losses.push((await train.step(batch)).loss);
let difference = 0, size = 0;
for (const [name, { data }] of Object.entries(onnx.store.gradients)) {
  const other = eager.store.gradients[name].data;
  for (let i = 0; i < data.length; i++) {
    difference += (data[i] - other[i]) ** 2;
    size += data[i] ** 2;
  }
}
console.log(
  `loss ${losses.map((x) => x.toFixed(5)).join(" and ")}; relative L2 difference of the gradient ` +
    Math.sqrt(difference / size).toExponential(1),
);

for (let round = 0; round < Number(options.rounds); round++) {
  for (const { train, batch, times } of sides) {
    const begin = performance.now();
    await train.step(batch);
    times.push(performance.now() - begin);
  }
}
const ratio = median(eager.times.map((ms, i) => ms / onnx.times[i]));
for (const { name, times } of sides) {
  console.log(
    `${name.padEnd(10)} ${median(times).toFixed(0)} ms a step, fastest ${
      Math.min(...times).toFixed(0)
    }`,
  );
}
console.log(`${eager.name} / onnx = ${ratio.toFixed(2)}, paired`);

const residentMegabytes = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))![1]) / 1024;
const steps = Number(options.steps);
for (let step = 1; step <= steps; step++) {
  await eager.train.step(eager.batch);
  if (step % Math.ceil(steps / 10) === 0) {
    const { numTensors, numBytes } = tf.memory();
    console.log(
      `step ${step}: ${numTensors} tensors, ${numBytes} bytes; process ${
        residentMegabytes().toFixed(0)
      } MB`,
    );
  }
}
for (const { train } of sides) await train.dispose();
