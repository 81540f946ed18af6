/** Programs run operation by operation on a tfjs backend. @module */
import * as tf from "@tensorflow/tfjs-core";
import { DeepragError, TraceError } from "../errors.ts";
import type { Program } from "../graph/mod.ts";
import type { DType, HostTensor } from "../tensor/host_tensor.ts";
import {
  type EagerBackend,
  type EagerOptions,
  loadBackend,
  runOn,
  sharesMemory,
} from "./eager_backend.ts";
import type { CompileOptions, Executable, Executor, HostTensors, RunOptions } from "./executor.ts";
import { recordProgram } from "./record_program.ts";
import { bindSizes, checkOutputs, type Signature } from "./signature.ts";

const toTensor = ({ data, shape, dtype }: HostTensor): tf.Tensor =>
  tf.tensor(data, [...shape], dtype);

class EagerExecutable implements Executable {
  readonly inputs: Readonly<Record<string, DType>>;
  readonly outputs: readonly string[];
  readonly #backend: EagerBackend;
  readonly #program: Program;
  readonly #signature: Signature;
  #constants: Record<string, tf.Tensor> | undefined;

  constructor(
    backend: EagerBackend,
    program: Program,
    { signature, constants }: { signature: Signature; constants: HostTensors },
  ) {
    this.#backend = backend;
    this.#program = program;
    this.#signature = signature;
    this.inputs = Object.fromEntries(
      Object.entries(signature.inputs).map(([name, { dtype }]) => [name, dtype]),
    );
    this.outputs = signature.outputs.map((o) => o.name);
    this.#constants = runOn(
      backend,
      { program: program.name },
      () =>
        Object.fromEntries(
          Object.entries(constants).map(([name, t]) => [
            name,
            // The caller may change its array later; tensors of some backends share memory with it.
            tf.keep(toTensor({ ...t, data: t.data.slice() } as HostTensor)),
          ]),
        ),
    );
  }

  // deno-lint-ignore require-await -- errors become rejections, as with every other executor
  async run(inputs: HostTensors, options: RunOptions = {}): Promise<HostTensors> {
    const { name } = this.#program, constants = this.#constants;
    if (!constants) throw new DeepragError(`Cannot run ${name}: it was disposed`);
    const { outputs: buffers = {}, random } = options;
    const sizes = bindSizes(this.#signature, inputs);
    checkOutputs(this.#signature, buffers, sizes);
    const isShared = sharesMemory(this.#backend);
    return runOn(this.#backend, { program: name, random }, () => {
      const x: Record<string, tf.Tensor> = { ...constants };
      for (const [input, t] of Object.entries(inputs)) {
        x[input] = toTensor(isShared ? { ...t, data: t.data.slice() } as HostTensor : t);
      }
      const made = this.#program.run(x);
      return Object.fromEntries(this.outputs.map((output) => {
        const t = made[output];
        if (!t) throw new TraceError(`Cannot run ${name}: it did not return "${output}" this time`);
        const data = t.dataSync() as HostTensor["data"];
        const buffer = Object.hasOwn(buffers, output) ? buffers[output] : undefined;
        if (buffer) {
          buffer.data.set(data);
          return [output, buffer];
        }
        // What dataSync gives may be the memory of an input.
        return [output, { dtype: t.dtype, shape: t.shape, data: data.slice() } as HostTensor];
      }));
    });
  }

  dispose(): Promise<void> {
    const constants = Object.values(this.#constants ?? {});
    this.#constants = undefined;
    if (constants.length) {
      runOn(this.#backend, { program: this.#program.name }, () => tf.dispose(constants));
    }
    return Promise.resolve();
  }
}

/**
 * Runs programs operation by operation on a tfjs backend: the oracle for recorded graphs, and what
 * is left where ONNX Runtime does not load. Kernels that the wasm backend lacks are borrowed from
 * the cpu backend. A run blocks this thread.
 *
 * Programs are recorded once all the same, so that what cannot be recorded is found out here too.
 *
 * `"tfjs-node"` is TensorFlow, which the command setup-tfjs-node has to have prepared.
 *
 * @param backend `"wasm"` is the faster one, `"cpu"` the plain JavaScript one, `"tfjs-node"` TensorFlow
 * @param eager Threads, for TensorFlow only
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { eagerExecutor } from "./eager_executor.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const executable = await eagerExecutor("cpu").compile({
 *   name: "square",
 *   inputs: { x: { dtype: "float32", shape: ["B"] } },
 *   run: ({ x }) => ({ y: tf.mul(x, x) }),
 * });
 * const { y } = await executable.run({ x: hostTensor("float32", Float32Array.of(2, 3), [2]) });
 * assertEquals(y.data, Float32Array.of(4, 9));
 * await executable.dispose();
 * ```
 */
export function eagerExecutor(backend: EagerBackend, eager: EagerOptions = {}): Executor {
  return {
    name: backend,
    async compile(program: Program, options: CompileOptions = {}): Promise<Executable> {
      const { constants = {} } = options;
      const { signature } = recordProgram(program, options);
      await loadBackend(backend, eager);
      return new EagerExecutable(backend, program, { signature, constants });
    },
  };
}
