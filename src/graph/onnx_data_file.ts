/** Constants of an ONNX model in a file of their own. @module */
import type { OnnxModel, OnnxOptions } from "./onnx_options.ts";
import type { TensorSpec } from "./onnx_proto.ts";

/** Tensors up to this size stay in the model even if there is a data file. */
const INLINE_BYTES = 1024;
/** Offsets in the data file are multiples of this, so that it can be mapped into memory. */
const ALIGNMENT = 4096;

/** Move large constants to a data file if all together are too many bytes. */
export function moveOut(
  initializers: readonly TensorSpec[],
  { externalDataBytes = 1.9e9, dataFileName = "model.onnx_data" }: OnnxOptions,
): OnnxModel["externalData"] {
  const sizeOfData = (t: TensorSpec) => t.data instanceof Uint8Array ? t.data.length : 0;
  const total = initializers.reduce((n, t) => n + sizeOfData(t), 0);
  if (total <= externalDataBytes) return undefined;
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const t of initializers) {
    if (!(t.data instanceof Uint8Array) || t.data.length <= INLINE_BYTES) continue;
    const gap = (ALIGNMENT - offset % ALIGNMENT) % ALIGNMENT;
    if (gap) chunks.push(new Uint8Array(gap));
    offset += gap;
    chunks.push(t.data);
    const sizeBytes = t.data.length;
    t.data = { fileName: dataFileName, offset, sizeBytes };
    offset += sizeBytes;
  }
  return chunks.length ? { fileName: dataFileName, chunks, sizeBytes: offset } : undefined;
}
