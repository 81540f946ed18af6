import * as tf from "@tensorflow/tfjs-core";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError, TraceError } from "../../../src/errors.ts";
import { evaluateSize, type Program, record, toOnnx } from "../../../src/graph/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { keepMask } from "../../../src/tensor/keep_mask.ts";
import { runOnnx } from "../../parity.ts";

const f32 = (data: number[], shape = [data.length]) =>
  hostTensor("float32", Float32Array.from(data), shape);

const linear: Program = {
  name: "linear",
  inputs: { x: { dtype: "float32", shape: ["B", 2] }, w: { dtype: "float32", shape: [2, 300] } },
  run: ({ x, w }) => ({ y: tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D) }),
};
const weights = hostTensor("float32", Float32Array.from({ length: 600 }, (_, i) => i), [2, 300]);

/** Whether the bytes of a model contain a text. */
const mentions = (model: Uint8Array, text: string) =>
  new TextDecoder("latin1").decode(model).includes(text);

Deno.test("outputs may be inputs, constants, and the same value twice", async () => {
  const program: Program = {
    name: "outputs",
    inputs: { x: { dtype: "float32", shape: ["B"] }, unused: { dtype: "int32", shape: ["B"] } },
    run: ({ x }) => {
      const y = tf.neg(x);
      return { same: x, y, again: y, seven: tf.fill([x.shape[0]], 7), one: tf.scalar(1) };
    },
  };
  const recording = record(program);
  assertEquals(recording.inputs.map((i) => i.name), ["x", "unused"]);
  const out = await runOnnx(toOnnx(recording).model, {
    x: f32([1, 2]),
    unused: hostTensor("int32", Int32Array.of(0, 0), [2]),
  });
  const plain = Object.entries(out).map(([n, t]) => [n, [...t.data as Float32Array]]);
  assertEquals(Object.fromEntries(plain), {
    same: [1, 2],
    y: [-1, -2],
    again: [-1, -2],
    seven: [7, 7],
    one: [1],
  });
});

Deno.test("an unused input stays declared", () => {
  const program: Program = {
    ...linear,
    inputs: { ...linear.inputs, idle: { dtype: "bool", shape: ["Q"] } },
  };
  assert(mentions(toOnnx(record(program)).model, "idle"));
});

Deno.test("constants become initialisers and must fit", async () => {
  const recording = record(linear);
  const { model } = toOnnx(recording, { constants: { w: weights } });
  const { y } = await runOnnx(model, { x: f32([1, 1], [1, 2]) });
  assertEquals(y.data[5], 5 + 305);
  assertThrows(() => toOnnx(recording, { constants: { v: weights } }), ShapeError, "no such input");
  assertThrows(() => toOnnx(recording, { constants: { w: f32([1]) } }), ShapeError, "[2,300]");
});

Deno.test("a constant that no output needs is left out", () => {
  const inputs = { ...linear.inputs, idle: { dtype: "float32" as const, shape: [600] } };
  const idle = hostTensor("float32", weights.data, [600]);
  const { model } = toOnnx(record({ ...linear, inputs }), { constants: { w: weights, idle } });
  assert(model.length < 1.2 * 2400, `${model.length} bytes for weights of 2400`);
  assert(!mentions(model, "idle"));
});

Deno.test("any name may be used for inputs and outputs", async () => {
  const program: Program = {
    name: "v0",
    inputs: { v0: { dtype: "float32", shape: ["v1"] }, v2: { dtype: "float32", shape: [] } },
    run: ({ v0, v2 }) => ({ v1: tf.add(tf.mul(v0, v0), v2), v3: tf.neg(tf.exp(v0)) }),
  };
  const out = await runOnnx(toOnnx(record(program)).model, { v0: f32([0, 2]), v2: f32([1], []) });
  assertEquals([...out.v1.data], [1, 5]);
  assertEquals(out.v3.data[0], -1);
});

Deno.test("constants that differ in the sign of zero only are two", () => {
  const { nodes } = record({
    name: "zeros",
    inputs: { x: { dtype: "float32", shape: [] } },
    run: ({ x }) => ({ y: tf.mul(x, tf.tensor1d([0, 1])), z: tf.mul(x, tf.tensor1d([-0, 1])) }),
  });
  const tables = nodes.map((n) => n.inputs[1].source);
  assertEquals(tables.map((t) => t.kind === "table" && 1 / t.data[0]), [Infinity, -Infinity]);
});

Deno.test("a symbol that only constants have cannot be read", () => {
  const program: Program = {
    name: "fill",
    inputs: { x: { dtype: "float32", shape: ["B"] }, z: { dtype: "float32", shape: [] } },
    run: ({ x, z }) => ({ y: tf.add(tf.fill([2 * x.shape[0]], 1), z) }),
  };
  const recording = record(program);
  assertThrows(() => toOnnx(recording, { constants: { x: f32([1]) } }), ShapeError);
  assert(toOnnx(recording).model.length > 0);
  assertThrows(() => toOnnx({ ...recording, inputs: [recording.inputs[1]] }), TraceError, "size B");
});

