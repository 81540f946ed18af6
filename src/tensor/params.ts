/** Parameters as plain data: a flat record from name to tensor, and the specification of one. @module */
import type { Tensor } from "./tensor.ts";

/** How a parameter starts. */
export type Initializer =
  | { kind: "normal"; std: number }
  | { kind: "constant"; value: number };

/** Shape, start and treatment of one parameter. */
export interface ParamSpec {
  /** Sizes of the axes. */
  shape: readonly number[];
  /** How it starts when no weights are loaded. */
  init: Initializer;
  /** Whether weight decay applies; norms and biases say `false`. Default `true`. */
  decay?: boolean;
  /** Multiplies the learning rate of this parameter. Default 1. */
  rateFactor?: number;
  /**
   * Whether a step reads and updates only the rows that its batch names, as for the embedding of a
   * large vocabulary. The rows must hold a multiple of 4 elements. Default `false`.
   */
  isRowSparse?: boolean;
}

/** Every parameter of a model by name. The order of the keys is the order in the flat buffer. */
export type ParamSpecs = Record<string, ParamSpec>;

/** Parameters as tensors of the running (or recording) backend. */
export type Params = Record<string, Tensor>;
