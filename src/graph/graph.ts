/** A graph under construction, for one set of sizes. Equal operations on equal operands become one node. @module */
import type { DType } from "../tensor/host_tensor.ts";
import { captureSite } from "./site.ts";
import {
  type Attribute,
  type ElementType,
  isSameShape,
  type Node,
  type Source,
  type Traced,
  type TypedData,
} from "./value.ts";

/** Which operators a graph may use: `"export"` keeps to ai.onnx, `"training"` adds com.microsoft. */
export type Dialect = "training" | "export";

/** A {@linkcode "../tensor/keep_mask.ts".keepMask} of the program, which became an input. */
export interface TracedKeepMask {
  /** Its value, an input of the graph. */
  readonly value: Traced;
  /** Probability of a one. */
  readonly keepProb: number;
}

/** Shape and element type of a result. */
export interface ResultType {
  /** Sizes. */
  readonly shape: readonly number[];
  /** Element type. */
  readonly dtype: ElementType;
}

/** A graph under construction. */
export class Graph {
  /** Which operators may be used. */
  readonly dialect: Dialect;
  /** Every node, in the order of recording. */
  readonly nodes: Node<number>[] = [];
  /** Inputs of the program. */
  readonly inputs: Traced[] = [];
  /** Outputs of the program. */
  readonly outputs: { name: string; value: Traced }[] = [];
  /** Random masks, by site. */
  readonly keepMasks: TracedKeepMask[] = [];
  /** Names of the tfjs kernels called. */
  readonly kernels: Set<string> = new Set();
  /** Value that an Expand expanded, for those that are one. */
  readonly expanded: Map<Traced, Traced> = new Map();
  /** Operands of a scatter-add, for values that are one. */
  readonly scattered: Map<Traced, { base: Traced; ids: Traced; updates: Traced }> = new Map();
  readonly #isSited: boolean;
  #nextId = 0;
  readonly #known = new Map<string, Traced[]>();
  readonly #tables = new Map<TypedData, Traced>();

  /**
   * @param dialect Which operators may be used
   * @param options `isSited`: remember where each node was made, which takes longer than all else
   */
  constructor(dialect: Dialect, { isSited = false }: { isSited?: boolean } = {}) {
    this.dialect = dialect;
    this.#isSited = isSited;
  }

  #value(dtype: ElementType, shape: readonly number[], source: Source<number>): Traced {
    return { id: this.#nextId++, dtype, shape, source };
  }

  #once(key: string, make: () => Traced[]): Traced[] {
    let found = this.#known.get(key);
    if (!found) this.#known.set(key, found = make());
    return found;
  }

  /** Declare an input of the program. */
  input(name: string, dtype: DType, shape: readonly number[]): Traced {
    const value = this.#value(dtype, shape, { kind: "input", name });
    this.inputs.push(value);
    return value;
  }

  /** Declare a random mask; the executor fills it before every run. */
  keepMask(shape: readonly number[], keepProb: number): Traced {
    const name = `keep_mask:${this.keepMasks.length}`;
    const value = this.#value("float32", shape, { kind: "input", name });
    this.keepMasks.push({ value, keepProb });
    return value;
  }

  /** A constant whose elements all equal `value`. */
  uniform(value: number, shape: readonly number[], dtype: ElementType): Traced {
    const key = `uniform ${dtype} ${Object.is(value, -0) ? "-0" : value} [${shape}]`;
    return this.#once(key, () => [this.#value(dtype, shape, { kind: "uniform", value })])[0];
  }

  /** A constant with the elements of `data`, which is not copied. */
  constant(data: TypedData, shape: readonly number[], dtype: DType): Traced {
    const first = data.length ? data[0] : 0;
    if (data.every((x) => Object.is(x, first))) return this.uniform(first, shape, dtype);
    const make = () => this.#value(dtype, shape, { kind: "table", data });
    if (data.length <= 64) {
      const digits = Array.from(data, (x) => Object.is(x, -0) ? "-0" : x);
      return this.#once(`table ${dtype} ${digits} [${shape}]`, () => [make()])[0];
    }
    const seen = this.#tables.get(data);
    if (seen && isSameShape(seen.shape, shape)) return seen;
    const value = make();
    this.#tables.set(data, value);
    return value;
  }

  /** An int64 vector of sizes, which may follow symbols. */
  sizes(sizes: readonly number[]): Traced {
    return this.#once(
      `sizes ${sizes}`,
      () => [this.#value("int64", [sizes.length], { kind: "sizes", sizes })],
    )[0];
  }

  /** An int64 scalar that is a size, which may follow symbols. */
  size(size: number): Traced {
    return this.#once(
      `size ${size}`,
      () => [this.#value("int64", [], { kind: "sizes", sizes: [size] })],
    )[0];
  }

  /** The results of an operation: a new node, or those of an equal one. */
  nodeOf(
    op: string,
    inputs: readonly Traced[],
    results: readonly ResultType[],
    options: { attributes?: Record<string, Attribute>; domain?: string } = {},
  ): readonly Traced[] {
    const { attributes = {}, domain } = options;
    const types = results.map((r) => `${r.dtype}[${r.shape}]`);
    const key = `${op} ${inputs.map((v) => v.id)} ${JSON.stringify(attributes)} ${types}`;
    return this.#once(key, () => {
      const outputs: Traced[] = [];
      const site = this.#isSited ? captureSite() : undefined;
      const node: Node<number> = { op, domain, inputs, outputs, attributes, site };
      for (const r of results) outputs.push(this.#value(r.dtype, r.shape, { kind: "node", node }));
      this.nodes.push(node);
      return outputs;
    });
  }

  /** The only result of an operation. */
  node(
    op: string,
    inputs: readonly Traced[],
    result: ResultType,
    attributes: Record<string, Attribute> = {},
  ): Traced {
    return this.nodeOf(op, inputs, [result], { attributes })[0];
  }

  /** The nodes that some output needs, in order. */
  liveNodes(): Node<number>[] {
    const live = new Set<Node<number>>();
    const stack = this.outputs.map((o) => o.value);
    for (let v = stack.pop(); v; v = stack.pop()) {
      if (v.source.kind !== "node" || live.has(v.source.node)) continue;
      live.add(v.source.node);
      stack.push(...v.source.node.inputs);
    }
    return this.nodes.filter((n) => live.has(n));
  }
}
