import { assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import { geluNew, rmsNorm } from "../../../src/nn/mod.ts";
import { named } from "../../../src/tensor/axes.ts";
import { assertClose, dot, normals, numericGradient, rowsOf } from "./_reference.ts";

/** Central differences in float64 are good to about 1e-9; what is left is float32. */
const GRADIENT_TOLERANCE = 3e-6;
const EPSILON = 1e-6;

function rmsReference(x: ArrayLike<number>, weight: ArrayLike<number>): number[] {
  return rowsOf(x, weight.length).flatMap((row) => {
    const scale = 1 / Math.sqrt(dot(row, row) / row.length + EPSILON);
    return row.map((v, i) => v * scale * weight[i]);
  });
}

Deno.test("rmsNorm: value and both gradients against float64", () => {
  const x = normals("x", 24), weight = normals("weight", 4), dy = normals("dy", 24);
  const run = (x: tf.Tensor, w: tf.Tensor) => rmsNorm(x, named(w, "D", {}), EPSILON);
  const xt = tf.tensor3d(x, [2, 3, 4]), wt = tf.tensor1d(weight);
  assertClose(run(xt, wt).dataSync(), rmsReference(x, weight));
  const [dx, dw] = tf.grads(run)([xt, wt], tf.tensor3d(dy, [2, 3, 4]));
  const loss = (x: ArrayLike<number>, w: ArrayLike<number>) => dot(rmsReference(x, w), dy);
  assertClose(dx.dataSync(), numericGradient((x) => loss(x, weight), x), GRADIENT_TOLERANCE);
  assertClose(dw.dataSync(), numericGradient((w) => loss(x, w), weight), GRADIENT_TOLERANCE);
});

Deno.test("rmsNorm refuses a weight of another width", () => {
  assertThrows(
    () => rmsNorm(tf.zeros([2, 4]), named(tf.zeros([3]), "D", {})),
    ShapeError,
    "Cannot read weight as [D=4]: axis D is 3",
  );
});

const geluReference = (x: number) =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

Deno.test("geluNew: value and gradient against float64, also far out", () => {
  const x = Float32Array.of(...normals("gelu", 40).map((v) => 2 * v), 0, -30, 30);
  const xt = tf.tensor1d(x);
  assertClose(geluNew(xt).dataSync(), [...x].map(geluReference));
  const expected = numericGradient((x) => x.reduce((sum, v) => sum + geluReference(v), 0), x);
  assertClose(tf.grad(geluNew)(xt).dataSync(), expected, GRADIENT_TOLERANCE);
});
