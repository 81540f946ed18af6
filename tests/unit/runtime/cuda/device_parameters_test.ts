/** Training with parameters, gradients and optimiser state on the device, against training in host memory. */
import * as tf from "@tensorflow/tfjs-core";
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Program } from "../../../../src/graph/mod.ts";
import { adamw, sgd } from "../../../../src/optim/mod.ts";
import { deviceExecutor } from "../../../../src/runtime/cuda/cuda_executor.ts";
import {
  createTrainStep,
  type Executor,
  onnxExecutor,
  Optimizer,
  ParameterStore,
} from "../../../../src/runtime/mod.ts";
import { hostTensor } from "../../../../src/tensor/host_tensor.ts";
import { dropout } from "../../../../src/nn/mod.ts";
import { hostDevice, testOnHost } from "./_host.ts";

const normal = { kind: "normal", std: 0.3 } as const;
const specs = {
  embedding: { shape: [11, 8], init: normal },
  scale: { shape: [8], init: { kind: "constant", value: 1 }, decay: false },
  matrix: { shape: [8, 5], init: normal, rateFactor: 2 },
  bias: { shape: [5], init: { kind: "constant", value: 0 }, decay: false },
} as const;

const program: Program = {
  name: "small",
  inputs: {
    ...Object.fromEntries(
      Object.entries(specs).map(([n, { shape }]) => [n, { dtype: "float32", shape }]),
    ),
    ids: { dtype: "int32", shape: ["B"] },
    classes: { dtype: "int32", shape: ["B"] },
  },
  run: ({ embedding, scale, matrix, bias, ids, classes }) => {
    const x = dropout(tf.mul(tf.gather(embedding, ids as tf.Tensor1D), scale), 0.25);
    const logits = tf.add(tf.matMul(x as tf.Tensor2D, matrix as tf.Tensor2D), bias);
    const picked = tf.mul(tf.logSoftmax(logits), tf.oneHot(classes as tf.Tensor1D, 5));
    return { loss: tf.neg(tf.mean(tf.sum(picked, -1))), logits };
  },
};

const batchAt = (step: number) => {
  const B = 6 + step % 2;
  return {
    ids: hostTensor("int32", Int32Array.from({ length: B }, (_, i) => (i * 5 + step) % 11), [B]),
    classes: hostTensor("int32", Int32Array.from({ length: B }, (_, i) => (i + step) % 5), [B]),
  };
};

interface Trained {
  losses: number[];
  norms: number[];
  applied: boolean[];
  flat: Float32Array;
  state: Float32Array;
  average: Float32Array;
}

/** Steps of two batches each, with clipping, averaging, a look at the parameters and one bad step. */
async function train(executor: Executor): Promise<Trained> {
  const store = new ParameterStore(specs, {
    rule: adamw({ weightDecay: 0.1 }),
    average: true,
    accumulate: true,
  });
  store.initialise(3);
  const optimizer = new Optimizer(store, { averageDecay: 0.9 });
  const step = await createTrainStep(executor, program, store);
  const losses: number[] = [], norms: number[] = [], applied: boolean[] = [];
  for (let i = 0; i < 6; i++) {
    const kept = store.params.bias.data[0];
    if (i === 4) store.params.bias.data[0] = NaN; // the gradients are not finite then
    for (let part = 0; part < 2; part++) {
      const random = { seed: 1, stream: "dropout", step: 2 * i + part };
      losses.push((await step.step(batchAt(2 * i + part), { random })).loss);
      optimizer.accumulate();
    }
    // The host changes a parameter, or the gradients: the next step must see it.
    if (i === 2) store.params.bias.data[1] += 0.5;
    if (i === 1) store.training.accumulated![0] += 3;
    const result = optimizer.step(0.05, {
      clipNorm: i % 2 ? 0.4 : undefined,
    });
    if (i === 4) store.params.bias.data[0] = kept;
    norms.push(result.gradNorm);
    applied.push(result.isApplied);
    if (i === 3) await optimizer.withAverage(() => Promise.resolve());
  }
  await step.dispose();
  const { state, average } = store.training;
  return { losses, norms, applied, flat: store.flat, state, average: average! };
}

function assertNear(a: ArrayLike<number>, b: ArrayLike<number>, what: string): void {
  assertEquals(a.length, b.length);
  for (let i = 0; i < a.length; i++) {
    const limit = 2e-5 * Math.max(1, Math.abs(b[i]));
    assert(
      Math.abs(a[i] - b[i]) <= limit || Object.is(a[i], b[i]),
      `${what} ${i}: ${a[i]}, ${b[i]}`,
    );
  }
}

testOnHost("training on a device is training in host memory", async () => {
  const device = await hostDevice(), before = device.allocations;
  const here = await train(onnxExecutor()), there = await train(deviceExecutor(device));
  assertNear(there.losses, here.losses, "loss");
  assertEquals(there.applied, here.applied);
  assertNear(there.norms.map(Math.fround), here.norms.map(Math.fround), "norm");
  for (const vector of ["flat", "state", "average"] as const) {
    assertNear(there[vector], here[vector], vector);
  }
  assertEquals(device.allocations, before, "everything is freed");
});

testOnHost("two trainings on a device are bit-equal, in bfloat16 too", async () => {
  for (const precision of ["float32", "bfloat16"] as const) {
    const executor = deviceExecutor(await hostDevice(), { precision });
    const [a, b] = [await train(executor), await train(executor)];
    assertEquals(a, b);
    assertEquals(a.applied, [true, true, true, true, false, true]);
  }
});

