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
import { CheckpointError, DataError } from "../errors.ts";
import { type HostTensor, hostTensor, sizeOf } from "../tensor/host_tensor.ts";
import { parseHeader, type TensorEntry } from "./_safetensors_header.ts";

/** Reading them is exact in float32 or int32. */
const READERS: Record<
  string,
  (bytes: Uint8Array, size: number, name: string) => HostTensor["data"]
> = {
  F32: (bytes) => new Float32Array(...aligned(bytes)),
  I32: (bytes) => new Int32Array(...aligned(bytes)),
  BOOL: (bytes, _, name) => {
    const bad = bytes.findIndex((x) => x > 1);
    if (bad >= 0) {
      throw new DataError(`Cannot read tensor ${name}: BOOL element ${bad} is ${bytes[bad]}`);
    }
    return bytes.slice();
  },
  BF16: (bytes, size) => {
    const out = new Uint32Array(size), view = viewOf(bytes);
    for (let i = 0; i < size; i++) out[i] = view.getUint16(2 * i, true) << 16;
    return new Float32Array(out.buffer);
  },
  F16: (bytes, size) => {
    const out = new Float32Array(size), view = viewOf(bytes);
    for (let i = 0; i < size; i++) out[i] = halfToFloat(view.getUint16(2 * i, true));
    return out;
  },
  I64: (bytes, size, name) => {
    const out = new Int32Array(size), view = viewOf(bytes);
    for (let i = 0; i < size; i++) {
      const value = view.getBigInt64(8 * i, true);
      out[i] = Number(value);
      if (BigInt(out[i]) !== value) {
        throw new DataError(
          `Cannot read tensor ${name}: element ${i} is ${value}, which does not fit int32`,
        );
      }
    }
    return out;
  },
};

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Where 4-byte elements may be viewed: in place if they are aligned, else in a copy. */
function aligned(bytes: Uint8Array): [ArrayBufferLike, number, number] {
  const { buffer, byteOffset, byteLength } = bytes;
  if (byteOffset % 4 === 0) return [buffer, byteOffset, byteLength / 4];
  return [bytes.slice().buffer, 0, byteLength / 4];
}

/** Value of an IEEE 754 half-precision number. */
function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 0x1f, fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Tensors of a file and the strings its author put beside them. */
export interface SafetensorsFile {
  /** Tensors by name, in the order of their bytes. */
  readonly tensors: Record<string, HostTensor>;
  /** The `__metadata__` of the header; empty if there is none. */
  readonly metadata: Readonly<Record<string, string>>;
}

function readTensor(bytes: Uint8Array, entry: TensorEntry): HostTensor {
  const { name, type, shape, begin, end } = entry;
  const read = READERS[type];
  if (!read) {
    throw new DataError(
      `Cannot read tensor ${name}: its type is ${type}; readable are ${
        Object.keys(READERS).join(", ")
      }`,
    );
  }
  const data = read(bytes.subarray(begin, end), sizeOf(shape), name);
  if (data instanceof Float32Array) return hostTensor("float32", data, shape);
  if (data instanceof Int32Array) return hostTensor("int32", data, shape);
  return hostTensor("bool", data, shape);
}

/**
 * The tensors of a safetensors file. F32, F16 and BF16 become float32, I32 and I64 int32 (a value
 * that does not fit is an error), BOOL bool. F32 and I32 are views of `bytes` where those are aligned
 * (every file written by the format's tools), so a large model is not held twice.
 *
 * @param bytes The whole file
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
export function readSafetensors(bytes: Uint8Array): SafetensorsFile {
  const { entries, metadata } = parseHeader(bytes);
  const tensors: Record<string, HostTensor> = {};
  for (const entry of entries) {
    // A plain assignment to "__proto__" would change the record itself.
    Object.defineProperty(tensors, entry.name, {
      value: readTensor(bytes, entry),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return { tensors, metadata };
}

const TYPES = { float32: "F32", int32: "I32", bool: "BOOL" } as const;

/**
 * A safetensors file of `tensors`. Equal inputs give equal bytes: tensors stand in the order of the
 * record, larger elements first as the format asks.
 *
 * @param tensors Tensors by name
 * @param metadata Strings to keep beside them; transformers expects `{ format: "pt" }`
 * @throws {CheckpointError} If a tensor is called `__metadata__`
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, HostTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  if (Object.hasOwn(tensors, "__metadata__")) {
    throw new CheckpointError("Cannot write a tensor called __metadata__: the format reserves it");
  }
  const width = (t: HostTensor): number => t.dtype === "bool" ? 1 : 4;
  const list = Object.entries(tensors).sort(([, a], [, b]) => width(b) - width(a));
  const header: [string, unknown][] = Object.keys(metadata).length
    ? [["__metadata__", metadata]]
    : [];
  let size = 0;
  for (const [name, { dtype, shape, data }] of list) {
    const end = size + data.byteLength;
    header.push([name, { dtype: TYPES[dtype], shape, data_offsets: [size, end] }]);
    size = end;
  }
  const json = new TextEncoder().encode(
    `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`,
  );
  // Padded with spaces so that the tensors start at a multiple of 8.
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(start + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.fill(0x20, 8, start);
  bytes.set(json, 8);
  let at = start;
  for (const [, { data }] of list) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}
