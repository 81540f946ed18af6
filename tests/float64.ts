/**
 * A recorded program in float64, and finite differences of it: the reference for gradients to more
 * digits than float32 has.
 *
 * The nodes of the recording are read one by one, in plain JavaScript that shares nothing with ONNX
 * Runtime or with tfjs's backends. Constants keep the float32 values they were recorded with; all
 * else has 53 bits.
 *
 * @module
 */
import {
  type Attribute,
  type ElementType,
  evaluateSize,
  type GradientOptions,
  type Node,
  type Program,
  record,
  type Recording,
  type SizeExpr,
  type Sizes,
  type Value,
  withGradients,
} from "../src/graph/mod.ts";
import { type DType, sizeOf } from "../src/tensor/host_tensor.ts";
import { randomStream } from "../src/tensor/random.ts";

type Shape = readonly number[];

/** An input: any numbers of that element type; float32 may have more digits than it says. */
export interface Input64 {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** Every input of a program by name. */
export type Inputs64 = Readonly<Record<string, Input64>>;

/** A tensor whose elements, integers and truth values too, are float64. */
export interface Tensor64 {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** What an operator is given: its operands, and the form of its results. */
interface Call {
  readonly inputs: readonly Tensor64[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly dtype: ElementType;
  readonly shapes: readonly Shape[];
}

/** Gives the elements of each result. */
type Operator = (call: Call) => Float64Array | Float64Array[];

const stridesOf = (shape: Shape): number[] => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));

/** Offsets of the elements of a box, row by row, in memory that has these strides. */
function walk(sizes: Shape, strides: Shape, start = 0): Int32Array {
  let offsets = Int32Array.of(start);
  sizes.forEach((size, axis) => {
    const next = new Int32Array(offsets.length * size), stride = strides[axis];
    for (let i = 0, k = 0; i < offsets.length; i++) {
      for (let j = 0; j < size; j++) next[k++] = offsets[i] + j * stride;
    }
    offsets = next;
  });
  return offsets;
}

/** The elements at `offsets`. */
function take(data: Float64Array, offsets: Int32Array): Float64Array {
  const taken = new Float64Array(offsets.length);
  for (let i = 0; i < offsets.length; i++) taken[i] = data[offsets[i]];
  return taken;
}

/** Rows of `width` elements that begin at `starts`. */
function rowsAt({ data }: Tensor64, width: number, starts: readonly number[]): Float64Array {
  const rows = new Float64Array(starts.length * width);
  starts.forEach((start, i) => rows.set(data.subarray(start, start + width), i * width));
  return rows;
}

/** Write a box of elements into `target`. */
function put(target: Float64Array, offsets: Int32Array, data: Float64Array): void {
  for (let i = 0; i < offsets.length; i++) target[offsets[i]] = data[i];
}

/** The elements of `x` broadcast to `shape`. */
function broadcast(x: Tensor64, shape: Shape): Float64Array {
  if (`${x.shape}` === `${shape}`) return x.data;
  const missing = shape.length - x.shape.length, own = stridesOf(x.shape);
  const stretched = shape.map((_, axis) =>
    (x.shape[axis - missing] ?? 1) === 1 ? 0 : own[axis - missing]
  );
  return take(x.data, walk(shape, stretched));
}

function transposed({ shape, data }: Tensor64, perm: Shape): Tensor64 {
  const strides = stridesOf(shape), sizes = perm.map((p) => shape[p]);
  return { shape: sizes, data: take(data, walk(sizes, perm.map((p) => strides[p]))) };
}

/** An operator of up to three operands that works element by element. */
const each = (f: (a: number, b: number, c: number) => number): Operator => ({ inputs, shapes }) => {
  const [a, b = a, c = a] = inputs.map((x) => broadcast(x, shapes[0]));
  const result = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = f(a[i], b[i], c[i]);
  return result;
};

/** A reduction over the axes of the second operand or of an attribute. */
const fold = (start: number, f: (sum: number, x: number) => number): Operator => (call) => {
  const { inputs: [x, operand], attributes: { axes } } = call;
  const over = operand ? [...operand.data] : (axes as { ints: number[] }).ints;
  const kept = x.shape.map((size, axis) => over.includes(axis) ? 1 : size);
  const into = stridesOf(kept).map((stride, axis) => over.includes(axis) ? 0 : stride);
  const result = new Float64Array(sizeOf(kept)).fill(start);
  const offsets = walk(x.shape, into);
  for (let i = 0; i < offsets.length; i++) result[offsets[i]] = f(result[offsets[i]], x.data[i]);
  return result;
};

/** Apply `f` to every line of `x` along `axis`; it gives lines of one length. */
function alongAxis(x: Tensor64, axis: number, f: (line: number[]) => number[]): Float64Array {
  const last = x.shape.length - 1, at = axis < 0 ? axis + x.shape.length : axis;
  const exchanged = x.shape.map((_, i) => i).with(at, last).with(last, at);
  const { shape, data } = transposed(x, exchanged), count = sizeOf(shape.slice(0, last));
  const width = shape[last];
  const lines = Array.from(
    { length: count },
    (_, i) => f([...data.subarray(i * width, (i + 1) * width)]),
  );
  const result = {
    shape: shape.with(last, lines[0]?.length ?? 0),
    data: Float64Array.from(lines.flat()),
  };
  return transposed(result, exchanged).data;
}

/** The matrix product over the last two axes. */
function matMul(a: Tensor64, b: Tensor64, shape: Shape): Float64Array {
  const [rows, inner] = a.shape.slice(-2), columns = b.shape.at(-1)!;
  const batch = shape.slice(0, -2);
  const left = broadcast(a, [...batch, rows, inner]);
  const right = broadcast(b, [...batch, inner, columns]);
  const result = new Float64Array(sizeOf(shape));
  for (let r = 0; r < sizeOf(batch) * rows; r++) {
    const first = Math.floor(r / rows) * inner * columns;
    for (let k = 0; k < inner; k++) {
      const factor = left[r * inner + k];
      for (let c = 0; c < columns; c++) {
        result[r * columns + c] += factor * right[first + k * columns + c];
      }
    }
  }
  return result;
}

/** Where the largest or smallest element of a line is; the first one wins. */
const best = (isBetter: (a: number, b: number) => boolean): Operator => (call) =>
  alongAxis(
    call.inputs[0],
    call.attributes.axis as number,
    (line) => [line.reduce((found, x, i) => isBetter(x, line[found]) ? i : found, 0)],
  );

/** erf by the series 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!, whose terms have one sign. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

const sum = fold(0, (a, b) => a + b);

const operators: Readonly<Record<string, Operator>> = {
  // Element by element.
  Abs: each(Math.abs),
  Neg: each((x) => -x),
  Relu: each((x) => Math.max(x, 0)),
  Sign: each(Math.sign),
  Cos: each(Math.cos),
  Sin: each(Math.sin),
  Erf: each(erf),
  Exp: each(Math.exp),
  Log: each(Math.log),
  Reciprocal: each((x) => 1 / x),
  Sigmoid: each((x) => 1 / (1 + Math.exp(-x))),
  Softplus: each((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  Sqrt: each(Math.sqrt),
  Tanh: each(Math.tanh),
  Ceil: each(Math.ceil),
  Floor: each(Math.floor),
  Round: each((x) => Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)),
  IsInf: each((x) => Number(Math.abs(x) === Infinity)),
  IsNaN: each((x) => Number(Number.isNaN(x))),
  Not: each((x) => Number(!x)),
  Add: each((a, b) => a + b),
  Sub: each((a, b) => a - b),
  Mul: each((a, b) => a * b),
  Div: (call) => each(call.dtype === "int32" ? (a, b) => Math.trunc(a / b) : (a, b) => a / b)(call),
  Mod: (call) => each(call.attributes.fmod ? (a, b) => a % b : (a, b) => (a % b + b) % b)(call),
  Pow: each(Math.pow),
  Max: each((a, b) => Math.max(a, b)),
  Min: each((a, b) => Math.min(a, b)),
  Clip: each((x, low, high) => Math.min(Math.max(x, low), high)),
  Equal: each((a, b) => Number(a === b)),
  Greater: each((a, b) => Number(a > b)),
  GreaterOrEqual: each((a, b) => Number(a >= b)),
  Less: each((a, b) => Number(a < b)),
  LessOrEqual: each((a, b) => Number(a <= b)),
  And: each((a, b) => a && b),
  Or: each((a, b) => a || b),
  Where: each((condition, a, b) => condition ? a : b),
  Cast: (call) =>
    each(
      call.dtype === "float32"
        ? (x) => x
        : call.dtype === "bool"
        ? (x) => Number(x !== 0)
        : Math.trunc,
    )(call),

  // Combining elements.
  ReduceSum: sum,
  ReduceMean: (call) => {
    const total = sum(call) as Float64Array;
    return total.map((x) => x * total.length / call.inputs[0].data.length);
  },
  ReduceMax: fold(-Infinity, Math.max),
  ReduceMin: fold(Infinity, Math.min),
  ReduceProd: fold(1, (a, b) => a * b),
  ArgMax: best((a, b) => a > b),
  ArgMin: best((a, b) => a < b),
  CumSum: ({ inputs: [x, axis], attributes: { exclusive, reverse } }) =>
    alongAxis(x, axis.data[0], (line) => {
      const way = reverse ? line.reverse() : line;
      let total = 0;
      const sums = way.map((value) => (total += value) - (exclusive ? value : 0));
      return reverse ? sums.reverse() : sums;
    }),
  Softmax: ({ inputs: [x], attributes: { axis } }) =>
    alongAxis(x, axis as number, (line) => {
      const top = Math.max(...line), powers = line.map((value) => Math.exp(value - top));
      const total = powers.reduce((a, b) => a + b);
      return powers.map((power) => power / total);
    }),
  TopK: ({ inputs: [x], shapes }) => {
    const order = (line: number[]) =>
      line.map((_, i) => i).sort((a, b) => line[b] - line[a] || a - b).slice(0, shapes[0].at(-1));
    return [alongAxis(x, -1, (line) => order(line).map((i) => line[i])), alongAxis(x, -1, order)];
  },
  MatMul: ({ inputs: [a, b], shapes }) => matMul(a, b, shapes[0]),
  Gemm: ({ inputs: [a, b], attributes: { transA, transB }, shapes }) =>
    matMul(transA ? transposed(a, [1, 0]) : a, transB ? transposed(b, [1, 0]) : b, shapes[0]),

  // Moving elements.
  Reshape: ({ inputs: [x] }) => x.data,
  Transpose: ({ inputs: [x], attributes: { perm } }) =>
    transposed(x, (perm as { ints: number[] }).ints).data,
  Expand: ({ inputs: [x], shapes }) => broadcast(x, shapes[0]),
  Tile: ({ inputs: [x, repeats] }) => {
    const strides = stridesOf(x.shape);
    const sizes = x.shape.flatMap((size, axis) => [repeats.data[axis], size]);
    return take(x.data, walk(sizes, strides.flatMap((stride) => [0, stride])));
  },
  Concat: ({ inputs, attributes: { axis }, shapes: [shape] }) => {
    const result = new Float64Array(sizeOf(shape)), strides = stridesOf(shape);
    let start = 0;
    for (const x of inputs) {
      put(result, walk(x.shape, strides, start), x.data);
      start += x.shape[axis as number] * strides[axis as number];
    }
    return result;
  },
  Split: ({ inputs: [x], attributes: { axis }, shapes }) => {
    const strides = stridesOf(x.shape);
    let start = 0;
    return shapes.map((shape) => {
      const part = take(x.data, walk(shape, strides, start));
      start += shape[axis as number] * strides[axis as number];
      return part;
    });
  },
  Slice: ({ inputs: [x, starts, , axes], shapes: [shape] }) => {
    const strides = stridesOf(x.shape);
    const start = axes.data.reduce((at, axis, i) => at + starts.data[i] * strides[axis], 0);
    return take(x.data, walk(shape, strides, start));
  },
  Pad: ({ inputs: [x, pads, value], shapes: [shape] }) => {
    const strides = stridesOf(shape), result = new Float64Array(sizeOf(shape)).fill(value.data[0]);
    const start = strides.reduce((at, stride, axis) => at + stride * pads.data[axis], 0);
    put(result, walk(x.shape, strides, start), x.data);
    return result;
  },
  Range: ({ inputs: [start, , step], shapes: [[count]] }) =>
    Float64Array.from({ length: count }, (_, i) => start.data[0] + i * step.data[0]),

  // Reading and writing by index.
  Gather: ({ inputs: [x, ids], attributes: { axis } }) => {
    const [size, ...rest] = x.shape.slice(axis as number), width = sizeOf(rest);
    const outer = walk([sizeOf(x.shape.slice(0, axis as number))], [size * width]);
    return rowsAt(x, width, [...outer].flatMap((at) => [...ids.data].map((id) => at + id * width)));
  },
  GatherND: ({ inputs: [x, ids], attributes: { batch_dims } }) => {
    const batches = (batch_dims ?? 0) as number, depth = ids.shape.at(-1)!;
    const strides = stridesOf(x.shape), count = sizeOf(ids.shape.slice(0, -1));
    const batchSize = sizeOf(x.shape.slice(batches));
    const perBatch = count / sizeOf(x.shape.slice(0, batches));
    const starts = Array.from({ length: count }, (_, row) => {
      let start = Math.floor(row / perBatch) * batchSize;
      for (let k = 0; k < depth; k++) start += ids.data[row * depth + k] * strides[batches + k];
      return start;
    });
    return rowsAt(x, sizeOf(x.shape.slice(batches + depth)), starts);
  },
  ScatterElements: ({ inputs: [dense, ids, updates] }) => {
    const result = dense.data.slice(), inner = sizeOf(dense.shape.slice(1));
    ids.data.forEach((id, i) => result[id * inner + i % inner] += updates.data[i]);
    return result;
  },
  OneHot: ({ inputs: [ids, depth, values] }) => {
    const size = depth.data[0], [off, on] = values.data;
    const result = new Float64Array(ids.data.length * size).fill(off);
    ids.data.forEach((id, row) => {
      if (id < size) result[row * size + id] = on;
    });
    return result;
  },
};

/** Sizes of the symbols, from those of the inputs. */
function bindSizes({ name, inputs }: Recording, given: Inputs64): Sizes {
  const sizes: Record<string, number> = {};
  for (const { name: input, dtype, shape } of inputs) {
    const x = given[input];
    const isRight = x?.dtype === dtype && x.shape.length === shape.length &&
      x.data.length === sizeOf(x.shape) &&
      shape.every((d, i) => x.shape[i] === (typeof d === "string" ? sizes[d] ??= x.shape[i] : d));
    if (isRight) continue;
    const what = x ? `${x.data.length} elements of ${x.dtype} as [${x.shape}]` : "nothing";
    throw new Error(`Cannot run ${name}: ${input} is ${dtype} [${shape}], given ${what}`);
  }
  return sizes;
}

/**
 * Run a recording in float64: {@linkcode runFloat64} for a program that runs more than once.
 *
 * @param recording Of the dialect `"export"`
 * @param inputs Every input by name
 * @throws {Error} If an input does not fit or an operator is not in the table
 */
export function evaluateRecording(
  recording: Recording,
  inputs: Inputs64,
): Record<string, Tensor64> {
  const sizes = bindSizes(recording, inputs);
  const known = new Map<number, Tensor64>();
  const shapeOf = (v: Value<SizeExpr>): number[] => v.shape.map((e) => evaluateSize(e, sizes));
  const sourceOf = ({ dtype, shape, source }: Value<SizeExpr>, size: number): Float64Array => {
    switch (source.kind) {
      case "input":
        return Float64Array.from(inputs[source.name].data);
      case "uniform":
        return new Float64Array(size).fill(source.value);
      case "table":
        return Float64Array.from(source.data);
      case "sizes":
        return Float64Array.from(source.sizes, (e) => evaluateSize(e, sizes));
      case "node":
        throw new Error(`Cannot read ${dtype} [${shape}]: its node has not run`);
    }
  };
  const valueOf = (v: Value<SizeExpr>): Tensor64 => {
    let found = known.get(v.id);
    if (!found) {
      const shape = shapeOf(v);
      known.set(v.id, found = { shape, data: sourceOf(v, sizeOf(shape)) });
    }
    return found;
  };
  const run = ({ op, domain, inputs, outputs, attributes }: Node<SizeExpr>): void => {
    const operator = domain ? undefined : operators[op];
    if (!operator) throw new Error(`Cannot run ${recording.name} in float64: no operator ${op}`);
    const shapes = outputs.map(shapeOf);
    const call = { inputs: inputs.map(valueOf), attributes, dtype: outputs[0].dtype, shapes };
    [operator(call)].flat().forEach((data, i) => {
      if (data.length !== sizeOf(shapes[i])) {
        throw new Error(`${op} gave ${data.length} elements, its shape is [${shapes[i]}]`);
      }
      known.set(outputs[i].id, { shape: shapes[i], data });
    });
  };
  recording.nodes.forEach(run);
  return Object.fromEntries(recording.outputs.map(({ name, value }) => [name, valueOf(value)]));
}

/**
 * Run a program once in float64.
 *
 * @param program What to run; no random masks
 * @param inputs Every input by name
 * @throws {Error} If an input does not fit or an operator is not in the table
 */
export function runFloat64(
  program: Program,
  inputs: Inputs64,
): Record<string, Tensor64> {
  return evaluateRecording(record(program, { dialect: "export" }), inputs);
}

/** Choices of {@linkcode gradientError}. */
export interface GradientErrorOptions extends GradientOptions {
  /**
   * h of the differences, times max(1, |x|). Default 3e-6: near the cube root of float64's
   * resolution, where the curvature costs as many digits as rounding does.
   */
  step?: number;
  /** Elements compared of each parameter; of more, as many are drawn. Default 200. */
  samples?: number;
}

/** The gradient that differs most. */
export interface GradientError {
  /** |g − d| / scale, see {@linkcode gradientError}. */
  readonly error: number;
  /** Which element it is and both of its derivatives, for messages. */
  readonly where: string;
}

/**
 * How far the gradients g of a program are from central differences d of its loss, both in float64:
 *
 *   d = (L(x + h) − L(x − h)) / 2h      error = max |g − d| / scale
 *
 * The scale of a parameter is its largest |g| or |d|. Below a hundredth of that of all parameters
 * together it is this hundredth: a gradient that is 0 but for rounding has no digits to compare.
 *
 * L must be smooth within h of the inputs: at a kink of max or min both halves are right and differ.
 *
 * @param program Has a scalar output `loss`
 * @param inputs Every input by name
 * @param options Loss, parameters, step and samples
 * @throws {Error} If a derivative is not finite
 */
export function gradientError(
  program: Program,
  inputs: Inputs64,
  options: GradientErrorOptions,
): GradientError {
  const { loss, parameters, step = 3e-6, samples = 200 } = options;
  const forward = record(program, { dialect: "export" });
  const gradients = runFloat64(withGradients(program, { loss, parameters }), inputs);
  const compared = parameters.map((name) => {
    const analytic = gradients[`grad:${name}`].data, moved = Float64Array.from(inputs[name].data);
    const at = (i: number, x: number): number => {
      const before = moved[i];
      moved[i] = x;
      const value =
        evaluateRecording(forward, { ...inputs, [name]: { ...inputs[name], data: moved } })[loss]
          .data[0];
      moved[i] = before;
      return value;
    };
    const elements = randomStream({ seed: 1, stream: name, step: 0 }).shuffle([...moved.keys()]);
    const pairs = elements.slice(0, samples).map((i) => {
      const x = moved[i], h = step * Math.max(1, Math.abs(x)), above = x + h, below = x - h;
      const numeric = (at(i, above) - at(i, below)) / (above - below);
      const where = `${name}[${i}] is ${analytic[i]}, differences give ${numeric}`;
      if (!Number.isFinite(analytic[i] - numeric)) throw new Error(`Gradient of ${where}`);
      return { difference: Math.abs(analytic[i] - numeric), numeric, where };
    });
    const scale = Math.max(...[...analytic, ...pairs.map((p) => p.numeric)].map(Math.abs));
    return { pairs, scale };
  });
  const least = Math.max(...compared.map((c) => c.scale)) / 100;
  let worst: GradientError = { error: 0, where: "nothing" };
  for (const { pairs, scale } of compared) {
    for (const { difference, where } of pairs) {
      const error = difference ? difference / Math.max(scale, least) : 0;
      if (error > worst.error) worst = { error, where };
    }
  }
  return worst;
}
