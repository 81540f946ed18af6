import * as tf from "@tensorflow/tfjs-core";
import { assertEquals, assertThrows } from "@std/assert";
import * as ort from "onnxruntime-node";
import { ShapeError } from "../../../src/errors.ts";
import { evaluateSize, type Program, record, toOnnx } from "../../../src/graph/mod.ts";
import { openOnnx } from "../../../src/runtime/mod.ts";
import { signatureOf } from "../../../src/runtime/onnx_session.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";

const int64 = (data: bigint[], shape = [data.length]) =>
  new ort.Tensor("int64", BigInt64Array.from(data), shape);

const tokens: Program = {
  name: "tokens",
  inputs: {
    "input.ids": { dtype: "int32", shape: ["B", "S"] },
    table: { dtype: "float32", shape: [3, 2] },
    idle: { dtype: "int32", shape: ["B"] },
  },
  run: ({ "input.ids": ids, table }) => {
    const next = tf.add(ids, tf.scalar(1, "int32"));
    return { rows: tf.gather(table, ids), next, again: next, same: ids, inner: next };
  },
};
const table = hostTensor("float32", Float32Array.of(0, 1, 10, 11, 20, 21), [3, 2]);

Deno.test("int32 inputs and outputs can be int64 in the file", async () => {
  const { model } = toOnnx(record(tokens, { dialect: "export" }), {
    constants: { table },
    int64: ["input.ids", "next", "again", "same", "idle"],
  });
  const session = await ort.InferenceSession.create(model);
  const typeOf = (list: readonly ort.InferenceSession.ValueMetadata[]) =>
    Object.fromEntries(list.map((m) => [m.name, m.isTensor && m.type]));
  assertEquals(typeOf(session.inputMetadata), { "input.ids": "int64", idle: "int64" });
  const { rows, next, again, same, inner } = await session.run({
    "input.ids": int64([2n, 0n], [1, 2]),
    idle: int64([0n]),
  });
  assertEquals([...rows.data as Float32Array], [20, 21, 0, 1]);
  assertEquals(next.data, BigInt64Array.of(3n, 1n));
  assertEquals(again.data, BigInt64Array.of(3n, 1n));
  assertEquals(same.data, BigInt64Array.of(2n, 0n));
  assertEquals(inner.data, Int32Array.of(3, 1));
  await session.release();
});

Deno.test("only what is int32 and fed or read can be int64", () => {
  const recording = record(tokens, { dialect: "export" });
  const write = (name: string) => () =>
    toOnnx(recording, { constants: { table }, int64: ["input.ids", name] });
  assertThrows(write("rows"), ShapeError, '"rows" as int64: it is float32');
  assertThrows(write("table"), ShapeError, "no such input or output");
  assertThrows(write("ids"), ShapeError, "no such input or output");
});

const cache: Program = {
  name: "cache",
  inputs: {
    x: { dtype: "float32", shape: ["B", "S"] },
    "past_key_values.0.key": { dtype: "float32", shape: ["B", "P"] },
    flag: { dtype: "bool", shape: [1] },
  },
  run: ({ x, "past_key_values.0.key": past, flag }) => {
    const key = tf.concat([past, x], 1);
    const last = tf.slice(key, [0, 1], [-1, -1]);
    const twice = tf.concat([x, x], 0);
    return {
      "present.0.key": key,
      last,
      twice,
      flat: tf.reshape(x, [-1]),
      no: tf.logicalNot(flag),
    };
  },
};
const symbolNames = { B: "batch_size", S: "sequence_length", P: "past_sequence_length", Q: "none" };

Deno.test("symbols have the names that were asked for, in expressions too", async () => {
  const { model } = toOnnx(record(cache, { dialect: "export" }), { symbolNames });
  const session = await ort.InferenceSession.create(model);
  const shapes = (list: readonly ort.InferenceSession.ValueMetadata[]) =>
    list.map((m) => m.isTensor && m.shape.join(", "));
  assertEquals(shapes(session.inputMetadata), [
    "batch_size, sequence_length",
    "batch_size, past_sequence_length",
    "1",
  ]);
  assertEquals(shapes(session.outputMetadata), [
    "batch_size, past_sequence_length + sequence_length",
    "batch_size, past_sequence_length + sequence_length - 1",
    "2*batch_size, sequence_length",
    "batch_size*sequence_length",
    "1",
  ]);
  const sizes = { batch_size: 5, sequence_length: 7, past_sequence_length: 11 };
  const read = signatureOf(session, "cache").outputs.map((o) =>
    o.shape.map((e) => evaluateSize(e, sizes))
  );
  assertEquals(read, [[5, 18], [5, 17], [10, 7], [35], [1]]);
  await session.release();
});

Deno.test("a model with names of its own takes buffers for its outputs", async () => {
  const executable = await openOnnx(
    toOnnx(record(cache, { dialect: "export" }), { symbolNames }).model,
  );
  const key = hostTensor("float32", new Float32Array(3), [1, 3]);
  await executable.run({
    x: hostTensor("float32", Float32Array.of(3), [1, 1]),
    "past_key_values.0.key": hostTensor("float32", Float32Array.of(1, 2), [1, 2]),
    flag: hostTensor("bool", Uint8Array.of(1), [1]),
  }, { outputs: { "present.0.key": key } });
  assertEquals([...key.data], [1, 2, 3]);
  await executable.dispose();
});

Deno.test("names that two sizes would share, or that look like expressions, are refused", () => {
  const recording = record(cache, { dialect: "export" });
  const write = (symbolNames: Record<string, string>) => () => toOnnx(recording, { symbolNames });
  assertThrows(write({ B: "n", S: "n" }), ShapeError, 'B and S both "n"');
  assertThrows(write({ B: "S" }), ShapeError, 'B and S both "S"');
  assertThrows(write({ B: "a + b" }), ShapeError, 'size B "a + b"');
  assertThrows(write({ B: "2" }), ShapeError, 'size B "2"');
});

Deno.test("a size that is no sum of products is one unknown size", () => {
  const shape = ["", "floor(n/2)", "a - ", "-", "past length + 1", "a*3 - b"];
  const session = {
    inputMetadata: [],
    outputMetadata: [{ name: "y", isTensor: true, type: "float32", shape }],
  } as unknown as ort.InferenceSession;
  const read = signatureOf(session, "odd").outputs[0].shape;
  assertEquals(
    read.slice(0, 4),
    shape.slice(0, 4).map((s) => ({
      terms: [{ coefficient: 1, symbols: [s] }],
      constant: 0,
    })),
  );
  assertEquals(evaluateSize(read[4], { "past length": 4 }), 5);
  assertEquals(evaluateSize(read[5], { a: 4, b: 2 }), 10);
});
