/** A recording as an ONNX model. @module */
import { ShapeError, TraceError } from "../errors.ts";
import { type HostTensor, sizeOf } from "../tensor/host_tensor.ts";
import { encodeModel, type NodeSpec, type TensorSpec, type ValueSpec } from "./onnx_proto.ts";
import type { RecordedInput, Recording } from "./recording.ts";
import { formatSize, isSameSize, type SizeExpr } from "./sizes.ts";
import type { Attribute, ElementType, Node, TypedData, Value } from "./value.ts";

/** Choices of an export. */
export interface OnnxOptions {
  /** Inputs with a fixed value, which become initialisers. */
  constants?: Readonly<Record<string, HostTensor>>;
  /** Constants beyond this many bytes go to a data file (protocol buffers end at 2 GB). Default 1.9e9. */
  externalDataBytes?: number;
  /** Name of the data file, beside the model. Default `model.onnx_data`. */
  dataFileName?: string;
}

/** An ONNX model. */
export interface OnnxModel {
  /** Content of the `.onnx` file. */
  readonly model: Uint8Array;
  /** The data file that belongs beside it, if the constants are large. */
  readonly externalData?: {
    /** Its name, which the model refers to. */
    readonly fileName: string;
    /** Its content in order, not copied. */
    readonly chunks: readonly Uint8Array[];
    /** Sum of the chunks. */
    readonly sizeBytes: number;
  };
}

/** Tensors up to this size stay in the model even if there is a data file. */
const INLINE_BYTES = 1024;
/** Offsets in the data file are multiples of this, so that it can be mapped into memory. */
const ALIGNMENT = 4096;

const bytesOf = (a: TypedData | BigInt64Array): Uint8Array =>
  new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

const isNumber = (e: SizeExpr): boolean => !e.terms.length;

/** Turns values into names, adding the nodes and constants they need. */
class Writer {
  readonly nodes: NodeSpec[] = [];
  readonly initializers: TensorSpec[] = [];
  readonly #names = new Map<number, string>();
  readonly #made = new Map<string, string>();
  readonly #tables = new Map<TypedData, number>();
  readonly #fed: readonly RecordedInput[];
  readonly #taken: ReadonlySet<string>;
  #next = 0;

  /**
   * @param fed Inputs that are fed when the graph runs: the sizes are read from them
   * @param taken Names of inputs and outputs
   */
  constructor(fed: readonly RecordedInput[], taken: ReadonlySet<string>) {
    this.#fed = fed;
    this.#taken = taken;
  }

  #fresh(): string {
    let name = `v${this.#next++}`;
    while (this.#taken.has(name)) name = `v${this.#next++}`;
    return name;
  }

