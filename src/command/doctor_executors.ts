/** Does each executor, and each provider of ONNX Runtime, run a program, and does it get it right? @module */
import { SetupError } from "../errors.ts";
import type { Program } from "../graph/mod.ts";
import type { EagerBackend } from "../runtime/mod.ts";
import { hostTensor } from "../tensor/host_tensor.ts";
import type { Finding } from "./doctor_checks.ts";

const A = [1, 2, 3, 4], B = [5, 6, 7, 8];
/** [[1, 2], [3, 4]] · [[5, 6], [7, 8]] */
const PRODUCT = "19,22,43,50";

/** A matrix product: small, but it takes every part of an executor to run it. */
async function product(): Promise<Program> {
  const tf = await import("@tensorflow/tfjs-core");
  return {
    name: "doctor",
    inputs: {
      a: { dtype: "float32", shape: ["B", 2] },
      b: { dtype: "float32", shape: [2, 2] },
    },
    run: ({ a, b }) => ({ c: tf.matMul(a, b) }),
  };
}

const uses = {
  "onnx": "training and serving",
  "onnx-worker": "serving while something else happens",
  "wasm": "eager computing",
  "cpu": "eager computing, slowly",
  "tfjs-node": "eager computing by your own TensorFlow",
  "tfjs-node-gpu": "eager computing by the published package for CUDA 11.2",
};

const reasonOf = (error: unknown): string =>
  error instanceof SetupError ? error.reason : (error as Error).message;

/**
 * Run a small program on every executor.
 *
 * @param hasGpu Whether there is an NVIDIA GPU; without one, cuda is not tried
 */
export async function checkExecutors(hasGpu: boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  const here = hasGpu ? { ...uses, cuda: "training and serving on a GPU" } : uses;
  for (const [name, use] of Object.entries(here)) {
    const isNeeded = name === "onnx";
    try {
      const { cudaExecutor, eagerExecutor, onnxExecutor, workerExecutor } = await import(
        "../runtime/mod.ts"
      );
      const executor = name === "onnx"
        ? onnxExecutor()
        : name === "onnx-worker"
        ? workerExecutor()
        : name === "cuda"
        ? cudaExecutor()
        : eagerExecutor(name as EagerBackend);
      const startMs = performance.now();
      const executable = await executor.compile(await product());
      const { c } = await executable.run({
        a: hostTensor("float32", Float32Array.from(A), [2, 2]),
        b: hostTensor("float32", Float32Array.from(B), [2, 2]),
      });
      await executable.dispose();
      const ms = Math.round(performance.now() - startMs);
      if (c.data.join() !== PRODUCT) throw new Error(`2x2 product is ${c.data.join()}`);
      findings.push({
        name: `Executor ${name}`,
        status: "ok",
        detail: `${use}; a small program took ${ms} ms`,
        isNeeded,
      });
    } catch (error) {
      findings.push({
        name: `Executor ${name}`,
        status: "missing",
        detail: `${use}: ${reasonOf(error).split("\n")[0]}`,
        remedy: error instanceof SetupError
          ? error.remedy
          : name.startsWith("onnx")
          ? "onnxruntime-node needs Linux, macOS or Windows on x64 or arm64; install again with " +
            "`deno install`"
          : "device.executor=onnx does not need it",
        isNeeded,
      });
    }
  }
  return findings;
}

/** What the executors onnx and onnx-worker can compute on. */
export async function checkProviders(): Promise<Finding[]> {
  const runtime = await import("../runtime/mod.ts").catch(() => undefined);
  if (!runtime) return []; // the executors' findings say why
  const { ONNX_PROVIDERS, providerProblem } = runtime;
  const findings: Finding[] = [];
  for (const provider of ONNX_PROVIDERS) {
    const problem = await providerProblem(provider);
    findings.push({
      name: `Provider ${provider}`,
      status: problem ? "missing" : "ok",
      detail: problem?.reason ?? `device.provider=${provider} can be used`,
      remedy: problem?.remedy,
      isNeeded: provider === "cpu",
    });
  }
  return findings;
}
