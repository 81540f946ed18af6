/** Tensors in ordinary memory: what goes into and comes out of a program that runs. @module */
import { ShapeError } from "../errors.ts";

/** Element types that cross the border between JavaScript and a running program. */
export type DType = "float32" | "int32" | "bool";

/** The typed array that holds the elements of each {@linkcode DType}. */
export interface DTypeArrays {
  /** 32-bit IEEE 754 numbers. */
  float32: Float32Array;
  /** 32-bit signed integers. */
  int32: Int32Array;
  /** One byte per element, 0 or 1. */
  bool: Uint8Array;
}

/** A dense row-major tensor in ordinary memory. */
export interface HostTensor<D extends DType = DType> {
  /** Element type. */
  readonly dtype: D;
  /** Sizes of the axes; `[]` is a scalar. */
  readonly shape: readonly number[];
  /** The elements, last axis fastest. */
  readonly data: DTypeArrays[D];
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * A {@linkcode HostTensor} over `data`, which is not copied.
 *
 * @throws {ShapeError} If `data` does not have as many elements as `shape`
 * @example
 * ```ts
 * import { hostTensor } from "./host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(hostTensor("int32", Int32Array.of(1, 2, 3), [3]).shape, [3]);
 * ```
 */
export function hostTensor<D extends DType>(
  dtype: D,
  data: DTypeArrays[D],
  shape: readonly number[],
): HostTensor<D> {
  if (data.length !== sizeOf(shape)) {
    throw new ShapeError(
      `Cannot read ${data.length} elements as [${shape}]: that shape holds ${sizeOf(shape)}`,
    );
  }
  return { dtype, data, shape };
}

/** The class of typed array of each {@linkcode DType}. */
export const DTYPE_ARRAYS: { readonly [D in DType]: new (length: number) => DTypeArrays[D] } = {
  float32: Float32Array,
  int32: Int32Array,
  bool: Uint8Array,
};

/**
 * A {@linkcode HostTensor} of zeros.
 *
 * @param dtype Element type
 * @param shape Sizes of the axes
 * @example
 * ```ts
 * import { zeroTensor } from "./host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(zeroTensor("int32", [1, 2]).data, Int32Array.of(0, 0));
 * ```
 */
export function zeroTensor<D extends DType>(dtype: D, shape: readonly number[]): HostTensor<D> {
  return hostTensor(dtype, new DTYPE_ARRAYS[dtype](sizeOf(shape)), shape);
}
