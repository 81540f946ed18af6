/** The float64 interpreter against tfjs and against numbers known without it. */
import { assert, assertAlmostEquals, assertEquals, assertLess, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import {
  evaluateSize,
  inputsLike,
  type Program,
  record,
  withGradients,
} from "../../../src/graph/mod.ts";
import { decoderLoss } from "../../../src/model/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import {
  evaluateRecording,
  gradientError,
  type Inputs64,
  runFloat64,
  type Tensor64,
} from "../../float64.ts";
import { assertClose, runEager } from "../../parity.ts";
import { tinyDecoder } from "../model/_tiny_decoder.ts";
import { drawArgument, type KernelCase, kernelCases, SIZES } from "./kernel_cases.ts";

/** float32 against float64, relative to the largest magnitude of the tensor (at least 1). */
const FLOAT32_TOLERANCE = 1e-6;
/** Errors of differences are about 1e-9; constants rounded to float32, as 2/√π, cost up to 6e-8. */
const GRADIENT_TOLERANCE = 1e-7;
/** Roundings of float64 in numbers around 1; the series of erf has up to 80 terms. */
const FLOAT64_TOLERANCE = 1e-15;

function assertSame(
  actual: Record<string, Tensor64>,
  expected: Record<string, HostTensor>,
  what: string,
): void {
  assertEquals(Object.keys(actual).sort(), Object.keys(expected).sort());
  for (const [name, tensor] of Object.entries(expected)) {
    const { shape, data } = actual[name];
    const rounded = { dtype: tensor.dtype, shape, data: Float32Array.from(data) } as HostTensor;
    assertClose(rounded, tensor, { what: `${name} of ${what}`, tolerance: FLOAT32_TOLERANCE });
  }
}

/** Results of a case, and as "loss" their sum under fixed weights. */
const programOf = ({ kernel, about, inputs, run }: KernelCase): Program => ({
  name: `${kernel}: ${about}`,
  inputs,
  run: (x) => {
    const results = [run(x)].flat();
    const sums = results.filter((y) => y.dtype === "float32").map((y) =>
      tf.sum(tf.mul(tf.reshape(y, [-1]), tf.sin(tf.range(1, y.size + 1))))
    );
    const loss: Record<string, tf.Tensor> = sums.length ? { loss: tf.addN(sums) } : {};
    return { ...Object.fromEntries(results.map((y, i) => [`y${i}`, y])), ...loss };
  },
});

for (const c of kernelCases.filter((c) => !c.isRandom)) {
  Deno.test(`float64 ${c.kernel}: ${c.about}`, async () => {
    const program = programOf(c);
    const parameters = c.gradient === false
      ? []
      : c.gradient ?? Object.keys(c.inputs).filter((name) => c.inputs[name].dtype === "float32");
    for (const sizes of SIZES) {
      const inputs = Object.fromEntries(
        Object.entries(c.inputs).map(([name, a], i) => [name, drawArgument(a, sizes, i + 1)]),
      );
      const results = runFloat64(program, inputs);
      assertSame(results, await runEager(program, inputs), program.name);
      if (!parameters.length || !results.loss) continue;
      const { error, where } = gradientError(program, inputs, { loss: "loss", parameters });
      assertLess(error, GRADIENT_TOLERANCE, `${program.name}: ${where}`);
    }
  });
}

for (const family of ["gpt2", "llama", "qwen2"] as const) {
  Deno.test(`float64 decoderLoss of a ${family}: as in float32, and its gradients`, async () => {
    const { config, tensors } = tinyDecoder(family);
    const parameters = Object.keys(tensors);
    const batch = { dtype: "int32", shape: ["B", "S"] } as const;
    const program: Program = {
      name: `tiny_${family}`,
      inputs: {
        ...inputsLike(tensors),
        inputIds: batch,
        labels: batch,
        isToken: { dtype: "float32", shape: ["B", "S"] },
      },
      run: (x) => ({
        loss: decoderLoss(x, config, {
          inputIds: namedInts(x.inputIds, "B S", {}),
          labels: namedInts(x.labels, "B S", {}),
          isToken: named(x.isToken, "B S", {}),
        }),
      }),
    };
    const inputs = {
      ...tensors,
      inputIds: hostTensor("int32", Int32Array.of(3, 4, 5, 9, 6, 2, 1, 0), [2, 4]),
      labels: hostTensor("int32", Int32Array.of(3, -100, 5, 9, 6, 2, 1, -100), [2, 4]),
      isToken: hostTensor("float32", Float32Array.of(1, 1, 1, 1, 1, 1, 1, 0), [2, 4]),
    };
    const subject = withGradients(program, { loss: "loss", parameters });
    assertSame(runFloat64(subject, inputs), await runEager(subject, inputs), subject.name);
    const { error, where } = gradientError(program, inputs, {
      loss: "loss",
      parameters,
      samples: 16,
    });
    assertLess(error, GRADIENT_TOLERANCE, where);
  });
}

const vector = { dtype: "float32", shape: ["N"] } as const;
const of = (...data: number[]): Inputs64 => ({
  x: { dtype: "float32", shape: [data.length], data },
});
/** y = f(x) for a vector x. */
const unary = (f: (x: tf.Tensor) => tf.Tensor): Program => ({
  name: "unary",
  inputs: { x: vector },
  run: ({ x }) => ({ y: f(x) }),
});

