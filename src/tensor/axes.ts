/**
 * Tensors that carry the names of their axes in their type, checked once against real sizes.
 *
 * The letters are listed in `docs/axes.md`. While a program is recorded the sizes are concrete
 * numbers too, so the same checks run there, once, and cost nothing afterwards.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import type { Tensor } from "./tensor.ts";

/** The mark that an element type and axes leave on a tensor's type. It has no value at run time. */
export interface Labelled<Type extends string, Axes extends string> {
  /** Exists for the type checker alone: reading it gives `undefined`. */
  readonly $axes: readonly [Type, Axes];
}

/** A float32 tensor whose axes are `Axes`, such as `F32<"B T D">`. `F32<"">` is a scalar. */
export type F32<Axes extends string> = Tensor & Labelled<"float32", Axes>;

/** An int32 tensor whose axes are `Axes`, such as `I32<"B T">`. */
export type I32<Axes extends string> = Tensor & Labelled<"int32", Axes>;

/** Sizes by axis letter. {@linkcode named} adds letters it has not seen and checks the others. */
export type Dims = Record<string, number>;

/** How to speak of a tensor in a message. */
export interface NamedOptions {
  /** Name of the tensor. Default `"a tensor"`. */
  as?: string;
}

/** Letters of the axes of `axes`, in order. */
function lettersOf(axes: string): string[] {
  return axes.split(" ").filter((letter) => letter !== "");
}

function check(x: Tensor, axes: string, dims: Dims, options: NamedOptions, dtype: string): void {
  const letters = lettersOf(axes);
  const { as: name = "a tensor" } = options;
  const wanted = (): string =>
    `[${letters.map((a) => a in dims ? `${a}=${dims[a]}` : a).join(", ")}]`;
  if (x.dtype !== dtype) {
    throw new ShapeError(`Cannot read ${name} as ${dtype} ${wanted()}: it holds ${x.dtype}`);
  }
  if (x.shape.length !== letters.length) {
    throw new ShapeError(
      `Cannot read ${name} as ${wanted()}: it has ${x.shape.length} axes, [${x.shape}]`,
    );
  }
  // All axes are looked at before any is bound: a refused tensor leaves `dims` as it was.
  const found: Dims = {};
  letters.forEach((letter, axis) => {
    const size = x.shape[axis];
    const bound = /^\d+$/.test(letter) ? Number(letter) : dims[letter] ?? found[letter] ?? size;
    if (bound !== size) {
      throw new ShapeError(`Cannot read ${name} as ${wanted()}: axis ${letter} is ${size}`);
    }
    if (!/^\d/.test(letter)) found[letter] = size;
  });
  Object.assign(dims, found);
}

/**
 * `x` with its axes in its type. A letter that `dims` knows must have that size, a new letter is
 * added to `dims`, and a number is a fixed size.
 *
 * @param x A float32 tensor
 * @param axes Letters separated by single spaces, such as `"B T D"` or `"B 1 S"`; `""` is a scalar
 * @param dims Sizes known so far; new letters are written into it
 * @param options Name used in messages
 * @returns The same tensor
 * @throws {ShapeError} If the number of axes, a size or the element type differs
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { type Dims, named } from "./axes.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 * const dims: Dims = { D: 4 };
 * named(tf.zeros([2, 3, 4]), "B T D", dims);
 * assertEquals(dims, { D: 4, B: 2, T: 3 });
 * assertThrows(() => named(tf.zeros([2, 4]), "B T", dims), Error, "axis T is 4");
 * ```
 */
export function named<Axes extends string>(
  x: Tensor,
  axes: Axes,
  dims: Dims,
  options: NamedOptions = {},
): F32<Axes> {
  check(x, axes, dims, options, "float32");
  return x as F32<Axes>;
}

/**
 * {@linkcode named} for int32 tensors: ids, labels, positions.
 *
 * @param x An int32 tensor
 * @param axes Letters separated by single spaces
 * @param dims Sizes known so far; new letters are written into it
 * @param options Name used in messages
 * @returns The same tensor
 * @throws {ShapeError} If the number of axes, a size or the element type differs
 */
export function namedInts<Axes extends string>(
  x: Tensor,
  axes: Axes,
  dims: Dims,
  options: NamedOptions = {},
): I32<Axes> {
  check(x, axes, dims, options, "int32");
  return x as I32<Axes>;
}
