/** Kernels that work element by element. @module */
import { type KernelTable, unsupportedForm } from "./kernel.ts";
import { binary, cast, where } from "./peepholes.ts";
import type { Graph } from "./graph.ts";
import type { ElementType, Traced } from "./value.ts";

const unary = (g: Graph, op: string, x: Traced, dtype: ElementType = x.dtype): Traced =>
  g.node(op, [x], { shape: x.shape, dtype });

const scalar = (g: Graph, value: number, x: Traced): Traced => g.uniform(value, [], x.dtype);

/** tfjs kernel to ONNX operator; integers are computed in float32, as tfjs does. */
const IN_FLOAT: Readonly<Record<string, string>> = {
  Cos: "Cos",
  Erf: "Erf",
  Exp: "Exp",
  Log: "Log",
  Reciprocal: "Reciprocal",
  Sigmoid: "Sigmoid",
  Sin: "Sin",
  Softplus: "Softplus",
  Sqrt: "Sqrt",
  Tanh: "Tanh",
};
/** The element type stays. */
const IN_TYPE: Readonly<Record<string, string>> = {
  Abs: "Abs",
  Neg: "Neg",
  Relu: "Relu",
  Sign: "Sign",
};
/** Nothing to do on integers. */
const ROUNDING: Readonly<Record<string, string>> = { Ceil: "Ceil", Floor: "Floor", Round: "Round" };
const TESTS: Readonly<Record<string, string>> = { IsInf: "IsInf", IsNan: "IsNaN" };
const ARITHMETIC: Readonly<Record<string, string>> = {
  Add: "Add",
  Maximum: "Max",
  Minimum: "Min",
  Multiply: "Mul",
  Pow: "Pow",
  Sub: "Sub",
};
const COMPARISONS: Readonly<Record<string, string>> = {
  Greater: "Greater",
  GreaterEqual: "GreaterOrEqual",
  Less: "Less",
  LessEqual: "LessOrEqual",
};

/** The rules of `names`, made by `rule` from each value. */
function each(
  names: Readonly<Record<string, string>>,
  rule: (op: string) => KernelTable[string],
): KernelTable {
  return Object.fromEntries(Object.entries(names).map(([kernel, op]) => [kernel, rule(op)]));
}

/** Remainder with the sign of the divisor. */
function floorMod(g: Graph, a: Traced, b: Traced): Traced {
  if (a.dtype === "int32") return binary(g, "Mod", [a, b]);
  // On floats ONNX allows only C's fmod, which has the sign of the dividend.
  const shape = binary(g, "Add", [a, b]).shape;
  const rest = g.node("Mod", [a, b], { shape, dtype: a.dtype }, { fmod: 1 });
  const product = binary(g, "Mul", [rest, b]);
  const isOpposite = binary(g, "Less", [product, scalar(g, 0, product)], "bool");
  return where(g, isOpposite, binary(g, "Add", [rest, b]), rest);
}

/** log(1+x) and exp(x)−1 keep their digits near 0 by Kahan's corrections. */
function log1p(g: Graph, x: Traced): Traced {
  const one = scalar(g, 1, x);
  const u = binary(g, "Add", [x, one]);
  const isExact = binary(g, "Equal", [u, one], "bool");
  const scaled = binary(g, "Div", [
    binary(g, "Mul", [unary(g, "Log", u), x]),
    binary(g, "Sub", [u, one]),
  ]);
  // At infinity the quotient would be ∞/∞.
  const isPlain = binary(g, "Greater", [x, one], "bool");
  return where(g, isExact, x, where(g, isPlain, unary(g, "Log", u), scaled));
}

function expm1(g: Graph, x: Traced): Traced {
  const one = scalar(g, 1, x);
  const u = unary(g, "Exp", x);
  const difference = binary(g, "Sub", [u, one]);
  const isExact = binary(g, "Equal", [u, one], "bool");
  const scaled = binary(g, "Div", [binary(g, "Mul", [difference, x]), unary(g, "Log", u)]);
  const isNear = binary(g, "Less", [unary(g, "Abs", x), one], "bool");
  return where(g, isExact, x, where(g, isNear, scaled, difference));
}

const compare = (g: Graph, op: string, a: Traced, b: Traced): Traced => {
  // ONNX Runtime orders no bools.
  const isBool = a.dtype === "bool";
  return binary(g, op, isBool ? [cast(g, a, "int32"), cast(g, b, "int32")] : [a, b], "bool");
};

