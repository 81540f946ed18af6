/** Programs on generated kernels against the same ones on tfjs's cpu backend. */
import * as tf from "@tensorflow/tfjs-core";
import { type Program, withGradients } from "../../../../src/graph/mod.ts";
import { deviceExecutor } from "../../../../src/runtime/cuda/cuda_executor.ts";
import type { MatrixPrecision } from "../../../../src/runtime/cuda/device.ts";
import { eagerExecutor, type Executor, type HostTensors } from "../../../../src/runtime/mod.ts";
import { type HostTensor, hostTensor } from "../../../../src/tensor/host_tensor.ts";
import { type RandomKey, type RandomStream, randomStream } from "../../../../src/tensor/random.ts";
import { hostDevice } from "./_host.ts";

/** ‖actual − expected‖ / ‖expected‖ that float32 sums in another order may have. */
export const FLOAT32_TOLERANCE = 2e-5;
/** The same for bfloat16, which has 8 bits. */
export const BFLOAT16_TOLERANCE = 2e-2;

const eager = eagerExecutor("cpu");

/** The stream of a test. */
export const streamOf = (stream: string, step = 0): RandomStream =>
  randomStream({ seed: 11, stream, step });

/** Standard normal numbers. */
export function normals(random: RandomStream, shape: readonly number[]): HostTensor<"float32"> {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map(() => random.normal());
  return hostTensor("float32", data, [...shape]);
}

/** Whole numbers below `n`. */
export function wholes(
  random: RandomStream,
  shape: readonly number[],
  n: number,
): HostTensor<"int32"> {
  const data = new Int32Array(shape.reduce((a, b) => a * b, 1)).map(() => random.int(n));
  return hostTensor("int32", data, [...shape]);
}

/** A program over tensors of the shapes given, whatever they hold. */
export function programOf(
  name: string,
  inputs: HostTensors,
  run: Program["run"],
): Program {
  const specs = Object.fromEntries(
    Object.entries(inputs).map(([n, { dtype, shape }]) => [n, { dtype, shape: [...shape] }]),
  );
  return { name, inputs: specs, run };
}

/** Adds `loss`, the sum of all float32 outputs under fixed weights, and its gradients. */
export function withLoss(program: Program, parameters: readonly string[]): Program {
  const subject: Program = {
    ...program,
    run: (x) => {
      const outputs = program.run(x);
      const parts = Object.values(outputs).filter((y) => y.dtype === "float32").map((y) =>
        tf.sum(tf.mul(tf.reshape(y, [-1]), tf.sin(tf.range(1, y.size + 1))))
      );
      return { ...outputs, loss: parts.reduce((a, b) => tf.add(a, b)) };
    },
  };
  return withGradients(subject, { loss: "loss", parameters });
}

async function runOn(
  executor: Executor,
  program: Program,
  inputs: HostTensors,
  random?: RandomKey,
): Promise<HostTensors[]> {
  const executable = await executor.compile(program);
  // The second run is a replay of what the first one recorded.
  const results = [
    await executable.run(inputs, { random }),
    await executable.run(inputs, { random }),
  ];
  await executable.dispose();
  return results;
}

/** Fail unless both have one type and shape and agree: floats in L2, everything else exactly. */
export function assertAgree(
  actual: HostTensors,
  expected: HostTensors,
  { what, tolerance }: { what: string; tolerance: number },
): void {
  for (const [name, e] of Object.entries(expected)) {
    const a = actual[name], where = `${name} of ${what}`;
    const form = (t: HostTensor): string => `${t.dtype} [${t.shape}]`;
    if (form(a) !== form(e)) throw new Error(`${where} is ${form(a)}, expected ${form(e)}`);
    let difference = 0, size = 0;
    for (let i = 0; i < e.data.length; i++) {
      if (Object.is(a.data[i], e.data[i]) || a.data[i] === e.data[i]) {
        if (Number.isFinite(e.data[i])) size += e.data[i] ** 2;
        continue;
      }
      if (e.dtype !== "float32" || !Number.isFinite(a.data[i] - e.data[i])) {
        throw new Error(`${where}: element ${i} of [${e.shape}] is ${a.data[i]}, not ${e.data[i]}`);
      }
      difference += (a.data[i] - e.data[i]) ** 2;
      size += e.data[i] ** 2;
    }
    // Sums that cancel have errors as large as their terms are, which are around 1.
    const error = Math.sqrt(difference / Math.max(size, e.data.length * 1e-2));
    if (!(error <= tolerance)) throw new Error(`${where} is off by ${error}, [${e.shape}]`);
  }
}

/**
 * Fail unless generated kernels compute what tfjs does.
 *
 * @param options.bfloat16 Whether bfloat16 is compared too. Default: yes
 */
export async function assertComputes(
  program: Program,
  inputs: HostTensors,
  options: { random?: RandomKey; bfloat16?: boolean; tolerance?: number } = {},
): Promise<void> {
  const { random, bfloat16 = true, tolerance = FLOAT32_TOLERANCE } = options;
  const [expected] = await runOn(eager, program, inputs, random);
  const device = await hostDevice();
  const on = async (precision: MatrixPrecision, limit: number): Promise<void> => {
    const results = await runOn(deviceExecutor(device, { precision }), program, inputs, random);
    results.forEach((actual, i) => {
      const what = `${program.name} in ${precision}, ${i ? "replayed" : "first run"}`;
      assertAgree(actual, expected, { what, tolerance: limit });
    });
  };
  await on("float32", tolerance);
  if (bfloat16) await on("bfloat16", BFLOAT16_TOLERANCE);
}
