/**
 * What is tried of each kernel. The tests run every case; the support table in docs/kernels.md
 * reads from the same list which kernels are tested.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Program } from "../../../src/graph/mod.ts";
import type { DType, HostTensor } from "../../../src/tensor/host_tensor.ts";
import { sizeOf } from "../../../src/tensor/host_tensor.ts";
import { keepMask } from "../../../src/tensor/keep_mask.ts";
import { randomStream } from "../../../src/tensor/random.ts";

/** An input of a case: its type, its sizes, and how its elements are drawn. */
export interface Argument {
  dtype: DType;
  shape: readonly (number | string)[];
  draw: (random: ReturnType<typeof randomStream>, index: number, size: number) => number;
}

/** One way to call one kernel. */
export interface KernelCase {
  /** The kernel this case is about; the test checks that it is called. */
  kernel: string;
  /** What is special about it. */
  about: string;
  /** Inputs by name. */
  inputs: Record<string, Argument>;
  /** The call. */
  run: (x: Record<string, tf.Tensor>) => tf.Tensor | tf.Tensor[];
  /** Inputs whose gradient is compared to finite differences; all float32 ones by default. */
  gradient?: readonly string[] | false;
  /** The result is drawn anew each time: only what is recorded can be compared. */
  isRandom?: boolean;
}

type Shape = (number | string)[];

// Multiples of 1/256, so that steps of a finite difference are exact in float32.
const grid = (x: number): number => Math.round(x * 256) / 256;

/** Normal numbers. */
const normal = (...shape: Shape): Argument => ({
  dtype: "float32",
  shape,
  draw: (r) => grid(r.normal()),
});
/** Between 0.5 and 2.5. */
const positive = (...shape: Shape): Argument => ({
  dtype: "float32",
  shape,
  draw: (r) => grid(0.5 + 2 * r.uniform()),
});
/** Distinct within the tensor and apart by 0.25; none is nearer than 0.125 to an integer multiple. */
const apart = (...shape: Shape): Argument => ({
  dtype: "float32",
  shape,
  draw: (_, i, n) => ((i * 7 + 3) % n - Math.floor(n / 2)) * 0.25 + 0.125,
});
/** Multiples of a half from -3 to 3: every tie of rounding. */
const halves = (...shape: Shape): Argument => ({
  dtype: "float32",
  shape,
  draw: (r) => r.int(13) / 2 - 3,
});
/** Integers in [from, to). */
const ints = (from: number, to: number, ...shape: Shape): Argument => ({
  dtype: "int32",
  shape,
  draw: (r) => from + r.int(to - from),
});
/** Integers from -6 to 6 without 0. */
const nonZero = (...shape: Shape): Argument => ({
  dtype: "int32",
  shape,
  draw: (r) => (r.int(2) ? 1 : -1) * (1 + r.int(6)),
});
const bools = (...shape: Shape): Argument => ({ dtype: "bool", shape, draw: (r) => r.int(2) });

/** Sizes at which every case with symbols is run, the smallest ones included. */
export const SIZES: readonly Record<string, number>[] = [
  { B: 2, S: 3 },
  { B: 1, S: 1 },
  { B: 3, S: 5 },
];

/** The tensor of an argument at given sizes. */
export function drawArgument(
  { dtype, shape, draw }: Argument,
  sizes: Record<string, number>,
  seed: number,
): HostTensor {
  const numbers = shape.map((d) => typeof d === "string" ? sizes[d] : d);
  const size = sizeOf(numbers);
  const random = randomStream({ seed, stream: "case", step: size });
  const elements = Array.from({ length: size }, (_, i) => draw(random, i, size));
  const Data = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }[dtype];
  return {
    dtype,
    shape: numbers,
    data: new Data(elements),
  };
}

const BS = ["B", "S"];

/** A kernel of one tensor `x`. */
const one = (
  kernel: string,
  run: (x: tf.Tensor) => tf.Tensor | tf.Tensor[],
  x: Argument = normal(...BS),
  more: Partial<KernelCase> = {},
): KernelCase => ({
  kernel,
  about: `${x.dtype} [${x.shape}]`,
  inputs: { x },
  run: ({ x }) => run(x),
  ...more,
});

type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

