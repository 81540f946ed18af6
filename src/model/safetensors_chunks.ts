/** Safetensors written piece by piece, so that a file needs no second copy of the parameters. @module */
import { CheckpointError } from "../errors.ts";
import { type DType, type HostTensor, sizeOf } from "../tensor/host_tensor.ts";
import { PIECE_BYTES } from "./_safetensors_values.ts";
import { encodeBfloat16, encodeFloat16 } from "./half.ts";

/** Types that float32 tensors can be stored as. */
export type WeightType = "float32" | "float16" | "bfloat16";

/** How a file is written. */
export interface SafetensorsOptions {
  /** Strings to keep beside the tensors; transformers expects `{ format: "pt" }`. */
  metadata?: Readonly<Record<string, string>>;
  /**
   * Stored type of float32 tensors, rounded to nearest with ties to even; `float32` if left out.
   * Others keep their type.
   */
  dtype?: WeightType;
}

/** A file that is made while it is written. */
export interface SafetensorsChunks {
  /** Bytes of the whole file. */
  readonly sizeBytes: number;
  /** Its bytes in order. A piece is valid until the next one is asked for, and must not be changed. */
  readonly chunks: Iterable<Uint8Array>;
}

interface Stored {
  type: string;
  /** Bytes per element. */
  width: number;
}

const HALVES = { float16: encodeFloat16, bfloat16: encodeBfloat16 } as const;

const FLOATS: Record<WeightType, Stored> = {
  float32: { type: "F32", width: 4 },
  float16: { type: "F16", width: 2 },
  bfloat16: { type: "BF16", width: 2 },
};
const OTHERS: Record<Exclude<DType, "float32">, Stored> = {
  int32: { type: "I32", width: 4 },
  bool: { type: "BOOL", width: 1 },
};

/** Bytes of the elements of a tensor when float32 is stored as `dtype`. */
export function storedBytes(tensor: HostTensor, dtype: WeightType = "float32"): number {
  return tensor.data.length * storedAs(tensor, dtype).width;
}

function storedAs(tensor: HostTensor, dtype: WeightType): Stored {
  return tensor.dtype === "float32" ? FLOATS[dtype] : OTHERS[tensor.dtype];
}

function check(name: string, { shape, data }: HostTensor): void {
  if (name === "__metadata__") {
    throw new CheckpointError("Cannot write a tensor called __metadata__: the format reserves it");
  }
  if (data.length !== sizeOf(shape)) {
    throw new CheckpointError(
      `Cannot write tensor ${name}: it has ${data.length} elements, but [${shape}] holds ${
        sizeOf(shape)
      }`,
    );
  }
}

/** Length, then JSON, padded with spaces so that the tensors start at a multiple of 8. */
function headerBytes(fields: readonly [string, unknown][]): Uint8Array {
  const json = new TextEncoder().encode(
    `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`,
  );
  const bytes = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.length - 8), true);
  bytes.set(json, 8);
  return bytes;
}

function* halfChunks(data: Float32Array, dtype: keyof typeof HALVES): Generator<Uint8Array> {
  const buffer = new Uint16Array(Math.min(PIECE_BYTES / 2, data.length));
  for (let at = 0; at < data.length; at += buffer.length) {
    const values = data.subarray(at, at + buffer.length);
    const halves = buffer.subarray(0, values.length);
    HALVES[dtype](values, halves);
    yield new Uint8Array(halves.buffer, 0, halves.byteLength);
  }
}

function* chunksOf(
  header: Uint8Array,
  tensors: readonly HostTensor[],
  dtype: WeightType,
): Generator<Uint8Array> {
  yield header;
  for (const { data } of tensors) {
    if (dtype !== "float32" && data instanceof Float32Array) yield* halfChunks(data, dtype);
    else yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
}

/**
 * A safetensors file of `tensors`, in pieces: their own memory, or at most 1 MiB of rounded numbers
 * at a time. Equal inputs give equal bytes: tensors stand in the order of the record, wider elements
 * first as the format asks.
 *
 * @param tensors Tensors by name; not copied, so they must not change before the last piece is written
 * @throws {CheckpointError} If a tensor is called `__metadata__` or contradicts its shape
 * @example
 * ```ts
 * import { safetensorsChunks } from "./safetensors_chunks.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const weight = hostTensor("float32", new Float32Array(1000), [10, 100]);
 * const { sizeBytes, chunks } = safetensorsChunks({ weight }, { dtype: "bfloat16" });
 * let written = 0;
 * for (const chunk of chunks) written += chunk.length;
 * assertEquals(written, sizeBytes);
 * ```
 */
export function safetensorsChunks(
  tensors: Readonly<Record<string, HostTensor>>,
  options: SafetensorsOptions = {},
): SafetensorsChunks {
  const { metadata = {}, dtype = "float32" } = options;
  const list = Object.entries(tensors);
  for (const [name, tensor] of list) check(name, tensor);
  list.sort(([, a], [, b]) => storedAs(b, dtype).width - storedAs(a, dtype).width);
  const fields: [string, unknown][] = Object.keys(metadata).length
    ? [["__metadata__", metadata]]
    : [];
  let size = 0;
  for (const [name, tensor] of list) {
    const end = size + storedBytes(tensor, dtype);
    const { type } = storedAs(tensor, dtype);
    fields.push([name, { dtype: type, shape: tensor.shape, data_offsets: [size, end] }]);
    size = end;
  }
  const header = headerBytes(fields);
  const ordered = list.map(([, tensor]) => tensor);
  return {
    sizeBytes: header.length + size,
    chunks: { [Symbol.iterator]: () => chunksOf(header, ordered, dtype) },
  };
}
