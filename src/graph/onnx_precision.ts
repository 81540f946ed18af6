/** Float32 constants stored in fewer bits. @module */
import type { NamePool } from "./onnx_constants.ts";
import { halve } from "./onnx_float16.ts";
import { quantise } from "./onnx_int8.ts";
import type { OnnxPrecision } from "./onnx_options.ts";
import { type ModelParts, type StoredParts, WeightLog } from "./onnx_parts.ts";

/** `parts` with float32 constants stored as asked for. */
export function storeWeights(
  parts: ModelParts,
  { precision, names }: { precision: OnnxPrecision; names: NamePool },
): StoredParts {
  if (precision === "float16") return halve(parts, names);
  if (precision === "int8") return quantise(parts, names);
  const log = new WeightLog();
  for (const t of parts.initializers) if (t.dtype === "float32") log.keep(t);
  return { ...parts, prelude: [], report: log.finish() };
}
