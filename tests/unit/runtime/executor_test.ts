import * as tf from "@tensorflow/tfjs-core";
import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeepragError, KernelError } from "../../../src/errors.ts";
import { type Program, record, toOnnx } from "../../../src/graph/mod.ts";
import {
  eagerExecutor,
  type Executor,
  onnxExecutor,
  openOnnx,
  workerExecutor,
} from "../../../src/runtime/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { keepMask } from "../../../src/tensor/keep_mask.ts";
import { testConformance } from "./conformance.ts";

const executors: Executor[] = [
  onnxExecutor({ threads: 2 }),
  workerExecutor({ threads: 2 }),
  eagerExecutor("wasm"),
  eagerExecutor("cpu"),
];
for (const executor of executors) testConformance(executor);

const doubled: Program = {
  name: "doubled",
  inputs: {
    x: { dtype: "float32", shape: ["B", 2] },
    w: { dtype: "float32", shape: [2] },
  },
  run: ({ x, w }) => ({ y: tf.mul(tf.concat([x, x], 0), w) }),
};
const x = hostTensor("float32", Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
const w = hostTensor("float32", Float32Array.of(10, 100), [2]);
const Y = [10, 200, 30, 400, 50, 600];

for (const backend of ["wasm", "cpu"] as const) {
  Deno.test(`${backend}: leaves no tensor behind and the active backend as it was`, async () => {
    await import("@tensorflow/tfjs-backend-cpu");
    await tf.setBackend("cpu");
    const before = tf.memory().numTensors;
    const e = await eagerExecutor(backend).compile(doubled, { constants: { w } });
    assertEquals(tf.memory().numTensors, before + 1); // the constant
    for (let i = 0; i < 3; i++) await e.run({ x });
    assertEquals(tf.memory().numTensors, before + 1);
    await e.dispose();
    assertEquals(tf.memory().numTensors, before);
    assertEquals(tf.getBackend(), "cpu");
  });
}

Deno.test("wasm: borrowed kernels equal their cpu originals and leak nothing", async () => {
  await (await eagerExecutor("wasm").compile(doubled)).dispose();
  const sums: number[][] = [];
  for (const backend of ["cpu", "wasm"]) {
    await tf.setBackend(backend);
    const data = tf.tensor2d([[1, 2], [3, 4], [5, 6]]), ids = tf.tensor1d([2, 0, 2], "int32");
    const before = tf.memory().numTensors, held = tf.findBackend("cpu").numDataIds();
    const sum = tf.unsortedSegmentSum(data, ids, 4);
    const product = tf.einsum("ij,kj->ik", data, data);
    sums.push([...sum.dataSync(), ...product.dataSync()]);
    tf.dispose([sum, product]);
    assertEquals(tf.memory().numTensors, before);
    assertEquals(tf.findBackend("cpu").numDataIds(), held);
    tf.dispose([data, ids]);
  }
  assertEquals(sums[0].slice(0, 8), [3, 4, 0, 0, 6, 8, 0, 0]);
  sums[1].forEach((s, i) => assertAlmostEquals(s, sums[0][i], 1e-5));
});

Deno.test("a mask drawn outside a run says what to do", async () => {
  await (await eagerExecutor("cpu").compile(doubled)).dispose();
  await tf.setBackend("cpu");
  assertThrows(() => keepMask([2], 0.5), DeepragError, "eagerExecutor()");
});

Deno.test("openOnnx runs a file and bytes, and checks as the original program does", async () => {
  const { model } = toOnnx(record(doubled, { dialect: "export" }), { constants: { w } });
  const path = await Deno.makeTempFile({ suffix: ".onnx" });
  await Deno.writeFile(path, model);
  for (const source of [path, model]) {
    const e = await openOnnx(source);
    assertEquals(e.inputs, { x: "float32" });
    const y = hostTensor("float32", new Float32Array(12), [6, 2]);
    assertEquals((await e.run({ x }, { outputs: { y } })).y.data, Float32Array.of(...Y, ...Y));
    await assertRejects(
      () => e.run({ x }, { outputs: { y: x } }),
      DeepragError,
      "float32 [2*B, 2] = [6, 2]",
    );
    await assertRejects(() => e.run({}), DeepragError, "x is missing, expected float32 [B, 2]");
    await e.dispose();
  }
  await Deno.writeFile(path, model.subarray(0, model.length - 40));
  await assertRejects(() => openOnnx(path), KernelError, `Cannot open ${path}`);
  await Deno.remove(path);
  await assertRejects(() => openOnnx(path), KernelError, `Cannot open ${path}`);
});

Deno.test("a model with a data file runs, and its temporary files go away", async () => {
  const table = hostTensor("float32", Float32Array.from({ length: 4096 }, (_, i) => i), [1024, 4]);
  const program: Program = {
    name: "big",
    inputs: {
      ids: { dtype: "int32", shape: ["B"] },
      table: { dtype: "float32", shape: [1024, 4] },
    },
    run: ({ ids, table }) => ({ rows: tf.gather(table, ids) }),
  };
  const recording = record(program, { dialect: "export" });
  const model = toOnnx(recording, { constants: { table }, externalDataBytes: 100 });
  assertEquals(model.externalData !== undefined, true);
  const { createSession, OnnxExecutable, signatureOf } = await import(
    "../../../src/runtime/onnx_session.ts"
  );
  const session = await createSession(model);
  const e = new OnnxExecutable(session, signatureOf(session.opened, "big"));
  const { rows } = await e.run({ ids: hostTensor("int32", Int32Array.of(1023, 5), [2]) });
  assertEquals(Array.from(rows.data), [4092, 4093, 4094, 4095, 20, 21, 22, 23]);
  await e.dispose();
});

Deno.test("onnx-worker: this thread goes on while a program runs", async () => {
  const program: Program = {
    name: "slow",
    inputs: { a: { dtype: "float32", shape: ["N", "N"] } },
    run: ({ a }) => {
      let y = a as tf.Tensor2D;
      for (let i = 0; i < 4; i++) y = tf.matMul(y, a as tf.Tensor2D);
      return { y };
    },
  };
  const e = await workerExecutor({ threads: 1 }).compile(program);
  const a = hostTensor("float32", new Float32Array(700 * 700), [700, 700]);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 2);
  await e.run({ a });
  clearInterval(timer);
  assertEquals(ticks > 2, true, `${ticks} ticks`);
  await e.dispose();
});

Deno.test("the runtime's own failures are KernelErrors that name program and executor", async () => {
  const program: Program = {
    name: "outside",
    inputs: {
      ids: { dtype: "int32", shape: ["B"] },
      table: { dtype: "float32", shape: [4, 2] },
    },
    run: ({ ids, table }) => ({ rows: tf.gather(table, ids) }),
  };
  const feeds = {
    ids: hostTensor("int32", Int32Array.of(99), [1]),
    table: hostTensor("float32", new Float32Array(8), [4, 2]),
  };
  for (const executor of executors.slice(0, 2)) {
    const e = await executor.compile(program);
    await assertRejects(() => e.run(feeds), KernelError, "Cannot run outside on ONNX Runtime");
    await e.dispose();
  }
});
