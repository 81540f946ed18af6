/** Which values of a graph lie in memory, in which form, and what each is computed from. @module */
import { sizeOf } from "../../tensor/host_tensor.ts";
import type { AddendView, HeadView } from "./attention_kernels.ts";
import type { MatrixPrecision } from "./device.ts";
import { type BoundGraph, type BoundNode, type BoundValue, producerOf } from "./bound_graph.ts";
import type { StorageType } from "./emitter.ts";
import { isElementwise, isSlow } from "./expressions.ts";
import { nextIdOf } from "./rewrite_graph.ts";
import { isSpecial } from "./special_kernels.ts";
import { baseOf, type Operand, operandOf, viewOf } from "./views.ts";

/** A matrix product and where its operands lie. */
export interface ProductOperands {
  readonly node: BoundNode;
  readonly a: Operand;
  readonly b: Operand;
}

/** Elements below which a value is kept in float32 whatever the precision: it costs nothing. */
const SMALL = 4096;

/** More loads than this in one formula are cut. */
const MOST_LOADS = 12;

/** Whether a value is the result of a reduction. */
export const isReduction = (v: BoundValue): boolean =>
  producerOf(v)?.op.startsWith("Reduce") ?? false;

/** Whether the axes of a reduction are the last ones. */
export function isRowReduction(v: BoundValue): boolean {
  const node = producerOf(v);
  if (!node || !isReduction(v)) return false;
  const axes = node.attributes.axes as readonly number[], { shape } = node.inputs[0];
  const first = Math.min(...axes);
  return shape.every((d, i) => i < first || d === 1 || axes.includes(i));
}

/** Elements that are read at a time from the rows of heads. */
const HEAD_ALIGNMENT = 8;

/** Whether an operation is an attention, or its gradient. */
export const isAttention = ({ op }: BoundNode): boolean => op.startsWith("Attention");

/** Name of the copy in bfloat16 of an input. */
export const halfName = (name: string): string => `bfloat16:${name}`;

/** Tensors of an attention in memory: the first ones by heads, then what is added to the scores. */
export interface AttentionOperands {
  /** Queries, keys, values; of a gradient also O and dO. */
  readonly heads: readonly { readonly base: BoundValue; readonly view: HeadView }[];
  /** Row statistics, of a gradient. */
  readonly stats?: BoundValue;
  /** What is added to the scores. */
  readonly addends: readonly { readonly base: BoundValue; readonly view: AddendView }[];
}

/** Decides what lies in memory. */
export class StoredValues {
  /** Operands of each product. */
  readonly products: ReadonlyMap<BoundNode, ProductOperands>;
  /** Operands of each attention. */
  readonly attentions: ReadonlyMap<BoundNode, AttentionOperands>;
  /** What each output of the program is, in memory. */
  readonly outputs: readonly { readonly name: string; readonly value: BoundValue }[];
  readonly #roots = new Set<number>();
  readonly #inOrder: BoundValue[] = [];
  readonly #feeds = new Set<number>();
  readonly #inFloat32 = new Set<number>();
  readonly #copies = new Map<number, BoundValue>();
  readonly #precision: MatrixPrecision;
  readonly #halves: ReadonlySet<string>;
  readonly #reads = new Map<number, Set<BoundValue>>();
  #nextId: number;

