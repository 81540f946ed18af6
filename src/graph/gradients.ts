/**
 * The gradient of each kernel, on one page. tfjs-core's published bundles register none, and these
 * hold for sizes that are symbols too: no number that follows a size is ever made in JavaScript.
 *
 * `dy` is the gradient of the result; a rule gives the gradient of each operand. Where a derivative
 * does not exist (ties of max, 0 of relu and abs) the rule takes what tfjs takes. Casts pass the
 * gradient through, as in tfjs.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { sizeScalar } from "../tensor/size_scalar.ts";
import {
  gatherGradient,
  gatherNdGradient,
  product,
  tileGradient,
  unbroadcast,
} from "./gradients_index.ts";
import { axesOf, axisOf, type KernelAttributes } from "./kernel.ts";

type T = tf.Tensor;
type Gradients = Record<string, () => T>;

/** Gradient of one kernel. */
interface GradientRule {
  /** Operands that `rule` needs; `"all"` for kernels that take a list. */
  readonly inputs?: readonly string[] | "all";
  /** Whether it needs the result, which comes after the operands. */
  readonly output?: boolean;
  /** The gradient of each operand by name, or in order for kernels that take a list. */
  readonly rule: (dy: T, saved: T[], attributes: KernelAttributes) => Gradients | (() => T)[];
}

const float = (x: T): T => tf.cast(x, "float32");

/** A kernel of one operand `x` whose rule needs the operand. */
const ofInput = (f: (dy: T, x: T) => T): GradientRule => ({
  inputs: ["x"],
  rule: (dy, [x]) => ({ x: () => f(dy, x) }),
});

/** A kernel of one operand `x` whose rule needs the result. */
const ofOutput = (f: (dy: T, y: T) => T): GradientRule => ({
  output: true,
  rule: (dy, [y]) => ({ x: () => f(dy, y) }),
});

/** A kernel of `a` and `b` that broadcasts. */
const ofPair = (
  da: (dy: T, a: T, b: T) => T,
  db: (dy: T, a: T, b: T) => T,
): GradientRule => ({
  inputs: ["a", "b"],
  rule: (dy, [a, b]) => ({
    a: () => unbroadcast(da(dy, a, b), a.shape),
    b: () => unbroadcast(db(dy, a, b), b.shape),
  }),
});

/** Zeros of float32, whatever `x` is. */
const zerosLike = (x: T): T => tf.zeros(x.shape);

/** The shape of `x` with the reduced axes kept as 1. */
function keptShape(x: T, axis: number | number[]): number[] {
  const axes = axesOf(axis, x.shape);
  return x.shape.map((d, i) => axes.includes(i) ? 1 : d);
}

/** Max and min give `dy` to every element that attains them. */
const ofExtremum: GradientRule = {
  inputs: ["x"],
  output: true,
  rule: (dy, [x, y], { axis, reductionIndices }) => ({
    x: () => {
      const shape = keptShape(x, axis ?? reductionIndices);
      return tf.mul(tf.reshape(dy, shape), float(tf.equal(x, tf.reshape(y, shape))));
    },
  }),
};

const matMul = (a: T, b: T, transposeA: boolean, transposeB: boolean): T =>
  tf.matMul(a, b, transposeA, transposeB);

const PAIR = ["a", "b"] as const;

