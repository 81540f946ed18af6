import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { gelu, geluNew, silu } from "../../../src/nn/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { assertParity } from "../../parity.ts";
import { assertClose, normals, numericGradient } from "./_reference.ts";

/** Central differences in float64 are good to about 1e-9; what is left is float32. */
const GRADIENT_TOLERANCE = 3e-6;
/** tfjs computes erf by a polynomial with an error of 1.5e-7 (Abramowitz and Stegun 7.1.26). */
const ERF_TOLERANCE = 1e-6;

const siluReference = (x: number): number => x / (1 + Math.exp(-x));

/** The error function by Maclaurin's series, in float64; exact enough for |x| < 5. */
function erf(x: number): number {
  let term = x, sum = x;
  for (let n = 1; n < 120; n++) {
    term *= -x * x / n;
    sum += term / (2 * n + 1);
  }
  return 2 / Math.sqrt(Math.PI) * sum;
}
const geluReference = (x: number): number => x / 2 * (1 + erf(x / Math.SQRT2));

const POINTS = [...normals("points", 40).map((v) => 2 * v), 0, -4.5, 4.5];

Deno.test("silu: value and gradient against float64, also far out", () => {
  const x = Float32Array.of(...POINTS, -90, 90);
  const xt = tf.tensor1d(x);
  assertClose(silu(xt).dataSync(), [...x].map(siluReference));
  const expected = numericGradient((x) => x.reduce((sum, v) => sum + siluReference(v), 0), x);
  assertClose(tf.grad(silu)(xt).dataSync(), expected, GRADIENT_TOLERANCE);
});

Deno.test("gelu: value and gradient against float64", () => {
  const x = Float32Array.from(POINTS), xt = tf.tensor1d(x);
  assertClose(gelu(xt).dataSync(), [...x].map(geluReference), ERF_TOLERANCE);
  const expected = numericGradient((x) => x.reduce((sum, v) => sum + geluReference(v), 0), x);
  assertClose(tf.grad(gelu)(xt).dataSync(), expected, GRADIENT_TOLERANCE);
});

Deno.test("gelu and geluNew are two functions: they differ by at most 5e-4", () => {
  const x = tf.linspace(-5, 5, 101);
  const gap = tf.max(tf.abs(tf.sub(gelu(x), geluNew(x)))).dataSync()[0];
  if (!(gap > 4e-4 && gap < 5e-4)) throw new Error(`the largest difference is ${gap}`);
});

for (const [name, f] of Object.entries({ silu, gelu, geluNew })) {
  Deno.test(`${name}: eager and recorded agree`, async () => {
    const of = (B: number, D: number) => ({
      x: hostTensor("float32", normals("x", B * D).map((v) => 2 * v), [B, D]),
      dy: hostTensor("float32", normals("dy", B * D), [B, D]),
    });
    await assertParity(
      {
        name,
        inputs: {
          x: { dtype: "float32", shape: ["B", "D"] },
          dy: { dtype: "float32", shape: ["B", "D"] },
        },
        run: ({ x, dy }) => {
          const y = f(x);
          return { y, loss: tf.sum(tf.mul(y, dy)) };
        },
      },
      [of(3, 4), of(1, 9)],
      {
        gradients: { loss: "loss", parameters: ["x"] },
      },
    );
  });
}
