/** Programs that run: executors, parameters, optimisers at work, checkpoints, verification. @module */
export type { CompileOptions, Executable, Executor, HostTensors, RunOptions } from "./executor.ts";
export type { EagerBackend } from "./eager_backend.ts";
export { eagerExecutor } from "./eager_executor.ts";
export { onnxExecutor, type OnnxExecutorOptions, openOnnx } from "./onnx_executor.ts";
export {
  Optimizer,
  type OptimizerOptions,
  type OptimizerStepOptions,
  type OptimizerStepResult,
} from "./optimizer.ts";
export {
  ParameterStore,
  type ParameterStoreOptions,
  type TrainingVectors,
} from "./parameter_store.ts";
export { workerExecutor } from "./worker_executor.ts";
