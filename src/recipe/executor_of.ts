/** The executor a configuration names. @module */
import type { DeviceConfig } from "../config/mod.ts";
import {
  eagerExecutor,
  type Executor,
  onnxExecutor,
  type OnnxExecutorOptions,
  workerExecutor,
} from "../runtime/mod.ts";

/** How the section `device` wants models opened that are ONNX already. */
export function onnxOptionsOf(
  { threads, provider, provider_fallback }: Omit<DeviceConfig, "executor">,
): OnnxExecutorOptions {
  return { threads: threads ?? undefined, provider, providerFallback: provider_fallback };
}

/** The executor of the section `device`. */
export function executorOf({ executor, ...device }: DeviceConfig): Executor {
  if (executor === "onnx") return onnxExecutor(onnxOptionsOf(device));
  if (executor === "onnx-worker") return workerExecutor(onnxOptionsOf(device));
  return eagerExecutor(executor, { threads: device.threads ?? undefined });
}