  /**
   * @param halves Inputs of which there is a copy in bfloat16
   */
  constructor(
    graph: BoundGraph,
    precision: MatrixPrecision,
    halves: ReadonlySet<string> = new Set(),
  ) {
    this.#precision = precision;
    this.#halves = halves;
    this.#nextId = nextIdOf(graph);
    const given = new Set<number>();
    this.outputs = graph.outputs.map(({ name, value }) => {
      const base = baseOf(value), node = producerOf(base);
      // Each output has memory of its own, and is float32 there if it is no integer.
      const isOwn = node && !given.has(base.id) && node.op !== "AttentionGradient";
      given.add(base.id);
      if (!isOwn) this.#keep(base);
      const kept = isOwn ? base : this.#result("Identity", base, base.shape);
      this.#keep(kept);
      this.#inFloat32.add(kept.id);
      return { name, value: kept };
    });
    for (const node of graph.nodes) {
      if (isSpecial(node.op)) {
        for (const v of [...node.inputs, ...node.outputs]) this.#keep(v);
        node.inputs.forEach((v, i) => {
          if (node.op !== "SegmentSum" || i !== 1) this.#inFloat32.add(baseOf(v).id);
        });
        for (const v of node.outputs) this.#inFloat32.add(v.id);
      } else if (isAttention(node)) {
        for (const v of node.outputs) this.#keep(v);
      } else if (node.op.startsWith("Reduce")) {
        this.#keep(node.outputs[0]);
        this.#inFloat32.add(node.outputs[0].id);
      }
    }
    this.#keepShared(graph);
    this.#findFeeds(graph);
    this.products = this.#prepareProducts(graph);
    this.attentions = new Map(
      graph.nodes.filter(isAttention).map((n) => [n, this.#attention(n)]),
    );
    // In the order of recording; copies for products come where their sources are.
    const orderOf = (v: BoundValue): number => producerOf(v)?.order ?? -1;
    this.#inOrder.sort((a, b) => orderOf(a) - orderOf(b) || a.id - b.id);
  }

  #keep(value: BoundValue): void {
    const base = baseOf(value);
    if (base.source.kind !== "node") return;
    if (this.#roots.has(base.id)) return;
    this.#roots.add(base.id);
    this.#inOrder.push(base);
  }

  /** What several operations use and is dear to compute. */
  #keepShared(graph: BoundGraph): void {
    const users = new Map<number, Set<BoundNode>>();
    for (const node of graph.nodes) {
      for (const x of node.inputs) {
        const { id } = baseOf(x);
        if (!users.has(id)) users.set(id, new Set());
        users.get(id)!.add(node);
      }
    }
    /** Stored values and slow operations behind a value that is not stored. */
    const costs = new Map<number, { loads: Set<BoundValue>; isSlow: boolean }>();
    const costOf = (v: BoundValue): { loads: Set<BoundValue>; isSlow: boolean } => {
      const base = baseOf(v), node = producerOf(base);
      if (base.source.kind === "mask") return { loads: new Set(), isSlow: true };
      if (!node) {
        const isLoad = base.source.kind === "input" || base.source.kind === "table";
        return { loads: new Set(isLoad ? [base] : []), isSlow: false };
      }
      if (this.#roots.has(base.id) || node.op === "MatMul") {
        return { loads: new Set([base]), isSlow: false };
      }
      const known = costs.get(base.id);
      if (known) return known;
      const parts = node.inputs.map(costOf);
      const cost = {
        loads: new Set(parts.flatMap((p) => [...p.loads])),
        isSlow: isSlow(node.op) || parts.some((p) => p.isSlow),
      };
      costs.set(base.id, cost);
      return cost;
    };
    for (const node of graph.nodes) {
      for (const v of node.outputs) {
        if (node.op === "MatMul") this.#keep(v);
        if (!isElementwise(node.op) && !["Gather", "GatherND", "Concat"].includes(node.op)) {
          continue;
        }
        const cost = costOf(v);
        const isShared = (users.get(v.id)?.size ?? 0) > 1;
        // What is read for many elements at once costs nothing.
        const loads = [...cost.loads].filter((x) => 2 * x.count >= v.count).length;
        if (isShared && (cost.isSlow || loads > 1) || cost.loads.size > MOST_LOADS) {
          this.#keep(v);
        }
      }
    }
  }

  /** Which values end up in a matrix product. */
  #findFeeds(graph: BoundGraph): void {
    for (const node of graph.nodes.toReversed()) {
      const feeds = node.op === "MatMul" || isAttention(node) ||
        node.outputs.some((v) => this.#feeds.has(v.id));
      if (!feeds) continue;
      for (const v of node.inputs) this.#feeds.add(v.id);
    }
  }

  #result(op: string, x: BoundValue, shape: readonly number[]): BoundValue {
    const outputs: BoundValue[] = [];
    const order = producerOf(x)?.order ?? -1;
    const node: BoundNode = { order, op, inputs: [x], outputs, attributes: {} };
    outputs.push({
      id: this.#nextId++,
      dtype: x.dtype,
      shape,
      count: sizeOf(shape),
      source: { kind: "node", node, index: 0 },
    });
    return outputs[0];
  }

  /** A copy in bfloat16 of what is stored otherwise. */
  #inBfloat16(base: BoundValue): BoundValue {
    if (this.storageOf(base) === "bfloat16") return base;
    const known = this.#copies.get(base.id);
    if (known) return known;
    const { source } = base;
    const copy: BoundValue = source.kind === "input" && this.#halves.has(source.name)
      ? { ...base, id: this.#nextId++, source: { kind: "input", name: halfName(source.name) } }
      : this.#result("Identity", base, base.shape);
    this.#copies.set(base.id, copy);
    this.#copies.set(copy.id, copy);
    this.#keep(copy);
    return copy;
  }

  #operand(x: BoundValue, batch: readonly number[]): Operand {
    let operand = operandOf(viewOf(x, this.isRoot), x.shape, batch) ??
      operandOf(viewOf(x, () => true), x.shape, batch);
    if (!operand) {
      // Broadcast in a way that no stride says.
      const full = this.#result("Expand", x, [...batch, ...x.shape.slice(-2)]);
      operand = operandOf(viewOf(full, () => true), full.shape, batch)!;
    }
    this.#keep(operand.base);
    const base = baseOf(operand.base);
    const isHalf = this.#precision === "bfloat16";
    return { ...operand, base: isHalf ? this.#inBfloat16(base) : this.#materialised(base) };
  }

