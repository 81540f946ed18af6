/** Programs recorded as graphs and run by ONNX Runtime in a worker of their own. @module */
import { DeepragError, KernelError } from "../errors.ts";
import { type Program, toOnnx } from "../graph/mod.ts";
import type { DType } from "../tensor/host_tensor.ts";
import type { CompileOptions, Executable, Executor, HostTensors, RunOptions } from "./executor.ts";
import type { OnnxExecutorOptions } from "./onnx_executor.ts";
import { type OnnxProvider, showOnce } from "./onnx_provider.ts";
import { recordProgram } from "./record_program.ts";
import { bindSizes, checkOutputs, requireRandom, type Signature } from "./signature.ts";
import {
  copyTensors,
  memoryOf,
  type WorkerDone,
  type WorkerReply,
  type WorkerRequest,
} from "./worker_protocol.ts";

interface Waiting {
  resolve: (done: WorkerDone) => void;
  reject: (error: Error) => void;
}

class WorkerExecutable implements Executable {
  readonly inputs: Readonly<Record<string, DType>>;
  readonly outputs: readonly string[];
  /** Known once the worker has opened its session. */
  provider: OnnxProvider | undefined;
  readonly #signature: Signature;
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #isDisposed = false;

  constructor(signature: Signature) {
    this.#signature = signature;
    this.inputs = Object.fromEntries(
      Object.entries(signature.inputs).map(([name, { dtype }]) => [name, dtype]),
    );
    this.outputs = signature.outputs.map((o) => o.name);
    this.#worker = new Worker(new URL("./onnx_worker.ts", import.meta.url), {
      type: "module",
      name: signature.name,
    });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => {
      const { resolve, reject } = this.#waiting.shift()!;
      if (data.kind === "done") resolve(data);
      else {
        const Class = data.errorName === "KernelError" ? KernelError : DeepragError;
        reject(new Class(data.message));
      }
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#isDisposed = true;
      const error = new DeepragError(`The worker of ${signature.name} failed: ${event.message}`);
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    };
  }

  #ask(request: WorkerRequest, transfer: Transferable[] = []): Promise<WorkerDone> {
    const { promise, resolve, reject } = Promise.withResolvers<WorkerDone>();
    this.#waiting.push({ resolve, reject });
    this.#worker.postMessage(request, transfer);
    return promise;
  }

  /** Send the model and wait until its session stands. */
  async open(request: WorkerRequest & { kind: "open" }): Promise<void> {
    try {
      const { session } = await this.#ask(request);
      this.provider = session?.provider;
      showOnce(session?.note);
    } catch (cause) {
      this.#isDisposed = true;
      this.#worker.terminate();
      throw new KernelError(
        `Cannot prepare ${this.#signature.name} for ONNX Runtime: ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  async run(inputs: HostTensors, options: RunOptions = {}): Promise<HostTensors> {
    const { name, masks } = this.#signature;
    if (this.#isDisposed) throw new DeepragError(`Cannot run ${name}: it was disposed`);
    const { outputs: buffers = {}, random } = options;
    checkOutputs(this.#signature, buffers, bindSizes(this.#signature, inputs));
    if (masks.length) requireRandom(name, random);
    const sent = copyTensors(inputs);
    const { outputs } = await this.#ask({ kind: "run", inputs: sent, random }, memoryOf(sent));
    for (const [output, buffer] of Object.entries(buffers)) {
      buffer.data.set(outputs[output].data);
      outputs[output] = buffer;
    }
    return outputs;
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#ask({ kind: "close" });
    this.#worker.terminate();
  }
}

/**
 * As {@linkcode "./onnx_executor.ts".onnxExecutor}, but every program has a worker of its own, so
 * that a run does not block this thread. Inputs are copied into the worker and outputs out of it.
 * A program keeps the process alive until it is disposed.
 *
 * @param options For all programs
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { workerExecutor } from "./worker_executor.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const executable = await workerExecutor().compile({
 *   name: "square",
 *   inputs: { x: { dtype: "float32", shape: ["B"] } },
 *   run: ({ x }) => ({ y: tf.mul(x, x) }),
 * });
 * const { y } = await executable.run({ x: hostTensor("float32", Float32Array.of(2, 3), [2]) });
 * assertEquals(y.data, Float32Array.of(4, 9));
 * await executable.dispose();
 * ```
 */
export function workerExecutor(options: OnnxExecutorOptions = {}): Executor {
  return {
    name: "onnx-worker",
    async compile(program: Program, compileOptions: CompileOptions = {}): Promise<Executable> {
      const { recording, signature } = recordProgram(program, compileOptions);
      const model = toOnnx(recording, { constants: compileOptions.constants });
      const threads = compileOptions.threads ?? options.threads;
      const executable = new WorkerExecutable(signature);
      await executable.open({ kind: "open", model, signature, options: { ...options, threads } });
      return executable;
    },
  };
}
