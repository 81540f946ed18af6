/**
 * Building blocks of the kernels, with the rewrites that were measured to pay: an Expand that a
 * broadcasting operator makes needless is dropped, chains of Reshape become one, ·1 and +0 vanish,
 * x/c becomes x·(1/c), transposed products use Gemm or FusedMatMul, and sums of scattered
 * gradients become one scatter.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Graph } from "./graph.ts";
import { type ElementType, isSameShape, type Traced, uniformOf } from "./value.ts";

/** Number of elements. */
export function countOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** The shape that broadcasting `shapes` together gives. */
export function broadcastShape(...shapes: (readonly number[])[]): number[] {
  return shapes.map((s) => [...s]).reduce((a, b) =>
    tf.broadcast_util.assertAndGetBroadcastShape(a, b)
  );
}

/** Same elements, another shape. */
export function reshape(g: Graph, x: Traced, shape: readonly number[]): Traced {
  if (isSameShape(x.shape, shape)) return x;
  if (x.source.kind === "uniform") return g.uniform(x.source.value, shape, x.dtype);
  if (x.source.kind === "node" && x.source.node.op === "Reshape") {
    return reshape(g, x.source.node.inputs[0], shape);
  }
  return g.node("Reshape", [x, g.sizes(shape)], { shape, dtype: x.dtype });
}

/** Axes in another order. */
export function transpose(g: Graph, x: Traced, perm: readonly number[]): Traced {
  if (perm.every((p, i) => p === i)) return x;
  const shape = perm.map((p) => x.shape[p]);
  if (x.source.kind === "uniform") return g.uniform(x.source.value, shape, x.dtype);
  return g.node("Transpose", [x], { shape, dtype: x.dtype }, { perm: { ints: [...perm] } });
}

/** Repeat along axes of size 1. Remembered, so that a user that broadcasts can undo it. */
export function expand(g: Graph, x: Traced, shape: readonly number[]): Traced {
  if (isSameShape(x.shape, shape)) return x;
  if (x.source.kind === "uniform") return g.uniform(x.source.value, shape, x.dtype);
  const base = g.expanded.get(x) ?? x;
  const y = g.node("Expand", [base, g.sizes(shape)], { shape, dtype: x.dtype });
  g.expanded.set(y, base);
  return y;
}

const ONNX_TYPE: Record<ElementType, number> = { float32: 1, int32: 6, int64: 7, bool: 9 };

/** Another element type; float → int truncates towards zero, anything → bool is `≠ 0`. */
export function cast(g: Graph, x: Traced, dtype: ElementType): Traced {
  if (x.dtype === dtype) return x;
  if (x.source.kind === "uniform" && dtype !== "int64") {
    const v = x.source.value;
    const y = dtype === "bool" ? Number(v !== 0) : dtype === "int32" ? Math.trunc(v) : v;
    return g.uniform(y, x.shape, dtype);
  }
  return g.node("Cast", [x], { shape: x.shape, dtype }, { to: ONNX_TYPE[dtype] });
}

/** Operands of a broadcasting operator without the expansions and full constants it does not need. */
function slim(g: Graph, operands: readonly Traced[], shape: readonly number[]): Traced[] {
  const fits = (xs: Traced[]) => isSameShape(broadcastShape(...xs.map((x) => x.shape)), shape);
  let xs = [...operands];
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i];
    const small = x.source.kind === "uniform"
      ? g.uniform(x.source.value, [], x.dtype)
      : g.expanded.get(x);
    if (!small) continue;
    const tried = xs.with(i, small);
    if (fits(tried)) xs = tried;
  }
  return xs;
}

const FOLDED: Record<string, (a: number, b: number) => number> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
};

/** A broadcasting operator of two operands of one element type. */
export function binary(
  g: Graph,
  op: string,
  operands: readonly [Traced, Traced],
  dtype: ElementType = operands[0].dtype,
): Traced {
  const [a, b] = operands;
  const shape = broadcastShape(a.shape, b.shape);
  const ua = uniformOf(a), ub = uniformOf(b);
  const isFloat = a.dtype === "float32";
  if (ua !== undefined && ub !== undefined && isFloat && op in FOLDED) {
    return g.uniform(Math.fround(FOLDED[op](ua, ub)), shape, dtype);
  }
  if (op === "Mul" && ub === 1) return expand(g, a, shape);
  if (op === "Mul" && ua === 1) return expand(g, b, shape);
  if (op === "Add" && ub === 0) return expand(g, a, shape);
  if (op === "Add" && ua === 0) return expand(g, b, shape);
  if (op === "Sub" && ub === 0) return expand(g, a, shape);
  if (op === "Add" && isSameShape(a.shape, b.shape)) {
    const sa = g.scattered.get(a), sb = g.scattered.get(b);
    if (sb && uniformOf(sb.base) === 0) return scatterAdd(g, a, sb.ids, sb.updates);
    if (sa && uniformOf(sa.base) === 0) return scatterAdd(g, b, sa.ids, sa.updates);
  }
  if (op === "Div" && isFloat && ub !== undefined && ub !== 0) {
    return binary(g, "Mul", [a, g.uniform(Math.fround(1 / ub), b.shape, "float32")]);
  }
  return g.node(op, slim(g, [a, b], shape), { shape, dtype });
}