/** A kernel of two tensors: equal shapes, and every kind of broadcasting. */
function two(
  kernel: string,
  run: Binary,
  draw: (...s: Shape) => Argument = normal,
  drawB = draw,
): KernelCase[] {
  const pairs: [Shape, Shape][] = [
    [["B", "S"], ["B", "S"]],
    [["B", 1, "S"], [4, 1]],
    [[], ["B", 2]],
    [["B", 2], []],
    [["S"], ["B", "S"]],
  ];
  return pairs.map(([a, b]) => ({
    kernel,
    about: `${draw(...a).dtype} [${a}] with [${b}]`,
    inputs: { a: draw(...a), b: drawB(...b) },
    run: ({ a, b }) => run(a, b),
  }));
}

const flat = (x: tf.Tensor): tf.Tensor1D => tf.reshape(x, [-1]) as tf.Tensor1D;

const math: KernelCase[] = [
  one("Abs", tf.abs, apart(...BS)),
  one("Abs", tf.abs, ints(-5, 6, ...BS)),
  one("Neg", tf.neg),
  one("Neg", tf.neg, ints(-5, 6, ...BS)),
  one("Exp", tf.exp),
  one("Expm1", tf.expm1),
  one("Expm1", (x) => tf.mul(tf.expm1(tf.mul(x, 1e-5)), 1e5), normal("B", "S"), {
    about: "tiny arguments",
    gradient: false, // finite differences have no digits left there
  }),
  one("Expm1", (x) => tf.expm1(tf.mul(x, 30)), normal("B", "S"), {
    about: "large arguments",
    gradient: false, // the curvature spoils finite differences
  }),
  one("Log", tf.log, positive(...BS)),
  one("Log1p", tf.log1p, positive(...BS)),
  one("Log1p", (x) => tf.mul(tf.log1p(tf.mul(x, 1e-5)), 1e5), normal("B", "S"), {
    about: "tiny arguments",
    gradient: false, // finite differences have no digits left there
  }),
  one("Sqrt", tf.sqrt, positive(...BS)),
  one("Rsqrt", tf.rsqrt, positive(...BS)),
  one("Square", tf.square),
  one("Square", tf.square, ints(-5, 6, ...BS)),
  one("Reciprocal", tf.reciprocal, positive(...BS)),
  one("Relu", tf.relu, apart(...BS)),
  one("Relu", tf.relu, ints(-5, 6, ...BS)),
  one("Tanh", tf.tanh),
  one("Sigmoid", tf.sigmoid),
  one("Softplus", tf.softplus),
  one("Erf", tf.erf, normal("B", "S")),
  one("Sin", tf.sin),
  one("Cos", tf.cos),
  one("Sign", tf.sign, apart(...BS)),
  one("Sign", tf.sign, ints(-2, 3, ...BS)),
  one("Step", (x) => tf.step(x), apart(...BS)),
  one("Floor", tf.floor, apart(...BS)),
  one("Ceil", tf.ceil, apart(...BS)),
  one("Round", tf.round, halves("B", 20), { about: "half to even", gradient: false }),
  one("Round", tf.round, apart(...BS)),
  one("IsNan", (x) => tf.isNaN(tf.log(x)), apart(...BS)),
  one("IsInf", (x) => tf.isInf(tf.div(1, tf.floor(x))), normal(...BS), { gradient: false }),
  one("IsFinite", (x) => tf.isFinite(tf.log(tf.floor(x))), normal(...BS), { gradient: false }),
  one("ClipByValue", (x) => tf.clipByValue(x, -0.5, 0.75), apart(...BS)),
  one("Cast", (x) => tf.cast(x, "int32"), halves("B", 20), {
    about: "float32 to int32 truncates",
    gradient: false, // passed through by convention
  }),
  one("Cast", (x) => tf.cast(x, "bool"), halves("B", 20), {
    about: "float32 to bool",
    gradient: false, // passed through by convention
  }),
  one("Cast", (x) => tf.cast(x, "float32"), ints(-5, 5, ...BS)),
  one("Cast", (x) => tf.cast(x, "int32"), bools(...BS)),
  one("Identity", (x) => tf.clone(x)),
  one("ZerosLike", (x) => tf.zerosLike(x)),
  one("OnesLike", (x) => tf.onesLike(x)),

  ...two("Add", tf.add),
  ...two("Add", tf.add, (...s) => ints(-9, 9, ...s)),
  ...two("Sub", tf.sub),
  ...two("Sub", tf.sub, (...s) => ints(-9, 9, ...s)),
  ...two("Multiply", tf.mul),
  ...two("Multiply", tf.mul, (...s) => ints(-9, 9, ...s)),
  ...two("RealDiv", tf.div, normal, positive),
  ...two("Maximum", tf.maximum, (...s) => ints(-9, 9, ...s)),
  ...two("Minimum", tf.minimum, (...s) => ints(-9, 9, ...s)),
  ...two("Pow", tf.pow, positive, normal),
  ...two("FloorDiv", tf.floorDiv, (...s) => ints(-20, 20, ...s), nonZero),
  ...two("Mod", tf.mod, (...s) => ints(-20, 20, ...s), nonZero),
  ...two("Mod", tf.mod, normal, positive).map((c) => ({ ...c, gradient: false as const })),
  ...two("SquaredDifference", tf.squaredDifference),
  ...two("Greater", tf.greater, (...s) => ints(-2, 3, ...s)),
  ...two("GreaterEqual", tf.greaterEqual, (...s) => ints(-2, 3, ...s)),
  ...two("Less", tf.less, (...s) => ints(-2, 3, ...s)),
  ...two("LessEqual", tf.lessEqual, (...s) => ints(-2, 3, ...s)),
  ...two("Equal", tf.equal, (...s) => ints(-2, 3, ...s)),
  ...two("NotEqual", tf.notEqual, (...s) => ints(-2, 3, ...s)),
  ...two("Greater", tf.greater, bools),
  ...two("Equal", tf.equal, bools),
  ...two("LogicalAnd", tf.logicalAnd, bools),
  ...two("LogicalOr", tf.logicalOr, bools),
  one("LogicalNot", tf.logicalNot, bools(...BS)),
  ...[["Maximum", tf.maximum], ["Minimum", tf.minimum]].map(([kernel, f]) => ({
    kernel: kernel as string,
    about: "float32 with its own reverse",
    inputs: { a: apart("B", 4), b: normal() },
    // b decides between neighbours only, so no element is near a tie
    run: ({ a, b }: Record<string, tf.Tensor>) =>
      (f as Binary)(a, tf.add(tf.mul(tf.floor(b), 0.25), tf.mul(b, 0))),
  })),
  ...[["Greater", tf.greater], ["Less", tf.less]].map(([kernel, f]) => ({
    kernel: kernel as string,
    about: "float32",
    inputs: { a: normal("B", "S"), b: normal("S") },
    run: ({ a, b }: Record<string, tf.Tensor>) => (f as Binary)(a, b),
    gradient: false as const, // a step of a finite difference may cross
  })),
  one("Round", tf.round, ints(-5, 5, "B")),
  {
    kernel: "AddN",
    about: "three tensors",
    inputs: { a: normal(...BS), b: normal(...BS), c: normal(...BS) },
    run: ({ a, b, c }) => tf.addN([a, b, c]),
  },
  {
    kernel: "Select",
    about: "float32, broadcast",
    inputs: { c: bools("B", 1), a: normal("S"), b: normal("B", "S") },
    run: ({ c, a, b }) => tf.where(c, a, b),
  },
  {
    kernel: "Select",
    about: "int32",
    inputs: { c: bools("B"), a: ints(0, 9, "B"), b: ints(0, 9, "B") },
    run: ({ c, a, b }) => tf.where(c, a, b),
  },
  {
    kernel: "Select",
    about: "bool",
    inputs: { c: bools("B"), a: bools("B"), b: bools("B") },
    run: ({ c, a, b }) => tf.where(c, a, b),
  },
];

