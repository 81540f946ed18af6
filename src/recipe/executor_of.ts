/** The executor a configuration names. @module */
import { laneCount } from "../agent/mod.ts";
import type { DeviceConfig } from "../config/mod.ts";
import { eagerExecutor, type Executor, onnxExecutor, workerExecutor } from "../runtime/mod.ts";

/** The executor of the section `device`. */
export function executorOf({ executor, threads }: DeviceConfig): Executor {
  const options = { threads: threads ?? undefined };
  if (executor === "onnx") return onnxExecutor(options);
  if (executor === "onnx-worker") return workerExecutor(options);
  return eagerExecutor(executor);
}

/** Lanes of a policy with so many slots on the section `device`, and the threads they share. */
export function lanesOf(
  { executor, threads }: DeviceConfig,
  slots: number,
): { lanes: number; threads: number } {
  const all = threads ?? navigator.hardwareConcurrency;
  return { lanes: executor === "onnx" ? laneCount(all, slots) : 1, threads: all };
}
