/** The nodes of a recording as ONNX nodes. @module */
import { TraceError } from "../errors.ts";
import { bytesOf, type ConstantPool, type NamePool } from "./onnx_constants.ts";
import { type NodeSpec, ONNX_TYPE, type TensorSpec } from "./onnx_proto.ts";
import type { RecordedInput } from "./recording.ts";
import { isSameSize, type SizeExpr } from "./sizes.ts";
import type { Attribute, ElementType, Node, Value } from "./value.ts";

const isNumber = (e: SizeExpr): boolean => !e.terms.length;

/** Choices of a {@linkcode GraphWriter}. */
export interface GraphWriterOptions {
  /** Inputs that are fed when the graph runs: the sizes are read from them. */
  fed: readonly RecordedInput[];
  /** Names of inputs and outputs that are int64 outside. */
  int64: ReadonlySet<string>;
  /** Names of the model. */
  names: NamePool;
  /** Constants of the model. */
  constants: ConstantPool;
}

/** Turns values into names, adding the nodes and constants they need. */
export class GraphWriter {
  /** The nodes so far. */
  readonly nodes: NodeSpec[] = [];
  readonly #names = new Map<number, string>();
  readonly #made = new Map<string, string>();
  readonly #options: GraphWriterOptions;

  /** A writer of one graph of a model. */
  constructor(options: GraphWriterOptions) {
    this.#options = options;
  }

  #once(key: string, make: (name: string) => void): string {
    let name = this.#made.get(key);
    if (name === undefined) {
      this.#made.set(key, name = this.#options.names.fresh());
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
    return this.#options.constants.small(key, spec);
  }

  #int64(numbers: readonly number[], dims: readonly number[]): string {
    const data = bytesOf(BigInt64Array.from(numbers, BigInt));
    return this.#constant(`int64 [${dims}] ${numbers}`, { dtype: "int64", dims, data });
  }

  /** int64 [1]: the run-time value of a symbol. */
  #symbol(symbol: string): string {
    for (const { name, shape } of this.#options.fed) {
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
        return this.#options.int64.has(source.name)
          ? this.#emit("Cast", [source.name], { to: ONNX_TYPE.int32 })
          : source.name;
      case "node":
        return this.#names.get(value.id)!;
      case "uniform":
        return this.#uniform(source.value, dtype, shape);
      case "table": {
        const dims = shape.map((e) => e.constant);
        return this.#options.constants.table(source.data, { dtype, dims });
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
      const name = this.#options.names.fresh();
      this.#names.set(v.id, name);
      return name;
    });
    const { op, domain, attributes } = node;
    this.nodes.push({ op, domain, inputs, outputs, attributes });
  }

  /**
   * Give each value out under its name: by naming the result of its node, else by an Identity.
   *
   * @param wanted `output`: the name by which int64 knows it; `as`: the name it gets
   */
  nameOutputs(
    wanted: readonly { value: Value<SizeExpr>; output: string; as: string }[],
  ): void {
    const pairs = wanted.map(({ value, output, as }) => {
      const inner = this.name(value);
      const isLong = this.#options.int64.has(output);
      return [isLong ? this.#emit("Cast", [inner], { to: ONNX_TYPE.int64 }) : inner, as];
    });
    const made = new Set(this.nodes.flatMap((n) => n.outputs));
    const renamed = new Map<string, string>();
    const copies: NodeSpec[] = [];
    for (const [inner, outer] of pairs) {
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