const shape: KernelCase[] = [
  one("Reshape", (x) => tf.reshape(x, [-1])),
  one("Reshape", (x) => tf.reshape(tf.reshape(x, [-1]), [x.shape[0], 2, 2]), normal("B", 4)),
  one("Reshape", (x) => tf.reshape(x, [x.shape[1]!, x.shape[0], 2]), normal("B", "S", 2), {
    about: "two symbolic sizes, moved",
  }),
  one("ExpandDims", (x) => tf.expandDims(x, 1)),
  one("ExpandDims", (x) => tf.expandDims(x, -1)),
  one("Transpose", (x) => tf.transpose(x, [2, 0, 1]), normal("B", "S", 3)),
  one("Transpose", (x) => tf.transpose(x), ints(0, 9, "B", "S")),
  {
    kernel: "Concat",
    about: "symbolic axis",
    inputs: { a: normal("B", 2), b: normal("B", 2), c: normal("S", 2) },
    run: ({ a, b, c }) => tf.concat([a, b, c], 0),
  },
  {
    kernel: "Concat",
    about: "last axis, int32",
    inputs: { a: ints(0, 9, "B", 2), b: ints(0, 9, "B", "S") },
    run: ({ a, b }) => tf.concat([a, b], 1),
  },
  {
    kernel: "Concat",
    about: "with a constant and an empty tensor",
    inputs: { a: normal("B", 2) },
    run: ({ a }) => tf.concat([tf.tensor2d([[1, 2]]), a, tf.zeros([0, 2])], 0),
  },
  one("Slice", (x) => tf.slice(x, [0, 1], [-1, 2]), normal("B", 4)),
  one("Slice", (x) => tf.slice(x, [x.shape[0] - 1, 0], [1, -1]), normal(...BS), {
    about: "from a symbolic start",
  }),
  one("Slice", (x) => tf.slice(tf.concat([x, x], 1), [0, 0], [-1, x.shape[1]!]), normal(...BS), {
    about: "a symbolic number",
  }),
  one("SplitV", (x) => tf.split(x, [1, 3, 2], -1), normal("B", 6)),
  one("SplitV", (x) => tf.split(x, 3, 1), ints(0, 9, "B", 6)),
  one("SplitV", (x) => {
    const B = x.shape[0];
    return tf.split(tf.concat([x, x, x], 0), [2 * B, B], 0);
  }, normal(...BS)),
  {
    kernel: "Pack",
    about: "axis 1",
    inputs: { a: normal(...BS), b: normal(...BS) },
    run: ({ a, b }) => tf.stack([a, b], 1),
  },
  one("Unpack", (x) => tf.unstack(x, 1), normal("B", 3, "S")),
  one("Unpack", (x) => tf.unstack(x, -1).slice(0, 1), ints(0, 9, "B", 3)),
  one("Tile", (x) => tf.tile(x, [2, 3])),
  one("Tile", (x) => tf.broadcastTo(x, [4, x.shape[0], 3]), normal("B", 1), {
    about: "broadcastTo",
  }),
  one("Tile", (x) => tf.neg(tf.broadcastTo(x, [x.shape[0], 3])), normal("B", 1), {
    about: "broadcastTo that stays",
  }),
  one("Tile", (x) => tf.tile(x, [1, x.shape[0]]), ints(0, 9, "B", 1), {
    about: "symbolic repetitions",
  }),
  one("PadV2", (x) => tf.pad(x, [[0, 1], [2, 0]], -7)),
  one("PadV2", (x) => tf.pad(x, [[x.shape[1]!, 0], [0, 0]]), ints(0, 9, ...BS), {
    about: "symbolic",
  }),
  one("Fill", (x) => tf.add(x, tf.fill([x.shape[0], 1], 3))),
  one("Fill", (x) => tf.concat([x, tf.fill([x.shape[0], 1], 3, "int32")], 1), ints(0, 9, ...BS), {
    about: "int32 that stays",
  }),
  one("Range", (x) => tf.add(tf.range(0, x.shape[0]), x), normal("B")),
  one("Range", (x) => tf.add(tf.range(5, 5 + 3 * x.shape[0], 3, "int32"), x), ints(0, 9, "B")),
  one("Range", (x) => tf.add(tf.range(x.shape[0], 0, -1, "int32"), x), ints(0, 9, "B")),
  one("Range", () => tf.range(0, 1, 0.25), normal("B"), {
    about: "fractions",
    gradient: false, // nothing depends on x
  }),
  one("Range", (x) => tf.mul(x, tf.range(x.shape[0], x.shape[0] + 1)), normal("B"), {
    about: "one size",
  }),
  one("KeepMask", (x) => tf.mul(x, keepMask(x.shape, 0.5)), normal("B", "S"), { isRandom: true }),
];

