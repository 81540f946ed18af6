/**
 * What a graph is made of, in static single assignment form. While tracing, sizes are numbers
 * (`Value<number>`); in a finished recording they are expressions (`Value<SizeExpr>`).
 *
 * @module
 */
import type { DType } from "../tensor/host_tensor.ts";

/** Element types of a graph. int64 exists only for sizes and for indices inside a kernel. */
export type ElementType = DType | "int64";

/** Memory of a constant. */
export type TypedData = Float32Array | Int32Array | Uint8Array;

/** An attribute of a node; a bare number is an integer. */
export type Attribute =
  | number
  | { float: number }
  | { string: string }
  | { ints: number[] };

/** Where a value comes from. */
export type Source<S> =
  | { readonly kind: "input"; readonly name: string }
  /** A constant whose elements are all the same number; its sizes may follow symbols. */
  | { readonly kind: "uniform"; readonly value: number }
  /** Any other constant. */
  | { readonly kind: "table"; readonly data: TypedData }
  /** An int64 vector of sizes, or a scalar if the shape is `[]`. */
  | { readonly kind: "sizes"; readonly sizes: readonly S[] }
  | { readonly kind: "node"; readonly node: Node<S> };

/** One value: a tensor that exists once. */
export interface Value<S> {
  /** Unique within its graph. */
  readonly id: number;
  /** Element type. */
  readonly dtype: ElementType;
  /** Sizes of the axes. */
  readonly shape: readonly S[];
  /** Where it comes from. */
  readonly source: Source<S>;
}

/** One ONNX operation. */
export interface Node<S> {
  /** ONNX operator. */
  readonly op: string;
  /** Operator domain; undefined is `ai.onnx`. */
  readonly domain?: string;
  /** Operands. */
  readonly inputs: readonly Value<S>[];
  /** Results. */
  readonly outputs: readonly Value<S>[];
  /** Attributes by name. */
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Holds the stack at which the node was made; absent in a finished recording. */
  readonly site?: Error;
}

/** A value while tracing. */
export type Traced = Value<number>;

/** Whether two shapes are equal. */
export function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/** The number every element of a constant has, or undefined if it is no such constant. */
export function uniformOf(x: Traced): number | undefined {
  return x.source.kind === "uniform" ? x.source.value : undefined;
}
