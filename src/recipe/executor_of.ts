/** The executor a configuration names. @module */
import type { DeviceConfig } from "../config/mod.ts";
import {
  cudaExecutor,
  cudaOr,
  eagerExecutor,
  type Executor,
  onnxExecutor,
  type OnnxExecutorOptions,
  workerExecutor,
} from "../runtime/mod.ts";

/** How the section `device` wants models opened that are ONNX already. */
export function onnxOptionsOf(
  { threads, provider, provider_fallback }: Pick<
    DeviceConfig,
    "threads" | "provider" | "provider_fallback"
  >,
): OnnxExecutorOptions {
  return { threads: threads ?? undefined, provider, providerFallback: provider_fallback };
}

/** The executor of the section `device`. What it needs is looked for when it is first used. */
export function executorOf({ executor, ...device }: DeviceConfig): Executor {
  if (executor === "onnx") return onnxExecutor(onnxOptionsOf(device));
  if (executor === "onnx-worker") return workerExecutor(onnxOptionsOf(device));
  if (executor === "cuda" || executor === "auto") {
    const options = { precision: device.precision, libraries: device.libraries ?? undefined };
    if (executor === "cuda") return cudaExecutor(options);
    return cudaOr(options, onnxExecutor(onnxOptionsOf(device)));
  }
  return eagerExecutor(executor, { threads: device.threads ?? undefined });
}

/**
 * The executor of the section `device`, with what it needs opened: before anything is written.
 *
 * @throws {DeviceError} If `device.executor` is cuda and can't be used here
 */
export async function openExecutor(device: DeviceConfig): Promise<Executor> {
  const executor = executorOf(device);
  return await executor.open?.() ?? executor;
}
