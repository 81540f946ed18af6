/** The executors that are compared with transformers. */
import { deviceExecutor } from "../../src/runtime/cuda/cuda_executor.ts";
import { eagerExecutor } from "../../src/runtime/eager_executor.ts";
import type { Executor } from "../../src/runtime/executor.ts";
import { onnxExecutor } from "../../src/runtime/onnx_executor.ts";
import { gpuExecutor, hasGpu } from "../unit/runtime/cuda/_gpu.ts";
import { hasCompiler, hostDevice } from "../unit/runtime/cuda/_host.ts";

/** An executor that is opened in the first test that needs it. */
const lazily = (name: string, open: () => Promise<Executor>): Executor => ({
  name,
  compile: async (program, options) => (await open()).compile(program, options),
});

/** An executor, and how its tests are registered: devices live as long as the file. */
export interface TestedExecutor {
  readonly executor: Executor;
  readonly ignore: boolean;
  readonly sanitizeResources?: boolean;
}

/** CUDA's kernels: on this processor, where they can be built for it, and on a GPU, where there is one. */
export const deviceExecutors: readonly TestedExecutor[] = [
  {
    executor: lazily(
      "kernels on this processor",
      async () => deviceExecutor(await hostDevice()),
    ),
    ignore: !hasCompiler,
    sanitizeResources: false,
  },
  { executor: lazily("cuda", () => gpuExecutor()), ignore: !hasGpu, sanitizeResources: false },
];

/** All of them. */
export const executors: readonly TestedExecutor[] = [
  { executor: eagerExecutor("cpu"), ignore: false },
  { executor: onnxExecutor(), ignore: false },
  ...deviceExecutors,
];