Deno.test("float64 keeps what float32 loses", () => {
  const { y } = runFloat64(unary((x) => tf.sub(tf.add(x, 1), 1)), of(1e-12, 2 ** -52));
  assertAlmostEquals(y.data[0], 1e-12, 2 ** -53);
  assertEquals(y.data[1], 2 ** -52);
  const square = runFloat64(
    unary((x) => tf.matMul(tf.reshape(x, [1, -1]), tf.reshape(x, [-1, 1]))),
    {
      ...of(1, 1e-6),
    },
  );
  assertEquals(square.y.data[0], 1 + 1e-12);
  const big = runFloat64(unary((x) => tf.sum(x)), of(2 ** 40, 1, -(2 ** 40)));
  assertEquals(big.y.data[0], 1);
  const log = runFloat64(unary((x) => tf.logSoftmax(x)), of(0, Math.log(3)));
  assertAlmostEquals(log.y.data[0], -Math.log(4), FLOAT64_TOLERANCE);
});

Deno.test("float64 erf has the digits of the tables", () => {
  // Abramowitz and Stegun, table 7.1, and erfc(5) = 1.537459794428035e-12.
  const { y } = runFloat64(unary(tf.erf), of(0, 0.5, 1, 2, -2, 5, 9));
  [0, 0.5204998778130465, 0.8427007929497149, 0.9953222650189527, -0.9953222650189527]
    .forEach((value, i) => assertAlmostEquals(y.data[i], value, FLOAT64_TOLERANCE));
  assertAlmostEquals(1 - y.data[5], 1.537459794428035e-12, FLOAT64_TOLERANCE);
  assertEquals(y.data[6], 1);
});

Deno.test("one recording runs at every size", () => {
  const recording = record(unary((x) => tf.concat([x, tf.range(0, x.shape[0])])), {
    dialect: "export",
  });
  for (const data of [[5], [5, 6, 7]]) {
    const { y } = evaluateRecording(recording, of(...data));
    assertEquals(
      y.shape,
      recording.outputs[0].shape.map((e) => evaluateSize(e, { N: data.length })),
    );
    assertEquals([...y.data], [...data, ...data.keys()]);
  }
});

Deno.test("what float64 cannot run is named", () => {
  const fused = record({
    name: "fused",
    inputs: { x: { dtype: "float32", shape: ["B", 2, 3] } },
    run: ({ x }) => ({ y: tf.matMul(x, x, false, true) }),
  });
  const x = { dtype: "float32", shape: [1, 2, 3], data: [1, 2, 3, 4, 5, 6] } as const;
  assertThrows(
    () => evaluateRecording(fused, { x }),
    Error,
    "Cannot run fused in float64: no operator FusedMatMul",
  );
  const refuse = (inputs: Inputs64, words: string) =>
    assertThrows(
      () => runFloat64(unary(tf.neg), inputs),
      Error,
      `x is float32 [N], given ${words}`,
    );
  refuse({}, "nothing");
  refuse({ x }, "6 elements of float32 as [1,2,3]");
  refuse({ x: { ...x, dtype: "int32", shape: [6] } }, "6 elements of int32 as [6]");
  refuse({ x: { ...x, shape: [5] } }, "6 elements of float32 as [5]");
});

/** Σ x² whose gradient is told to be `factor` times what it is. */
const sumOfSquares = (x: tf.Tensor, factor: number): tf.Tensor =>
  tf.customGrad((x, save) => {
    (save as unknown as tf.GradSaveFunc)([x as tf.Tensor]);
    return {
      value: tf.sum(tf.square(x as tf.Tensor)),
      gradFunc: (dy, [x]) => tf.mul(tf.mul(dy, x), 2 * factor),
    };
  })(x);

Deno.test("gradientError measures how wrong a gradient is, and where", () => {
  const squares = (factor: number): Program => ({
    name: "squares",
    inputs: { x: vector },
    run: ({ x }) => ({ loss: sumOfSquares(x, factor) }),
  });
  const measure = (factor: number, samples?: number, scale = 1) =>
    gradientError(squares(factor), of(scale, -4 * scale, 2 * scale), {
      loss: "loss",
      parameters: ["x"],
      samples,
    });
  assertLess(measure(1).error, 1e-9);
  // 2·4·(1 + 2⁻¹⁰) against 8, relative to the larger one.
  const { error, where } = measure(1 + 2 ** -10);
  assertAlmostEquals(error, 2 ** -10 / (1 + 2 ** -10), 1e-9);
  assert(where.startsWith("x[1] is -8.0078125, differences give -"), where);
  assertAlmostEquals(measure(0).error, 1, 1e-9);
  // However small all gradients are.
  assertAlmostEquals(measure(1 + 2 ** -10, 3, 1 / 1024).error, error, 1e-9);
  // One sample of three: its error is relative to the largest gradient all the same.
  const one = measure(1 + 2 ** -10, 1);
  assert([1, 2, 4].some((x) => Math.abs(one.error * 4 / x - error) < 1e-9), one.where);
});

Deno.test("gradientError: a gradient that is 0 but for rounding is no error, NaN always is", () => {
  const program = (f: (z: tf.Tensor) => tf.Tensor): Program => ({
    name: "two",
    inputs: { x: vector, z: vector },
    run: ({ x, z }) => ({ loss: tf.add(tf.sum(tf.square(x)), tf.sum(f(z))) }),
  });
  const measure = (f: (z: tf.Tensor) => tf.Tensor, z: number[]) =>
    gradientError(program(f), { ...of(1, 2), z: of(...z).x }, {
      loss: "loss",
      parameters: ["x", "z"],
    }).error;
  // Probabilities sum to 1 whatever z is.
  assertLess(measure(tf.softmax, [0.3, -1.1]), 1e-7);
  assertThrows(() => measure(tf.sqrt, [0, 1]), Error, "Gradient of z[0] is Infinity");
});
