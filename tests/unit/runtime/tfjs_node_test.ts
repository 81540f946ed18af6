/** The executor tfjs-node, where it was set up for this user; tests/interop does the setup itself. */
import * as tf from "@tensorflow/tfjs-core";
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { record, withGradients } from "../../../src/graph/mod.ts";
import { loadBackend } from "../../../src/runtime/eager_backend.ts";
import { createTrainStep, eagerExecutor } from "../../../src/runtime/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { assertClose } from "../../parity.ts";
import { inputsOf, kernelCases, programOf } from "../graph/kernel_cases.ts";
import { whyNoTfjsNode } from "./_tensorflow.ts";
import { testConformance } from "./conformance.ts";
import { toyOptimizer, toyProgram } from "./toy_training.ts";

const STEPS = 200;

/** What TensorFlow itself holds. */
const handles = (): number =>
  (tf.findBackend("tensorflow") as unknown as { binding: { getNumOfTensors(): number } }).binding
    .getNumOfTensors();

if (!await whyNoTfjsNode()) {
  const executor = eagerExecutor("tfjs-node", { threads: 2 }), cpu = eagerExecutor("cpu");
  testConformance(executor);

  Deno.test("tfjs-node: every kernel and gradient of the kernel cases equals the cpu backend's", async () => {
    for (const c of kernelCases.filter((c) => !c.isRandom)) {
      const program = programOf(c);
      const hasLoss = record(program).outputs.some((o) => o.name === "loss");
      const floats = Object.keys(c.inputs).filter((n) => c.inputs[n].dtype === "float32");
      const parameters = c.gradient ?? (hasLoss ? floats : []);
      const subject = parameters && parameters.length
        ? withGradients(program, { loss: "loss", parameters })
        : program;
      const [reference, tested] = [await cpu.compile(subject), await executor.compile(subject)];
      for (const inputs of inputsOf(c)) {
        const expected = await reference.run(inputs), actual = await tested.run(inputs);
        for (const [name, t] of Object.entries(expected)) {
          assertClose(actual[name], t, { what: `${name} of ${program.name}` });
        }
      }
    }
  });

  Deno.test("tfjs-node: calls that TensorFlow or its scripts lack are borrowed and leak nothing", async () => {
    await Promise.all([loadBackend("tfjs-node"), loadBackend("cpu")]);
    const ints = () => tf.tensor1d([-1, 0, 2], "int32"), bools = () => tf.tensor1d([0, 1], "bool");
    const calls: Record<string, [() => tf.Tensor, number[]]> = {
      roundInts: [() => tf.round(ints()), [-1, 0, 2]],
      expInts: [() => tf.exp(ints()), [Math.exp(-1), 1, Math.exp(2)]],
      stepInts: [() => tf.step(ints()), [0, 0, 1]],
      prelu: [() => tf.prelu(tf.tensor1d([-2, 3]), tf.tensor1d([0.5, 0.5])), [-1, 3]],
      argMaxBools: [() => tf.argMax(bools()), [1]],
      maxBools: [() => tf.max(bools()), [1]],
      greaterBools: [() => tf.greater(bools(), tf.tensor1d([0, 0], "bool")), [0, 1]],
      lessEqualBools: [() => tf.lessEqual(bools(), tf.tensor1d([0, 0], "bool")), [1, 0]],
    };
    const previous = tf.getBackend();
    tf.setBackend("tensorflow");
    const before = [tf.memory().numTensors, handles(), tf.findBackend("cpu").numDataIds()];
    for (const [name, [call, expected]] of Object.entries(calls)) {
      const found = tf.tidy(() => Array.from(call().dataSync()));
      assertEquals(found.length, expected.length, name);
      found.forEach((x, i) => assertAlmostEquals(x, expected[i], 1e-5, name));
    }
    assertEquals(
      [tf.memory().numTensors, handles(), tf.findBackend("cpu").numDataIds()],
      before,
    );
    if (previous) tf.setBackend(previous);
  });

  Deno.test(`tfjs-node: ${STEPS} training steps leave nothing behind, and learn`, async () => {
    const optimizer = toyOptimizer(), { store } = optimizer;
    const train = await createTrainStep(executor, toyProgram, store);
    const x = hostTensor("float32", Float32Array.from({ length: 128 }, (_, i) => Math.sin(i)), [
      16,
      8,
    ]);
    const y = hostTensor("float32", Float32Array.from({ length: 16 }, (_, i) => Math.cos(i)), [16]);
    const held = () => [tf.memory().numTensors, tf.memory().numBytes, handles()];
    const before = held(), losses: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const { loss } = await train.step({ x, y }, { random: { seed: 1, stream: "dropout", step } });
      optimizer.accumulate();
      optimizer.step(0.01);
      losses.push(loss);
      assertEquals(held(), before, `step ${step}`);
    }
    await train.dispose();
    assertEquals(losses.at(-1)! < losses[0] / 4, true, `${losses[0]} to ${losses.at(-1)}`);
  });

  Deno.test("tfjs-node: a tensor is a copy of the array it was made from", async () => {
    let x = hostTensor("float32", Float32Array.of(1, 2), [2]);
    const e = await executor.compile({
      name: "changing",
      inputs: { x: { dtype: "float32", shape: ["B"] } },
      run: (t) => {
        x.data.fill(9);
        return { y: tf.add(t.x, tf.scalar(1)) };
      },
    });
    x = hostTensor("float32", Float32Array.of(1, 2), [2]);
    assertEquals((await e.run({ x })).y.data, Float32Array.of(2, 3));
    await e.dispose();
  });

  Deno.test("tfjs-node: the active backend stays what it was", async () => {
    await loadBackend("cpu");
    await tf.setBackend("cpu");
    await (await executor.compile(toyProgram)).dispose();
    assertEquals(tf.getBackend(), "cpu");
  });
}
