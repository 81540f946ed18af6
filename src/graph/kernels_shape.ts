/** Kernels that move elements without reading them, and those that make tensors from sizes. @module */
import * as tf from "@tensorflow/tfjs-core";
import { KEEP_MASK } from "../tensor/keep_mask.ts";
import { axisOf, checkShapes, type KernelTable, unsupportedForm } from "./kernel.ts";
import type { Graph } from "./graph.ts";
import { cast, countOf, expand, reshape, transpose } from "./peepholes.ts";
import type { Traced } from "./value.ts";

/** "To the end" of an ONNX Slice. */
const TO_END = 2 ** 31 - 1;

const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);

function concat(g: Graph, list: readonly Traced[], axis: number): Traced {
  const others = (v: Traced) => `${v.shape.toSpliced(axis, 1)}`;
  checkShapes("Concat", list.every((v) => others(v) === others(list[0])), ...list);
  const full = list.filter((v) => countOf(v.shape) > 0);
  const xs = full.length ? full : [list[0]];
  if (xs.length === 1) return xs[0];
  const size = sum(xs.map((v) => v.shape[axis]));
  const type = { shape: xs[0].shape.with(axis, size), dtype: xs[0].dtype };
  return g.node("Concat", xs, type, { axis });
}

function split(g: Graph, x: Traced, sizes: readonly number[], axis: number): readonly Traced[] {
  if (sizes.length === 1) return [x];
  const types = sizes.map((n) => ({ shape: x.shape.with(axis, n), dtype: x.dtype }));
  return g.nodeOf("Split", [x, g.sizes(sizes)], types, { attributes: { axis } });
}

/** Kernels that move elements, and those that make tensors from sizes. */
export const shapeKernels: KernelTable = {
  Concat: ({ graph: g, list, attributes }) =>
    concat(g, list, axisOf(attributes.axis, list[0].shape)),
  ExpandDims: ({ graph: g, inputs: { input }, attributes: { dim } }) => {
    const at = dim < 0 ? input.shape.length + 1 + dim : dim;
    return reshape(g, input, input.shape.toSpliced(at, 0, 1));
  },
  Fill: ({ graph: g, attributes: { shape, value, dtype } }) => g.uniform(value, shape, dtype),
  [KEEP_MASK]: ({ graph: g, attributes: { shape, keepProb } }) => g.keepMask(shape, keepProb),
  Pack: ({ graph: g, list, attributes }) => {
    const axis = attributes.axis as number;
    const shape = list[0].shape.toSpliced(axis, 0, 1);
    const parts = list.map((v) => reshape(g, v, shape));
    if (parts.length === 1) return parts[0];
    const type = { shape: shape.with(axis, parts.length), dtype: list[0].dtype };
    return g.node("Concat", parts, type, { axis });
  },
  PadV2: ({ graph: g, inputs: { x }, attributes: { paddings, constantValue } }) => {
    const shape = x.shape.map((d, i) => d + paddings[i][0] + paddings[i][1]);
    if (countOf(shape) === countOf(x.shape)) return x;
    const pads = g.sizes([...paddings.map((p) => p[0]), ...paddings.map((p) => p[1])]);
    return g.node("Pad", [x, pads, g.uniform(constantValue, [], x.dtype)], {
      shape,
      dtype: x.dtype,
    });
  },
  Range: ({ graph: g, attributes: { start, stop, step: given, dtype } }) => {
    const step = stop < start && given === 1 ? -1 : given; // tfjs's own rule
    const count = (stop - start) / step > 0 ? Math.ceil((stop - start) / step) : 0;
    if (!count) return g.uniform(0, [0], dtype);
    if (![start, stop, step].every(Number.isInteger)) {
      const data = Float32Array.from({ length: count }, (_, i) => start + i * step);
      return cast(g, g.constant(data, [count], "float32"), dtype);
    }
    const numbers = count === 1 ? g.sizes([start]) : g.node(
      "Range",
      [g.size(start), g.size(stop), g.size(step)],
      { shape: [count], dtype: "int64" },
    );
    return cast(g, numbers, dtype);
  },
  Reshape: ({ graph: g, inputs: { x }, attributes: { shape } }) =>
    reshape(g, x, tf.util.inferFromImplicitShape(shape, countOf(x.shape))),
  Slice: ({ graph: g, inputs: { x }, attributes: { begin, size } }) => {
    const like = { shape: [...x.shape], rank: x.shape.length } as unknown as tf.Tensor;
    const [from, shape] = tf.slice_util.parseSliceParams(like, begin, size);
    const isInside = from.every((b, i) => b >= 0 && shape[i] >= 0 && b + shape[i] <= x.shape[i]);
    if (!isInside) {
      throw unsupportedForm("Slice", `[${from}] + [${shape}] reaches beyond [${x.shape}]`);
    }
    const axes = x.shape.map((_, i) => i).filter((i) => from[i] !== 0 || shape[i] !== x.shape[i]);
    if (!axes.length) return x;
    const ends = axes.map((i) => from[i] + shape[i] === x.shape[i] ? TO_END : from[i] + shape[i]);
    const operands = [x, g.sizes(axes.map((i) => from[i])), g.sizes(ends), g.sizes(axes)];
    return g.node("Slice", operands, { shape, dtype: x.dtype });
  },
  SplitV: ({ graph: g, inputs: { x }, attributes: { numOrSizeSplits, axis: given } }) => {
    const axis = axisOf(given, x.shape);
    const like = { shape: [...x.shape] } as unknown as tf.Tensor;
    return split(g, x, tf.backend_util.prepareSplitSize(like, numOrSizeSplits, axis), axis);
  },
  Tile: ({ graph: g, inputs: { x }, attributes: { reps } }) => {
    const shape = x.shape.map((d, i) => d * reps[i]);
    if (x.shape.every((d, i) => d === 1 || reps[i] === 1)) return expand(g, x, shape);
    return g.node("Tile", [x, g.sizes(reps)], { shape, dtype: x.dtype });
  },
  Transpose: ({ graph: g, inputs: { x }, attributes: { perm } }) => transpose(g, x, perm),
  Unpack: ({ graph: g, inputs: { value }, attributes }) => {
    const axis = axisOf(attributes.axis, value.shape);
    const parts = split(g, value, Array(value.shape[axis]).fill(1), axis);
    return parts.map((v) => reshape(g, v, value.shape.toSpliced(axis, 1)));
  },
};
