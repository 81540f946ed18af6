import * as tf from "@tensorflow/tfjs-core";
import { assert, assertEquals, assertThrows } from "@std/assert";
import * as ort from "onnxruntime-node";
import { ShapeError, TraceError } from "../../../src/errors.ts";
import { type Program, record, toMergedOnnx, toOnnx } from "../../../src/graph/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { keepMask } from "../../../src/tensor/keep_mask.ts";
import { runOnnx } from "../../parity.ts";

type Inputs = Program["inputs"];
const recorded = (name: string, inputs: Inputs, run: Program["run"]) =>
  record({ name, inputs, run }, { dialect: "export" });

// A "decoder" whose keys are the rows of a table. Names that the writer would choose itself.
const shared: Inputs = {
  v0: { dtype: "int32", shape: ["B", "S"] },
  table: { dtype: "float32", shape: [300, 2] },
};
const later = recorded("later", {
  ...shared,
  past: { dtype: "float32", shape: ["B", "P", 2] },
}, ({ v0, table, past }) => {
  const key = tf.concat([past, tf.gather(table, v0)], 1);
  return { total: tf.sum(key, 1), key, memory: tf.zeros([v0.shape[0], 1]), v1: v0 };
});
const first = recorded("first", {
  ...shared,
  encoded: { dtype: "float32", shape: ["B", "T"] },
}, ({ v0, table, encoded }) => {
  const key = tf.gather(table, v0);
  return { v1: v0, memory: encoded, total: tf.sum(key, 1), key };
});
const table = hostTensor("float32", Float32Array.from({ length: 600 }, (_, i) => i), [300, 2]);
const merge = { name: "both", condition: "use_cache", whenTrue: later, whenFalse: first };
const feeds = {
  v0: hostTensor("int32", Int32Array.of(299, 1), [1, 2]),
  past: hostTensor("float32", Float32Array.of(1000, 2000), [1, 1, 2]),
  encoded: hostTensor("float32", Float32Array.of(7, 8, 9), [1, 3]),
};
const choose = (isTrue: boolean) => hostTensor("bool", Uint8Array.of(Number(isTrue)), [1]);

Deno.test("a merged model runs the branch that its condition names", async () => {
  const { model } = toMergedOnnx(merge, { constants: { table } });
  const on = await runOnnx(model, { ...feeds, use_cache: choose(true) });
  assertEquals([...on.key.data], [1000, 2000, 598, 599, 2, 3]);
  assertEquals([...on.total.data], [1600, 2602]);
  assertEquals([on.memory.shape, [...on.memory.data]], [[1, 1], [0]]);
  assertEquals([...on.v1.data], [299, 1]);
  const off = await runOnnx(model, { ...feeds, use_cache: choose(false) });
  assertEquals([...off.key.data], [598, 599, 2, 3]);
  assertEquals([...off.total.data], [600, 602]);
  assertEquals([off.memory.shape, [...off.memory.data]], [[1, 3], [7, 8, 9]]);
});

Deno.test("a merged model declares the inputs of both and what holds for both outputs", async () => {
  const { model } = toMergedOnnx(merge, {
    constants: { table },
    int64: ["v0", "v1"],
    symbolNames: { B: "batch_size", S: "length" },
  });
  const session = await ort.InferenceSession.create(model);
  const describe = (list: readonly ort.InferenceSession.ValueMetadata[]) =>
    list.map((m) => m.isTensor && `${m.name} ${m.type} [${m.shape}]`);
  assertEquals(describe(session.inputMetadata), [
    "v0 int64 [batch_size,length]",
    "past float32 [batch_size,P,2]",
    "encoded float32 [batch_size,T]",
    "use_cache bool [1]",
  ]);
  assertEquals(describe(session.outputMetadata), [
    "total float32 [batch_size,2]",
    "key float32 [batch_size,key_axis_1,2]",
    "memory float32 [batch_size,memory_axis_1]",
    "v1 int64 [batch_size,length]",
  ]);
  const { v1, key } = await session.run({
    v0: new ort.Tensor("int64", BigInt64Array.of(299n, 1n), [1, 2]),
    past: new ort.Tensor("float32", feeds.past.data, [1, 1, 2]),
    encoded: new ort.Tensor("float32", feeds.encoded.data, [1, 3]),
    use_cache: new ort.Tensor("bool", [false], [1]),
  });
  assertEquals(v1.data, BigInt64Array.of(299n, 1n));
  assertEquals([...key.data as Float32Array], [598, 599, 2, 3]);
  await session.release();
});