/** Kernels that work element by element. */
export const mathKernels: KernelTable = {
  ...each(IN_FLOAT, (op) => ({ graph: g, inputs: { x } }) => unary(g, op, cast(g, x, "float32"))),
  ...each(IN_TYPE, (op) => ({ graph: g, inputs: { x } }) => unary(g, op, x)),
  ...each(
    ROUNDING,
    (op) => ({ graph: g, inputs: { x } }) => x.dtype === "float32" ? unary(g, op, x) : x,
  ),
  ...each(TESTS, (op) => ({ graph: g, inputs: { x } }) => unary(g, op, x, "bool")),
  ...each(ARITHMETIC, (op) => ({ graph: g, inputs: { a, b } }) => binary(g, op, [a, b])),
  ...each(COMPARISONS, (op) => ({ graph: g, inputs: { a, b } }) => compare(g, op, a, b)),

  AddN: ({ graph: g, list }) => list.reduce((a, b) => binary(g, "Add", [a, b])),
  Cast: ({ graph: g, inputs: { x }, attributes: { dtype } }) => cast(g, x, dtype),
  ClipByValue: ({ graph: g, inputs: { x }, attributes }) =>
    g.node(
      "Clip",
      [x, scalar(g, attributes.clipValueMin, x), scalar(g, attributes.clipValueMax, x)],
      x,
    ),
  Equal: ({ graph: g, inputs: { a, b } }) => binary(g, "Equal", [a, b], "bool"),
  Expm1: ({ graph: g, inputs: { x } }) => expm1(g, cast(g, x, "float32")),
  FloorDiv: ({ graph: g, inputs: { a, b } }) => {
    if (a.dtype !== "int32") {
      throw unsupportedForm("FloorDiv", "it is for int32. Write tf.floor(tf.div(a, b)) instead.");
    }
    // What is left after the remainder divides without rounding, whatever the signs.
    return binary(g, "Div", [binary(g, "Sub", [a, floorMod(g, a, b)]), b]);
  },
  Identity: ({ inputs: { x } }) => x,
  IsFinite: ({ graph: g, inputs: { x } }) =>
    unary(
      g,
      "Not",
      binary(g, "Or", [unary(g, "IsInf", x, "bool"), unary(g, "IsNaN", x, "bool")]),
    ),
  Log1p: ({ graph: g, inputs: { x } }) => log1p(g, cast(g, x, "float32")),
  LogicalAnd: ({ graph: g, inputs: { a, b } }) => binary(g, "And", [a, b]),
  LogicalNot: ({ graph: g, inputs: { x } }) => unary(g, "Not", x),
  LogicalOr: ({ graph: g, inputs: { a, b } }) => binary(g, "Or", [a, b]),
  Mod: ({ graph: g, inputs: { a, b } }) => floorMod(g, a, b),
  NotEqual: ({ graph: g, inputs: { a, b } }) => unary(g, "Not", binary(g, "Equal", [a, b], "bool")),
  OnesLike: ({ graph: g, inputs: { x } }) => g.uniform(1, x.shape, x.dtype),
  RealDiv: ({ graph: g, inputs: { a, b } }) => binary(g, "Div", [a, b]),
  Rsqrt: ({ graph: g, inputs: { x } }) =>
    unary(g, "Reciprocal", unary(g, "Sqrt", cast(g, x, "float32"))),
  Select: ({ graph: g, inputs: { condition, t, e } }) => where(g, condition, t, e),
  Square: ({ graph: g, inputs: { x } }) => binary(g, "Mul", [x, x]),
  SquaredDifference: ({ graph: g, inputs: { a, b } }) => {
    const difference = binary(g, "Sub", [a, b]);
    return binary(g, "Mul", [difference, difference]);
  },
  Step: ({ graph: g, inputs: { x }, attributes: { alpha } }) => {
    if (alpha) throw unsupportedForm("Step", "alpha must be 0. Use tf.where instead.");
    return cast(g, binary(g, "Greater", [x, scalar(g, 0, x)], "bool"), x.dtype);
  },
  ZerosLike: ({ graph: g, inputs: { x } }) => g.uniform(0, x.shape, x.dtype),
};
