/**
 * The safetensors format: a JSON header of names, types, shapes and byte ranges, then the bytes.
 *
 *   [8 bytes: header length n, little endian] [n bytes: JSON] [tensor bytes]
 *
 * Weight files come from elsewhere, so everything in the header is doubted before anything is
 * allocated; every complaint names the tensor and the value.
 *
 * @module
 */
import type { HostTensor } from "../tensor/host_tensor.ts";
import { headerEnd, parseHeader, PREFIX_BYTES } from "./_safetensors_header.ts";
import { tensorIn } from "./_safetensors_values.ts";
import { safetensorsChunks, type WeightType } from "./safetensors_chunks.ts";

/** Tensors of a file and the strings its author put beside them. */
export interface SafetensorsFile {
  /** Tensors by name, in the order of their bytes. */
  readonly tensors: Record<string, HostTensor>;
  /** The `__metadata__` of the header; empty if there is none. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The tensors of a safetensors file. F32, F16 and BF16 become float32, I32 and I64 int32 (a value
 * that does not fit is an error), BOOL bool. F32 and I32 are views of `bytes` where those are aligned
 * (every file written by the format's tools), so a large model is not held twice.
 *
 * @param bytes The whole file
 * @param name What messages call the file
 * @throws {DataError} If the header is not a sound description of exactly these bytes, or a tensor
 * has a type or value that cannot be read exactly
 * @example
 * ```ts
 * import { readSafetensors, writeSafetensors } from "./safetensors.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const weight = hostTensor("float32", Float32Array.of(1, 2, 3, 4), [2, 2]);
 * const { tensors } = readSafetensors(writeSafetensors({ weight }));
 * assertEquals(tensors.weight, weight);
 * ```
 */
export function readSafetensors(bytes: Uint8Array, name = ""): SafetensorsFile {
  const file = { name, sizeBytes: bytes.length };
  const start = headerEnd(bytes, file);
  const { entries, metadata } = parseHeader(bytes.subarray(PREFIX_BYTES, start), file);
  const tensors: Record<string, HostTensor> = {};
  for (const entry of entries) {
    // A plain assignment to "__proto__" would change the record itself.
    Object.defineProperty(tensors, entry.name, {
      value: tensorIn(bytes, entry, name),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return { tensors, metadata };
}

/**
 * A safetensors file of `tensors`, whole; {@linkcode safetensorsChunks} makes the same bytes in
 * pieces.
 *
 * @param tensors Tensors by name
 * @param metadata Strings to keep beside them; transformers expects `{ format: "pt" }`
 * @param dtype Stored type of float32 tensors
 * @throws {CheckpointError} If a tensor is called `__metadata__` or contradicts its shape
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, HostTensor>>,
  metadata: Readonly<Record<string, string>> = {},
  dtype: WeightType = "float32",
): Uint8Array {
  const { sizeBytes, chunks } = safetensorsChunks(tensors, { metadata, dtype });
  const bytes = new Uint8Array(sizeBytes);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
