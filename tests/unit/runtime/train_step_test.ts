import * as tf from "@tensorflow/tfjs-core";
import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { DeepragError, ShapeError, TraceError } from "../../../src/errors.ts";
import type { Program } from "../../../src/graph/mod.ts";
import { adamw, sgd } from "../../../src/optim/mod.ts";
import {
  createTrainStep,
  eagerExecutor,
  type Executor,
  onnxExecutor,
  ParameterStore,
  verifyProgram,
  workerExecutor,
} from "../../../src/runtime/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import type { ParamSpecs } from "../../../src/tensor/params.ts";
import { toyProgram, toySpecs } from "./toy_training.ts";

/** Central differences of a float32 loss with this step are good to about 1e-3. */
const DIFFERENCE_STEP = 1e-2, DIFFERENCE_TOLERANCE = 3e-3;

const f32 = (shape: number[], f: (i: number) => number): ReturnType<typeof hostTensor> =>
  hostTensor(
    "float32",
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => f(i)),
    shape,
  );

const executors: Executor[] = [onnxExecutor(), workerExecutor(), eagerExecutor("cpu")];

for (const executor of executors) {
  Deno.test(`${executor.name}: gradients stand in the store and equal finite differences`, async () => {
    const store = new ParameterStore(toySpecs, { rule: sgd() });
    store.initialise(9);
    const train = await createTrainStep(executor, toyProgram, store);
    assertEquals(train.inputs, { x: "float32", y: "float32" });
    const batch = { x: f32([5, 8], (i) => Math.sin(i)), y: f32([5], (i) => i / 5) };
    const random = { seed: 1, stream: "dropout", step: 0 };
    const { loss, aux } = await train.step(batch, { random });
    assertEquals(Object.keys(aux), ["out"]);
    const out = aux.out.data as Float32Array;
    const byHand = out.reduce((a, v, i) => a + (v - i / 5) ** 2, 0) / 5;
    assertAlmostEquals(loss, byHand, 1e-5);
    const gradients = store.training.gradients.slice();
    for (const [name, index] of [["w1", 3], ["w1", 77], ["b1", 5], ["w2", 2]] as const) {
      const { data } = store.params[name], value = data[index];
      const losses: number[] = [];
      for (const sign of [1, -1]) {
        data[index] = value + sign * DIFFERENCE_STEP;
        losses.push((await train.step(batch, { random })).loss);
      }
      data[index] = value;
      const { offset } = store.layout.segments.find((s) => s.name === name)!;
      const slope = (losses[0] - losses[1]) / (2 * DIFFERENCE_STEP);
      assertAlmostEquals(
        gradients[offset + index],
        slope,
        DIFFERENCE_TOLERANCE,
        `${name}[${index}]`,
      );
    }
    await train.dispose();
    await assertRejects(() => train.step(batch, { random }), DeepragError, "disposed");
  });
}

Deno.test("parameters that do not fit the program are named, all of them", async () => {
  const init = { kind: "constant", value: 0 } as const;
  const specs: ParamSpecs = {
    ...toySpecs,
    w1: { shape: [16, 8], init },
    extra: { shape: [1], init },
  };
  const store = new ParameterStore(specs, { rule: sgd() });
  const { message } = await assertRejects(
    () => createTrainStep(onnxExecutor(), toyProgram, store),
    ShapeError,
  );
  assertEquals(message.split("\n  ").slice(1), [
    "w1 is float32 [16, 8] in the store and float32 [8, 16] in the program",
    "extra is no input of the program",
  ]);
  await assertRejects(
    () => createTrainStep(onnxExecutor(), toyProgram, new ParameterStore(toySpecs)),
    DeepragError,
    "without an optimiser",
  );
});

Deno.test("of a row-sparse parameter the program sees the named rows, and theirs are the gradients", async () => {
  const init = { kind: "constant", value: 0 } as const;
  const specs: ParamSpecs = { e: { shape: [5, 4], init, isRowSparse: true } };
  const store = new ParameterStore(specs, { rule: adamw() });
  store.params.e.data.forEach((_, i) => store.params.e.data[i] = i);
  const program: Program = {
    name: "rows",
    inputs: {
      e: { dtype: "float32", shape: ["U", 4] },
      places: { dtype: "int32", shape: ["N"] },
    },
    run: ({ e, places }) => ({ loss: tf.sum(tf.square(tf.gather(e, places))) }),
  };
  const train = await createTrainStep(onnxExecutor(), program, store);
  // Rows 1 and 3 take part; the batch counts among those: row 3 twice, row 1 once.
  const batch = { places: hostTensor("int32", Int32Array.of(1, 0, 1), [3]) };
  const step = (rows: number[]): ReturnType<typeof train.step> =>
    train.step(batch, { rows: { e: Int32Array.from(rows) } });
  const { loss } = await step([1, 3]);
  const squares = (row: number): number => [0, 1, 2, 3].reduce((a, c) => a + (4 * row + c) ** 2, 0);
  assertEquals(loss, squares(1) + 2 * squares(3));
  assertEquals(
    Array.from(store.gradients.e.data.subarray(0, 8)),
    [4, 5, 6, 7].map((x) => 2 * x).concat([12, 13, 14, 15].map((x) => 4 * x)),
  );
  await assertRejects(() => train.step(batch), ShapeError, "which rows of e take part");
  await assertRejects(() => step([1, 5]), ShapeError, "row 5 of e");
  await assertRejects(() => step([3, 1]), ShapeError, "row 1 of e");
  await train.dispose();
});

