/** Safetensors read tensor by tensor from something larger than memory should hold. @module */
import { DataError, ShapeError } from "../errors.ts";
import { type HostTensor, sizeOf, zeroTensor } from "../tensor/host_tensor.ts";
import { headerEnd, parseHeader, PREFIX_BYTES, type TensorEntry } from "./_safetensors_header.ts";
import { conversionOf, convertPiece, PIECE_BYTES, piecesOf } from "./_safetensors_values.ts";

/** Bytes that can be read from any position: a file, a part of one, a resource on a server. */
export interface ByteSource {
  /** What messages call it: the path of a file. */
  readonly name: string;
  /** Number of bytes. */
  readonly sizeBytes: number;
  /** Fills all of `into` with the bytes from position `at`. */
  read(at: number, into: Uint8Array): Promise<void>;
}

/** What the header says of one tensor. */
export interface SafetensorsEntry {
  /** Element type as the format names it, such as `BF16`. */
  readonly type: string;
  /** Sizes of the axes; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** Bytes it takes in the file. */
  readonly sizeBytes: number;
}

/** A safetensors file whose header was checked and whose tensors are read on demand. */
export interface SafetensorsReader {
  /** Name of the source. */
  readonly name: string;
  /** The `__metadata__` of the header; empty if there is none. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors by name, in the order of their bytes. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  /**
   * One tensor. F32, F16 and BF16 become float32, I32 and I64 int32, BOOL bool.
   *
   * @throws {DataError} If there is no such tensor, or its type or a value can't be read exactly
   */
  read(name: string): Promise<HostTensor>;
  /**
   * One F32, F16 or BF16 tensor, into memory that is there already. Besides `into` this needs at
   * most 1 MiB. After an error, part of `into` may be written.
   *
   * @param name Name of the tensor
   * @param into Takes the elements, last axis fastest; exactly as long as the tensor
   * @throws {DataError} If there is no such tensor or it has no floating-point type
   * @throws {ShapeError} If `into` has another length
   */
  readInto(name: string, into: Float32Array): Promise<void>;
}

/** The bytes of a file in memory as a source. */
export function memorySource(bytes: Uint8Array, name = "safetensors in memory"): ByteSource {
  return {
    name,
    sizeBytes: bytes.length,
    read(at, into): Promise<void> {
      into.set(bytes.subarray(at, at + into.length));
      return Promise.resolve();
    },
  };
}

/** One buffer that conversions take turns with; reads that overlap get one of their own. */
class PieceBuffer {
  #spare: Uint8Array | undefined;

  constructor(readonly sizeBytes: number) {}

  async lend<T>(use: (buffer: Uint8Array) => Promise<T>): Promise<T> {
    const buffer = this.#spare ?? new Uint8Array(this.sizeBytes);
    this.#spare = undefined;
    try {
      return await use(buffer);
    } finally {
      this.#spare = buffer;
    }
  }
}

/**
 * Reads and checks the header of a safetensors file; tensors are read when asked for.
 *
 * @param source The file
 * @throws {DataError} If the header is not a sound description of exactly these bytes
 * @example
 * ```ts
 * import { memorySource, openSafetensors } from "./safetensors_source.ts";
 * import { writeSafetensors } from "./safetensors.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const weight = hostTensor("float32", Float32Array.of(1, 2, 3, 4), [2, 2]);
 * const reader = await openSafetensors(memorySource(writeSafetensors({ weight })));
 * const values = new Float32Array(4);
 * await reader.readInto("weight", values);
 * assertEquals(values, weight.data);
 * ```
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsReader> {
  const { name: file, sizeBytes } = source;
  const prefix = new Uint8Array(Math.min(PREFIX_BYTES, sizeBytes));
  await source.read(0, prefix);
  const header = new Uint8Array(headerEnd(prefix, source) - PREFIX_BYTES);
  await source.read(PREFIX_BYTES, header);
  const { entries, metadata } = parseHeader(header, { name: file, sizeBytes });
  const byName = new Map<string, TensorEntry>(entries.map((entry) => [entry.name, entry]));
  const buffer = new PieceBuffer(Math.min(PIECE_BYTES, sizeBytes));

  function entryOf(name: string): TensorEntry {
    const entry = byName.get(name);
    if (entry) return entry;
    throw new DataError(`Cannot read tensor ${name}: the file has none of that name`, { file });
  }
  async function fill(entry: TensorEntry, data: HostTensor["data"]): Promise<void> {
    if (conversionOf(entry, file).isSame) {
      await source.read(entry.begin, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return;
    }
    await buffer.lend(async (buffer) => {
      for (const { at, sizeBytes } of piecesOf(entry)) {
        const bytes = buffer.subarray(0, sizeBytes);
        await source.read(entry.begin + at, bytes);
        convertPiece(bytes, data, { entry, at, file });
      }
    });
  }
  return {
    name: file,
    metadata,
    entries: new Map(entries.map(({ name, type, shape, begin, end }) => [
      name,
      { type, shape, sizeBytes: end - begin },
    ])),
    async read(name): Promise<HostTensor> {
      const entry = entryOf(name);
      const { dtype } = conversionOf(entry, file);
      const tensor = zeroTensor(dtype, entry.shape);
      await fill(entry, tensor.data);
      return tensor;
    },
    async readInto(name, into): Promise<void> {
      const entry = entryOf(name);
      if (conversionOf(entry, file).dtype !== "float32") {
        throw new DataError(
          `Cannot read tensor ${name} as floating-point numbers: its type is ${entry.type}`,
          { file },
        );
      }
      if (into.length !== sizeOf(entry.shape)) {
        throw new ShapeError(
          `Cannot read tensor ${name} [${entry.shape}] into ${into.length} places`,
        );
      }
      await fill(entry, into);
    },
  };
}
