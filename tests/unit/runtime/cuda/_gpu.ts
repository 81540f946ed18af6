/** The GPU of this machine, where there is one. */
import { cudaFacts } from "../../../../src/runtime/cuda/cuda_facts.ts";
import {
  type CudaExecutor,
  cudaExecutor,
  type CudaExecutorOptions,
} from "../../../../src/runtime/mod.ts";

function whyNot(): string | undefined {
  const { driver, devices, nvrtc, cublasLt } = cudaFacts();
  for (const fact of [driver, devices, nvrtc, cublasLt]) {
    if (fact instanceof Error) return fact.message.split("\n")[0].replace(/ in any of$/, "");
  }
  return Array.isArray(devices) && devices.length ? undefined : "there is no GPU";
}

const reason = whyNot();
if (reason) console.log(`skipped: tests on a GPU, ${reason}`);

/** Whether there is a GPU with all it needs. */
export const hasGpu = reason === undefined;

/** An executor on it; its device is shared by all tests of a process. */
export const gpuExecutor = (options: CudaExecutorOptions = {}): Promise<CudaExecutor> =>
  cudaExecutor(options).open();