testOnHost("a program that is no part of the training sees resident parameters", async () => {
  const executor = deviceExecutor(await hostDevice());
  const store = new ParameterStore(specs, { rule: adamw() });
  store.initialise(5);
  const { params } = store; // views from before the training
  const step = await createTrainStep(executor, program, store);
  const forward = await executor.compile({
    ...program,
    run: ({ embedding, matrix }) => ({
      y: tf.matMul(embedding as tf.Tensor2D, matrix as tf.Tensor2D),
    }),
  });
  const inputs = () => ({ ...params, ...batchAt(0) });
  const first = (await forward.run(inputs())).y;
  await step.step(batchAt(0), { random: { seed: 1, stream: "d", step: 0 } });
  new Optimizer(store).step(0.1);
  const second = (await forward.run(inputs())).y;
  assertNotEquals(first.data, second.data);
  store.params; // brings the views up to date
  assertEquals((await forward.run(inputs())).y.data, second.data);
  await Promise.all([step.dispose(), forward.dispose()]);
});

testOnHost("rules that have no kernel are trained in host memory", async () => {
  const executor = deviceExecutor(await hostDevice());
  const store = new ParameterStore(specs, { rule: sgd() });
  store.initialise(5);
  const step = await createTrainStep(executor, program, store);
  assertEquals(store.resident, undefined);
  const { loss } = await step.step(batchAt(0), { random: { seed: 1, stream: "d", step: 0 } });
  assert(Number.isFinite(loss));
  await step.dispose();
});

testOnHost("of a row-sparse parameter only the rows of a batch are seen and updated", async () => {
  const init = { kind: "normal", std: 0.3 } as const;
  const rowSpecs = {
    table: { shape: [9, 4], init, isRowSparse: true, rateFactor: 2 },
    w: { shape: [4, 3], init },
  } as const;
  const sparse: Program = {
    name: "sparse",
    inputs: {
      table: { dtype: "float32", shape: ["U", 4] },
      w: { dtype: "float32", shape: [4, 3] },
      bag: { dtype: "float32", shape: ["B", "U"] },
    },
    run: ({ table, w, bag }) => ({
      loss: tf.sum(
        tf.square(tf.sub(
          tf.matMul(tf.matMul(bag as tf.Tensor2D, table as tf.Tensor2D), w as tf.Tensor2D),
          1,
        )),
      ),
    }),
  };
  const run = async (executor: Executor) => {
    const store = new ParameterStore(rowSpecs, { rule: adamw({ weightDecay: 0.1 }) });
    store.initialise(3);
    const optimizer = new Optimizer(store);
    const step = await createTrainStep(executor, sparse, store);
    const losses: number[] = [], norms: number[] = [];
    for (const used of [[0, 3, 8], [1, 3], [0, 3, 8], [2, 4, 5, 6, 7], [8]]) {
      const U = used.length, rows = { table: Int32Array.from(used) };
      const bag = hostTensor("float32", Float32Array.from({ length: 2 * U }, (_, i) => i % 3), [
        2,
        U,
      ]);
      losses.push((await step.step({ bag }, { rows })).loss);
      norms.push(optimizer.step(0.02, { clipNorm: 1, rows }).gradNorm);
    }
    await step.dispose();
    return { losses, norms, flat: store.flat, state: store.training.state };
  };
  const here = await run(onnxExecutor()), there = await run(deviceExecutor(await hostDevice()));
  assertNear(there.losses, here.losses, "loss");
  assertNear(there.norms.map(Math.fround), here.norms.map(Math.fround), "norm");
  assertNear(there.flat, here.flat, "parameter");
  assertNear(there.state, here.state, "state");
});

testOnHost("looking at a store between a batch and its sum changes nothing", async () => {
  const run = async (doesLook: boolean): Promise<number> => {
    const store = new ParameterStore(specs, { rule: adamw(), accumulate: true });
    store.initialise(3);
    const optimizer = new Optimizer(store);
    const step = await createTrainStep(deviceExecutor(await hostDevice()), program, store);
    for (let part = 0; part < 3; part++) {
      await step.step(batchAt(part), { random: { seed: 1, stream: "d", step: part } });
      if (doesLook) store.gradients;
      optimizer.accumulate();
    }
    const { gradNorm } = optimizer.step(0.1);
    await step.dispose();
    return gradNorm;
  };
  assertEquals(await run(true), await run(false));
});

testOnHost("gradients that are one value reach both parameters", async () => {
  const init = { kind: "constant", value: 1 } as const;
  const store = new ParameterStore({ a: { shape: [8], init }, b: { shape: [8], init } }, {
    rule: adamw(),
  });
  store.initialise(0);
  const step = await createTrainStep(deviceExecutor(await hostDevice()), {
    name: "same",
    inputs: {
      a: { dtype: "float32", shape: [8] },
      b: { dtype: "float32", shape: [8] },
      x: { dtype: "float32", shape: [8] },
    },
    run: ({ a, b, x }) => ({ loss: tf.sum(tf.square(tf.sub(tf.add(a, b), x))) }),
  }, store);
  await step.step({ x: hostTensor("float32", new Float32Array(8), [8]) });
  assertEquals(store.gradients.a.data, new Float32Array(8).fill(4));
  assertEquals(store.gradients.b.data, store.gradients.a.data);
  await step.dispose();
});
