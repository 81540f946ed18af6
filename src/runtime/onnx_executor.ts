/** Programs recorded as graphs and run by ONNX Runtime in this thread. @module */
import { KernelError } from "../errors.ts";
import { type Program, toOnnx } from "../graph/mod.ts";
import type { CompileOptions, Executable, Executor } from "./executor.ts";
import { type ProviderOptions, showOnce } from "./onnx_provider.ts";
import { createSession, OnnxExecutable, signatureOf } from "./onnx_session.ts";
import { recordProgram } from "./record_program.ts";

/** Choices of an executor, for all its programs. */
export interface OnnxExecutorOptions extends ProviderOptions {
  /** Threads of one operator, unless a compilation says otherwise. Default: all cores. */
  threads?: number;
}

/**
 * Runs programs by recording them and giving the graph to ONNX Runtime, in this thread: a run blocks
 * it. Inputs are read and preallocated outputs written in place. For a process that must stay
 * responsive take {@linkcode "./worker_executor.ts".workerExecutor}.
 *
 * @param options For all programs
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { onnxExecutor } from "./onnx_executor.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const executable = await onnxExecutor().compile({
 *   name: "square",
 *   inputs: { x: { dtype: "float32", shape: ["B"] } },
 *   run: ({ x }) => ({ y: tf.mul(x, x) }),
 * });
 * const { y } = await executable.run({ x: hostTensor("float32", Float32Array.of(2, 3), [2]) });
 * assertEquals(y.data, Float32Array.of(4, 9));
 * await executable.dispose();
 * ```
 */
export function onnxExecutor(options: OnnxExecutorOptions = {}): Executor {
  return {
    name: "onnx",
    async compile(program: Program, compileOptions: CompileOptions = {}): Promise<Executable> {
      const { recording, signature } = recordProgram(program, compileOptions);
      const model = toOnnx(recording, { constants: compileOptions.constants });
      const threads = compileOptions.threads ?? options.threads;
      try {
        const session = await createSession(model, { ...options, threads });
        showOnce(session.note);
        return new OnnxExecutable(session, signature);
      } catch (cause) {
        throw new KernelError(
          `Cannot prepare ${program.name} for ONNX Runtime: ${(cause as Error).message}`,
          { cause },
        );
      }
    },
  };
}

/**
 * A model that already is ONNX, ready to run in this thread: the serving side of an export.
 *
 * @param source Path of a `.onnx` file (its data file is found beside it), or its content
 * @param options Threads, and which provider computes
 * @throws {KernelError} If it cannot be read, or has inputs of an element type other than float32,
 *   int32 and bool; or if its provider can't be used and nothing may take its place
 */
export async function openOnnx(
  source: string | Uint8Array,
  options: OnnxExecutorOptions = {},
): Promise<Executable> {
  const name = typeof source === "string" ? source : "the model";
  let session;
  try {
    session = await createSession(typeof source === "string" ? source : { model: source }, options);
  } catch (cause) {
    throw new KernelError(`Cannot open ${name}: ${(cause as Error).message}`, { cause });
  }
  showOnce(session.note);
  return new OnnxExecutable(session, signatureOf(session.opened, name));
}
