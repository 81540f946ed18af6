import * as tf from "@tensorflow/tfjs-core";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { quantiseMatrix } from "../../../src/graph/_quantise_matrix.ts";
import {
  type Dialect,
  type OnnxOptions,
  type Program,
  record,
  toMergedOnnx,
  toOnnx,
} from "../../../src/graph/mod.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { runOnnx } from "../../parity.ts";

const N = 32;
const matrix = (at: (i: number, j: number) => number, shape = [N, N]) =>
  hostTensor(
    "float32",
    Float32Array.from({ length: shape[0] * shape[1] }, (_, k) =>
      at(Math.floor(k / shape[1]), k % shape[1])),
    shape,
  );

const recorded = (inputs: Program["inputs"], run: Program["run"], dialect: Dialect = "export") =>
  record({ name: "weights", inputs, run }, { dialect });
const w32 = { w: { dtype: "float32", shape: [N, N] } } as const;
const x32 = { x: { dtype: "float32", shape: ["B", N] } } as const;
const product = (transposeB: boolean, dialect?: Dialect) =>
  recorded(
    { ...x32, ...w32 },
    ({ x, w }) => ({ y: tf.matMul(x, w, false, transposeB) }),
    dialect,
  );

/** Numbers 0, …, 255, so that one step of 8 bits is 1. */
const x = matrix((i, j) => i === 0 && j < 2 ? 255 * j : (i * 37 + j * 101) % 256, [3, N]);
/** Integers up to 127, times a power of two for each row. */
const byRow = matrix((i, j) => (j === i ? 127 : (i * 53 + j * 29) % 255 - 127) * 2 ** (i % 5));
const transposed = (m: HostTensor) => matrix((i, j) => m.data[j * N + i]);

/** x·Wᵀ by its definition. */
function multiply(x: HostTensor, w: HostTensor): number[] {
  const O = w.shape[0];
  return Array.from({ length: x.shape[0] * O }, (_, k) => {
    const i = Math.floor(k / O), o = k % O;
    let sum = 0;
    for (let j = 0; j < N; j++) sum += x.data[i * N + j] * w.data[o * N + j];
    return sum;
  });
}

const int8: OnnxOptions = { precision: "int8" };

Deno.test("int8: products of numbers that 8 bits can hold are exact, in both layouts", async () => {
  const forms = [[true, "export"], [false, "export"], [false, "training"]] as const;
  for (const [isTransposed, dialect] of forms) {
    const w = isTransposed ? byRow : transposed(byRow);
    const { model, weights } = toOnnx(product(isTransposed, dialect), {
      ...int8,
      constants: { w },
    });
    const { y } = await runOnnx(model, { x });
    assertEquals([...y.data], multiply(x, byRow));
    assertEquals(weights.stored.uint8, { count: 1, sizeBytes: N * N + 4 * N });
    assertEquals(weights.stored.float32, { count: 0, sizeBytes: 0 });
    assertEquals([weights.worst, weights.kept], [undefined, []]);
    const text = new TextDecoder("latin1").decode(model);
    assert(!text.includes("com.microsoft"), "standard operators only");
  }
});

Deno.test("int8: the largest weights and activations don't overflow", async () => {
  const most = matrix((_, j) => j === 0 ? 0 : 255, [2, N]), w = matrix(() => 127);
  for (const isTransposed of [true, false]) {
    const { model } = toOnnx(product(isTransposed), { ...int8, constants: { w } });
    const { y } = await runOnnx(model, { x: most });
    assertEquals(new Set(y.data), new Set([31 * 255 * 127]));
  }
});

