/** Kernels that combine the elements of an axis: reductions, order, matrix products. @module */
import { axesOf, axisOf, checkShapes, type KernelRule, type KernelTable } from "./kernel.ts";
import { cast, matMul, reduce } from "./peepholes.ts";

const over = (op: string): KernelRule => ({ graph: g, inputs: { x }, attributes }) => {
  const axes = axesOf(attributes.axis ?? attributes.reductionIndices, x.shape);
  return reduce(g, op, x, { axes, keepDims: attributes.keepDims });
};

const overBool = (op: string): KernelRule => ({ graph: g, inputs: { x }, attributes }) => {
  const axes = axesOf(attributes.axis, x.shape);
  const found = reduce(g, op, cast(g, x, "int32"), { axes, keepDims: attributes.keepDims });
  return cast(g, found, "bool");
};

const argument = (op: string): KernelRule => ({ graph: g, inputs: { x }, attributes }) => {
  const axis = axisOf(attributes.axis, x.shape);
  const shape = x.shape.toSpliced(axis, 1);
  return cast(g, g.node(op, [x], { shape, dtype: "int64" }, { axis, keepdims: 0 }), "int32");
};

/** Kernels that combine the elements of an axis. */
export const reduceKernels: KernelTable = {
  All: overBool("ReduceMin"),
  Any: overBool("ReduceMax"),
  ArgMax: argument("ArgMax"),
  ArgMin: argument("ArgMin"),
  BatchMatMul: ({ graph: g, inputs: { a, b }, attributes: { transposeA, transposeB } }) => {
    const inner = a.shape.at(transposeA ? -2 : -1);
    checkShapes("BatchMatMul", inner === b.shape.at(transposeB ? -1 : -2), a, b);
    return matMul(g, [a, b], { transposeA, transposeB });
  },
  Cumsum: ({ graph: g, inputs: { x }, attributes: { axis, exclusive, reverse } }) =>
    g.node("CumSum", [x, g.size(axisOf(axis, x.shape))], x, {
      exclusive: Number(exclusive),
      reverse: Number(reverse),
    }),
  Max: over("ReduceMax"),
  Mean: ({ graph: g, inputs: { x }, attributes: { axis, keepDims } }) =>
    reduce(g, "ReduceMean", cast(g, x, "float32"), { axes: axesOf(axis, x.shape), keepDims }),
  Min: over("ReduceMin"),
  Prod: over("ReduceProd"),
  Softmax: ({ graph: g, inputs: { logits } }) => g.node("Softmax", [logits], logits, { axis: -1 }),
  Sum: over("ReduceSum"),
  TopK: ({ graph: g, inputs: { x }, attributes: { k, sorted } }) => {
    const shape = [...x.shape.slice(0, -1), k];
    const [values, indices] = g.nodeOf("TopK", [x, g.sizes([k])], [
      { shape, dtype: x.dtype },
      { shape, dtype: "int64" },
    ], { attributes: { axis: -1, sorted: Number(sorted) } });
    return [values, cast(g, indices, "int32")];
  },
};
