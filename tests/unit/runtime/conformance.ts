/** What every executor must do. Each of them runs all of it. */
import * as tf from "@tensorflow/tfjs-core";
import { assertAlmostEquals, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { DeepragError, ShapeError } from "../../../src/errors.ts";
import { type Program, withGradients } from "../../../src/graph/mod.ts";
import type { Executor } from "../../../src/runtime/mod.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { fillKeepMask, keepMask } from "../../../src/tensor/keep_mask.ts";

/** A few float32 roundings of numbers around 1. */
const ROUNDING = 1e-5;

const f32 = (shape: number[], f: (i: number) => number): HostTensor<"float32"> =>
  hostTensor(
    "float32",
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => f(i)),
    shape,
  );
const i32 = (shape: number[], values: number[]): HostTensor<"int32"> =>
  hostTensor("int32", Int32Array.from(values), shape);

function assertClose(actual: HostTensor, expected: number[], shape: number[]): void {
  assertEquals([...actual.shape], shape);
  assertEquals(actual.data.length, expected.length);
  expected.forEach((x, i) => assertAlmostEquals(actual.data[i], x, ROUNDING, `element ${i}`));
}

/** y = x·w + b. */
const affine: Program = {
  name: "affine",
  inputs: {
    x: { dtype: "float32", shape: ["B", 3] },
    w: { dtype: "float32", shape: [3, "D"] },
    b: { dtype: "float32", shape: ["D"] },
  },
  run: ({ x, w, b }) => ({ y: tf.add(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), b) }),
};

function affineFeeds(B: number, D: number): Record<string, HostTensor<"float32">> {
  return {
    x: f32([B, 3], (i) => Math.sin(i)),
    w: f32([3, D], (i) => Math.cos(i)),
    b: f32([D], (i) => i / 4),
  };
}

/** x·w + b in float64. */
function affineByHand({ x, w, b }: Record<string, HostTensor>): number[] {
  const [B] = x.shape, [D] = b.shape;
  return Array.from({ length: B * D }, (_, at) => {
    const row = Math.floor(at / D), column = at % D;
    let y = b.data[column];
    for (let k = 0; k < 3; k++) y += x.data[row * 3 + k] * w.data[k * D + column];
    return y;
  });
}

/** A table looked up, weighted and squared: its gradient adds up over repeated ids. */
const lookup: Program = {
  name: "lookup",
  inputs: {
    table: { dtype: "float32", shape: [5, 2] },
    ids: { dtype: "int32", shape: ["B", "S"] },
  },
  run: ({ table, ids }) => {
    const rows = tf.gather(table, tf.cast(ids, "int32"));
    return { loss: tf.sum(tf.square(rows)), rows };
  },
};

const types: Program = {
  name: "types",
  inputs: {
    a: { dtype: "int32", shape: ["B"] },
    isOn: { dtype: "bool", shape: ["B"] },
  },
  run: ({ a, isOn }) => ({
    sum: tf.add(a, tf.cast(isOn, "int32")),
    isLarge: tf.logicalAnd(isOn, tf.greater(a, tf.scalar(1, "int32"))),
  }),
};

const masked: Program = {
  name: "masked",
  inputs: { x: { dtype: "float32", shape: ["B", 4] } },
  run: ({ x }) => ({
    first: tf.mul(x, keepMask(x.shape, 0.5)),
    second: tf.mul(tf.concat([x, x], 0), keepMask([2 * x.shape[0], 4], 0.9)),
  }),
};

/**
 * Register every test for one executor.
 *
 * @param options Whether its tests are skipped, or leave a device open
 */