/** The gradient of each kernel. */
const rules: Readonly<Record<string, GradientRule>> = {
  // One operand.
  Abs: ofInput((dy, x) => tf.mul(dy, tf.sign(x))),
  Cast: { rule: (dy) => ({ x: () => dy }) },
  ClipByValue: {
    inputs: ["x"],
    rule: (dy, [x], { clipValueMin, clipValueMax }) => ({
      x: () => {
        const isInside = tf.logicalAnd(
          tf.greaterEqual(x, clipValueMin),
          tf.lessEqual(x, clipValueMax),
        );
        return tf.mul(dy, float(isInside));
      },
    }),
  },
  Cos: ofInput((dy, x) => tf.neg(tf.mul(dy, tf.sin(x)))),
  Erf: ofInput((dy, x) => tf.mul(dy, tf.mul(tf.exp(tf.neg(tf.square(x))), 2 / Math.sqrt(Math.PI)))),
  Exp: ofOutput((dy, y) => tf.mul(dy, y)),
  Expm1: ofOutput((dy, y) => tf.mul(dy, tf.add(y, 1))),
  Identity: { rule: (dy) => ({ x: () => dy }) },
  Log: ofInput((dy, x) => tf.div(dy, x)),
  Log1p: ofInput((dy, x) => tf.div(dy, tf.add(x, 1))),
  Neg: { rule: (dy) => ({ x: () => tf.neg(dy) }) },
  Reciprocal: ofOutput((dy, y) => tf.neg(tf.mul(dy, tf.square(y)))),
  // Measured in ONNX Runtime: Greater and Cast take 12 ms of a step where Min takes 16, Sign 24 and
  // Where 58.
  Relu: ofOutput((dy, y) => tf.mul(dy, float(tf.greater(y, 0)))),
  Rsqrt: ofOutput((dy, y) => tf.mul(dy, tf.mul(tf.mul(y, tf.square(y)), -0.5))),
  Sigmoid: ofOutput((dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  Sin: ofInput((dy, x) => tf.mul(dy, tf.cos(x))),
  Softplus: ofInput((dy, x) => tf.mul(dy, tf.sigmoid(x))),
  Sqrt: ofOutput((dy, y) => tf.div(dy, tf.mul(y, 2))),
  Square: ofInput((dy, x) => tf.mul(dy, tf.mul(x, 2))),
  Tanh: ofOutput((dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),

  // Two operands that broadcast, and selection.
  Add: ofPair((dy) => dy, (dy) => dy),
  AddN: { inputs: "all", rule: (dy, saved) => saved.map(() => () => tf.clone(dy)) },
  Maximum: ofPair(
    (dy, a, b) => tf.mul(dy, float(tf.greaterEqual(a, b))),
    (dy, a, b) => tf.mul(dy, float(tf.greater(b, a))),
  ),
  Minimum: ofPair(
    (dy, a, b) => tf.mul(dy, float(tf.lessEqual(a, b))),
    (dy, a, b) => tf.mul(dy, float(tf.less(b, a))),
  ),
  Multiply: ofPair((dy, _a, b) => tf.mul(dy, float(b)), (dy, a) => tf.mul(dy, float(a))),
  Pow: ofPair(
    (dy, a, b) => tf.mul(dy, tf.mul(b, tf.pow(a, tf.sub(b, 1)))),
    (dy, a, b) => {
      // d/db aᵇ = aᵇ·ln a, which has a value for a > 0 only; tfjs takes 0 elsewhere.
      const isPositive = tf.greater(a, 0);
      const log = tf.where(
        isPositive,
        tf.log(tf.where(isPositive, a, tf.onesLike(a))),
        zerosLike(a),
      );
      return tf.mul(dy, tf.mul(tf.pow(a, b), log));
    },
  ),
  RealDiv: ofPair(
    (dy, _a, b) => tf.div(dy, float(b)),
    (dy, a, b) => tf.neg(tf.div(tf.mul(dy, float(a)), tf.square(float(b)))),
  ),
  Select: {
    inputs: ["condition"],
    rule: (dy, [condition]) => ({
      condition: () => zerosLike(condition),
      t: () => tf.mul(dy, float(condition)),
      e: () => tf.mul(dy, float(tf.logicalNot(condition))),
    }),
  },
  SquaredDifference: ofPair(
    (dy, a, b) => tf.mul(dy, tf.mul(tf.sub(a, b), 2)),
    (dy, a, b) => tf.mul(dy, tf.mul(tf.sub(b, a), 2)),
  ),
  Sub: ofPair((dy) => dy, (dy) => tf.neg(dy)),

  // Reductions and products.
  BatchMatMul: {
    inputs: PAIR,
    rule: (dy, [a, b], { transposeA: ta, transposeB: tb }) => ({
      a: () => unbroadcast(ta ? matMul(b, dy, tb, true) : matMul(dy, b, false, !tb), a.shape),
      b: () => unbroadcast(tb ? matMul(dy, a, true, ta) : matMul(a, dy, !ta, false), b.shape),
    }),
  },
  Cumsum: {
    rule: (dy, _saved, { axis, exclusive, reverse }) => ({
      x: () => tf.cumsum(dy, axis as number, exclusive, !reverse),
    }),
  },
  Max: ofExtremum,
  Mean: {
    inputs: ["x"],
    rule: (dy, [x], { axis }) => ({
      x: () => {
        const count = product(axesOf(axis, x.shape).map((i) => x.shape[i]));
        const share = tf.div(dy, sizeScalar(count));
        return tf.broadcastTo(tf.reshape(share, keptShape(x, axis)), x.shape);
      },
    }),
  },
  Min: ofExtremum,
  Softmax: {
    output: true,
    rule: (dy, [y]) => ({
      logits: () => {
        const g = tf.mul(dy, y);
        return tf.sub(g, tf.mul(tf.sum(g, -1, true), y));
      },
    }),
  },
  Sum: {
    inputs: ["x"],
    rule: (dy, [x], { axis }) => ({
      x: () => tf.broadcastTo(tf.reshape(dy, keptShape(x, axis)), x.shape),
    }),
  },

  // Movement and indices.
  Concat: {
    inputs: "all",
    rule: (dy, saved, { axis: given }) => {
      const axis = axisOf(given, saved[0].shape);
      const begins = saved.map((_, i) => saved.slice(0, i).reduce((n, t) => n + t.shape[axis], 0));
      return saved.map((t, i) => () =>
        tf.slice(dy, dy.shape.map((_, d) => d === axis ? begins[i] : 0), t.shape)
      );
    },
  },
  ExpandDims: {
    inputs: ["input"],
    rule: (dy, [input]) => ({ input: () => tf.reshape(dy, input.shape) }),
  },
  GatherNd: {
    inputs: ["params", "indices"],
    rule: (dy, saved) => ({
      params: () => gatherNdGradient(dy, saved),
      indices: () => zerosLike(saved[1]),
    }),
  },
  GatherV2: {
    inputs: ["x", "indices"],
    rule: (dy, saved, attributes) => ({
      x: () => gatherGradient(dy, saved, attributes),
      indices: () => zerosLike(saved[1]),
    }),
  },
  Pack: {
    inputs: "all",
    rule: (dy, saved, { axis }) => {
      const parts = tf.unstack(dy, axis as number);
      return saved.map((_, i) => () => parts[i]);
    },
  },
  PadV2: {
    inputs: ["x"],
    rule: (dy, [x], { paddings }) => ({
      x: () => tf.slice(dy, paddings.map((p) => p[0]), x.shape),
    }),
  },
  Reshape: { inputs: ["x"], rule: (dy, [x]) => ({ x: () => tf.reshape(dy, x.shape) }) },
  Slice: {
    inputs: ["x"],
    rule: (dy, [x], { begin, size }) => ({
      x: () => {
        const [from, shape] = tf.slice_util.parseSliceParams(x, begin, size);
        return tf.pad(dy, x.shape.map((d, i) => [from[i], d - from[i] - shape[i]]));
      },
    }),
  },
  Tile: {
    inputs: ["x"],
    rule: (dy, saved, attributes) => ({ x: () => tileGradient(dy, saved, attributes) }),
  },
  Transpose: {
    rule: (dy, _saved, { perm }) => ({
      x: () => tf.transpose(dy, perm.map((_, i) => perm.indexOf(i))),
    }),
  },
  UnsortedSegmentSum: {
    inputs: ["segmentIds"],
    rule: (dy, [ids]) => ({
      x: () => tf.gather(dy, ids as tf.Tensor1D),
      segmentIds: () => zerosLike(ids),
    }),
  },
};

/** Kernels whose result is constant almost everywhere, and their operands. */
const constant: Readonly<Record<string, readonly string[]>> = {
  ArgMax: ["x"],
  ArgMin: ["x"],
  Ceil: ["x"],
  Equal: PAIR,
  Floor: ["x"],
  FloorDiv: PAIR,
  Greater: PAIR,
  GreaterEqual: PAIR,
  IsFinite: ["x"],
  IsInf: ["x"],
  IsNan: ["x"],
  Less: PAIR,
  LessEqual: PAIR,
  LogicalAnd: PAIR,
  LogicalNot: ["x"],
  LogicalOr: PAIR,
  NotEqual: PAIR,
  OneHot: ["indices"],
  OnesLike: ["x"],
  Round: ["x"],
  Sign: ["x"],
  Step: ["x"],
  ZerosLike: ["x"],
};

/** Kernels of several results: their rules get the gradient of each. */
const listRules: Readonly<
  Record<string, (dys: T[], attributes: KernelAttributes) => Gradients>
> = {
  SplitV: (dys, { axis }) => ({ x: () => tf.concat(dys, axis as number) }),
  Unpack: (dys, { axis }) => ({ value: () => tf.stack(dys, axis as number) }),
};

const configs: readonly tf.GradConfig[] = [
  ...Object.entries(rules).map(([kernelName, { inputs, output, rule }]) => ({
    kernelName,
    inputsToSave: inputs === "all" ? undefined : inputs && [...inputs],
    saveAllInputs: inputs === "all",
    outputsToSave: output ? [true] : undefined,
    gradFunc: rule as unknown as tf.GradFunc,
  })),
  ...Object.entries(constant).map(([kernelName, names]) => ({
    kernelName,
    inputsToSave: [...names],
    gradFunc:
      ((_dy: T, saved: T[]) =>
        Object.fromEntries(names.map((n, i) => [n, () => zerosLike(saved[i])]))) as tf.GradFunc,
  })),
  ...Object.entries(listRules).map(([kernelName, rule]) => ({
    kernelName,
    gradFunc:
      ((dys: T[], _saved: T[], attributes: KernelAttributes) =>
        rule(dys, attributes)) as unknown as tf.GradFunc,
  })),
];

/** Names of the kernels whose gradient is zero. */
export const stepwise: ReadonlySet<string> = new Set(Object.keys(constant));

/** Names of the kernels that have a gradient. */
export const differentiable: ReadonlySet<string> = new Set(configs.map((c) => c.kernelName));

/**
 * Register the gradients with tfjs, for every backend. Repeating it changes nothing; importing
 * `graph/mod.ts` does it once.
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { registerGradients } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 * registerGradients();
 * const slope = tf.grad((x: tf.Tensor) => tf.square(x))(tf.scalar(3));
 * assertEquals(slope.arraySync(), 6);
 * ```
 */
export function registerGradients(): void {
  for (const config of configs) {
    if (tf.getGradient(config.kernelName) !== config) tf.registerGradient(config);
  }
}