const reduce: KernelCase[] = [
  ...([
    ["Sum", tf.sum],
    ["Mean", tf.mean],
    ["Max", tf.max],
    ["Min", tf.min],
  ] as const).flatMap(([kernel, f]) => [
    one(kernel, (x) => f(x), apart("B", "S")),
    one(kernel, (x) => f(x, 1), apart("B", "S", 2)),
    one(kernel, (x) => f(x, [0, -1], true), apart("B", "S", 2), { about: "two axes, kept" }),
    one(kernel, (x) => f(x, -1), ints(-9, 9, "B", "S")),
    one(kernel, (x) => f(x), normal(), { about: "a scalar" }),
  ]),
  one("Prod", (x) => tf.prod(x, 1), normal("B", "S"), { gradient: false }),
  one("Prod", (x) => tf.prod(x), ints(1, 3, "B", "S")),
  one("All", (x) => tf.all(x, 1), bools("B", "S")),
  one("Any", (x) => tf.any(x, [0], true), bools("B", "S")),
  one("ArgMax", (x) => tf.argMax(x, 1), apart("B", "S")),
  one("ArgMax", (x) => tf.argMax(x, -1), ints(0, 2, "B", "S"), { about: "ties, first wins" }),
  one("ArgMin", (x) => tf.argMin(x, 0), ints(0, 2, "B", "S")),
  one(
    "TopK",
    (x) => {
      const { values, indices } = tf.topk(x, 3);
      return [values, indices];
    },
    apart("B", "S", 5),
    { gradient: false },
  ),
  one(
    "TopK",
    (x) => {
      const { values, indices } = tf.topk(x, 4);
      return [values, indices];
    },
    ints(0, 3, "B", 9),
    { about: "ties, first wins" },
  ),
  one("Softmax", (x) => tf.softmax(x)),
  one("Softmax", (x) => tf.softmax(tf.add(x, tf.tensor1d([0, -1e9, 0]))), normal("B", 3), {
    about: "masked",
  }),
  one("Max", (x) => tf.logSumExp(x, -1), normal("B", "S"), { about: "inside logSumExp" }),
  one("Exp", (x) => tf.logSoftmax(x), normal("B", "S"), { about: "inside logSoftmax" }),
  one("Cumsum", (x) => tf.cumsum(x, 1)),
  one("Cumsum", (x) => tf.cumsum(x, 0, true, true), normal("B", "S", 2)),
  one("Cumsum", (x) => tf.cumsum(x, 1, true), ints(0, 9, "B", "S")),
  ...[[false, false], [true, false], [false, true], [true, true]].flatMap(([ta, tb]) => {
    const about = `${ta ? "Aᵀ" : "A"}${tb ? "Bᵀ" : "B"}`;
    const run = ({ a, b }: Record<string, tf.Tensor>) => tf.matMul(a, b, ta, tb);
    const pair = (a: Shape, b: Shape, m: string | number, n: string | number) => ({
      a: normal(...a, ...(ta ? [3, m] : [m, 3])),
      b: normal(...b, ...(tb ? [n, 3] : [3, n])),
    });
    return [
      { kernel: "BatchMatMul", about, inputs: pair([], [], "B", "S"), run },
      {
        kernel: "BatchMatMul",
        about: `${about}, 4-D`,
        inputs: pair(["B", 2], ["B", 2], "S", 4),
        run,
      },
      {
        kernel: "BatchMatMul",
        about: `${about}, broadcast`,
        inputs: pair(["B"], [1], 2, "S"),
        run,
      },
    ];
  }),
];