Deno.test("fixed symbols make a static graph", () => {
  const { inputs, symbols, outputs } = record(linear, { fixed: { B: 4 } });
  assertEquals(symbols, []);
  assertEquals(inputs[0].shape, [4, 2]);
  assertEquals(outputs[0].shape.map((s) => evaluateSize(s, {})), [4, 300]);
});

Deno.test("large constants go to a data file beside the model", async () => {
  const recording = record(linear);
  const options = { constants: { w: weights }, externalDataBytes: 1000, dataFileName: "m.data" };
  const { model, externalData } = toOnnx(recording, options);
  assert(model.length < 1000, "the weights are not in the model");
  assertEquals(externalData!.fileName, "m.data");
  assertEquals(externalData!.sizeBytes, 2400);
  assert(externalData!.chunks[0].buffer === weights.data.buffer, "not copied");
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/m.onnx`, model);
    using file = await Deno.open(`${folder}/m.data`, { write: true, create: true });
    for (const chunk of externalData!.chunks) await file.write(chunk);
    const { y } = await runOnnx(`${folder}/m.onnx`, { x: f32([1, 1], [1, 2]) });
    assertEquals(y.data[5], 5 + 305);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("every tensor of a data file starts on a page", () => {
  const program: Program = {
    name: "two",
    inputs: { a: { dtype: "float32", shape: [300] }, b: { dtype: "float32", shape: [300] } },
    run: ({ a, b }) => ({ y: tf.add(a, b) }),
  };
  const a = hostTensor("float32", new Float32Array(300), [300]);
  const { externalData } = toOnnx(record(program), {
    constants: { a, b: a },
    externalDataBytes: 0,
  });
  assertEquals(externalData!.chunks.map((c) => c.length), [1200, 4096 - 1200, 1200]);
  assertEquals(externalData!.sizeBytes, 4096 + 1200);
});

Deno.test("only the training dialect uses com.microsoft", () => {
  const program: Program = {
    name: "scores",
    inputs: { q: { dtype: "float32", shape: ["B", 2, "S", 4] } },
    run: ({ q }) => ({ y: tf.matMul(q, q, false, true) }),
  };
  const ops = (dialect: "training" | "export") =>
    record(program, { dialect }).nodes.map((n) => n.op);
  assertEquals(ops("training"), ["FusedMatMul"]);
  assertEquals(ops("export"), ["Transpose", "MatMul"]);
  const model = (dialect: "training" | "export") => toOnnx(record(program, { dialect })).model;
  assert(mentions(model("training"), "com.microsoft"));
  assert(!mentions(model("export"), "com.microsoft"));
});

Deno.test("a keep mask is an input, whatever it is used for", async () => {
  const program: Program = {
    name: "dropout",
    inputs: { x: { dtype: "float32", shape: ["B", "S"] } },
    run: ({ x }) => {
      const first = keepMask([x.shape[0], 1], 0.5), second = keepMask(x.shape, 0.9);
      return { y: tf.mul(x, first), z: tf.mul(x, second) };
    },
  };
  const recording = record(program);
  assertEquals(recording.keepMasks.map((k) => [k.name, k.site, k.keepProb]), [
    ["keep_mask:0", 0, 0.5],
    ["keep_mask:1", 1, 0.9],
  ]);
  const sizes = { B: 3, S: 2 };
  assertEquals(recording.keepMasks.map((k) => k.shape.map((s) => evaluateSize(s, sizes))), [
    [3, 1],
    [3, 2],
  ]);
  const { y, z } = await runOnnx(toOnnx(recording).model, {
    x: f32([1, 2, 3, 4], [2, 2]),
    "keep_mask:0": f32([0, 1], [2, 1]),
    "keep_mask:1": f32([1, 0, 0, 1], [2, 2]),
  });
  assertEquals([...y.data], [0, 0, 3, 4]);
  assertEquals([...z.data], [1, 0, 0, 4]);
});

Deno.test("the backward pass uses the mask of the forward pass", async () => {
  const { withGradients } = await import("../../../src/graph/mod.ts");
  const program = withGradients({
    name: "dropout",
    inputs: { x: { dtype: "float32", shape: ["B"] } },
    run: ({ x }) => ({ loss: tf.sum(tf.mul(x, keepMask(x.shape, 0.5))) }),
  }, { loss: "loss", parameters: ["x"] });
  const recording = record(program);
  assertEquals(recording.keepMasks.length, 1);
  const out = await runOnnx(toOnnx(recording).model, {
    x: f32([1, 2, 3]),
    "keep_mask:0": f32([1, 0, 1]),
  });
  assertEquals([...out["grad:x"].data], [1, 0, 1]);
});