/** `condition ? a : b`, element by element. */
export function where(g: Graph, condition: Traced, a: Traced, b: Traced): Traced {
  // ONNX Runtime has no Where on bool.
  if (a.dtype === "bool") {
    return cast(g, where(g, condition, cast(g, a, "int32"), cast(g, b, "int32")), "bool");
  }
  const shape = broadcastShape(condition.shape, a.shape, b.shape);
  return g.node("Where", slim(g, [condition, a, b], shape), { shape, dtype: a.dtype });
}

/**
 * `dense[ids[n]] += updates[n]`, several scatters into one table merged into one.
 *
 * ScatterElements, never ScatterND: with reduction `add` and more than one thread the latter is a
 * data race on repeated indices in ONNX Runtime's CPU provider.
 *
 * @param dense [N, …]
 * @param ids [M] rows, each in [0, N)
 * @param updates [M, …]
 */
export function scatterAdd(g: Graph, dense: Traced, ids: Traced, updates: Traced): Traced {
  const earlier = g.scattered.get(dense);
  if (earlier) {
    const count = ids.shape[0] + earlier.ids.shape[0];
    const join = (a: Traced, b: Traced) =>
      g.node("Concat", [a, b], { shape: [count, ...a.shape.slice(1)], dtype: a.dtype }, {
        axis: 0,
      });
    return scatterAdd(g, earlier.base, join(earlier.ids, ids), join(earlier.updates, updates));
  }
  const column = reshape(g, cast(g, ids, "int64"), [
    ids.shape[0],
    ...updates.shape.slice(1).map(() => 1),
  ]);
  const index = expand(g, column, updates.shape);
  const y = g.node("ScatterElements", [dense, index, updates], dense, {
    axis: 0,
    reduction: { string: "add" },
  });
  g.scattered.set(y, { base: dense, ids, updates });
  return y;
}

/** Reduce over `axes`. */
export function reduce(
  g: Graph,
  op: string,
  x: Traced,
  { axes, keepDims }: { axes: readonly number[]; keepDims: boolean },
): Traced {
  if (!axes.length) return x;
  const shape = keepDims
    ? x.shape.map((d, i) => axes.includes(i) ? 1 : d)
    : x.shape.filter((_, i) => !axes.includes(i));
  const keepdims = Number(keepDims), type = { shape, dtype: x.dtype };
  // In opset 17 only ReduceSum takes its axes as an operand.
  if (op === "ReduceSum") return g.node(op, [x, g.sizes(axes)], type, { keepdims });
  return g.node(op, [x], type, { keepdims, axes: { ints: [...axes] } });
}

/** Matrix product over the last two axes, those before broadcast. */
export function matMul(
  g: Graph,
  [a, b]: readonly [Traced, Traced],
  { transposeA, transposeB }: { transposeA: boolean; transposeB: boolean },
): Traced {
  const ra = a.shape.length, rb = b.shape.length, dtype = a.dtype;
  const rows = a.shape[transposeA ? ra - 1 : ra - 2];
  const columns = b.shape[transposeB ? rb - 2 : rb - 1];
  const shape = [...broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2)), rows, columns];
  const isPlain = !transposeA && !transposeB;
  const flags = { transA: Number(transposeA), transB: Number(transposeB) };
  const isTraining = g.dialect === "training";
  if (dtype === "float32" && ra === 2 && rb === 2 && (!isPlain || isTraining)) {
    return g.node("Gemm", [a, b], { shape, dtype }, flags);
  }
  if (dtype === "float32" && isTraining && !isPlain) {
    const options = { attributes: flags, domain: "com.microsoft" };
    return g.nodeOf("FusedMatMul", [a, b], [{ shape, dtype }], options)[0];
  }
  const swap = (x: Traced) => {
    const r = x.shape.length;
    return transpose(g, x, [...Array(r - 2).keys(), r - 1, r - 2]);
  };
  const operands = [transposeA ? swap(a) : a, transposeB ? swap(b) : b];
  return g.node("MatMul", operands, { shape, dtype });
}
