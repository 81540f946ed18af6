/**
 * The one parity helper: a program run eagerly by tfjs against the same program recorded and run by
 * ONNX Runtime. Value, and gradient where asked for.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import * as ort from "onnxruntime-node";
import { record, toOnnx, withGradients } from "../src/graph/mod.ts";
import type { Program } from "../src/graph/mod.ts";
import type { DType, HostTensor } from "../src/tensor/host_tensor.ts";

/** Tensors by name. */
export type Tensors = Record<string, HostTensor>;

/** Largest difference allowed, relative to the largest magnitude of the tensor (at least 1). */
export const PARITY_TOLERANCE = 2e-5;

/** Choices of a comparison. */
export interface ParityOptions {
  /** Also compare the gradients of this output with respect to these inputs. */
  gradients?: { loss: string; parameters: readonly string[] };
  /** Dialects to record in. Default: both. */
  dialects?: readonly ("training" | "export")[];
  /** Inputs to write into the model as initialisers. */
  constants?: Tensors;
  /** Overrides {@linkcode PARITY_TOLERANCE}; say why at the call. */
  tolerance?: number;
}

/** Run a program on tfjs's cpu backend. */
export async function runEager(program: Program, inputs: Tensors): Promise<Tensors> {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  const outputs: Tensors = {};
  tf.tidy(() => {
    const x: Record<string, tf.Tensor> = {};
    for (const [name, { data, shape, dtype }] of Object.entries(inputs)) {
      x[name] = tf.tensor(data.slice(), [...shape], dtype);
    }
    for (const [name, t] of Object.entries(program.run(x))) {
      outputs[name] = {
        dtype: t.dtype as DType,
        shape: t.shape,
        data: t.dataSync().slice() as HostTensor["data"],
      };
    }
  });
  const leaked = tf.memory().numTensors - before;
  if (leaked) throw new Error(`${program.name} leaks ${leaked} tensors when it runs eagerly`);
  return outputs;
}

/** Run the bytes of an ONNX model once, on two threads. */
export async function runOnnx(model: Uint8Array | string, inputs: Tensors): Promise<Tensors> {
  const options = {
    intraOpNumThreads: 2,
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  } as const;
  const session =
    await (typeof model === "string"
      ? ort.InferenceSession.create(model, options)
      : ort.InferenceSession.create(model, options));
  try {
    const feeds: Record<string, ort.Tensor> = {};
    for (const name of session.inputNames) {
      const { dtype, data, shape } = inputs[name];
      feeds[name] = new ort.Tensor(dtype, data as Float32Array, [...shape]);
    }
    const outputs: Tensors = {};
    for (const [name, t] of Object.entries(await session.run(feeds))) {
      outputs[name] = {
        dtype: t.type as DType,
        shape: t.dims,
        data: t.data as HostTensor["data"],
      };
    }
    return outputs;
  } finally {
    await session.release();
  }
}

/** Fail unless both tensors have one shape and type and their elements agree. */
export function assertClose(
  actual: HostTensor,
  expected: HostTensor,
  { what, tolerance = PARITY_TOLERANCE }: { what: string; tolerance?: number },
): void {
  const form = (t: HostTensor) => `${t.dtype} [${t.shape}]`;
  if (form(actual) !== form(expected)) {
    throw new Error(`${what} is ${form(actual)}, expected ${form(expected)}`);
  }
  let scale = 1;
  for (const y of expected.data) if (Number.isFinite(y)) scale = Math.max(scale, Math.abs(y));
  const limit = expected.dtype === "float32" ? tolerance * scale : 0;
  for (let i = 0; i < expected.data.length; i++) {
    const a = actual.data[i], e = expected.data[i];
    if (Object.is(a, e) || a === e || Math.abs(a - e) <= limit) continue;
    throw new Error(`${what}: element ${i} of [${expected.shape}] is ${a}, expected ${e}`);
  }
}

/**
 * Fail unless `program` gives the same eagerly and recorded, for every set of inputs: sets of other
 * sizes show that its symbols hold. The recording is made once.
 *
 * @param program What to compare; no random masks
 * @param inputs Every input by name; one set or several
 * @param options Gradients to compare too, dialects, constants, tolerance
 */
export async function assertParity(
  program: Program,
  inputs: Tensors | readonly Tensors[],
  options: ParityOptions = {},
): Promise<void> {
  const { gradients, dialects = ["training", "export"], constants = {}, tolerance } = options;
  const subject = gradients ? withGradients(program, gradients) : program;
  const sets = (Array.isArray(inputs) ? inputs : [inputs]) as readonly Tensors[];
  const models = dialects.map((dialect) =>
    toOnnx(record(subject, { dialect }), { constants }).model
  );
  for (const set of sets) {
    const expected = await runEager(subject, { ...set, ...constants });
    for (const [i, model] of models.entries()) {
      const actual = await runOnnx(model, set);
      for (const [name, tensor] of Object.entries(expected)) {
        const what = `output ${name} of ${subject.name} (${dialects[i]})`;
        assertClose(actual[name], tensor, { what, tolerance });
      }
    }
  }
}
