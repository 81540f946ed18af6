/** A finished recording: what a program computes, for every value of its symbols. @module */
import type { DType } from "../tensor/host_tensor.ts";
import type { Dialect } from "./graph.ts";
import type { SizeExpr } from "./sizes.ts";
import type { Node, Value } from "./value.ts";

/** An input of a recording. A string as size is a symbol. */
export interface RecordedInput {
  /** Its name. */
  readonly name: string;
  /** Element type. */
  readonly dtype: DType;
  /** Sizes: numbers or symbols. */
  readonly shape: readonly (number | string)[];
}

/** An output of a recording. */
export interface RecordedOutput {
  /** Its name. */
  readonly name: string;
  /** Element type. */
  readonly dtype: DType;
  /** Sizes in terms of the symbols. */
  readonly shape: readonly SizeExpr[];
  /** The value given out. */
  readonly value: Value<SizeExpr>;
}

/** A random mask that the program draws: an input the executor fills before every run. */
export interface KeepMaskInput {
  /** Name of the input: `keep_mask:<site>`. */
  readonly name: string;
  /** Which call of the program it is, from 0. */
  readonly site: number;
  /** Probability of a one. */
  readonly keepProb: number;
  /** Sizes in terms of the symbols. */
  readonly shape: readonly SizeExpr[];
}

/** A finished recording. */
export interface Recording {
  /** Name of the program. */
  readonly name: string;
  /** Operators it may use. */
  readonly dialect: Dialect;
  /** Symbols that were not fixed. */
  readonly symbols: readonly string[];
  /** Inputs of the program, in its order. */
  readonly inputs: readonly RecordedInput[];
  /** Outputs of the program, in its order. */
  readonly outputs: readonly RecordedOutput[];
  /** Operations that some output needs, in order. */
  readonly nodes: readonly Node<SizeExpr>[];
  /** Random masks, by site. All are declared as inputs, whether or not an output needs them. */
  readonly keepMasks: readonly KeepMaskInput[];
  /** Names of the tfjs kernels the program called. */
  readonly kernels: readonly string[];
}
