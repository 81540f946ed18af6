/** What every executor must do, on generated kernels: on this processor, and on a GPU where there is one. */
import { deviceExecutor } from "../../../../src/runtime/cuda/cuda_executor.ts";
import type { Executor } from "../../../../src/runtime/mod.ts";
import { testConformance } from "../conformance.ts";
import { gpuExecutor, hasGpu } from "./_gpu.ts";
import { hasCompiler, hostDevice } from "./_host.ts";

/** An executor that is opened in the first test that needs it. */
const lazily = (name: string, open: () => Promise<Executor>): Executor => ({
  name,
  compile: async (program, options) => (await open()).compile(program, options),
});

// The devices live as long as the file.
const sanitizeResources = false;

testConformance(
  lazily("kernels on this processor", async () => deviceExecutor(await hostDevice())),
  {
    ignore: !hasCompiler,
    sanitizeResources,
  },
);
testConformance(lazily("cuda", () => gpuExecutor()), { ignore: !hasGpu, sanitizeResources });
