/** Order, running sums, and rows added by index, on generated kernels. */
import * as tf from "@tensorflow/tfjs-core";
import { assertEquals } from "@std/assert";
import { deviceExecutor } from "../../../../src/runtime/cuda/cuda_executor.ts";
import type { HostTensors } from "../../../../src/runtime/mod.ts";
import { hostTensor } from "../../../../src/tensor/host_tensor.ts";
import { assertComputes, normals, programOf, streamOf, wholes, withLoss } from "./_compare.ts";
import { hostDevice, testOnHost } from "./_host.ts";

/**
 * Rows, different ids and their distance, segments and width. Catches: a digit of the sort that is left
 * out (256, 65536 and 16777216 segments are where one more is needed), runs of equal ids over several
 * blocks, blocks that are not full, columns beyond a block.
 */
const sums: { rows: number; ids: number; segments: number; width: number; step?: number }[] = [
  { rows: 5, ids: 3, segments: 7, width: 1 },
  { rows: 5000, ids: 1, segments: 3, width: 3 },
  { rows: 3000, ids: 4, segments: 255, width: 33 },
  { rows: 1024, ids: 256, segments: 256, width: 5 },
  { rows: 1025, ids: 257, segments: 257, width: 4 },
  { rows: 2500, ids: 65535, segments: 65535, width: 1 },
  { rows: 2500, ids: 300, segments: 65536, width: 2, step: 218 },
  { rows: 2000, ids: 300, segments: 80000, width: 2, step: 256 },
  { rows: 2600, ids: 1300, segments: 16777217, width: 1, step: 12800 },
  { rows: 300, ids: 5, segments: 9, width: 700 },
  { rows: 128, ids: 1, segments: 1, width: 32 },
  { rows: 129, ids: 1, segments: 2, width: 32 },
];
for (const { rows, ids, segments, width, step = 1 } of sums) {
  testOnHost(
    `${rows} rows of ${width}, ${ids} ids, added into ${segments} on a device`,
    async () => {
      const random = streamOf("segments", rows + segments);
      const drawn = wholes(random, [rows], ids), updates = normals(random, [rows, width]);
      const inputs: HostTensors = {
        ids: hostTensor("int32", drawn.data.map((i) => i * step), [rows]),
        updates,
      };
      const program = programOf(
        "segments",
        inputs,
        ({ ids, updates }) => ({
          sum: tf.unsortedSegmentSum(updates as tf.Tensor2D, ids as tf.Tensor1D, segments),
        }),
      );
      const executable = await deviceExecutor(await hostDevice()).compile(program);
      const { sum } = await executable.run(inputs);
      const first = sum.data.slice();
      assertEquals((await executable.run(inputs)).sum.data, first, "the same bits twice");
      await executable.dispose();
      // In float64, row by row.
      const expected = new Map<number, number>();
      updates.data.forEach((x, i) => {
        const at = inputs.ids.data[Math.floor(i / width)] * width + i % width;
        expected.set(at, (expected.get(at) ?? 0) + x);
      });
      assertEquals([...sum.shape], [segments, width]);
      let others = 0;
      sum.data.forEach((x, at) => {
        const e = expected.get(at);
        if (e === undefined) others += Number(x !== 0);
        else if (Math.abs(x - e) > 1e-4 * Math.max(1, Math.abs(e))) {
          throw new Error(`${at}: ${x}, not ${e}`);
        }
      });
      assertEquals(others, 0, "segments without rows are 0");
    },
  );
}

/** Catches: gradients of a table, of rows in bfloat16 too, added in another order each time. */
testOnHost("the gradient of an embedding with repeated ids on a device", async () => {
  const random = streamOf("embedding");
  const inputs: HostTensors = {
    table: normals(random, [300, 40]),
    ids: wholes(random, [4, 77], 9),
  };
  const program = programOf(
    "embedding",
    inputs,
    ({ table, ids }) => ({ rows: tf.tanh(tf.gather(table, ids as tf.Tensor2D)) }),
  );
  await assertComputes(withLoss(program, ["table"]), inputs);
});

/** Few different numbers: ties everywhere. */
const tied = (shape: number[], step: number) => {
  const drawn = wholes(streamOf("ties", step), shape, 5);
  return hostTensor("float32", Float32Array.from(drawn.data), shape);
};

/** Catches: ties that are not broken by position, threads without a candidate, rows longer than a block. */
for (const [width, k] of [[1, 1], [2, 2], [31, 7], [257, 257], [1000, 3], [50257, 10]]) {
  testOnHost(`the ${k} largest of ${width} with ties on a device`, async () => {
    const inputs: HostTensors = {
      x: tied([3, width], width),
      y: normals(streamOf("largest", width), [2, 3, width]),
      n: wholes(streamOf("whole", width), [3, width], 4),
    };
    const program = programOf("largest", inputs, ({ x, y, n }) => {
      const [a, b] = [tf.topk(x, k), tf.topk(y, k)];
      return {
        values: a.values,
        places: a.indices,
        values3: b.values,
        places3: b.indices,
        most: tf.argMax(x, -1),
        least: tf.argMin(x, -1),
        mostWhole: tf.argMax(n, -1),
        // A block for each of them takes long on this processor.
        ...(width > 1000 ? {} : { down: tf.argMax(x, 0), middle: tf.argMin(y, 1) }),
      };
    });
    await assertComputes(program, inputs, { bfloat16: false });
  });
}

/** Catches: a wrong neighbour at an end, a stride of another axis. */
for (const shape of [[7], [3, 1000], [5, 6, 40], [200, 3, 2]]) {
  testOnHost(`running sums over [${shape}] on a device`, async () => {
    const inputs: HostTensors = {
      x: normals(streamOf("running", shape[0]), shape),
      n: wholes(streamOf("running whole", shape[0]), shape, 9),
    };
    const program = programOf("running", inputs, ({ x, n }) => {
      const variants = shape.flatMap((_, axis) =>
        [false, true].flatMap((isExclusive) =>
          [false, true].map((isReverse) =>
            [`${axis} ${isExclusive} ${isReverse}`, { axis, isExclusive, isReverse }] as const
          )
        )
      );
      return Object.fromEntries(variants.flatMap(([name, { axis, isExclusive, isReverse }]) => [
        [`x ${name}`, tf.cumsum(x, axis, isExclusive, isReverse)],
        [`n ${name}`, tf.cumsum(n, axis, isExclusive, isReverse)],
      ]));
    });
    await assertComputes(program, inputs);
  });
}

/** Catches: rows that are cut because they are long, with the largest at any place; large sums in int. */
testOnHost("the loss over a huge vocabulary on a device", async () => {
  const [rows, vocabulary, width] = [6, 50257, 8], random = streamOf("vocabulary");
  const inputs: HostTensors = {
    hidden: normals(random, [rows, width]),
    table: normals(random, [vocabulary, width]),
    labels: wholes(random, [rows], vocabulary),
  };
  const program = programOf("vocabulary", inputs, ({ hidden, table, labels }) => {
    const logits = tf.matMul(hidden as tf.Tensor2D, table as tf.Tensor2D, false, true);
    const picked = tf.sum(tf.mul(tf.gather(table, labels as tf.Tensor1D), hidden), -1);
    return { loss0: tf.sub(tf.logSumExp(logits, -1), picked), best: tf.argMax(logits, -1) };
  });
  await assertComputes(withLoss(program, ["hidden", "table"]), inputs, {
    tolerance: 1e-4,
    bfloat16: false,
  });
});
