/**
 * Programs recorded as graphs: a tracing backend for tfjs, the gradient of each kernel, sizes that
 * may be symbols, and ONNX models of it all.
 *
 * @module
 */
import { registerGradients } from "./gradients.ts";

export { inputsLike, parameterInputs, type Program, type ProgramInput } from "./program.ts";
export { type KernelSupport, kernelTable } from "./kernel_table.ts";
export { registerGradients } from "./gradients.ts";
export { record, type RecordOptions } from "./record.ts";
export type { KeepMaskInput, RecordedInput, RecordedOutput, Recording } from "./recording.ts";
export type { Dialect } from "./graph.ts";
export type { Attribute, ElementType, Node, Source, TypedData, Value } from "./value.ts";
export { evaluateSize, formatSize, type SizeExpr, type Sizes, type SizeTerm } from "./sizes.ts";
export type {
  OnnxModel,
  OnnxOptions,
  OnnxPrecision,
  WeightReport,
  WeightTally,
  WrittenModel,
} from "./onnx_options.ts";
export { toOnnx } from "./onnx_writer.ts";
export { type OnnxMerge, toMergedOnnx } from "./onnx_merge.ts";
export { type GradientOptions, withGradients } from "./with_gradients.ts";

registerGradients();