  /** Tensors by heads, read where they lie if that is possible. */
  #byHeads(x: BoundValue): AttentionOperands["heads"][number] {
    let { base, strides, offset } = viewOf(x, this.isRoot);
    const numbers = [...strides.slice(0, 3), offset];
    if (strides[3] !== 1 || numbers.some((n) => n % HEAD_ALIGNMENT !== 0)) {
      ({ base, strides, offset } = viewOf(x, () => true));
    }
    const [batch, head, row] = strides;
    this.#keep(base);
    return { base: this.#inBfloat16(baseOf(base)), view: { batch, head, row, offset } };
  }

  #addend(x: BoundValue, full: readonly number[]): AttentionOperands["addends"][number] {
    const missing = full.length - x.shape.length;
    let { base, strides, offset } = viewOf(x, this.isRoot);
    const isPlain = baseOf(base).source.kind !== "uniform" &&
      (x.shape.at(-1) === 1 || strides.at(-1) === 1);
    if (!isPlain) {
      base = this.#materialised(x);
      ({ strides, offset } = viewOf(x, () => true));
    }
    this.#keep(base);
    base = baseOf(base);
    if (x.count < sizeOf(full)) this.#inFloat32.add(base.id);
    const [batch, head, query, key] = full.map((size, i) =>
      i < missing || x.shape[i - missing] !== size || size === 1 ? 0 : strides[i - missing]
    );
    return { base, view: { storage: "float32", batch, head, query, key, offset } };
  }

  #attention({ op, inputs }: BoundNode): AttentionOperands {
    const [query, key, value] = inputs, isGradient = op === "AttentionGradient";
    const heads = isGradient ? [query, key, value, inputs[3], inputs[5]] : [query, key, value];
    const full = [...query.shape.slice(0, 3), key.shape[2]];
    const addends = inputs.slice(isGradient ? 6 : 3).map((x) => this.#addend(x, full));
    return {
      heads: heads.map((x) => this.#byHeads(x)),
      stats: isGradient ? inputs[4] : undefined,
      addends,
    };
  }

  /** Constants that are no tables have to be written out. */
  #materialised(base: BoundValue): BoundValue {
    if (base.source.kind !== "uniform" && base.source.kind !== "numbers") return base;
    const copy = this.#result("Identity", base, base.shape);
    this.#keep(copy);
    return copy;
  }

  #prepareProducts(graph: BoundGraph): Map<BoundNode, ProductOperands> {
    const products = graph.nodes.filter((n) => n.op === "MatMul");
    return new Map(products.map((node) => {
      const batch = node.outputs[0].shape.slice(0, -2);
      const [a, b] = node.inputs.map((x) => this.#operand(x, batch));
      const flip = (o: Operand, flag: unknown): Operand => ({
        ...o,
        isTransposed: o.isTransposed !== Boolean(flag),
      });
      return [node, {
        node,
        a: flip(a, node.attributes.transA),
        b: flip(b, node.attributes.transB),
      }];
    }));
  }

  /** Values that are computed and kept, in order. */
  get inOrder(): readonly BoundValue[] {
    return this.#inOrder;
  }

  /** Whether a value is computed once and kept. */
  isRoot = (value: BoundValue): boolean => this.#roots.has(value.id);

  /** How a value lies in memory; undefined if it does not. */
  storageOf = (value: BoundValue): StorageType | undefined => {
    const { source, dtype, id } = value;
    if (source.kind === "input" || source.kind === "table") {
      return this.#copies.get(id) === value ? "bfloat16" : dtype;
    }
    if (!this.isRoot(value)) return undefined;
    if (dtype !== "float32" || this.#precision !== "bfloat16") return dtype;
    if (this.#copies.get(id) === value) return "bfloat16";
    const node = producerOf(value);
    if (node && isAttention(node)) {
      return node.op === "Attention" && node.outputs[1] === value ? "float32" : "bfloat16";
    }
    const isLarge = value.count > SMALL || node?.op === "MatMul";
    return isLarge && this.#feeds.has(id) && !this.#inFloat32.has(id) ? "bfloat16" : "float32";
  };

  /** Values in memory from which a root, or anything else, is computed directly. */
  readsOf = (value: BoundValue): ReadonlySet<BoundValue> => {
    const known = this.#reads.get(value.id);
    if (known) return known;
    const found = new Set<BoundValue>(), seen = new Set<number>();
    const visit = (v: BoundValue, isTop: boolean): void => {
      if (seen.has(v.id)) return;
      seen.add(v.id);
      if (!isTop && this.storageOf(v)) {
        found.add(v);
        return;
      }
      for (const x of producerOf(v)?.inputs ?? []) visit(x, false);
    };
    visit(value, true);
    this.#reads.set(value.id, found);
    return found;
  };
}
