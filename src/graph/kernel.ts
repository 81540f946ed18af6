/** The form of a kernel: how one tfjs kernel becomes nodes. @module */
import * as tf from "@tensorflow/tfjs-core";
import { KernelError, ShapeError } from "../errors.ts";
import type { DType } from "../tensor/host_tensor.ts";
import type { Graph } from "./graph.ts";
import { captureSite, describeSite } from "./site.ts";
import type { Traced } from "./value.ts";

/** Every attribute that some kernel of the tables reads. Each kernel has only its own. */
export interface KernelAttributes {
  alpha: number;
  axis: number | number[];
  batchDims: number;
  begin: number | number[];
  clipValueMax: number;
  clipValueMin: number;
  constantValue: number;
  depth: number;
  dim: number;
  dtype: DType;
  exclusive: boolean;
  k: number;
  keepDims: boolean;
  keepProb: number;
  numOrSizeSplits: number | number[];
  numSegments: number;
  offValue: number;
  onValue: number;
  paddings: [number, number][];
  perm: number[];
  reductionIndices: number | number[];
  reps: number[];
  reverse: boolean;
  shape: number[];
  size: number | number[];
  sorted: boolean;
  start: number;
  step: number;
  stop: number;
  transposeA: boolean;
  transposeB: boolean;
  value: number;
}

/** One call of a kernel while tracing. */
export interface KernelCall {
  /** Receives the nodes. */
  readonly graph: Graph;
  /** Operands by the names tfjs gives them. */
  readonly inputs: Readonly<Record<string, Traced>>;
  /** The same in order, for kernels that take a list. */
  readonly list: readonly Traced[];
  /** Attributes of the call. */
  readonly attributes: KernelAttributes;
}

/** Appends the nodes of one kernel call and gives its results. */
export type KernelRule = (call: KernelCall) => Traced | readonly Traced[];

/** Rules by the name of the tfjs kernel. */
export type KernelTable = Readonly<Record<string, KernelRule>>;

/** Axes as non-negative numbers, in ascending order. */
export function axesOf(axis: number | number[], shape: readonly number[]): number[] {
  return tf.util.parseAxisParam(axis, [...shape]).sort((a, b) => a - b);
}

/** One axis as a non-negative number. */
export function axisOf(axis: number | number[], shape: readonly number[]): number {
  return axesOf(axis, shape)[0];
}

/** The error for a kernel that is supported, but not in this form. */
export function unsupportedForm(kernel: string, problem: string): KernelError {
  const site = describeSite(captureSite());
  return new KernelError(`Cannot record kernel ${kernel} at ${site}: ${problem}`);
}

/**
 * Fail unless the operands fit. tfjs checks some shapes in the kernels of its own backends only.
 *
 * @throws {ShapeError} Names the kernel, the place and the shapes
 */
export function checkShapes(
  kernel: string,
  isRight: boolean,
  ...operands: readonly Traced[]
): void {
  if (isRight) return;
  const shapes = operands.map((v) => `[${v.shape}]`).join(" and ");
  const site = describeSite(captureSite());
  throw new ShapeError(`Cannot record kernel ${kernel} at ${site}: ${shapes} do not fit together`);
}