const branching: Program = {
  name: "branching",
  inputs: { x: { dtype: "float32", shape: ["B", "S"] } },
  // No probe has a size of 1, so a recording never sees the other branch.
  run: ({ x }) => ({
    fine: tf.add(x, 1),
    total: x.shape[1] === 1 ? tf.mul(tf.sum(x, 1), 2) : tf.sum(x, 1),
  }),
};
const makeInputs = ({ B, S }: Record<string, number>): Record<string, ReturnType<typeof f32>> => ({
  x: f32([B, S], (i) => 1 + i),
});

Deno.test("verifyProgram finds a branch that no probe took, at the size that takes it", async () => {
  const options = { executor: onnxExecutor(), reference: eagerExecutor("cpu"), makeInputs };
  const error = await assertRejects(() => verifyProgram(branching, options), TraceError);
  for (const part of ["output total", "between onnx and cpu", "S=1", "5.00e-1"]) {
    assertEquals(error.message.includes(part), true, `${part} not in ${error.message}`);
  }
  const errors = await verifyProgram(branching, {
    ...options,
    sizes: [{ B: 3, S: 4 }, { B: 1, S: 2 }],
  });
  assertEquals(errors.map((e) => e.output), ["fine", "total"]);
  assertEquals(errors.every((e) => e.relativeError < 1e-6), true);
});

Deno.test("verifyProgram tries every symbol at 1, 2, 5 and 8, equal and unequal", async () => {
  const tried: string[] = [];
  await verifyProgram({ ...branching, run: ({ x }) => ({ y: tf.square(x) }) }, {
    executor: onnxExecutor(),
    reference: eagerExecutor("cpu"),
    makeInputs: (sizes) => {
      tried.push(`${sizes.B}x${sizes.S}`);
      return makeInputs(sizes);
    },
  });
  assertEquals(tried, ["1x1", "2x2", "5x5", "8x8", "1x2", "2x5", "5x8", "8x1"]);
});

Deno.test("verifyProgram sees another shape, a NaN on one side, and a size that does not run", async () => {
  const reference = eagerExecutor("cpu");
  const verify = (
    run: Program["run"],
    runReference: Program["run"],
    options: { usual?: number } = {},
  ): Promise<unknown> =>
    verifyProgram({ ...branching, run }, {
      executor: onnxExecutor(),
      reference: {
        name: "other",
        compile: () => reference.compile({ ...branching, run: runReference }),
      },
      makeInputs,
      sizes: [{ B: 2, S: 3 }],
      ...options,
    });
  await assertRejects(
    () => verify(({ x }) => ({ y: tf.sum(x, 1) }), ({ x }) => ({ y: tf.sum(x, 1, true) })),
    TraceError,
    "float32 [2] against float32 [2, 1]",
  );
  await assertRejects(
    () => verify(({ x }) => ({ y: tf.sqrt(x) }), ({ x }) => ({ y: tf.sqrt(tf.neg(x)) })),
    TraceError,
    "NaN on one side only",
  );
  await assertRejects(
    () =>
      verify(
        ({ x }) => ({ y: tf.gather(x, tf.cast(x, "int32")) }),
        ({ x }) => ({ y: tf.square(x) }),
      ),
    TraceError,
    "B=2 S=3: it runs on other but not on onnx",
  );
  const whole = (n: number): Program["run"] => ({ x }) => ({
    y: tf.cast(tf.add(tf.mul(x, 0), n), "int32"),
  });
  await assertRejects(() => verify(whole(1e6), whole(1e6 + 1)), TraceError, "whole numbers");
  // Rounding errors of numbers that are about 0 can be held against a usual size.
  const tiny = (n: number): Program["run"] => ({ x }) => ({ y: tf.add(tf.mul(x, 0), n) });
  await assertRejects(() => verify(tiny(1e-5), tiny(2e-5)), TraceError);
  await verify(tiny(1e-5), tiny(2e-5), { usual: 1 });
  await assertRejects(() => verify(tiny(1e-3), tiny(2e-3), { usual: 1 }), TraceError);
  // NaN on both sides is agreement.
  await verify(({ x }) => ({ y: tf.sqrt(tf.neg(x)) }), ({ x }) => ({ y: tf.sqrt(tf.neg(x)) }));
});