  #once(key: string, make: (name: string) => void): string {
    let name = this.#made.get(key);
    if (name === undefined) {
      this.#made.set(key, name = this.#fresh());
      make(name);
    }
    return name;
  }

  #emit(op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.#once(
      `${op}(${inputs})${JSON.stringify(attributes)}`,
      (name) => this.nodes.push({ op, inputs, outputs: [name], attributes }),
    );
  }

  #constant(key: string, spec: Omit<TensorSpec, "name">): string {
    return this.#once(key, (name) => this.initializers.push({ name, ...spec }));
  }

  #int64(numbers: readonly number[], dims: readonly number[]): string {
    const data = bytesOf(BigInt64Array.from(numbers, BigInt));
    return this.#constant(`int64 [${dims}] ${numbers}`, { dtype: "int64", dims, data });
  }

  /** int64 [1]: the run-time value of a symbol. */
  #symbol(symbol: string): string {
    for (const { name, shape } of this.#fed) {
      const axis = shape.indexOf(symbol);
      if (axis < 0) continue;
      return this.#emit("Gather", [this.#emit("Shape", [name]), this.#int64([axis], [1])], {
        axis: 0,
      });
    }
    throw new TraceError(
      `Cannot export: size ${symbol} occurs only in inputs that became constants. Fix it.`,
    );
  }

  /** int64 [1]: the run-time value of a size. */
  #size(expr: SizeExpr): string {
    const parts = expr.terms.map(({ coefficient, symbols }) => {
      const product = symbols.map((s) => this.#symbol(s)).reduce((a, b) =>
        this.#emit("Mul", [a, b])
      );
      return coefficient === 1
        ? product
        : this.#emit("Mul", [product, this.#int64([coefficient], [1])]);
    });
    if (expr.constant || !parts.length) parts.push(this.#int64([expr.constant], [1]));
    return parts.reduce((a, b) => this.#emit("Add", [a, b]));
  }

  /** int64 [n]: run-time sizes. */
  #sizes(exprs: readonly SizeExpr[]): string {
    if (exprs.every(isNumber)) return this.#int64(exprs.map((e) => e.constant), [exprs.length]);
    const parts = exprs.map((e) => this.#size(e));
    return parts.length === 1 ? parts[0] : this.#emit("Concat", parts, { axis: 0 });
  }

  /** The target of a Reshape: a constant where "copy this size" (0) and "what is left" (-1) do. */
  #target(exprs: readonly SizeExpr[], source: readonly SizeExpr[]): string {
    const numbers = exprs.map((e, i) => {
      if (isNumber(e)) return e.constant === 0 ? undefined : e.constant;
      return i < source.length && isSameSize(source[i], e) ? 0 : -1;
    });
    const left = numbers.filter((n) => n === -1).length;
    if (left > 1 || numbers.includes(undefined)) return this.#sizes(exprs);
    return this.#int64(numbers as number[], [exprs.length]);
  }

  #uniform(value: number, dtype: ElementType, shape: readonly SizeExpr[]): string {
    const data = bytesOf(
      dtype === "float32"
        ? Float32Array.of(value)
        : dtype === "int32"
        ? Int32Array.of(value)
        : Uint8Array.of(value),
    );
    const label = `uniform ${dtype} ${Object.is(value, -0) ? "-0" : value}`;
    if (shape.every((e) => isNumber(e) && e.constant === 1)) {
      const dims = shape.map(() => 1);
      return this.#constant(`${label} [${dims}]`, { dtype, dims, data });
    }
    const tensor: TensorSpec = { dtype, dims: [1], data };
    const size = this.#sizes(shape);
    return this.#once(`${label} ${size}`, (name) =>
      this.nodes.push({
        op: "ConstantOfShape",
        inputs: [size],
        outputs: [name],
        attributes: { value: { tensor } },
      }));
  }

  /** The name of a value. */
  name(value: Value<SizeExpr>): string {
    const { source, dtype, shape } = value;
    switch (source.kind) {
      case "input":
        return source.name;
      case "node":
        return this.#names.get(value.id)!;
      case "uniform":
        return this.#uniform(source.value, dtype, shape);
      case "table": {
        const dims = shape.map((e) => e.constant);
        if (!this.#tables.has(source.data)) this.#tables.set(source.data, this.#tables.size);
        const key = `table ${this.#tables.get(source.data)} [${dims}]`;
        return this.#constant(key, { dtype, dims, data: bytesOf(source.data) });
      }
      case "sizes":
        if (shape.length) return this.#sizes(source.sizes);
        if (isNumber(source.sizes[0])) return this.#int64([source.sizes[0].constant], []);
        return this.#emit("Squeeze", [this.#size(source.sizes[0])]);
    }
  }

  /** Add a recorded node. */
  add(node: Node<SizeExpr>): void {
    const inputs = node.inputs.map((v, i) =>
      node.op === "Reshape" && i === 1 && v.source.kind === "sizes"
        ? this.#target(v.source.sizes, node.inputs[0].shape)
        : this.name(v)
    );
    const outputs = node.outputs.map((v) => {
      const name = this.#fresh();
      this.#names.set(v.id, name);
      return name;
    });
    const { op, domain, attributes } = node;
    this.nodes.push({ op, domain, inputs, outputs, attributes });
  }

  /** Give each value out under its name: by naming the result of its node, else by an Identity. */
  nameOutputs(wanted: readonly (readonly [string, string])[]): void {
    const made = new Set(this.nodes.flatMap((n) => n.outputs));
    const renamed = new Map<string, string>();
    const copies: NodeSpec[] = [];
    for (const [inner, outer] of wanted) {
      if (made.has(inner) && !renamed.has(inner)) renamed.set(inner, outer);
      else copies.push({ op: "Identity", inputs: [inner], outputs: [outer] });
    }
    const rename = (name: string) => renamed.get(name) ?? name;
    const all = this.nodes.splice(0).concat(copies);
    for (const n of all) {
      this.nodes.push({ ...n, inputs: n.inputs.map(rename), outputs: n.outputs.map(rename) });
    }
  }
}

