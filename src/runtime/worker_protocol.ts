/** Messages between {@linkcode "./worker_executor.ts".workerExecutor} and its worker. @module */
import type { OnnxModel } from "../graph/mod.ts";
import type { RandomKey } from "../tensor/random.ts";
import type { HostTensors } from "./executor.ts";
import type { OnnxProvider } from "./onnx_provider.ts";
import type { OnnxSessionOptions } from "./onnx_session.ts";
import type { Signature } from "./signature.ts";

/** What the worker is asked. */
export type WorkerRequest =
  | { kind: "open"; model: OnnxModel; signature: Signature; options: OnnxSessionOptions }
  | { kind: "run"; inputs: HostTensors; random?: RandomKey }
  | { kind: "close" };

/** What it answers when it has done what it was asked. */
export interface WorkerDone {
  kind: "done";
  /** Results of a run. */
  outputs: HostTensors;
  /** What its session runs on, once it is open, and what is to be shown about that. */
  session?: { provider: OnnxProvider; note?: string };
}

/** What it answers, once per request and in their order. */
export type WorkerReply =
  | WorkerDone
  | { kind: "failed"; errorName: string; message: string };

/** Tensors with memory of their own, so that giving it away takes nothing from anybody else. */
export function copyTensors(tensors: HostTensors): HostTensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => [name, { ...t, data: t.data.slice() }]),
  ) as HostTensors;
}

/** The memory of tensors, to be given away with a message. */
export function memoryOf(tensors: HostTensors): ArrayBuffer[] {
  return Object.values(tensors).map((t) => t.data.buffer as ArrayBuffer);
}
