import { assert, assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import {
  attend,
  attendToMemory,
  type BucketOptions,
  causalBias,
  linear,
  mergeHeads,
  paddingBias,
  relativeBucket,
  relativeBuckets,
  relativePositionBias,
  splitHeads,
} from "../../../src/nn/mod.ts";
import { type F32, named } from "../../../src/tensor/axes.ts";
import { assertClose, dot, logSumExp, normals } from "./_reference.ts";

// First distance and number of every bucket, as T5Attention._relative_position_bucket of
// transformers 5.18 gives them for distances from −256 up.
// deno-fmt-ignore
const ENCODER: [number, number][] = [
  [-256, 15], [-90, 14], [-63, 13], [-45, 12], [-31, 11], [-22, 10], [-15, 9], [-11, 8],
  [-7, 7], [-6, 6], [-5, 5], [-4, 4], [-3, 3], [-2, 2], [-1, 1], [0, 0], [1, 17], [2, 18],
  [3, 19], [4, 20], [5, 21], [6, 22], [7, 23], [8, 24], [12, 25], [16, 26], [23, 27], [32, 28],
  [46, 29], [64, 30], [91, 31],
];
// deno-fmt-ignore
const DECODER: [number, number][] = [
  [-256, 31], [-112, 30], [-98, 29], [-86, 28], [-76, 27], [-66, 26], [-58, 25], [-51, 24],
  [-45, 23], [-39, 22], [-34, 21], [-30, 20], [-26, 19], [-23, 18], [-20, 17], [-18, 16],
  [-15, 15], [-14, 14], [-13, 13], [-12, 12], [-11, 11], [-10, 10], [-9, 9], [-8, 8], [-7, 7],
  [-6, 6], [-5, 5], [-4, 4], [-3, 3], [-2, 2], [-1, 1], [0, 0],
];
const T5_BUCKETS = { buckets: 32, maxDistance: 128 };

for (
  const [name, bidirectional, starts] of [["encoder", true, ENCODER], [
    "decoder",
    false,
    DECODER,
  ]] as const
) {
  Deno.test(`relative buckets equal those of transformers: ${name}`, () => {
    const options: BucketOptions = { ...T5_BUCKETS, bidirectional };
    for (let distance = -256; distance <= 256; distance++) {
      const [, expected] = starts.findLast(([start]) => start <= distance)!;
      assertEquals(relativeBucket(distance, options), expected, `distance ${distance}`);
    }
    // The tensor form clamps beyond its table; positions 300 apart must still fall right.
    const got = relativeBuckets({ start: 0, queries: 301, keys: 301 }, options);
    const values = got.dataSync();
    for (const [q, k] of [[0, 300], [300, 0], [150, 150], [200, 50], [10, 33], [33, 10]]) {
      assertEquals(values[q * 301 + k], relativeBucket(k - q, options), `query ${q}, key ${k}`);
    }
  });
}

Deno.test("the bias of a step is the last row of the bias of the whole", () => {
  const options: BucketOptions = { ...T5_BUCKETS, bidirectional: false };
  const table = named(tf.tensor2d(normals("table", 64), [32, 2]), "R H", {});
  const whole = relativePositionBias(table, { start: 0, queries: 6, keys: 6 }, options);
  const step = relativePositionBias(table, { start: 5, queries: 1, keys: 6 }, options);
  assertEquals(step.shape, [1, 2, 1, 6]);
  assertEquals(
    tf.slice(whole as tf.Tensor, [0, 0, 5, 0], [1, 2, 1, 6]).dataSync(),
    step.dataSync(),
  );
  // Head h of query 5, key 2: distance −3, bucket 3.
  assertEquals(
    (step.arraySync() as number[][][][])[0][1][0][2],
    normals("table", 64)[3 * 2 + 1],
  );
  assertThrows(
    () =>
      relativePositionBias(table, { start: 0, queries: 2, keys: 2 }, { ...options, buckets: 8 }),
    ShapeError,
    "Cannot read relative bias as [R=8, H]: axis R is 32",
  );
});

Deno.test("biases hide padding and the future and nothing else", () => {
  const isToken = named(tf.tensor2d([[1, 1, 0], [1, 0, 0]]), "B M", {});
  assertEquals([...paddingBias(isToken).dataSync()].map((x) => x < -1e8 ? 1 : x), [
    0,
    0,
    1,
    0,
    1,
    1,
  ]);
  assertEquals([...causalBias(3).dataSync()].map((x) => x < -1e8 ? 1 : x), [
    0,
    1,
    1,
    0,
    0,
    1,
    0,
    0,
    0,
  ]);
});

Deno.test("splitHeads puts each head's columns into its own matrix; mergeHeads undoes it", () => {
  const x = tf.tensor3d(Float32Array.from({ length: 24 }, (_, i) => i), [2, 3, 4]);
  const heads = splitHeads(x, 2);
  assertEquals(heads.shape, [2, 2, 3, 2]);
  // Batch 1, head 1, position 2: columns 2 and 3 of row 5.
  assertEquals((heads.arraySync() as number[][][][])[1][1][2], [22, 23]);
  assertEquals(mergeHeads(heads).arraySync(), x.arraySync());
});

Deno.test("attend is softmax(scale q·k + bias) v, row by row", () => {
  const [B, H, Q, M, E] = [2, 2, 3, 4, 5];
  const shape = (rows: number): [number, number, number, number] => [B, H, rows, E];
  const data = {
    q: normals("q", B * H * Q * E),
    k: normals("k", B * H * M * E),
    v: normals("v", B * H * M * E),
  };
  const isToken = [[1, 1, 1, 0], [1, 1, 0, 0]];
  const got = attend({
    query: named(tf.tensor4d(data.q, shape(Q)), "B H Q E", {}),
    keys: named(tf.tensor4d(data.k, shape(M)), "B H M E", {}),
    values: named(tf.tensor4d(data.v, shape(M)), "B H M E", {}),
    bias: paddingBias(named(tf.tensor2d(isToken), "B M", {})),
  }, { scale: 0.5 });
  const row = (
    x: Float32Array,
    matrix: number,
    r: number,
    rows: number,
  ) => [...x.subarray((matrix * rows + r) * E, (matrix * rows + r + 1) * E)];
  const expected: number[] = [];
  for (let b = 0; b < B; b++) {
    const seen = isToken[b].reduce((n, t) => n + t, 0);
    for (let h = 0; h < H; h++) {
      for (let i = 0; i < Q; i++) {
        const scores = Array.from(
          { length: seen },
          (_, j) => 0.5 * dot(row(data.q, b * H + h, i, Q), row(data.k, b * H + h, j, M)),
        );
        const total = logSumExp(scores);
        for (let e = 0; e < E; e++) {
          expected.push(
            scores.reduce(
              (sum, s, j) => sum + Math.exp(s - total) * row(data.v, b * H + h, j, M)[e],
              0,
            ),
          );
        }
      }
    }
  }
  assertClose(got.dataSync(), expected);
});

Deno.test("attendToMemory is attend with projected keys and values", () => {
  const [B, H, Q, M, E, D] = [2, 3, 2, 5, 4, 6];
  const tensor = (name: string, shape: number[]) =>
    tf.tensor(normals(name, shape.reduce((a, b) => a * b, 1)), shape);
  const query = named(tensor("query", [B, H, Q, E]), "B H Q E", {});
  const memory = named(tensor("memory", [B, M, D]), "B M D", {});
  const keyWeight = named(tensor("key", [H * E, D]), "O I", {});
  const valueWeight = named(tensor("value", [H * E, D]), "O I", {});
  const isToken = tf.tensor2d([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]);
  const bias = paddingBias(named(isToken, "B M", {}));
  const heads = (weight: F32<"O I">) => named(splitHeads(linear(memory, weight), H), "B H M E", {});
  const expected = attend(
    { query, keys: heads(keyWeight), values: heads(valueWeight), bias },
    { scale: 0.7 },
  );
  const got = attendToMemory({ query, memory, keyWeight, valueWeight, bias }, { scale: 0.7 });
  assertEquals(got.shape, [B, H, Q, E]);
  assertClose(got.dataSync(), [...expected.dataSync()]);
  assertThrows(
    () =>
      attendToMemory({
        query,
        memory,
        keyWeight: valueWeight,
        valueWeight: named(tf.zeros([3, D]), "O I", {}),
        bias,
      }),
    ShapeError,
    "Cannot read valueWeight as [O=12, I=6]: axis O is 3",
  );
});

Deno.test("a source without any token gives numbers, not NaN", () => {
  const x = named(tf.tensor4d(normals("x", 8), [1, 1, 2, 4]), "B H Q E", {});
  const kv = named(x as tf.Tensor, "B H M E", {});
  const bias = paddingBias(named(tf.zeros([1, 2]), "B M", {}));
  const y = attend({ query: x, keys: kv, values: kv, bias }).dataSync();
  assert(y.every(Number.isFinite));
});

Deno.test("attend names the input that does not fit", () => {
  const of = (shape: number[]) => tf.zeros(shape);
  assertThrows(
    () =>
      attend({
        query: named(of([2, 2, 3, 4]), "B H Q E", {}),
        keys: named(of([2, 2, 5, 4]), "B H M E", {}),
        values: named(of([2, 2, 6, 4]), "B H M E", {}),
      }),
    ShapeError,
    "Cannot read values as [B=2, H=2, M=5, E=4]: axis M is 6",
  );
});
