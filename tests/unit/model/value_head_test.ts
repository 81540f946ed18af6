import { assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import {
  VALUE_BIAS,
  VALUE_WEIGHT,
  valueHead,
  valueHeadParamSpecs,
} from "../../../src/model/mod.ts";
import { named } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { assertParity } from "../../parity.ts";
import { assertClose, dot, normals, numericGradient, rowsOf } from "../nn/_reference.ts";

const GRADIENT_TOLERANCE = 3e-6;
const reference = (hidden: ArrayLike<number>, weight: ArrayLike<number>, bias: number): number[] =>
  rowsOf(hidden, weight.length).map((row) => dot(row, weight) + bias);

const head = (hidden: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor =>
  valueHead({ [VALUE_WEIGHT]: weight, [VALUE_BIAS]: bias }, named(hidden, "B T D", {}));

Deno.test("valueHead: value and gradients against float64, to the states too", () => {
  const hidden = normals("hidden", 24), weight = normals("weight", 4), dy = normals("dy", 6);
  const tensors = [
    tf.tensor3d(hidden, [2, 3, 4]),
    tf.tensor2d(weight, [1, 4]),
    tf.tensor1d([0.5]),
  ] as const;
  const values = head(...tensors);
  assertEquals(values.shape, [2, 3]);
  assertClose(values.dataSync(), reference(hidden, weight, 0.5));
  const got = tf.grads(head)([...tensors], tf.tensor2d(dy, [2, 3]));
  [
    numericGradient((h) => dot(reference(h, weight, 0.5), dy), hidden),
    numericGradient((w) => dot(reference(hidden, w, 0.5), dy), weight),
    numericGradient(([b]) => dot(reference(hidden, weight, b), dy), [0.5]),
  ].forEach((g, i) => assertClose(got[i].dataSync(), g, GRADIENT_TOLERANCE));
});

Deno.test("a value head starts at 0 and decays its weight alone", () => {
  const specs = valueHeadParamSpecs(4);
  assertEquals(Object.values(specs).map(({ shape }) => shape), [[1, 4], [1]]);
  assertEquals(Object.values(specs).map(({ decay }) => decay), [undefined, false]);
  const [weight, bias] = Object.values(specs).map(({ shape, init }) =>
    tf.fill([...shape], init.kind === "constant" ? init.value : NaN)
  );
  assertEquals([...head(tf.ones([1, 2, 4]), weight, bias).dataSync()], [0, 0]);
});

Deno.test("valueHead names what is missing or does not fit", () => {
  const hidden = named(tf.zeros([2, 3, 4]), "B T D", {});
  assertThrows(() => valueHead({}, hidden), ShapeError, `Cannot find parameter ${VALUE_WEIGHT}`);
  assertThrows(
    () => head(hidden, tf.zeros([1, 5]), tf.zeros([1])),
    ShapeError,
    `Cannot read ${VALUE_WEIGHT} as [1, D=4]: axis D is 5`,
  );
  assertThrows(() => head(hidden, tf.zeros([1, 4]), tf.zeros([2])), ShapeError, VALUE_BIAS);
});

Deno.test("valueHead: eager and recorded agree at other sizes", async () => {
  const tensor = (name: string, shape: number[]): HostTensor =>
    hostTensor("float32", normals(name, sizeOf(shape)), shape);
  const of = (B: number, T: number) => ({
    hidden: tensor("hidden", [B, T, 4]),
    dy: tensor("dy", [B, T]),
    weight: tensor("weight", [1, 4]),
    bias: tensor("bias", [1]),
  });
  await assertParity(
    {
      name: "value_head",
      inputs: {
        hidden: { dtype: "float32", shape: ["B", "T", 4] },
        dy: { dtype: "float32", shape: ["B", "T"] },
        weight: { dtype: "float32", shape: [1, 4] },
        bias: { dtype: "float32", shape: [1] },
      },
      run: ({ hidden, dy, weight, bias }) => {
        const y = head(hidden, weight, bias);
        return { y, loss: tf.sum(tf.mul(y, dy)) };
      },
    },
    [of(2, 3), of(1, 1)],
    { gradients: { loss: "loss", parameters: ["hidden", "weight", "bias"] } },
  );
});
