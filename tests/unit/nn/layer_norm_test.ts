import { assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import { layerNorm } from "../../../src/nn/mod.ts";
import { named } from "../../../src/tensor/axes.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { assertParity } from "../../parity.ts";
import { assertClose, dot, normals, numericGradient, rowsOf } from "./_reference.ts";

/** Central differences in float64 are good to about 1e-9; what is left is float32. */
const GRADIENT_TOLERANCE = 3e-6;
const EPSILON = 1e-3;

function reference(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
): number[] {
  return rowsOf(x, weight.length).flatMap((row) => {
    const mean = row.reduce((a, b) => a + b) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    return row.map((v, i) => (v - mean) / Math.sqrt(variance + EPSILON) * weight[i] + bias[i]);
  });
}

const run = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) =>
  layerNorm(x, { weight: named(weight, "D", {}), bias: named(bias, "D", {}) }, EPSILON);

Deno.test("layerNorm: value and all gradients against float64", () => {
  const x = normals("x", 30).map((v) => 2 * v + 1), dy = normals("dy", 30);
  const weight = normals("weight", 5), bias = normals("bias", 5);
  const tensors = [tf.tensor3d(x, [2, 3, 5]), tf.tensor1d(weight), tf.tensor1d(bias)] as const;
  assertClose(run(...tensors).dataSync(), reference(x, weight, bias));
  const got = tf.grads(run)([...tensors], tf.tensor3d(dy, [2, 3, 5]));
  const loss = (...of: [ArrayLike<number>, ArrayLike<number>, ArrayLike<number>]) =>
    dot(reference(...of), dy);
  const expected = [
    numericGradient((x) => loss(x, weight, bias), x),
    numericGradient((w) => loss(x, w, bias), weight),
    numericGradient((b) => loss(x, weight, b), bias),
  ];
  expected.forEach((g, i) => assertClose(got[i].dataSync(), g, GRADIENT_TOLERANCE));
});

Deno.test("layerNorm: a constant row becomes the bias, and a large mean costs little", () => {
  const weight = named(tf.ones([4]), "D", {}), bias = named(tf.tensor1d([1, 2, 3, 4]), "D", {});
  const constant = layerNorm(tf.fill([1, 4], 7), { weight, bias });
  assertClose(constant.dataSync(), [1, 2, 3, 4]);
  // Centred before it is squared: 4096 + x is exact in float32 for these x, x² + 4096² is not.
  const x = [-1, 0.5, 2, -1.5];
  const shifted = run(tf.tensor2d(x.map((v) => 4096 + v), [1, 4]), tf.ones([4]), tf.zeros([4]));
  assertClose(shifted.dataSync(), reference(x, [1, 1, 1, 1], [0, 0, 0, 0]));
});

Deno.test("layerNorm: eager and recorded agree at other sizes", async () => {
  const program = {
    name: "layer_norm",
    inputs: {
      x: { dtype: "float32", shape: ["B", "S", "D"] },
      weight: { dtype: "float32", shape: ["D"] },
      bias: { dtype: "float32", shape: ["D"] },
      dy: { dtype: "float32", shape: ["B", "S", "D"] },
    },
    run: ({ x, weight, bias, dy }: Record<string, tf.Tensor>) => {
      const y = run(x, weight, bias);
      return { y, loss: tf.sum(tf.mul(y, dy)) };
    },
  } as const;
  const of = (B: number, S: number, D: number) => ({
    x: hostTensor("float32", normals("px", B * S * D), [B, S, D]),
    dy: hostTensor("float32", normals("pdy", B * S * D), [B, S, D]),
    weight: hostTensor("float32", normals("pw", D), [D]),
    bias: hostTensor("float32", normals("pb", D), [D]),
  });
  await assertParity(program, [of(2, 3, 4), of(1, 1, 7), of(3, 2, 8)], {
    gradients: { loss: "loss", parameters: ["x", "weight", "bias"] },
  });
});

Deno.test("layerNorm names the parameter that does not fit", () => {
  const four = tf.zeros([4]), three = tf.zeros([3]);
  assertThrows(
    () => run(tf.zeros([2, 4]), three, four),
    ShapeError,
    "weight as [D=4]: axis D is 3",
  );
  assertThrows(() => run(tf.zeros([2, 4]), four, three), ShapeError, "bias as [D=4]: axis D is 3");
});
