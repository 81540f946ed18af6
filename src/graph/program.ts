/**
 * A program: a pure function of named tensors whose sizes may be symbols. The same program runs
 * eagerly on a tfjs backend or is recorded once and run by ONNX Runtime.
 *
 * @module
 */
import type { DType, HostTensor } from "../tensor/host_tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** One input. A string in `shape` is a symbol: a size that is only known when the program runs. */
export interface ProgramInput {
  /** Element type. */
  readonly dtype: DType;
  /** Sizes; a string such as `"B"` names a symbol shared by all inputs that use it. */
  readonly shape: readonly (number | string)[];
}

/**
 * Inputs that take tensors such as these, of fixed sizes: parameters, for instance.
 *
 * @param tensors Tensors by name
 */
export function inputsLike(
  tensors: Readonly<Record<string, Pick<HostTensor, "dtype" | "shape">>>,
): Record<string, ProgramInput> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape }]) => [name, { dtype, shape }]),
  );
}

/**
 * Inputs for parameters of these specifications.
 *
 * @param specs Their sizes by name
 */
export function parameterInputs(
  specs: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): Record<string, ProgramInput> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape }]) => [name, { dtype: "float32", shape }]),
  );
}

/** A pure function of named tensors. It never reads a value and never branches on a symbol. */
export interface Program {
  /** Used in messages and as the name of the ONNX graph. */
  readonly name: string;
  /** Inputs by name, parameters included, in a fixed order. */
  readonly inputs: Readonly<Record<string, ProgramInput>>;
  /** The function itself, in `@tensorflow/tfjs-core` operations. */
  readonly run: (x: Record<string, Tensor>) => Record<string, Tensor>;
}
