/** The executor a configuration names. @module */
import type { DeviceConfig } from "../config/mod.ts";
import { eagerExecutor, type Executor, onnxExecutor, workerExecutor } from "../runtime/mod.ts";

/** The executor of the section `device`. */
export function executorOf({ executor, threads }: DeviceConfig): Executor {
  const options = { threads: threads ?? undefined };
  if (executor === "onnx") return onnxExecutor(options);
  if (executor === "onnx-worker") return workerExecutor(options);
  return eagerExecutor(executor, options);
}
