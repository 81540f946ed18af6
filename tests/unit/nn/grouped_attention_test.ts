import { assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import { type AttendedPart, attendGrouped, causalBias, HIDDEN } from "../../../src/nn/mod.ts";
import { named } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { assertParity } from "../../parity.ts";
import { assertClose, dot, logSumExp, normals, numericGradient } from "./_reference.ts";

const GRADIENT_TOLERANCE = 5e-6;
const SCALE = 0.6;

/** Sizes of one case. */
interface Sizes {
  B: number;
  H: number;
  J: number;
  Q: number;
  M: number;
  E: number;
}

/** Plain attention with head ⌊h / (H/J)⌋ of keys and values repeated for head h, in float64. */
function reference(
  { B, H, J, Q, M, E }: Sizes,
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  bias: (b: number, i: number, j: number) => number,
): number[] {
  const row = (x: ArrayLike<number>, at: number): number[] =>
    Array.from({ length: E }, (_, e) => x[at * E + e]);
  const y: number[] = [];
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const head = b * J + Math.floor(h * J / H);
      for (let i = 0; i < Q; i++) {
        const query = row(q, (b * H + h) * Q + i);
        const scores = Array.from(
          { length: M },
          (_, j) => SCALE * dot(query, row(k, head * M + j)) + bias(b, i, j),
        );
        const total = logSumExp(scores);
        for (let e = 0; e < E; e++) {
          y.push(scores.reduce(
            (sum, s, j) => sum + Math.exp(s - total) * v[(head * M + j) * E + e],
            0,
          ));
        }
      }
    }
  }
  return y;
}

const query = (x: tf.Tensor) => named(x, "B H Q E", {});
const part = (keys: tf.Tensor, values: tf.Tensor, bias?: tf.Tensor): AttendedPart => ({
  keys: named(keys, "B J M E", {}),
  values: named(values, "B J M E", {}),
  bias,
});

for (const J of [1, 2, 4]) {
  Deno.test(`attendGrouped with ${J} of 4 key heads is attention with repeated keys`, () => {
    const sizes: Sizes = { B: 2, H: 4, J, Q: 3, M: 5, E: 2 };
    const { B, H, Q, M, E } = sizes;
    const [q, k, v] = [["q", H * Q], ["k", J * M], ["v", J * M]].map(([name, n]) =>
      normals(name as string, B * (n as number) * E)
    );
    const dy = normals("dy", B * H * Q * E), bias = normals("bias", B * Q * M);
    const biasAt = (b: number, i: number, j: number) => bias[(b * Q + i) * M + j];
    const run = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
      attendGrouped({
        query: query(q),
        parts: [part(k, v, tf.tensor4d(bias, [B, 1, Q, M]))],
      }, { scale: SCALE });
    const tensors = [
      tf.tensor4d(q, [B, H, Q, E]),
      tf.tensor4d(k, [B, J, M, E]),
      tf.tensor4d(v, [B, J, M, E]),
    ] as const;
    assertClose(run(...tensors).dataSync(), reference(sizes, q, k, v, biasAt));
    const got = tf.grads(run)([...tensors], tf.tensor4d(dy, [B, H, Q, E]));
    const loss = (q: ArrayLike<number>, k: ArrayLike<number>, v: ArrayLike<number>) =>
      dot(reference(sizes, q, k, v, biasAt), dy);
    [
      numericGradient((q) => loss(q, k, v), q),
      numericGradient((k) => loss(q, k, v), k),
      numericGradient((v) => loss(q, k, v), v),
    ].forEach((g, i) => assertClose(got[i].dataSync(), g, GRADIENT_TOLERANCE));
  });

  Deno.test(`several parts are one joined part, each with its bias: ${J} of 4 key heads`, () => {
    const [B, H, Q, E] = [2, 4, 3, 2], lengths = [2, 1, 3], M = 6;
    const tensor = (name: string, shape: number[]) =>
      tf.tensor(normals(name, sizeOf(shape)), shape);
    const q = query(tensor("q", [B, H, Q, E]));
    const keys = lengths.map((m, i) => tensor(`k${i}`, [B, J, m, E]));
    const values = lengths.map((m, i) => tensor(`v${i}`, [B, J, m, E]));
    // One for every query and row, one for all queries, none.
    const biases = [tensor("b0", [1, 1, Q, 2]), tensor("b1", [B, 1, 1, 1]), undefined];
    const parts = keys.map((k, i) => part(k, values[i], biases[i]));
    const whole = tf.concat([
      tf.broadcastTo(biases[0]!, [B, 1, Q, 2]),
      tf.broadcastTo(biases[1]!, [B, 1, Q, 1]),
      tf.zeros([B, 1, Q, 3]),
    ], 3);
    const got = attendGrouped({ query: q, parts }, { scale: SCALE });
    const biasAt = (b: number, i: number, j: number) => whole.dataSync()[(b * Q + i) * M + j];
    const expected = reference(
      { B, H, J, Q, M, E },
      q.dataSync(),
      tf.concat(keys, 2).dataSync(),
      tf.concat(values, 2).dataSync(),
      biasAt,
    );
    assertEquals(got.shape, [B, H, Q, E]);
    assertClose(got.dataSync(), expected);
  });
}

