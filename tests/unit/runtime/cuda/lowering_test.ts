/**
 * What small programs are lowered to: which operations become one kernel, and where things lie. A change
 * that is meant is written down by
 *
 *     deno test -A tests/unit/runtime/cuda/lowering_test.ts -- --update
 *
 * and its difference is read before it is committed.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { assertEquals } from "@std/assert";
import { type Program, record, withGradients } from "../../../../src/graph/mod.ts";
import { bindGraph } from "../../../../src/runtime/cuda/bound_graph.ts";
import { describeProgram } from "../../../../src/runtime/cuda/describe_program.ts";
import type { MatrixPrecision } from "../../../../src/runtime/cuda/device.ts";
import { lower } from "../../../../src/runtime/cuda/lower.ts";
import { keepMask } from "../../../../src/tensor/keep_mask.ts";

const GOLDEN = new URL("../../../golden/cuda/", import.meta.url);

const f32 = (...shape: (number | string)[]) => ({ dtype: "float32", shape } as const);

/** Root mean square norm (Zhang and Sennrich 2019) with a residual, and its gradients. */
const norm: Program = {
  name: "norm",
  inputs: { x: f32("B", 512), y: f32("B", 512), w: f32(512) },
  run: ({ x, y, w }) => {
    const sum = tf.add(x, y);
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(sum), -1, true), 1e-6));
    return { loss: tf.sum(tf.square(tf.mul(tf.mul(sum, scale), w))) };
  },
};

/** Attention of several heads with a mask of padding, scaled and with dropout or not; and its gradients. */
const attentionOf = (isPlain: boolean): Program => ({
  name: isPlain ? "plain_attention" : "attention",
  inputs: { x: f32("B", "S", 64), w: f32(64, 192), isToken: f32("B", "S") },
  run: ({ x, w, isToken }) => {
    const [B, S] = x.shape, [H, E] = [4, 16];
    const heads = (t: tf.Tensor): tf.Tensor =>
      tf.transpose(tf.reshape(t, [B, S, H, E]), [0, 2, 1, 3]);
    const flat = tf.matMul(tf.reshape(x, [B * S, 64]), w as tf.Tensor2D);
    const [q, k, v] = tf.split(tf.reshape(flat, [B, S, 192]), 3, -1).map(heads);
    const bias = tf.mul(tf.sub(tf.reshape(isToken, [B, 1, 1, S]), 1), 1e9);
    const products = tf.matMul(q, k, false, true);
    const scores = tf.add(isPlain ? products : tf.mul(products, 0.25), bias);
    const all = tf.softmax(scores);
    const weights = isPlain ? all : tf.mul(tf.mul(all, keepMask(scores.shape, 0.9)), 1 / 0.9);
    const mixed = tf.reshape(tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]), [B, S, 64]);
    return { loss: tf.sum(tf.square(mixed)) };
  },
});

/** Rows of a table, and the gradient that is added up over repeated ids. */
const embedding: Program = {
  name: "embedding",
  inputs: { table: f32(1000, 32), ids: { dtype: "int32", shape: ["B", "S"] } },
  run: ({ table, ids }) => ({ loss: tf.sum(tf.square(tf.gather(table, ids as tf.Tensor2D))) }),
};

const subjects: [Program, string[], Record<string, number>, MatrixPrecision][] = [
  [norm, ["x", "w"], { B: 256 }, "float32"],
  [attentionOf(false), ["x", "w"], { B: 8, S: 32 }, "float32"],
  [attentionOf(false), ["x", "w"], { B: 8, S: 32 }, "bfloat16"],
  [attentionOf(true), ["x", "w"], { B: 8, S: 32 }, "bfloat16"],
  [embedding, ["table"], { B: 8, S: 300 }, "float32"],
];

/** Catches: operations that are no longer fused, copies that were not there, memory that lives longer. */
for (const [program, parameters, sizes, precision] of subjects) {
  const name = `${program.name}.${precision}`;
  Deno.test(`lowered as before: ${name}`, async () => {
    const recording = record(withGradients(program, { loss: "loss", parameters }));
    const text = describeProgram(lower(bindGraph(recording, sizes), { precision }));
    const path = new URL(`${name}.txt`, GOLDEN);
    if (Deno.args.includes("--update")) {
      await Deno.mkdir(GOLDEN, { recursive: true });
      await Deno.writeTextFile(path, text);
    }
    assertEquals(
      text,
      await Deno.readTextFile(path),
      "what is meant is written down by: deno test -A tests/unit/runtime/cuda/lowering_test.ts -- --update",
    );
  });
}
