/**
 * A toy that trains and saves as a real run does: random batches and dropout masks from
 * counter-based streams, AdamW with clipping, accumulation and a moving average, a schedule.
 *
 * As a script: `toy_training.ts <folder> <steps> <checkpoint every>` goes on from the latest
 * checkpoint of the folder, and prints every step.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { adamw, type ScheduleConfig, scheduleFactor } from "../../../src/optim/mod.ts";
import {
  createTrainStep,
  latestCheckpoint,
  onnxExecutor,
  Optimizer,
  ParameterStore,
  saveCheckpoint,
} from "../../../src/runtime/mod.ts";
import type { Program } from "../../../src/graph/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { keepMask } from "../../../src/tensor/keep_mask.ts";
import type { ParamSpecs } from "../../../src/tensor/params.ts";
import { randomStream } from "../../../src/tensor/random.ts";

const SEED = 5, BATCH = 16;
const schedule: ScheduleConfig = { kind: "cosine", warmupSteps: 3, totalSteps: 40 };

/** Parameters of the toy. */
export const toySpecs: ParamSpecs = {
  w1: { shape: [8, 16], init: { kind: "normal", std: 0.3 } },
  b1: { shape: [16], init: { kind: "constant", value: 0 }, decay: false },
  w2: { shape: [16, 1], init: { kind: "normal", std: 0.3 } },
};

/** Mean squared error of a small network with dropout. */
export const toyProgram: Program = {
  name: "toy",
  inputs: {
    w1: { dtype: "float32", shape: [8, 16] },
    b1: { dtype: "float32", shape: [16] },
    w2: { dtype: "float32", shape: [16, 1] },
    x: { dtype: "float32", shape: ["B", 8] },
    y: { dtype: "float32", shape: ["B"] },
  },
  run: ({ w1, b1, w2, x, y }) => {
    const hidden = tf.relu(tf.add(tf.matMul(x as tf.Tensor2D, w1 as tf.Tensor2D), b1));
    const dropped = tf.mul(hidden, keepMask([x.shape[0], 16], 0.8));
    const out = tf.reshape(tf.matMul(dropped as tf.Tensor2D, w2 as tf.Tensor2D), [-1]);
    return { loss: tf.mean(tf.square(tf.sub(out, y))), out };
  },
};

/** A store and an optimiser as the toy uses them. */
export function toyOptimizer(): Optimizer {
  const rule = adamw({ weightDecay: 0.1 });
  const store = new ParameterStore(toySpecs, { rule, average: true, accumulate: true });
  store.initialise(SEED);
  return new Optimizer(store, { averageDecay: 0.9 });
}

function batch(
  step: number,
  part: number,
): { x: ReturnType<typeof hostTensor>; y: ReturnType<typeof hostTensor> } {
  const stream = randomStream({ seed: SEED, stream: `data/${part}`, step });
  const x = Float32Array.from({ length: BATCH * 8 }, () => stream.normal());
  const y = Float32Array.from({ length: BATCH }, (_, i) => Math.sin(x[i * 8]) + x[i * 8 + 1]);
  return { x: hostTensor("float32", x, [BATCH, 8]), y: hostTensor("float32", y, [BATCH]) };
}

/** Train up to `steps`, from the latest checkpoint of `folder`. */
export async function trainToy(
  folder: string,
  { steps, every, onStep }: { steps: number; every: number; onStep?: (step: number) => void },
): Promise<Optimizer> {
  const optimizer = toyOptimizer(), { store } = optimizer;
  const { checkpoint } = await latestCheckpoint(folder);
  await checkpoint?.restore(optimizer);
  const train = await createTrainStep(onnxExecutor({ threads: 1 }), toyProgram, store);
  for (let step = checkpoint?.manifest.step ?? 0; step < steps; step++) {
    for (const part of [0, 1]) {
      const random = { seed: SEED, stream: `dropout/${part}`, step };
      await train.step(batch(step, part), { random });
      optimizer.accumulate();
    }
    optimizer.step(0.01 * scheduleFactor(schedule, step), { clipNorm: 1 });
    if ((step + 1) % every === 0) {
      await saveCheckpoint(folder, { step: step + 1, seed: SEED, schedule, position: step + 1 }, {
        store,
        optimizer,
        keepLast: 2,
      });
    }
    onStep?.(step + 1);
  }
  await train.dispose();
  return optimizer;
}

if (import.meta.main) {
  const [folder, steps, every] = Deno.args;
  await trainToy(folder, {
    steps: Number(steps),
    every: Number(every),
    onStep: (step) => console.log(step),
  });
}