const index: KernelCase[] = [
  {
    kernel: "GatherV2",
    about: "axis 0, repeated",
    inputs: { x: normal(4, 3), i: ints(0, 4, "B", "S") },
    run: ({ x, i }) => tf.gather(x, i as tf.Tensor2D),
  },
  {
    kernel: "GatherV2",
    about: "a symbolic axis",
    inputs: { x: normal("B", "S"), i: ints(0, 1, 5) },
    run: ({ x, i }) => tf.gather(x, i as tf.Tensor1D, 1),
  },
  {
    kernel: "GatherV2",
    about: "last axis of three, 2-D indices",
    inputs: { x: normal("B", "S", 4), i: ints(0, 4, 2, 3) },
    run: ({ x, i }) => tf.gather(x, i as tf.Tensor2D, 2),
  },
  {
    kernel: "GatherV2",
    about: "middle axis, int32",
    inputs: { x: ints(0, 99, "B", 4, "S"), i: ints(0, 4, 3) },
    run: ({ x, i }) => tf.gather(x, i as tf.Tensor1D, 1),
  },
  {
    kernel: "GatherV2",
    about: "one batch axis",
    inputs: { x: normal("B", 4, 2), i: ints(0, 4, "B", "S") },
    run: ({ x, i }) => tf.gather(x, i as tf.Tensor2D, 1, 1),
  },
  {
    kernel: "GatherV2",
    about: "two batch axes",
    inputs: { x: normal("B", "S", 5), i: ints(0, 5, "B", "S", 1) },
    run: ({ x, i }) => tf.gather(x, i as tf.Tensor3D, 2, 2),
  },
  {
    kernel: "GatherV2",
    about: "one batch axis, a later axis",
    inputs: { x: normal("B", 2, 4, 3), i: ints(0, 4, "B", "S", 2) },
    run: ({ x, i }) => tf.gather(x, i as tf.Tensor3D, 2, 1),
  },
  {
    kernel: "GatherNd",
    about: "two of three axes",
    inputs: { x: normal(4, 3, "S"), i: ints(0, 3, "B", 2) },
    run: ({ x, i }) => tf.gatherND(x, i),
  },
  {
    kernel: "GatherNd",
    about: "every axis, symbolic",
    inputs: { x: normal("S", 2), i: ints(0, 1, "B", 5, 2) },
    run: ({ x, i }) => tf.gatherND(x, i),
  },
  one("OneHot", (x) => tf.oneHot(x as tf.Tensor1D, 4), ints(-3, 7, "B", "S"), {
    about: "negative and too large are off",
  }),
  one("OneHot", (x) => tf.oneHot(x as tf.Tensor1D, 4, 5, -1), ints(0, 4, "B")),
  one(
    "OneHot",
    (x) => tf.oneHot(x as tf.Tensor1D, x.shape[0] + 1, 1, 0, "int32"),
    ints(0, 3, "B"),
    {
      about: "symbolic depth",
    },
  ),
  {
    kernel: "UnsortedSegmentSum",
    about: "repeated",
    inputs: { x: normal("B", 3), i: ints(0, 4, "B") },
    run: ({ x, i }) => tf.unsortedSegmentSum(x, i as tf.Tensor1D, 4),
  },
  {
    kernel: "UnsortedSegmentSum",
    about: "three into one table, added to a dense one",
    inputs: { x: normal("B", 2), y: normal("S", 2), i: ints(0, 4, "B"), j: ints(0, 4, "S") },
    run: ({ x, y, i, j }) => {
      const first = tf.unsortedSegmentSum(x, i as tf.Tensor1D, 4);
      const second = tf.unsortedSegmentSum(y, j as tf.Tensor1D, 4);
      const dense = tf.add(tf.add(tf.ones([4, 2]), first), second);
      return tf.add(dense, tf.unsortedSegmentSum(tf.neg(x), i as tf.Tensor1D, 4));
    },
  },
  {
    kernel: "UnsortedSegmentSum",
    about: "symbolic number of segments",
    inputs: { x: normal("B", "S"), i: ints(0, 1, "B") },
    run: ({ x, i }) => tf.unsortedSegmentSum(x, i as tf.Tensor1D, x.shape[1]!),
  },
  {
    kernel: "ArgMax",
    about: "as an index: no gradient through it, but one around it",
    inputs: { x: apart("B", 4) },
    run: ({ x }) => {
      const best = tf.argMax(x, 1);
      return tf.gather(flat(x), tf.add(best, tf.range(0, x.size, 4, "int32")) as tf.Tensor1D);
    },
  },
];

