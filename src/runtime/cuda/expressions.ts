/** Elementwise operations as C++ expressions. @module */
import { KernelError } from "../../errors.ts";
import type { DType } from "../../tensor/host_tensor.ts";
import type { BoundNode } from "./bound_graph.ts";

/** The C++ type of a number in a register. */
export const REGISTER_TYPE: Readonly<Record<DType, string>> = {
  float32: "float",
  int32: "int",
  bool: "bool",
};

/** A number as a C++ literal. */
export function literal(value: number, dtype: DType): string {
  if (dtype === "bool") return value ? "true" : "false";
  if (dtype === "int32") return value === -(2 ** 31) ? "(-2147483647 - 1)" : `${Math.trunc(value)}`;
  if (Number.isNaN(value)) return "nanOf()";
  if (!Number.isFinite(value)) return value > 0 ? "infinity()" : "(-infinity())";
  const rounded = Math.fround(value);
  if (Object.is(rounded, -0)) return "(-0.0f)";
  const text = `${rounded}`;
  const isWhole = !/[.e]/.test(text);
  return rounded < 0 ? `(${text}${isWhole ? ".0" : ""}f)` : `${text}${isWhole ? ".0" : ""}f`;
}

type Rule = (args: readonly string[], node: BoundNode) => string;

const call = (name: string): Rule => (args) => `${name}(${args.join(", ")})`;
const infix = (operator: string): Rule => ([a, b]) => `(${a} ${operator} ${b})`;
const isFloat = (node: BoundNode): boolean => node.inputs[0].dtype === "float32";
/** One form for float32, another one for integers. */
const byType = (float: Rule, integer: Rule): Rule => (args, node) =>
  (isFloat(node) ? float : integer)(args, node);

const rules: Readonly<Record<string, Rule>> = {
  Abs: byType(call("fabsf"), ([x]) => `(${x} < 0 ? -${x} : ${x})`),
  Add: infix("+"),
  And: infix("&&"),
  Cast: ([x], { inputs, outputs }) => {
    const [from, to] = [inputs[0].dtype, outputs[0].dtype];
    if (from === to) return x;
    if (to === "bool") return `(${x} != 0)`;
    if (from === "bool") return to === "float32" ? `(${x} ? 1.0f : 0.0f)` : `(${x} ? 1 : 0)`;
    return to === "float32" ? `(float)${x}` : `(int)${x}`;
  },
  Ceil: call("ceilf"),
  Clip: byType(
    ([x, low, high]) => `(${x} < ${low} ? ${low} : ${x} > ${high} ? ${high} : ${x})`,
    ([x, low, high]) => `(${x} < ${low} ? ${low} : ${x} > ${high} ? ${high} : ${x})`,
  ),
  Cos: call("cosf"),
  Div: infix("/"),
  Equal: infix("=="),
  Erf: call("erff"),
  Exp: call("expf"),
  Floor: call("floorf"),
  Greater: infix(">"),
  GreaterOrEqual: infix(">="),
  Identity: ([x]) => x,
  IsInf: ([x]) => `(fabsf(${x}) == infinity())`,
  IsNaN: ([x]) => `(${x} != ${x})`,
  Less: infix("<"),
  LessOrEqual: infix("<="),
  Log: call("logf"),
  Max: byType(call("maxOf"), ([a, b]) => `(${a} > ${b} ? ${a} : ${b})`),
  Min: byType(call("minOf"), ([a, b]) => `(${a} < ${b} ? ${a} : ${b})`),
  Mod: byType(call("fmodf"), call("floorMod")),
  Mul: infix("*"),
  Neg: ([x]) => `(-${x})`,
  Not: ([x]) => `(!${x})`,
  Or: infix("||"),
  Pow: (args, node) => {
    const source = node.inputs[1].source;
    if (isFloat(node) && source.kind === "uniform" && source.value === 2) {
      return `(${args[0]} * ${args[0]})`;
    }
    return isFloat(node) ? `powf(${args[0]}, ${args[1]})` : `(int)powf(${args[0]}, ${args[1]})`;
  },
  Reciprocal: ([x]) => `(1.0f / ${x})`,
  Relu: byType(([x]) => `(${x} < 0.0f ? 0.0f : ${x})`, ([x]) => `(${x} < 0 ? 0 : ${x})`),
  Round: call("rintf"),
  Sigmoid: ([x]) => `(1.0f / (1.0f + expf(-${x})))`,
  Sign: byType(
    ([x]) => `(${x} > 0.0f ? 1.0f : ${x} < 0.0f ? -1.0f : ${x})`,
    ([x]) => `(${x} > 0 ? 1 : ${x} < 0 ? -1 : 0)`,
  ),
  Sin: call("sinf"),
  Softplus: call("softplus"),
  Sqrt: call("sqrtf"),
  Sub: infix("-"),
  Tanh: call("tanhf"),
  Where: ([condition, a, b]) => `(${condition} ? ${a} : ${b})`,
};

/** Operations that take as long as dozens of additions. */
const SLOW = new Set(["Cos", "Erf", "Exp", "Log", "Pow", "Sigmoid", "Sin", "Softplus", "Tanh"]);

/** Whether an operation works element by element, with broadcasting. */
export const isElementwise = (op: string): boolean => Object.hasOwn(rules, op);

/** Whether it is dear enough to be done only once. */
export const isSlow = (op: string): boolean => SLOW.has(op);

/** Fewer divisors than this share of the quotients are inverted once for all of them. */
const FEW_DIVISORS = 1 / 8;

/** A form that is faster and a little less exact, if there is one. */
function fastForm(
  { op, inputs, outputs }: BoundNode,
  [a, b]: readonly string[],
): string | undefined {
  if (outputs[0].dtype !== "float32") return undefined;
  if (op === "Exp") return `__expf(${a})`;
  if (op === "Sigmoid") return `(1.0f / (1.0f + __expf(-${a})))`;
  const isFew = op === "Div" && inputs[1].count <= FEW_DIVISORS * outputs[0].count;
  return isFew ? `(${a} * (1.0f / ${b}))` : undefined;
}

/**
 * The value of an elementwise operation.
 *
 * @param node The operation
 * @param args Its operands, as C++ text
 * @param options.isFast Whether a few units in the last place may be given up for speed
 * @throws {KernelError} If it is none
 */
export function expressionOf(
  node: BoundNode,
  args: readonly string[],
  { isFast = false }: { isFast?: boolean } = {},
): string {
  const fast = isFast ? fastForm(node, args) : undefined;
  if (fast) return fast;
  const rule = Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
  if (rule) return rule(args, node);
  throw new KernelError(`Cannot run operator ${node.op} on this device: it is not supported`);
}
