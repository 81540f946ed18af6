/**
 * A recording with its sizes filled in: what the lowering to kernels works on. Means, scatters and long
 * reductions are taken apart here, so that fusion sees their pieces.
 *
 * @module
 */
import { KernelError } from "../../errors.ts";
import {
  evaluateSize,
  type Node,
  type Recording,
  type SizeExpr,
  type Sizes,
  type TypedData,
  type Value,
} from "../../graph/mod.ts";
import { type DType, sizeOf } from "../../tensor/host_tensor.ts";

/** Where a value comes from. */
export type BoundSource =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "mask"; readonly site: number; readonly keepProb: number }
  | { readonly kind: "uniform"; readonly value: number }
  | { readonly kind: "table"; readonly data: TypedData }
  | { readonly kind: "numbers"; readonly numbers: readonly number[] }
  | { readonly kind: "node"; readonly node: BoundNode; readonly index: number };

/** A tensor of known sizes. */
export interface BoundValue {
  /** Unique within its graph. */
  readonly id: number;
  /** Element type; what is int64 in a recording is int32 here. */
  readonly dtype: DType;
  /** Sizes. */
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly count: number;
  /** Where it comes from. */
  readonly source: BoundSource;
}

/** An operation on tensors of known sizes. */
export interface BoundNode {
  /** Position in the order of recording. */
  readonly order: number;
  /** Its name: that of ONNX, but for `MatMul`, which has the flags `transA` and `transB`. */
  readonly op: string;
  /** Operands. */
  readonly inputs: readonly BoundValue[];
  /** Results. */
  readonly outputs: readonly BoundValue[];
  /** Attributes; sizes that ONNX takes as operands are here. */
  readonly attributes: Readonly<Record<string, number | string | readonly number[]>>;
}

/** A graph of known sizes. */
export interface BoundGraph {
  /** Operations in order. */
  readonly nodes: readonly BoundNode[];
  /** Inputs by name, as far as they are used. */
  readonly inputs: ReadonlyMap<string, BoundValue>;
  /** Outputs in order. */
  readonly outputs: readonly { readonly name: string; readonly value: BoundValue }[];
  /** Operations that were recorded, before compound ones were taken apart. */
  readonly recordedCount: number;
}

/** The operation a value is a result of; undefined if it is none. */
export function producerOf({ source }: BoundValue): BoundNode | undefined {
  return source.kind === "node" ? source.node : undefined;
}

/** The operation that a value is known to be a result of. */
export function nodeOf(value: BoundValue): BoundNode {
  const node = producerOf(value);
  if (node) return node;
  throw new KernelError("Cannot compute what is no result");
}

type Attributes = BoundNode["attributes"];

/** Reductions of more elements than this to few numbers are done in two steps. */
const LONG_ROW = 16384;
/** Fewer rows than this do not fill a device. */
const FEW_ROWS = 256;

/** Makes a {@linkcode BoundGraph}. */
class Binder {
  readonly nodes: BoundNode[] = [];
  readonly inputs = new Map<string, BoundValue>();
  readonly #sizes: Sizes;
  readonly #values = new Map<number, BoundValue>();
  readonly #masks: ReadonlyMap<string, { site: number; keepProb: number }>;
  #nextId = 0;

  constructor(recording: Recording, sizes: Sizes) {
    this.#sizes = sizes;
    this.#masks = new Map(recording.keepMasks.map((m) => [m.name, m]));
  }

  #size = (e: SizeExpr): number => evaluateSize(e, this.#sizes);

  #make(dtype: DType, shape: readonly number[], source: BoundSource): BoundValue {
    return { id: this.#nextId++, dtype, shape, count: sizeOf(shape), source };
  }