/** Every case. */
export const kernelCases: readonly KernelCase[] = [...math, ...shape, ...reduce, ...index];

/** Kernels with at least one case. */
export const testedKernels: ReadonlySet<string> = new Set(kernelCases.map((c) => c.kernel));

/** Outputs of a case and, as "loss", their sum under fixed weights. */
export function programOf({ kernel, about, inputs, run }: KernelCase): Program {
  return {
    name: `${kernel}: ${about}`,
    inputs,
    run: (x) => {
      const given = run(x);
      const outputs = Array.isArray(given) ? given : [given];
      const loss = outputs.filter((y) => y.dtype === "float32").map((y) => {
        const weights = tf.sin(tf.range(1, y.size + 1));
        return tf.sum(tf.mul(tf.reshape(y, [-1]), weights));
      });
      const named: Record<string, tf.Tensor> = {};
      outputs.forEach((y, i) => named[`y${i}`] = y);
      if (loss.length) named.loss = loss.reduce((a, b) => tf.add(a, b));
      return named;
    },
  };
}

/** Inputs of a case: at all {@linkcode SIZES} where it has symbols. */
export function inputsOf(c: KernelCase): Record<string, HostTensor>[] {
  const isSymbolic = Object.values(c.inputs).some((a) =>
    a.shape.some((d) => d === "B" || d === "S")
  );
  return (isSymbolic ? SIZES : [{}]).map((sizes) =>
    Object.fromEntries(
      Object.entries(c.inputs).map(([name, a], i) => [name, drawArgument(a, sizes, i + 1)]),
    )
  );
}
