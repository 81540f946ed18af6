import { DataError } from "../errors.ts";
import {
  type DType,
  type DTypeArrays,
  type HostTensor,
  hostTensor,
  zeroTensor,
} from "../tensor/host_tensor.ts";
import type { TensorEntry } from "./_safetensors_header.ts";
import { decodeBfloat16, decodeFloat16 } from "./half.ts";

/** Bytes converted at once: they and what comes of them fit the cache of a processor core. */
export const PIECE_BYTES = 1 << 20;

/** Where in its tensor a piece stands, and how to complain about an element. */
interface Place {
  /** Index of the first element of the piece. */
  first: number;
  refuse: (problem: string) => never;
}

/** How one type of the format becomes one of a {@linkcode HostTensor}. */
interface Conversion<D extends DType = DType> {
  dtype: D;
  /** Bytes per element in the file. */
  width: number;
  /** The bytes in the file are those in memory. */
  isSame: boolean;
  /** Puts the elements in `bytes`, which is aligned, into `into`, which is as long. */
  convert(bytes: Uint8Array, into: DTypeArrays[D], place: Place): void;
}

/** An array type over `bytes`, which must be aligned. */
const over = <T>(
  Type: { new (buffer: ArrayBufferLike, at: number, length: number): T; BYTES_PER_ELEMENT: number },
  { buffer, byteOffset, byteLength }: Uint8Array,
): T => new Type(buffer, byteOffset, byteLength / Type.BYTES_PER_ELEMENT);

const float32 = (
  width: number,
  convert: Conversion<"float32">["convert"],
): Conversion<"float32"> => ({ dtype: "float32", width, isSame: width === 4, convert });

const int32 = (
  width: number,
  convert: Conversion<"int32">["convert"],
): Conversion<"int32"> => ({ dtype: "int32", width, isSame: width === 4, convert });

const bool: Conversion<"bool"> = {
  dtype: "bool",
  width: 1,
  isSame: false,
  convert(bytes, into, { first, refuse }): void {
    const bad = bytes.findIndex((x) => x > 1);
    if (bad >= 0) refuse(`BOOL element ${first + bad} is ${bytes[bad]}`);
    into.set(bytes);
  },
};

const CONVERSIONS: Readonly<Record<string, Conversion>> = {
  F32: float32(4, (bytes, into) => into.set(over(Float32Array, bytes))),
  F16: float32(2, (bytes, into) => decodeFloat16(over(Uint16Array, bytes), into)),
  BF16: float32(2, (bytes, into) => decodeBfloat16(over(Uint16Array, bytes), into)),
  I32: int32(4, (bytes, into) => into.set(over(Int32Array, bytes))),
  I64: int32(8, (bytes, into, { first, refuse }) => {
    const longs = over(BigInt64Array, bytes);
    for (let i = 0; i < longs.length; i++) {
      into[i] = Number(longs[i]);
      if (BigInt(into[i]) !== longs[i]) {
        refuse(`element ${first + i} is ${longs[i]}, which does not fit int32`);
      }
    }
  }),
  BOOL: bool,
};

/** A complaint about the values of a tensor. */
function refuseTensor(name: string, file: string, problem: string): never {
  throw new DataError(`Cannot read tensor ${name}: ${problem}`, file ? { file } : {});
}

/**
 * How the elements of a tensor are read.
 *
 * @param file For messages; empty where the bytes have no name
 * @throws {DataError} If its type has no exact counterpart
 */
export function conversionOf({ name, type }: TensorEntry, file: string): Conversion {
  if (!Object.hasOwn(CONVERSIONS, type)) {
    const readable = Object.keys(CONVERSIONS).join(", ");
    refuseTensor(name, file, `its type is ${type}; readable are ${readable}`);
  }
  return CONVERSIONS[type];
}

/** Part of an array, in place. */
export interface Piece {
  /** First byte, from the start of the tensor. */
  at: number;
  /** Bytes in the file. */
  sizeBytes: number;
}

/** The bytes of a tensor in pieces of whole elements. */
export function* piecesOf({ begin, end }: TensorEntry): Generator<Piece> {
  for (let at = 0; at < end - begin; at += PIECE_BYTES) {
    yield { at, sizeBytes: Math.min(PIECE_BYTES, end - begin - at) };
  }
}

/** Converts the piece of a tensor that starts at byte `at`, from aligned `bytes`. */
export function convertPiece(
  bytes: Uint8Array,
  into: DTypeArrays[DType],
  { entry, at, file }: { entry: TensorEntry; at: number; file: string },
): void {
  const { convert, width } = conversionOf(entry, file);
  const first = at / width;
  convert(bytes, into.subarray(first, first + bytes.length / width), {
    first,
    refuse: (problem) => refuseTensor(entry.name, file, problem),
  });
}

/** The tensor of `entry` in `bytes`, the whole file: in place where that is possible. */
export function tensorIn(bytes: Uint8Array, entry: TensorEntry, file: string): HostTensor {
  const { dtype, width, isSame } = conversionOf(entry, file);
  const part = bytes.subarray(entry.begin, entry.end);
  const isAligned = part.byteOffset % width === 0;
  if (isSame && isAligned) {
    const data = dtype === "float32" ? over(Float32Array, part) : over(Int32Array, part);
    return hostTensor(dtype, data, entry.shape);
  }
  const tensor = zeroTensor(dtype, entry.shape);
  for (const { at, sizeBytes } of piecesOf(entry)) {
    const piece = part.subarray(at, at + sizeBytes);
    convertPiece(isAligned ? piece : piece.slice(), tensor.data, { entry, at, file });
  }
  return tensor;
}