function checkConstants(
  recording: Recording,
  constants: Readonly<Record<string, HostTensor>>,
): void {
  const inputs = new Map(recording.inputs.map((i) => [i.name, i]));
  for (const [name, tensor] of Object.entries(constants)) {
    const input = inputs.get(name);
    if (!input) {
      throw new ShapeError(`Cannot use constant "${name}": ${recording.name} has no such input`);
    }
    const fits = input.dtype === tensor.dtype && input.shape.length === tensor.shape.length &&
      input.shape.every((d, i) => d === tensor.shape[i]) &&
      tensor.data.length === sizeOf(tensor.shape);
    if (!fits) {
      throw new ShapeError(
        `Cannot use constant "${name}": it is ${tensor.dtype} [${tensor.shape}], the input is ` +
          `${input.dtype} [${input.shape}]`,
      );
    }
  }
}

/** Move large constants to a data file if all together are too many bytes. */
function moveOut(
  initializers: TensorSpec[],
  { externalDataBytes = 1.9e9, dataFileName = "model.onnx_data" }: OnnxOptions,
): OnnxModel["externalData"] {
  const sizeOfData = (t: TensorSpec) => t.data instanceof Uint8Array ? t.data.length : 0;
  const total = initializers.reduce((n, t) => n + sizeOfData(t), 0);
  if (total <= externalDataBytes) return undefined;
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const t of initializers) {
    if (!(t.data instanceof Uint8Array) || t.data.length <= INLINE_BYTES) continue;
    const gap = (ALIGNMENT - offset % ALIGNMENT) % ALIGNMENT;
    if (gap) chunks.push(new Uint8Array(gap));
    offset += gap;
    chunks.push(t.data);
    const sizeBytes = t.data.length;
    t.data = { fileName: dataFileName, offset, sizeBytes };
    offset += sizeBytes;
  }
  return chunks.length ? { fileName: dataFileName, chunks, sizeBytes: offset } : undefined;
}

/**
 * `recording` as an ONNX model: opset 17, IR version 8, and com.microsoft operators only if the
 * dialect of the recording allows them. Symbols stay symbols; their values are read from the shapes
 * of the inputs when the model runs. Constants are copied once; those that no output needs are left out.
 *
 * @param recording What to write
 * @param options Constants, and when to use a data file
 * @throws {ShapeError} If a constant does not fit its input
 * @throws {TraceError} If an output has the name of an input, or a symbol occurs only in constants
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { record, toOnnx } from "./mod.ts";
 * import { assert } from "@std/assert";
 * const recording = record({
 *   name: "square",
 *   inputs: { x: { dtype: "float32", shape: ["B"] } },
 *   run: ({ x }) => ({ y: tf.square(x) }),
 * });
 * assert(toOnnx(recording).model.length > 50);
 * ```
 */
export function toOnnx(recording: Recording, options: OnnxOptions = {}): OnnxModel {
  const { constants = {} } = options;
  checkConstants(recording, constants);
  const fed = recording.inputs.filter((i) => !(i.name in constants));
  const names = new Set(recording.inputs.map((i) => i.name));
  const clash = recording.outputs.find((o) => names.has(o.name));
  if (clash) {
    throw new TraceError(
      `Cannot export ${recording.name}: "${clash.name}" names an input and an output. Rename one.`,
    );
  }
  for (const { name } of recording.outputs) names.add(name);
  const writer = new Writer(fed, names);
  for (const node of recording.nodes) writer.add(node);
  writer.nameOutputs(recording.outputs.map((o) => [writer.name(o.value), o.name]));
  const show = (shape: readonly SizeExpr[]) =>
    shape.map((e) => isNumber(e) ? e.constant : formatSize(e));
  const inputs: ValueSpec[] = fed.map(({ name, dtype, shape }) => ({ name, dtype, dims: shape }));
  for (const { name, shape } of recording.keepMasks) {
    inputs.push({ name, dtype: "float32", dims: show(shape) });
  }
  const outputs = recording.outputs.map(({ name, dtype, shape }) => ({
    name,
    dtype,
    dims: show(shape),
  }));
  const initializers = [...writer.initializers];
  const used = new Set(writer.nodes.flatMap((n) => n.inputs));
  for (const [name, { dtype, shape, data }] of Object.entries(constants)) {
    if (used.has(name)) initializers.push({ name, dtype, dims: shape, data: bytesOf(data) });
  }
  const externalData = moveOut(initializers, options);
  const { nodes } = writer;
  const model = encodeModel({ name: recording.name, nodes, initializers, inputs, outputs });
  return { model, externalData };
}
