/** Programs that run: executors, parameters, optimisers at work, checkpoints, verification. @module */
export {
  Checkpoint,
  checkpointOf,
  latestCheckpoint,
  openCheckpoint,
  saveCheckpoint,
  type SaveCheckpointOptions,
  type SkippedCheckpoint,
  type TrainingProgress,
} from "./checkpoint.ts";
export type { CheckpointManifest, JsonValue, VectorFile } from "./checkpoint_files.ts";
export type { MatrixPrecision } from "./cuda/device.ts";
export {
  type CudaExecutor,
  cudaExecutor,
  type CudaExecutorOptions,
  cudaOr,
  type LazyExecutor,
} from "./cuda/lazy_cuda_executor.ts";
export type { LibrarySystem } from "./cuda/library_places.ts";
export type { CudaOptions } from "./cuda/open_cuda_device.ts";
export type { CompileOptions, Executable, Executor, HostTensors, RunOptions } from "./executor.ts";
export type { EagerBackend, EagerOptions } from "./eager_backend.ts";
export { eagerExecutor } from "./eager_executor.ts";
export { onnxExecutor, type OnnxExecutorOptions, openOnnx } from "./onnx_executor.ts";
export {
  ONNX_PROVIDERS,
  type OnnxProvider,
  type ProviderOptions,
  type ProviderProblem,
  providerProblem,
} from "./onnx_provider.ts";
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
export type { ResidentParameters, ResidentUpdate } from "./resident.ts";
export {
  createTrainStep,
  type StepOptions,
  type TrainStep,
  type TrainStepOptions,
  type TrainStepResult,
} from "./train_step.ts";
export { type OutputError, type VerifyOptions, verifyProgram } from "./verify_program.ts";
export { workerExecutor } from "./worker_executor.ts";
