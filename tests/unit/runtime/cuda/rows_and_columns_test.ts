/** Reductions on generated kernels: awkward widths, tall and wide folds, nothing to reduce, masks on the way. */
import * as tf from "@tensorflow/tfjs-core";
import { assertEquals } from "@std/assert";
import type { Program } from "../../../../src/graph/mod.ts";
import { deviceExecutor } from "../../../../src/runtime/cuda/cuda_executor.ts";
import type { HostTensors } from "../../../../src/runtime/mod.ts";
import { hostTensor } from "../../../../src/tensor/host_tensor.ts";
import { keepMask } from "../../../../src/tensor/keep_mask.ts";
import { assertComputes, normals, programOf, streamOf, wholes, withLoss } from "./_compare.ts";
import { hostDevice, testOnHost } from "./_host.ts";

/** Sums of thousands of terms in another order. */
const LONG_TOLERANCE = 1e-4;

const normed = (x: tf.Tensor, w: tf.Tensor): tf.Tensor =>
  tf.mul(tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-6))), w);

/** Catches: threads of a row that are no power of two, a last round that is not full, two reductions in one loop. */
for (const width of [1, 3, 31, 33, 128, 1000, 4097, 20000]) {
  testOnHost(`rows of ${width} on a device: norms and softmax, with gradients`, async () => {
    const random = streamOf("rows", width), rows = width > 1000 ? 3 : 37;
    const inputs: HostTensors = {
      x: normals(random, [rows, width]),
      w: normals(random, [width]),
    };
    const program = programOf("rows", inputs, ({ x, w }) => {
      const centred = tf.sub(x, tf.mean(x, -1, true));
      return {
        rms: normed(x, w),
        layer: tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5))),
        soft: tf.softmax(tf.mul(x, w)),
        logs: tf.logSumExp(x, -1),
        largest: tf.max(x, -1),
        smallest: tf.min(x, -1),
      };
    });
    await assertComputes(withLoss(program, ["x", "w"]), inputs, {
      tolerance: LONG_TOLERANCE,
      // In bfloat16 the gradient of a norm over one element is a difference of equal numbers.
      bfloat16: false,
    });
    await assertComputes(program, inputs, { tolerance: LONG_TOLERANCE });
  });
}

/** Catches: a share of a tall fold that is left out, lanes over columns that do not divide, a wrong identity. */
for (
  const [shape, axis] of [
    [[5000, 3], 0],
    [[3, 5000], 0],
    [[1, 7], 0],
    [[2000, 1], 0],
    [[9, 4096], 0],
    [[4099, 64], 0],
    [[6, 33, 17], 1],
    [[6, 33, 17], 0],
    [[5, 64, 12, 32], 1],
    [[40000], 0],
  ] as [number[], number][]
) {
  testOnHost(`a fold of [${shape}] over axis ${axis} on a device`, async () => {
    const random = streamOf("folds", shape.reduce((a, b) => a * b, axis));
    const inputs: HostTensors = { x: normals(random, shape), n: wholes(random, shape, 100) };
    const program = programOf("fold", inputs, ({ x, n }) => ({
      sum: tf.sum(x, axis),
      mean: tf.mean(tf.square(x), axis, true),
      largest: tf.max(x, axis),
      smallest: tf.min(tf.abs(x), axis),
      product: tf.prod(tf.add(1, tf.mul(x, 1e-3)), axis),
      count: tf.sum(n, axis),
    }));
    await assertComputes(program, inputs, { tolerance: LONG_TOLERANCE });
  });
}

/** Catches: kernels without blocks, reductions of nothing, products of nothing. */
testOnHost("tensors without elements on a device", async () => {
  const empty = (...shape: number[]) => hostTensor("float32", new Float32Array(0), shape);
  const inputs: HostTensors = {
    none: empty(0, 3),
    thin: empty(4, 0),
    x: normals(streamOf("empty"), [4, 3]),
    ids: hostTensor("int32", new Int32Array(0), [0]),
  };
  const program = programOf("empty", inputs, ({ none, thin, x, ids }) => ({
    twice: tf.mul(none, 2),
    soft: tf.softmax(none),
    sum: tf.sum(none, 0),
    rows: tf.sum(thin, -1),
    least: tf.max(thin, -1),
    most: tf.min(thin, -1),
    product: tf.prod(thin, -1),
    zeros: tf.matMul(thin as tf.Tensor2D, tf.transpose(thin) as tf.Tensor2D),
    gone: tf.matMul(none as tf.Tensor2D, tf.transpose(x) as tf.Tensor2D),
    picked: tf.gather(x, ids as tf.Tensor1D),
    before: tf.concat([none, x], 0),
    behind: tf.concat([x, none], 0),
    wide: tf.concat([thin, x, thin], 1),
    padded: tf.pad(none as tf.Tensor2D, [[1, 2], [0, 0]], 0.5),
    running: tf.cumsum(none, 0),
    counted: tf.unsortedSegmentSum(none as tf.Tensor2D, ids as tf.Tensor1D, 5),
  }));
  const executable = await deviceExecutor(await hostDevice()).compile(program);
  const out = await executable.run(inputs);
  await executable.dispose();
  const x = [...inputs.x.data];
  const values = Object.fromEntries(
    Object.entries(out).map(([name, { shape, data }]) => [name, [[...shape], [...data]]]),
  );
  const fill = (n: number, value: number) => new Array(n).fill(value);
  assertEquals(values, {
    twice: [[0, 3], []],
    soft: [[0, 3], []],
    sum: [[3], fill(3, 0)],
    rows: [[4], fill(4, 0)],
    least: [[4], fill(4, -Infinity)],
    most: [[4], fill(4, Infinity)],
    product: [[4], fill(4, 1)],
    zeros: [[4, 4], fill(16, 0)],
    gone: [[0, 4], []],
    picked: [[0, 3], []],
    before: [[4, 3], x],
    behind: [[4, 3], x],
    wide: [[4, 3], x],
    padded: [[3, 3], fill(9, 0.5)],
    running: [[0, 3], []],
    counted: [[5, 3], fill(15, 0)],
  });
});

/** Catches: a mask drawn at another position, by another site, or for another pass than the gradient's. */
for (const shape of [[3, 5, 7], [33, 4096], [64, 8, 260]]) {
  testOnHost(`dropout of [${shape}] within fused kernels on a device`, async () => {
    const random = streamOf("dropout", shape[0]);
    const inputs: HostTensors = { x: normals(random, shape), w: normals(random, shape.slice(-1)) };
    const dropout = (x: tf.Tensor, keep: number) =>
      tf.mul(tf.mul(x, keepMask(x.shape, keep)), 1 / keep);
    const program: Program = programOf("dropout", inputs, ({ x, w }) => {
      const first = dropout(tf.tanh(x), 0.9);
      const y = normed(tf.add(x, first), w);
      const weights = dropout(tf.softmax(y), 0.5);
      const halves = tf.concat([weights, dropout(y, 0.75)], 0);
      return { y, weights, halves, back: tf.transpose(dropout(tf.transpose(first), 0.8)) };
    });
    for (const step of [0, 2 ** 33]) {
      await assertComputes(withLoss(program, ["x", "w"]), inputs, {
        random: { seed: 2 ** 40 + 3, stream: "dropout", step },
        tolerance: LONG_TOLERANCE,
        bfloat16: step > 0,
      });
    }
  });
}
