/**
 * Numbers of 16 bits and back: IEEE 754 half precision and bfloat16.
 *
 * bfloat16 is the upper half of a float32, so both directions are integer arithmetic. Half precision
 * goes through `Float16Array`, which every current browser, Deno and Node 24 have.
 *
 * Elements are passed as their bits, because a bfloat16 has no array type of its own.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";

function checkLengths(from: { length: number }, into: { length: number }): void {
  if (from.length !== into.length) {
    throw new ShapeError(`Cannot convert ${from.length} numbers into ${into.length} places`);
  }
}

/** The same memory, as integers. */
function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function halvesOf(bits: Uint16Array): Float16Array {
  return new Float16Array(bits.buffer, bits.byteOffset, bits.length);
}

/**
 * Half precision to float32; exact.
 *
 * @param bits [n] IEEE 754 half-precision numbers, as their bits
 * @param into [n] takes the values
 * @throws {ShapeError} If the lengths differ
 * @example
 * ```ts
 * import { decodeFloat16 } from "./half.ts";
 * import { assertEquals } from "@std/assert";
 * const values = new Float32Array(2);
 * decodeFloat16(Uint16Array.of(0x3c00, 0xc000), values);
 * assertEquals([...values], [1, -2]);
 * ```
 */
export function decodeFloat16(bits: Uint16Array, into: Float32Array): void {
  checkLengths(bits, into);
  const halves = halvesOf(bits);
  // V8 15 runs this loop twice as fast as into.set(halves).
  for (let i = 0; i < halves.length; i++) into[i] = halves[i];
}

/**
 * bfloat16 to float32; exact.
 *
 * @param bits [n] bfloat16 numbers, as their bits
 * @param into [n] takes the values
 * @throws {ShapeError} If the lengths differ
 * @example
 * ```ts
 * import { decodeBfloat16 } from "./half.ts";
 * import { assertEquals } from "@std/assert";
 * const values = new Float32Array(2);
 * decodeBfloat16(Uint16Array.of(0x3f80, 0xc000), values);
 * assertEquals([...values], [1, -2]);
 * ```
 */
export function decodeBfloat16(bits: Uint16Array, into: Float32Array): void {
  checkLengths(bits, into);
  const out = bitsOf(into);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i] << 16;
}

/**
 * float32 to half precision, rounded to nearest, ties to even; beyond the largest number infinity,
 * NaN stays NaN.
 *
 * @param values [n] numbers
 * @param into [n] takes the bits
 * @throws {ShapeError} If the lengths differ
 * @example
 * ```ts
 * import { encodeFloat16 } from "./half.ts";
 * import { assertEquals } from "@std/assert";
 * const bits = new Uint16Array(2);
 * encodeFloat16(Float32Array.of(1, 1e6), bits);
 * assertEquals([...bits], [0x3c00, 0x7c00]);
 * ```
 */
export function encodeFloat16(values: Float32Array, into: Uint16Array): void {
  checkLengths(values, into);
  halvesOf(into).set(values);
}

/**
 * float32 to bfloat16, rounded to nearest, ties to even; beyond the largest number infinity, NaN
 * stays NaN.
 *
 * @param values [n] numbers
 * @param into [n] takes the bits
 * @throws {ShapeError} If the lengths differ
 * @example
 * ```ts
 * import { encodeBfloat16 } from "./half.ts";
 * import { assertEquals } from "@std/assert";
 * const bits = new Uint16Array(2);
 * encodeBfloat16(Float32Array.of(1, 3.14159274), bits);
 * assertEquals([...bits], [0x3f80, 0x4049]);
 * ```
 */
export function encodeBfloat16(values: Float32Array, into: Uint16Array): void {
  checkLengths(values, into);
  const bits = bitsOf(values);
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i];
    // Rounding would turn a NaN whose set bits are all in the lower half into infinity.
    const isNaNumber = (x & 0x7fffffff) > 0x7f800000;
    into[i] = isNaNumber ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
}