Deno.test("causalBias with a past lets query i see keys up to P + i", () => {
  const expected = [[0, 0, 0, HIDDEN, HIDDEN], [0, 0, 0, 0, HIDDEN], [0, 0, 0, 0, 0]];
  const bias = causalBias(3, 2);
  assertEquals(bias.shape, [1, 1, 3, 5]);
  assertEquals(Array.from(bias.dataSync()).map(Math.round), expected.flat());
});

Deno.test("attendGrouped names what does not fit", () => {
  const q = query(tf.zeros([1, 4, 2, 2]));
  const keys = (...shape: number[]) => tf.zeros(shape);
  assertThrows(
    () => attendGrouped({ query: q, parts: [part(keys(1, 3, 5, 2), keys(1, 3, 5, 2))] }),
    ShapeError,
    "Cannot share 3 key heads among 4 query heads",
  );
  assertThrows(
    () => attendGrouped({ query: q, parts: [part(keys(1, 2, 5, 2), keys(1, 2, 6, 2))] }),
    ShapeError,
    "Cannot read values as [B=1, J=2, M=5, E=2]: axis M is 6",
  );
  const two = [part(keys(1, 2, 5, 2), keys(1, 2, 5, 2)), part(keys(1, 4, 1, 2), keys(1, 4, 1, 2))];
  assertThrows(() => attendGrouped({ query: q, parts: two }), ShapeError, "axis J is 4");
});

Deno.test("attendGrouped: eager and recorded agree, with an empty stretch too", async () => {
  const [H, J, E] = [4, 2, 2];
  const tensor = (name: string, shape: number[]): HostTensor =>
    hostTensor("float32", normals(name, sizeOf(shape)), shape);
  const of = (B: number, Q: number, P: number) => ({
    q: tensor("q", [B, H, Q, E]),
    dy: tensor("dy", [B, H, Q, E]),
    k: tensor("k", [B, J, Q, E]),
    v: tensor("v", [B, J, Q, E]),
    pastK: tensor("pk", [B, J, P, E]),
    pastV: tensor("pv", [B, J, P, E]),
    pastBias: tensor("pb", [B, 1, 1, P]),
  });
  const cache = { dtype: "float32", shape: ["B", J, "P", E] } as const;
  const now = { dtype: "float32", shape: ["B", J, "Q", E] } as const;
  const queries = { dtype: "float32", shape: ["B", H, "Q", E] } as const;
  await assertParity(
    {
      name: "grouped",
      inputs: {
        q: queries,
        dy: queries,
        k: now,
        v: now,
        pastK: cache,
        pastV: cache,
        pastBias: { dtype: "float32", shape: ["B", 1, 1, "P"] },
      },
      run: ({ q, dy, k, v, pastK, pastV, pastBias }) => {
        const parts = [part(pastK, pastV, pastBias), part(k, v, causalBias(k.shape[2]!))];
        const y = attendGrouped({ query: query(q), parts }, { scale: SCALE }) as tf.Tensor;
        return { y, loss: tf.sum(tf.mul(y, dy)) };
      },
    },
    [of(2, 3, 4), of(1, 1, 2), of(2, 2, 0)],
    {
      gradients: { loss: "loss", parameters: ["q", "k", "v", "pastK", "pastV"] },
    },
  );
});