export function testConformance(
  executor: Executor,
  options: Pick<Deno.TestDefinition, "ignore" | "sanitizeResources"> = {},
): void {
  const test = (name: string, fn: () => Promise<void>): void =>
    Deno.test({ ...options, name: `${executor.name}: ${name}`, fn });

  test("computes values at every size, empty and single ones included", async () => {
    const e = await executor.compile(affine);
    assertEquals(e.inputs, { x: "float32", w: "float32", b: "float32" });
    assertEquals(e.outputs, ["y"]);
    for (const [B, D] of [[2, 4], [1, 1], [0, 3], [7, 5], [2, 4]]) {
      const feeds = affineFeeds(B, D);
      assertClose((await e.run(feeds)).y, affineByHand(feeds), [B, D]);
    }
    await e.dispose();
  });

  test("adds up gradients over repeated ids", async () => {
    const e = await executor.compile(
      withGradients(lookup, { loss: "loss", parameters: ["table"] }),
    );
    assertEquals([...e.outputs].sort(), ["grad:table", "loss", "rows"]);
    const table = f32([5, 2], (i) => i + 1);
    const { loss, rows, "grad:table": gradient } = await e.run({
      table,
      ids: i32([2, 3], [4, 0, 4, 4, 2, 0]),
    });
    // d Σ row² / d row = 2·row, once for each time the row was looked up: 2, 0, 1, 0, 3.
    assertClose(gradient, [4, 8, 0, 0, 10, 12, 0, 0, 54, 60], [5, 2]);
    assertClose(rows, [9, 10, 1, 2, 9, 10, 9, 10, 5, 6, 1, 2], [2, 3, 2]);
    assertClose(loss, [81 * 3 + 100 * 3 + 2 * (1 + 4) + 25 + 36], []);
    await e.dispose();
  });

  test("takes and gives int32 and bool", async () => {
    const e = await executor.compile(types);
    assertEquals(e.inputs, { a: "int32", isOn: "bool" });
    const { sum, isLarge } = await e.run({
      a: i32([3], [1, -2, 3]),
      isOn: hostTensor("bool", Uint8Array.of(1, 0, 1), [3]),
    });
    assertEquals(sum, i32([3], [2, -2, 4]));
    assertEquals(isLarge, hostTensor("bool", Uint8Array.of(0, 0, 1), [3]));
    await e.dispose();
  });

  test("keeps constants, which are inputs no more and fix their symbols", async () => {
    const { x, w, b } = affineFeeds(3, 4);
    const expected = affineByHand({ x, w, b });
    const e = await executor.compile(affine, { constants: { w, b }, dialect: "export" });
    assertEquals(e.inputs, { x: "float32" });
    w.data.fill(NaN); // what the caller does afterwards must not matter
    assertClose((await e.run({ x })).y, expected, [3, 4]);
    await e.dispose();
    await assertRejects(
      () => executor.compile(affine, { constants: { w: f32([4, 4], () => 0) } }),
      ShapeError,
      "w is [4, 4], expected [3, D]: axis 0 is 4",
    );
    await assertRejects(
      () => executor.compile(affine, { constants: { z: f32([1], () => 0) } }),
      ShapeError,
      "constant z is no input",
    );
  });

  test("writes into the buffers it is given, views and wasm memory included", async () => {
    const e = await executor.compile(affine);
    const feeds = affineFeeds(2, 4), expected = affineByHand(feeds);
    const memory = new WebAssembly.Memory({ initial: 1 });
    const whole = new Float32Array(memory.buffer, 64, 24).fill(-1);
    const y = hostTensor("float32", whole.subarray(8, 16), [2, 4]);
    const result = await e.run(feeds, { outputs: { y } });
    assertEquals(result.y.data === y.data, true);
    assertClose(y, expected, [2, 4]);
    assertEquals(Array.from(whole.subarray(0, 8)), new Array(8).fill(-1));
    assertEquals(Array.from(whole.subarray(16)), new Array(8).fill(-1));
    const error = await assertRejects(
      () => e.run(feeds, { outputs: { y: f32([4, 2], () => 0), z: y } }),
      ShapeError,
      "output buffer y is float32 [4, 2] of 8 elements, expected float32 [B, D] = [2, 4]",
    );
    assertEquals(error.message.includes("z is no output; outputs are y"), true);
    await e.dispose();
  });

  test("leaves inputs alone, and results outlive later runs and the program", async () => {
    const e = await executor.compile(affine);
    const feeds = affineFeeds(2, 4), before = Array.from(feeds.x.data);
    const first = (await e.run(feeds)).y;
    await e.run({ ...feeds, x: f32([2, 3], () => 9) });
    await e.dispose();
    assertEquals(Array.from(feeds.x.data), before);
    assertClose(first, affineByHand(feeds), [2, 4]);
  });

  test("gives results memory of their own, even where an output is an input", async () => {
    const e = await executor.compile({
      name: "same",
      inputs: { x: { dtype: "float32", shape: ["B"] } },
      run: ({ x }) => ({ y: x, z: tf.reshape(x, [-1, 1]) }),
    });
    const x = f32([3], (i) => i);
    const { y, z } = await e.run({ x });
    x.data.fill(9);
    assertEquals([y, z], [f32([3], (i) => i), f32([3, 1], (i) => i)]);
    await e.dispose();
  });

  test("draws the masks of the stream: the same for a step, others for the next", async () => {
    const e = await executor.compile(masked);
    const B = 6, x = f32([B, 4], () => 1);
    const run = (step: number) => e.run({ x }, { random: { seed: 3, stream: "dropout", step } });
    const { first, second } = await run(7);
    const key = { seed: 3, stream: "dropout", step: 7 };
    assertEquals(first.data, fillKeepMask(new Float32Array(B * 4), key, 0, 0.5));
    assertEquals(second.data, fillKeepMask(new Float32Array(2 * B * 4), key, 1, 0.9));
    assertNotEquals((await run(8)).first.data, first.data);
    assertEquals((await run(7)).first.data, first.data);
    await assertRejects(() => e.run({ x }), DeepragError, "Give the run a stream");
    await e.dispose();
  });

  test("runs that overlap do not share masks", async () => {
    const e = await executor.compile(masked);
    const x = f32([2, 4], () => 1);
    await e.run({ x }, { random: { seed: 1, stream: "earlier", step: 0 } });
    const steps = [0, 1, 2, 3];
    const key = (step: number) => ({ seed: 3, stream: "dropout", step });
    const results = await Promise.all(steps.map((s) => e.run({ x }, { random: key(s) })));
    steps.forEach((s, i) =>
      assertEquals(results[i].first.data, fillKeepMask(new Float32Array(8), key(s), 0, 0.5))
    );
    await e.dispose();
  });

  test("names every input that does not fit, with symbol and sizes", async () => {
    const e = await executor.compile(affine);
    const { x, w, b } = affineFeeds(2, 4);
    const refuse = async (feeds: Record<string, HostTensor>, ...words: string[]): Promise<void> => {
      const { message } = await assertRejects(() => e.run(feeds), ShapeError);
      for (const part of words) {
        if (!message.includes(part)) throw new Error(`"${part}" is not in: ${message}`);
      }
    };
    await refuse({ x, w }, "Cannot run affine", "b is missing, expected float32 [D]");
    await refuse({ x, w, b, q: b }, "q is no input; inputs are x, w, b");
    await refuse(
      { x: f32([2, 5], () => 0), w, b: f32([3], () => 0) },
      "2 tensors do not fit",
      "x is [2, 5], expected [B, 3]: axis 1 is 5",
      "b is [3], expected [D]: axis D is 4 in w and 3 here",
    );
    await refuse(
      { x: i32([2, 3], [0, 0, 0, 0, 0, 0]), w, b },
      "x is int32 [2, 3]",
      "float32 [B, 3]",
    );
    await refuse({ x: f32([6], () => 0), w, b }, "x is [6], expected float32 [B, 3]");
    await refuse({ x: { ...x, shape: [3, 3] }, w, b }, "x has 6 elements but shape [3, 3]");
    assertClose((await e.run({ x, w, b })).y, affineByHand({ x, w, b }), [2, 4]);
    await e.dispose();
  });

  test("refuses to run when disposed; disposing twice is fine", async () => {
    const e = await executor.compile(affine);
    await e.dispose();
    await e.dispose();
    await assertRejects(() => e.run(affineFeeds(1, 1)), DeepragError, "affine: it was disposed");
  });

  test("gives the same bits twice", async () => {
    const e = await executor.compile(affine);
    const feeds = affineFeeds(33, 17);
    const first = (await e.run(feeds)).y.data.slice();
    assertEquals((await e.run(feeds)).y.data, first);
    await e.dispose();
  });
}
