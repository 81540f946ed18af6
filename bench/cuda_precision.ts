/**
 * Does lower precision change what is learned? A small T5 is trained on the same batches in float32,
 * tf32 and bfloat16, from the same start; printed are the losses, and how far the curves are apart.
 *
 *     deno run -A bench/cuda_precision.ts [--steps=500] [--precisions=float32,tf32,bfloat16] [--host]
 *
 * The task can be learned and not guessed: the target is the first tokens of the source in reverse, each
 * replaced by its partner. A curve is the mean of 20 steps; apart is the largest relative difference
 * of two curves at any point.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import {
  createTrainStep,
  type HostTensors,
  Optimizer,
  ParameterStore,
} from "../src/runtime/mod.ts";
import { adamw } from "../src/optim/mod.ts";
import { deviceExecutor } from "../src/runtime/cuda/cuda_executor.ts";
import type { MatrixPrecision } from "../src/runtime/cuda/device.ts";
import { openCudaDevice } from "../src/runtime/cuda/open_cuda_device.ts";
import { openHostDevice } from "../src/runtime/cuda/host_device.ts";
import { hostTensor } from "../src/tensor/host_tensor.ts";
import { randomStream } from "../src/tensor/random.ts";
import { t5Step } from "./_t5_step.ts";

const options = parseArgs(Deno.args, {
  string: ["steps", "precisions"],
  boolean: ["host"],
  default: { steps: "500", precisions: "float32,tf32,bfloat16" },
});
const steps = Number(options.steps), WINDOW = 20;
const sizes: [number, number, number] = options.host ? [4, 8, 4] : [64, 32, 8];
const { config, program, store: { specs } } = t5Step("small", { sizes });
const [B, S, T] = sizes;
/** Tokens that occur: few enough to learn each. */
const TOKENS = 200;

function batchAt(step: number): HostTensors {
  const random = randomStream({ seed: 7, stream: "data", step });
  const ids = Int32Array.from({ length: B * S }, () => 2 + random.int(TOKENS));
  const partner = (id: number): number => 2 + (id - 2) * 7 % TOKENS;
  return {
    inputIds: hostTensor("int32", ids, [B, S]),
    isToken: hostTensor("float32", new Float32Array(B * S).fill(1), [B, S]),
    labels: hostTensor(
      "int32",
      Int32Array.from({ length: B * T }, (_, i) => {
        const b = Math.floor(i / T), t = i % T;
        return partner(ids[b * S + T - 1 - t]);
      }),
      [B, T],
    ),
  };
}

const device = options.host ? await openHostDevice() : await openCudaDevice();
console.log(
  `${device.name}; T5 of ${config.modelWidth}, batch ${B}×${S}→${T}, ${steps} steps of AdamW`,
);
const curves = new Map<string, number[]>();
for (const precision of options.precisions.split(",") as MatrixPrecision[]) {
  const executor = deviceExecutor(device, { precision });
  const store = new ParameterStore(specs, { rule: adamw({ weightDecay: 0.01 }) });
  store.initialise(1);
  const optimizer = new Optimizer(store);
  const train = await createTrainStep(executor, program, store);
  const losses: number[] = [], start = performance.now();
  for (let step = 0; step < steps; step++) {
    losses.push((await train.step(batchAt(step))).loss);
    optimizer.step(1e-3 * Math.min(1, (step + 1) / 50), { clipNorm: 1 });
  }
  const ms = (performance.now() - start) / steps;
  await train.dispose();
  const smooth = losses.map((_, i) => {
    const part = losses.slice(Math.max(0, i - WINDOW + 1), i + 1);
    return part.reduce((a, b) => a + b) / part.length;
  });
  curves.set(precision, smooth);
  const at = [0, 0.1, 0.25, 0.5, 0.75, 1].map((f) => Math.min(steps - 1, Math.floor(f * steps)));
  console.log(
    `${precision.padEnd(9)} ${at.map((i) => `${i}: ${smooth[i].toFixed(4)}`).join("  ")}` +
      `  (${ms.toFixed(1)} ms a step)`,
  );
}
const [[reference, base], ...others] = [...curves];
for (const [precision, curve] of others) {
  const apart = curve.map((x, i) => Math.abs(x / base[i] - 1));
  const mean = (xs: number[]): number => xs.reduce((a, b) => a + b) / xs.length;
  const worst = apart.indexOf(Math.max(...apart));
  console.log(
    `${precision} against ${reference}: ${(100 * mean(apart)).toFixed(2)} % apart in the mean, ` +
      `${(100 * apart[worst]).toFixed(2)} % at most (step ${worst}), ` +
      `${(100 * apart.at(-1)!).toFixed(2)} % at the end`,
  );
}
device.dispose();