Deno.test("branches share constants and equal tables", () => {
  const alone = toOnnx(first, { constants: { table } }).model.length;
  const both = toMergedOnnx(merge, { constants: { table } }).model.length;
  assert(both < alone + 1800, `${both} bytes, ${alone} for one branch with a table of 2400`);
  const waves = (name: string) =>
    recorded(name, { x: { dtype: "float32", shape: ["B", 500] } }, ({ x }) => ({
      y: tf.add(x, tf.tensor1d(Float32Array.from({ length: 500 }, (_, i) => Math.sin(i)))),
    }));
  const { weights } = toMergedOnnx({ ...merge, whenTrue: waves("a"), whenFalse: waves("b") });
  assertEquals(weights.stored.float32, { count: 1, sizeBytes: 2000 });
});

Deno.test("a symbol is read where the branch sees it", async () => {
  const x: Inputs = { x: { dtype: "float32", shape: ["B"] } };
  const y: Inputs = { y: { dtype: "float32", shape: ["B"] } };
  const { model } = toMergedOnnx({
    ...merge,
    whenTrue: recorded("ones", x, ({ x }) => ({ z: tf.ones([x.shape[0]]) })),
    whenFalse: recorded("twos", y, ({ y }) => ({ z: tf.fill([y.shape[0]], 2) })),
  });
  // The input that the branch doesn't have may be a placeholder of any size.
  const sized = (n: number) => hostTensor("float32", new Float32Array(n), [n]);
  const run = (isTrue: boolean) =>
    runOnnx(model, {
      x: sized(isTrue ? 2 : 0),
      y: sized(isTrue ? 0 : 3),
      use_cache: choose(isTrue),
    });
  assertEquals([...(await run(true)).z.data], [1, 1]);
  assertEquals([...(await run(false)).z.data], [2, 2, 2]);
});

Deno.test("recordings that disagree are not merged", () => {
  const x: Inputs = { x: { dtype: "float32", shape: ["B"] } };
  const neg = (name: string, inputs: Inputs) =>
    recorded(name, inputs, ({ x }) => ({ y: tf.neg(x) }));
  const whenTrue = neg("a", x);
  const tryMerge = (whenFalse = whenTrue, condition = "c") => () =>
    toMergedOnnx({ name: "m", condition, whenTrue, whenFalse });
  tryMerge()();
  assertThrows(
    tryMerge(neg("b", { x: { dtype: "float32", shape: ["S"] } })),
    ShapeError,
    'input "x" is float32 [B] in a and float32 [S] in b',
  );
  assertThrows(
    tryMerge(recorded("b", x, ({ x }) => ({ y: tf.sum(x) }))),
    ShapeError,
    '"y" is float32 of 1 axes in a and float32 of 0 axes in b',
  );
  assertThrows(
    tryMerge(recorded("b", x, ({ x }) => ({ z: x }))),
    ShapeError,
    '"y" is float32 of 1 axes in a and absent in b',
  );
  assertThrows(tryMerge(whenTrue, "x"), TraceError, "Rename the condition");
  assertThrows(tryMerge(whenTrue, "y"), TraceError, "an input and an output");
  const random = recorded("b", x, ({ x }) => ({ y: tf.mul(x, keepMask(x.shape, 0.5)) }));
  assertThrows(tryMerge(random), TraceError, "random masks");
  const clash = recorded("b", { ...x, y: { dtype: "float32", shape: [] } }, ({ x, y }) => ({
    z: tf.add(x, y),
  }));
  const z = recorded("a", x, ({ x }) => ({ z: x }));
  assertThrows(
    () => toMergedOnnx({ name: "m", condition: "z", whenTrue: z, whenFalse: clash }),
    TraceError,
  );
  const constants = { w: hostTensor("float32", Float32Array.of(1), [1]) };
  assertThrows(
    () => toMergedOnnx({ name: "m", condition: "c", whenTrue, whenFalse: whenTrue }, { constants }),
    ShapeError,
    "m has no such input",
  );
});