Deno.test("int8: a table of rows that is a factor too is stored once", async () => {
  const table = matrix((i, j) => byRow.data[(i % N) * N + j], [1000, N]);
  const recording = recorded({
    ids: { dtype: "int32", shape: ["B", "S"] },
    ...x32,
    table: { dtype: "float32", shape: [1000, N] },
  }, ({ ids, x, table }) => ({
    rows: tf.gather(table, ids),
    y: tf.matMul(x, table, false, true),
  }));
  const { model, weights } = toOnnx(recording, { ...int8, constants: { table } });
  assertEquals(weights.stored.uint8, { count: 1, sizeBytes: 1000 * N + 4000 });
  assert(model.length < 1000 * N + 4000 + 2000, `${model.length} bytes`);
  const ids = hostTensor("int32", Int32Array.of(999, 3), [2, 1]);
  const { rows, y } = await runOnnx(model, { ids, x });
  assertEquals(rows.shape, [2, 1, N]);
  assertEquals([...rows.data], [...table.data.slice(-N), ...table.data.slice(3 * N, 4 * N)]);
  const first = Array.from(y.data).filter((_, k) => k % 1000 < N);
  assertEquals(first, multiply(x, byRow));
});

Deno.test("int8: what is small, a vector, or used in another way stays float32", async () => {
  const recording = recorded({
    ...x32,
    small: { dtype: "float32", shape: [31, N] },
    scale: { dtype: "float32", shape: [2048] },
    plain: { dtype: "float32", shape: [N, N] },
    mixed: { dtype: "float32", shape: [N, N] },
    bad: { dtype: "float32", shape: [N, N] },
    cube: { dtype: "float32", shape: [2, N, N] },
  }, ({ x, small, scale, plain, mixed, bad, cube }) => ({
    a: tf.matMul(x, small, false, true),
    b: tf.sum(scale),
    c: tf.matMul(tf.exp(plain), plain),
    d: tf.add(tf.matMul(x, mixed), tf.matMul(x, mixed, false, true)),
    e: tf.matMul(x, bad),
    f: tf.matMul(tf.stack([x, x]), cube),
  }));
  const bad = matrix((i, j) => i + j === 0 ? -Infinity : 1);
  const constants = {
    small: matrix(() => 1, [31, N]),
    scale: hostTensor("float32", new Float32Array(2048).fill(1), [2048]),
    plain: byRow,
    mixed: byRow,
    bad,
    cube: hostTensor("float32", new Float32Array(2 * N * N), [2, N, N]),
  };
  const { model, weights } = toOnnx(recording, { ...int8, constants });
  assertEquals(weights.stored.uint8.count, 0);
  assertEquals(Object.fromEntries(weights.kept.map((k) => [k.name, k.reason])), {
    plain: "it is used by Exp",
    mixed: "its uses need a scale for each row and column",
    bad: "a number is not finite",
    cube: "it is no matrix",
  });
  const { b } = await runOnnx(model, { x });
  assertEquals([...b.data], [2048]);
});

Deno.test("int8: a matrix is off by half a step at most, and by nothing where it is zero", () => {
  const tiny = fc.constantFrom(0, 1e-45, -1e-40);
  const number = fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), tiny);
  const cases = fc.record({
    rows: fc.integer({ min: 1, max: 5 }),
    numbers: fc.array(number, { minLength: 20, maxLength: 20 }),
    channel: fc.constantFrom("row" as const, "column" as const),
    isTransposed: fc.boolean(),
  });
  fc.assert(fc.property(cases, ({ rows, numbers, channel, isTransposed }) => {
    const columns = 4;
    const w = Float32Array.from(numbers.slice(0, rows * columns));
    const { bytes, scales } = quantiseMatrix(w, columns, { channel, isTransposed })!;
    w.forEach((x, i) => {
      const r = Math.floor(i / columns), c = i % columns;
      const scale = scales[channel === "row" ? r : c];
      const q = bytes[isTransposed ? c * rows + r : i] - 128;
      const line = [...w].filter((_, k) =>
        channel === "row" ? Math.floor(k / columns) === r : k % columns === c
      );
      const step = Math.max(...line.map(Math.abs)) / 127;
      // Numbers below 1e-38 have few bits; next to them everything else is exact.
      const limit = 0.5 * step * (1 + 1e-4) + 1e-36;
      assert(Math.abs(x - q * scale) <= limit, `${x} became ${q}·${scale}`);
      if (x === 0) assertEquals(q, 0);
    });
  }));
  // 190 times the smallest number: its scale, 190/127 of it, can't be told from 1.
  const small = Float32Array.of(190 * 2 ** -149);
  const { bytes } = quantiseMatrix(small, 1, { channel: "row", isTransposed: false })!;
  assertEquals([...bytes], [128]);
});

