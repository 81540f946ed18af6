import { assert, assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import { dropout, embedding, linear } from "../../../src/nn/mod.ts";
import { named } from "../../../src/tensor/axes.ts";
import { fillKeepMask, KEEP_MASK, type KeepMaskAttrs } from "../../../src/tensor/keep_mask.ts";
import { sizeOf } from "../../../src/tensor/host_tensor.ts";

Deno.test("linear multiplies by the transposed weight on the last axis", () => {
  const x = tf.tensor3d([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
  const weight = named(tf.tensor2d([[1, 0], [0, 1], [1, -1]]), "O I", {});
  assertEquals(linear(x, weight).arraySync(), [[[1, 2, -1], [3, 4, -1]], [[5, 6, -1], [7, 8, -1]]]);
  assertThrows(
    () => linear(tf.zeros([2, 3]), weight),
    ShapeError,
    "Cannot read x as [N, I=2]: axis I is 3",
  );
});

Deno.test("embedding looks rows up under any axes", () => {
  const table = named(tf.tensor2d([[0, 1], [2, 3], [4, 5]]), "V D", {});
  assertEquals(embedding(tf.tensor2d([[2, 0]], [1, 2], "int32"), table).arraySync(), [[[4, 5], [
    0,
    1,
  ]]]);
});

/** The kernel as an eager backend registers it, with a fixed stream. */
tf.registerKernel({
  kernelName: KEEP_MASK,
  backendName: "cpu",
  kernelFunc: ({ attrs, backend }) => {
    const { shape, keepProb } = attrs as unknown as KeepMaskAttrs;
    const mask = fillKeepMask(
      new Float32Array(sizeOf(shape)),
      { seed: 3, stream: "d", step: 0 },
      0,
      keepProb,
    );
    const { dataId } = (backend as unknown as {
      makeTensorInfo(s: number[], d: string, v: Float32Array): tf.TensorInfo;
    })
      .makeTensorInfo(shape, "float32", mask);
    return { dataId, shape, dtype: "float32" };
  },
});

Deno.test("dropout scales what it keeps, so that the mean stays", () => {
  const n = 20_000, rate = 0.25;
  const y = [...dropout(tf.fill([n], 3), rate).dataSync()];
  assert(y.every((v) => v === 0 || Math.abs(v - 4) < 1e-6));
  const mean = y.reduce((a, b) => a + b, 0) / n;
  // Five standard errors: each element is 4 · Bernoulli(3/4).
  assert(Math.abs(mean - 3) < 5 * 4 * Math.sqrt(0.75 * 0.25 / n), `${mean}`);
});

Deno.test("dropout at rate 0 is the tensor itself; other rates outside [0, 1) are refused", () => {
  const x = tf.zeros([2]);
  assert(dropout(x, 0) === x);
  for (const rate of [1, -0.1, NaN]) {
    assertThrows(() => dropout(x, rate), ShapeError, "a rate is in [0, 1)");
  }
});
