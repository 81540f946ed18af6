/** Building a graph anew from another one, with some operations replaced. @module */
import { type DType, sizeOf } from "../../tensor/host_tensor.ts";
import {
  type BoundGraph,
  type BoundNode,
  type BoundSource,
  type BoundValue,
  producerOf,
} from "./bound_graph.ts";

/** The graph that is being built. */
export class GraphBuilder {
  readonly #nodes: BoundNode[] = [];
  readonly #inputs = new Map<string, BoundValue>();
  readonly #made = new Map<number, BoundValue>();
  #nextId: number;

  /** @param nextId Smallest number that no value has yet */
  constructor(nextId: number) {
    this.#nextId = nextId;
  }

  /** What has become of a value of the old graph. */
  get(old: BoundValue): BoundValue {
    const made = this.#made.get(old.id);
    if (made) return made;
    if (old.source.kind === "input") this.#inputs.set(old.source.name, old);
    return old;
  }

  /** Whether a value of the old graph exists in the new one by now. */
  has(old: BoundValue): boolean {
    return old.source.kind !== "node" || this.#made.has(old.id);
  }

  /** Say what has become of a value. */
  set(old: BoundValue, made: BoundValue): void {
    this.#made.set(old.id, made);
  }

  #value(dtype: DType, shape: readonly number[], source: BoundSource): BoundValue {
    return { id: this.#nextId++, dtype, shape, count: sizeOf(shape), source };
  }

  /** An input that the old graph does not have. */
  input(name: string, dtype: DType, shape: readonly number[]): BoundValue {
    let value = this.#inputs.get(name);
    if (!value) this.#inputs.set(name, value = this.#value(dtype, shape, { kind: "input", name }));
    return value;
  }

  /** A new operation; its operands are values of the new graph. */
  node(
    op: string,
    inputs: readonly BoundValue[],
    results: readonly { dtype: DType; shape: readonly number[] }[],
    attributes: BoundNode["attributes"] = {},
  ): readonly BoundValue[] {
    const outputs: BoundValue[] = [];
    const node: BoundNode = { order: this.#nodes.length, op, inputs, outputs, attributes };
    results.forEach(({ dtype, shape }, index) =>
      outputs.push(this.#value(dtype, shape, { kind: "node", node, index }))
    );
    this.#nodes.push(node);
    return outputs;
  }

  /** An operation as it was. */
  copy(node: BoundNode): void {
    const made = this.node(
      node.op,
      node.inputs.map((x) => this.get(x)),
      node.outputs,
      node.attributes,
    );
    node.outputs.forEach((v, i) => this.set(v, made[i]));
  }

  /** The finished graph. */
  graph(
    outputs: BoundGraph["outputs"],
    { recordedCount, inputs }: Pick<BoundGraph, "recordedCount" | "inputs">,
  ): BoundGraph {
    return {
      nodes: this.#nodes,
      inputs: new Map([...inputs, ...this.#inputs]),
      outputs,
      recordedCount,
    };
  }
}

/** Operations that use each value, outputs of the program not counted. */
export function usersOf(graph: BoundGraph): Map<number, BoundNode[]> {
  const users = new Map<number, BoundNode[]>();
  for (const node of graph.nodes) {
    for (const { id } of new Set(node.inputs)) users.set(id, [...users.get(id) ?? [], node]);
  }
  return users;
}

/** The smallest number that no value of a graph has. */
export function nextIdOf(graph: BoundGraph): number {
  let next = 0;
  for (const node of graph.nodes) {
    for (const v of node.inputs) next = Math.max(next, v.id + 1);
    for (const v of node.outputs) next = Math.max(next, v.id + 1);
  }
  for (const { value } of graph.outputs) next = Math.max(next, value.id + 1);
  return next;
}

/** A graph without what no output needs. */
export function withoutDead(graph: BoundGraph): BoundGraph {
  const live = new Set<BoundNode>();
  const stack = graph.outputs.map((o) => o.value);
  for (let v = stack.pop(); v; v = stack.pop()) {
    const node = producerOf(v);
    if (!node || live.has(node)) continue;
    live.add(node);
    stack.push(...node.inputs);
  }
  return { ...graph, nodes: graph.nodes.filter((n) => live.has(n)) };
}
