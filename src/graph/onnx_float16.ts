/** Float32 constants stored as float16. @module */
import { encodeFloat16 } from "../model/half.ts";
import { bytesOf, type NamePool } from "./onnx_constants.ts";
import { floatsOf, type ModelParts, type StoredParts, WeightLog } from "./onnx_parts.ts";
import { type NodeSpec, ONNX_TYPE } from "./onnx_proto.ts";

/** Float32 constants up to this size stay what they are. */
const SMALL_BYTES = 1024;

/** Half the bytes of `w`, and what was lost; undefined if a number is beyond the range. */
function toHalf(w: Float32Array): { bits: Uint16Array; relativeError: number } | undefined {
  const bits = new Uint16Array(w.length);
  encodeFloat16(w, bits);
  const halves = new Float16Array(bits.buffer);
  let lost = 0, norm = 0;
  for (let i = 0; i < w.length; i++) {
    const x = w[i];
    if (!Number.isFinite(x)) continue;
    const difference = halves[i] - x;
    if (!Number.isFinite(difference)) return undefined;
    lost += difference * difference;
    norm += x * x;
  }
  return { bits, relativeError: norm ? Math.sqrt(lost / norm) : 0 };
}

/**
 * `parts` with large float32 constants stored as float16, rounded to nearest, ties to even. A Cast
 * brings each back to float32; a runtime computes it once, at load. A constant with a number beyond the range
 * of float16 stays float32 and is reported.
 */
export function halve(parts: ModelParts, names: NamePool): StoredParts {
  const log = new WeightLog();
  const prelude: NodeSpec[] = [];
  const initializers = parts.initializers.map((t) => {
    if (t.dtype !== "float32") return t;
    if ((t.data as Uint8Array).length <= SMALL_BYTES) {
      log.keep(t);
      return t;
    }
    const half = toHalf(floatsOf(t));
    if (!half) {
      log.keep(t, "a number is beyond 65504, the largest of float16");
      return t;
    }
    const data = bytesOf(half.bits), name = names.claim(`${t.name}:float16`);
    log.store(t.name!, "float16", { sizeBytes: data.length, relativeError: half.relativeError });
    prelude.push({
      op: "Cast",
      inputs: [name],
      outputs: [t.name!],
      attributes: { to: ONNX_TYPE.float32 },
    });
    return { name, dtype: "float16" as const, dims: t.dims, data };
  });
  return { bodies: parts.bodies, initializers, prelude, report: log.finish() };
}