  #node(
    op: string,
    inputs: readonly BoundValue[],
    results: readonly { dtype: DType; shape: readonly number[] }[],
    attributes: Attributes = {},
  ): BoundValue[] {
    const outputs: BoundValue[] = [];
    const node: BoundNode = { order: this.nodes.length, op, inputs, outputs, attributes };
    results.forEach(({ dtype, shape }, index) =>
      outputs.push(this.#make(dtype, shape, { kind: "node", node, index }))
    );
    this.nodes.push(node);
    return outputs;
  }

  #one(
    op: string,
    inputs: readonly BoundValue[],
    like: { dtype: DType; shape: readonly number[] },
    attributes: Attributes = {},
  ): BoundValue {
    return this.#node(op, inputs, [{ dtype: like.dtype, shape: like.shape }], attributes)[0];
  }

  /** The bound form of a value that is no result. */
  value(value: Value<SizeExpr>): BoundValue {
    const { source } = value;
    if (source.kind === "node") return this.#values.get(value.id)!;
    const dtype = value.dtype === "int64" ? "int32" : value.dtype;
    const shape = value.shape.map(this.#size);
    switch (source.kind) {
      case "input": {
        let made = this.inputs.get(source.name);
        if (made) return made;
        const mask = this.#masks.get(source.name);
        made = this.#make(
          dtype,
          shape,
          mask
            ? { kind: "mask", site: mask.site, keepProb: mask.keepProb }
            : { kind: "input", name: source.name },
        );
        this.inputs.set(source.name, made);
        return made;
      }
      case "uniform":
        return this.#make(dtype, shape, source);
      case "table":
        return this.#make(dtype, shape, source);
      case "sizes":
        return this.#make(dtype, shape, {
          kind: "numbers",
          numbers: source.sizes.map(this.#size),
        });
    }
  }

  /** The numbers of an operand that holds sizes. */
  #numbers(value: BoundValue): readonly number[] {
    if (value.source.kind === "numbers") return value.source.numbers;
    if (value.source.kind === "uniform") {
      return Array(value.count).fill(value.source.value) as number[];
    }
    throw new KernelError("Cannot run a graph in which a size is computed from data");
  }

  #uniform(value: number, dtype: DType = "float32"): BoundValue {
    return this.#make(dtype, [], { kind: "uniform", value });
  }

  #reshape(x: BoundValue, shape: readonly number[]): BoundValue {
    return this.#one("Reshape", [x], { dtype: x.dtype, shape });
  }

  /** One number for each row of `axes`, which are kept as 1. */
  #reduce(op: string, x: BoundValue, axes: readonly number[]): BoundValue {
    const shape = x.shape.map((d, i) => axes.includes(i) ? 1 : d);
    const length = sizeOf(axes.map((i) => x.shape[i])), rows = x.count / length;
    const isTrailing = x.shape.every((d, i) =>
      d === 1 || axes.includes(i) || i < Math.min(...axes)
    );
    const parts = [1024, 512, 256, 128, 64, 32].find((n) => length % n === 0);
    if (op !== "Prod" && isTrailing && length > LONG_ROW && rows < FEW_ROWS && parts) {
      const cut = this.#reshape(x, [rows * parts, length / parts]);
      const inner = this.#one(`Reduce${op}`, [cut], { dtype: x.dtype, shape: [rows * parts, 1] }, {
        axes: [1],
      });
      const outer = this.#one(
        `Reduce${op}`,
        [this.#reshape(inner, [rows, parts])],
        { dtype: x.dtype, shape: [rows, 1] },
        { axes: [1] },
      );
      return this.#reshape(outer, shape);
    }
    return this.#one(`Reduce${op}`, [x], { dtype: x.dtype, shape }, { axes });
  }

  /** Add a recorded operation, in pieces where it has some. */
  add(node: Node<SizeExpr>): void {
    const inputs = node.inputs.map((v) => this.value(v));
    const results = node.outputs.map((v) => ({
      dtype: v.dtype === "int64" ? "int32" as const : v.dtype,
      shape: v.shape.map(this.#size),
    }));
    this.#lower(node, inputs, results).forEach((v, i) => this.#values.set(node.outputs[i].id, v));
  }

  #lower(
    { op, attributes: given }: Node<SizeExpr>,
    inputs: readonly BoundValue[],
    results: { dtype: DType; shape: number[] }[],
  ): BoundValue[] {
    const attribute = (name: string, otherwise: number): number =>
      (given[name] as number | undefined) ?? otherwise;
    const ints = (name: string): readonly number[] => (given[name] as { ints: number[] }).ints;
    const [x, second] = inputs, [result] = results;
    const simple = (attributes: Attributes = {}): BoundValue[] =>
      this.#node(op, inputs, results, attributes);
    switch (op) {
      case "Reshape":
        return [this.#reshape(x, result.shape)];
      case "Expand":
        return [this.#one("Expand", [x], result)];
      case "Transpose":
        return [this.#one(op, [x], result, { perm: ints("perm") })];
      case "Slice": {
        const [starts, , axes] = inputs.slice(1).map((v) => this.#numbers(v));
        const from = x.shape.map((_, i) => axes.includes(i) ? starts[axes.indexOf(i)] : 0);
        return [this.#one(op, [x], result, { from })];
      }
      case "Split":
        return this.#node(op, [x], results, { axis: attribute("axis", 0) });
      case "Pad": {
        const fill = inputs[2]?.source.kind === "uniform" ? inputs[2].source.value : 0;
        const from = this.#numbers(second).slice(0, x.shape.length);
        return [this.#one(op, [x, this.#uniform(fill, x.dtype)], result, { from })];
      }
      case "Tile":
        return [this.#one(op, [x], result)];
      case "Range": {
        const [start, , step] = inputs.map((v) => this.#numbers(v)[0]);
        return [this.#one(op, [], result, { start, step })];
      }
      case "OneHot": {
        const table = inputs[2].source;
        const values = table.kind === "table"
          ? Array.from(table.data)
          : Array(2).fill((table as { value: number }).value);
        return [this.#one(op, [x], result, { values })];
      }
      case "CumSum": {
        const axis = this.#numbers(second)[0];
        return [this.#one(op, [x], result, {
          axis,
          exclusive: attribute("exclusive", 0),
          reverse: attribute("reverse", 0),
        })];
      }
      case "TopK":
        return this.#node(op, [x], results);
      case "ArgMax":
      case "ArgMin":
        return simple({ axis: attribute("axis", 0) });
      case "Gather":
      case "Concat":
        return simple({ axis: attribute("axis", 0) });
      case "GatherND":
        return simple({ batchDims: attribute("batch_dims", 0) });
      case "ScatterElements":
        return this.#scatter(inputs, result);
      case "Clip":
        return simple();
      case "ReduceSum":
        return [this.#reshape(this.#reduce("Sum", x, this.#numbers(second)), result.shape)];
      case "ReduceMean": {
        const axes = ints("axes");
        const sum = this.#reduce("Sum", x, axes);
        const share = this.#uniform(1 / sizeOf(axes.map((i) => x.shape[i])));
        return [this.#reshape(this.#one("Mul", [sum, share], sum), result.shape)];
      }
      case "ReduceMax":
      case "ReduceMin":
      case "ReduceProd":
        return [this.#reshape(this.#reduce(op.slice(6), x, ints("axes")), result.shape)];
      case "MatMul":
      case "Gemm":
      case "FusedMatMul":
        return [this.#one("MatMul", inputs, result, {
          transA: attribute("transA", 0),
          transB: attribute("transB", 0),
        })];
      case "Mod":
        return simple({ fmod: attribute("fmod", 0) });
      default:
        return simple();
    }
  }

  /** Rows added into a table: the index, which the recording expands to full size, is one per row. */
  #scatter(
    [dense, index, updates]: readonly BoundValue[],
    result: { dtype: DType; shape: number[] },
  ): BoundValue[] {
    let ids = index;
    while (ids.source.kind === "node") {
      const { op, inputs: [of] } = ids.source.node;
      const isSame = op === "Cast" && of.dtype === "int32";
      if (op !== "Expand" && op !== "Reshape" && !isSame) break;
      ids = of;
    }
    if (ids.count !== updates.shape[0] || ids.dtype !== "int32") {
      throw new KernelError("Cannot run a scatter whose rows have several indices");
    }
    const rows = updates.shape[0], width = sizeOf(result.shape.slice(1));
    const sum = this.#one("SegmentSum", [this.#reshape(ids, [rows]), updates], {
      dtype: "float32",
      shape: [result.shape[0], width],
    });
    const shaped = this.#reshape(sum, result.shape);
    const isZero = dense.source.kind === "uniform" && dense.source.value === 0;
    return [isZero ? shaped : this.#one("Add", [dense, shaped], result)];
  }
}

/**
 * A recording at given sizes.
 *
 * @param recording What to bind
 * @param sizes Value of every symbol
 * @throws {KernelError} If a size is computed from data
 */
export function bindGraph(recording: Recording, sizes: Sizes): BoundGraph {
  const binder = new Binder(recording, sizes);
  for (const node of recording.nodes) binder.add(node);
  const outputs = recording.outputs.map(({ name, value }) => ({
    name,
    value: binder.value(value),
  }));
  const recordedCount = recording.nodes.length;
  return { nodes: binder.nodes, inputs: binder.inputs, outputs, recordedCount };
}