Deno.test("float16: rounded to nearest, ties to even, and computed in float32", async () => {
  const ulp = 2 ** -10;
  const values = [1 + ulp / 2, 1 + 1.5 * ulp, 1 + 0.51 * ulp, -65519, 2 ** -25, 3 * 2 ** -25];
  const w = matrix((_, j) => values[j % values.length]);
  const recording = recorded(w32, ({ w }) => ({ y: tf.mul(w, 1 + 2 ** -20), w1: tf.neg(w) }));
  const { model, weights } = toOnnx(recording, { precision: "float16", constants: { w } });
  const { y, w1 } = await runOnnx(model, {});
  const half = [1, 1 + 2 * ulp, 1 + ulp, -65504, 0, 2 ** -23];
  assertEquals([...w1.data.slice(0, 6)], half.map((h) => -h));
  assertEquals([...y.data.slice(0, 6)], half.map((h) => Math.fround(h * (1 + 2 ** -20))));
  assertEquals(weights.stored.float16, { count: 1, sizeBytes: 2 * N * N });
  assert(model.length < 2 * N * N + 600);
});

Deno.test("float16: numbers beyond the range and small constants stay, and are reported", async () => {
  const inputs = {
    ...w32,
    big: { dtype: "float32", shape: [N, N] },
    small: { dtype: "float32", shape: [N] },
  } as const;
  const recording = recorded(inputs, ({ w, big, small }) => ({
    y: tf.add(tf.add(w, big), small),
  }));
  const constants = {
    w: matrix((i, j) => i + j ? 2 : Infinity),
    big: matrix((i, j) => i + j === 2 ? 65520 : 1),
    small: hostTensor("float32", new Float32Array(N), [N]),
  };
  const { model, weights } = toOnnx(recording, { precision: "float16", constants });
  assertEquals(weights.kept.map((k) => k.name), ["big"]);
  assertEquals(weights.stored.float16.count, 1);
  assertEquals(weights.stored.float32, { count: 2, sizeBytes: 4 * N * N + 4 * N });
  const { y } = await runOnnx(model, {});
  assertEquals([...y.data.slice(0, 3)], [Infinity, 3, 65522]);
});

Deno.test("a data file serves every precision, plain and merged", async () => {
  const O = 50, w = matrix((i, j) => byRow.data[(i % N) * N + j], [O, N]), constants = { w };
  const inputs = { ...x32, w: { dtype: "float32", shape: [O, N] } } as const;
  const recording = recorded(inputs, ({ x, w }) => ({ y: tf.matMul(x, w, false, true) }));
  const other = recorded(inputs, ({ x, w }) => ({ y: tf.neg(tf.matMul(x, w, false, true)) }));
  const folder = await Deno.makeTempDir();
  try {
    for (const precision of ["float32", "float16", "int8"] as const) {
      const options = { precision, constants, externalDataBytes: 500, dataFileName: "weights.bin" };
      const merge = { name: "m", condition: "c", whenTrue: recording, whenFalse: other };
      const written = { plain: toOnnx(recording, options), merged: toMergedOnnx(merge, options) };
      for (const [name, { model, externalData }] of Object.entries(written)) {
        assertEquals(externalData!.fileName, "weights.bin");
        const bytes = { float32: 4, float16: 2, int8: 1 }[precision] * O * N;
        assertEquals(externalData!.sizeBytes, bytes);
        await Deno.writeFile(`${folder}/model.onnx`, model);
        await Deno.writeFile(`${folder}/weights.bin`, externalData!.chunks[0]);
        const c = hostTensor("bool", Uint8Array.of(0), [1]);
        const { y } = await runOnnx(`${folder}/model.onnx`, { x, c });
        const sign = name === "plain" ? 1 : -1;
        // + 0: the negative of 0 is -0.
        assertEquals([...y.data].map((v) => v + 0), multiply(x, w).map((v) => sign * v + 0));
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
