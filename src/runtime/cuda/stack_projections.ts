/**
 * Linear layers that read the same tensor, such as those of queries, keys and values, as one: their
 * weights follow each other in memory, so one product has all their results side by side, one gives all
 * their gradients, and one the gradient of what they read.
 *
 * @module
 */
import {
  type BoundGraph,
  type BoundNode,
  type BoundValue,
  nodeOf,
  producerOf,
} from "./bound_graph.ts";
import { GraphBuilder, nextIdOf, usersOf, withoutDead } from "./rewrite_graph.ts";
import { baseOf } from "./views.ts";

/** Where weights begin, in elements of the vector that holds them all. */
export type WeightOffsets = ReadonlyMap<string, number>;

/** Name of the weights that begin with those of `name`. */
export const stackName = (name: string): string => `stack:${name}`;

/** Neighbouring weights [O, I] that are applied to one tensor. */
interface Stack {
  readonly names: readonly string[];
  /** O of each. */
  readonly heights: readonly number[];
  /** I */
  readonly width: number;
  /** y = x · Wᵀ, in the order of the weights. */
  readonly forward: readonly BoundNode[];
}

const inputName = (v: BoundValue): string | undefined =>
  v.source.kind === "input" ? v.source.name : undefined;

const isMatMul = (node: BoundNode, transA: boolean, transB: boolean): boolean =>
  node.op === "MatMul" && Boolean(node.attributes.transA) === transA &&
  Boolean(node.attributes.transB) === transB && node.inputs.every((x) => x.shape.length === 2);

/** Sets of neighbouring weights that are applied to the same tensor. */
function findStacks(graph: BoundGraph, offsets: WeightOffsets): Stack[] {
  const readers = new Map<number, BoundNode[]>();
  for (const node of graph.nodes) {
    if (!isMatMul(node, false, true)) continue;
    const name = inputName(node.inputs[1]);
    if (name === undefined || !offsets.has(name)) continue;
    const { id } = node.inputs[0];
    readers.set(id, [...readers.get(id) ?? [], node]);
  }
  const stacks: Stack[] = [];
  for (const nodes of readers.values()) {
    const offsetOf = (n: BoundNode): number => offsets.get(inputName(n.inputs[1])!)!;
    const sorted = nodes.toSorted((a, b) => offsetOf(a) - offsetOf(b));
    let run: BoundNode[] = [];
    const flush = (): void => {
      if (run.length > 1) {
        stacks.push({
          names: run.map((n) => inputName(n.inputs[1])!),
          heights: run.map((n) => n.inputs[1].shape[0]),
          width: run[0].inputs[1].shape[1],
          forward: run,
        });
      }
      run = [];
    };
    for (const node of sorted) {
      const last = run.at(-1);
      if (last && offsetOf(last) + last.inputs[1].count !== offsetOf(node)) flush();
      run.push(node);
    }
    flush();
  }
  return stacks;
}

const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);

/** Terms of a sum of tensors of one shape: through additions whose results nobody else uses. */
function termsOf(
  value: BoundValue,
  users: ReadonlyMap<number, readonly BoundNode[]>,
  isTop = true,
): BoundValue[] {
  const node = producerOf(value);
  const isOwn = isTop || (users.get(value.id)?.length ?? 0) === 1;
  const isSum = node?.op === "Add" && isOwn &&
    node.inputs.every((x) => `${x.shape}` === `${value.shape}`);
  if (!isSum) return [value];
  return node.inputs.flatMap((x) => termsOf(x, users, false));
}

class Stacker {
  readonly #graph: BoundGraph;
  readonly #builder: GraphBuilder;
  readonly #users: Map<number, BoundNode[]>;
  readonly #outputOf = new Map<number, string>();
  /** The stack of a forward product, and its place in it. */
  readonly #forward = new Map<BoundNode, { stack: Stack; index: number }>();
  /** Stacks by the names of their weights. */
  readonly #stackOf = new Map<string, { stack: Stack; index: number }>();
  readonly #joined = new Map<string, BoundValue>();
  readonly #gone = new Set<BoundNode>();
  readonly #newOutputs: { name: string; value: BoundValue }[] = [];
  readonly #goneOutputs = new Set<string>();

  constructor(graph: BoundGraph, stacks: readonly Stack[]) {
    this.#graph = graph;
    this.#builder = new GraphBuilder(nextIdOf(graph));
    this.#users = usersOf(graph);
    for (const { name, value } of graph.outputs) this.#outputOf.set(value.id, name);
    for (const stack of stacks) {
      stack.forward.forEach((node, index) => {
        this.#forward.set(node, { stack, index });
        this.#stackOf.set(stack.names[index], { stack, index });
      });
    }
  }

  #weights({ names, heights, width }: Stack): BoundValue {
    return this.#builder.input(stackName(names[0]), "float32", [sum(heights), width]);
  }

  /** y of all, then each as a slice of it. */
  #stackForward(stack: Stack): void {
    const builder = this.#builder, [{ inputs: [x] }] = stack.forward;
    const rows = x.shape[0];
    const [all] = builder.node(
      "MatMul",
      [builder.get(x), this.#weights(stack)],
      [{ dtype: "float32", shape: [rows, sum(stack.heights)] }],
      { transA: 0, transB: 1 },
    );
    stack.forward.forEach(({ outputs: [y] }, i) => {
      const from = [0, sum(stack.heights.slice(0, i))];
      const [part] = builder.node("Slice", [all], [{ dtype: "float32", shape: y.shape }], { from });
      builder.set(y, part);
      this.#gone.add(stack.forward[i]);
    });
  }

  /** Gradients of the results of a stack, side by side. */
  #join(stack: Stack, gradients: readonly BoundValue[]): BoundValue {
    const key = `${gradients.map((v) => v.id)}`;
    let joined = this.#joined.get(key);
    if (!joined) {
      const parts = gradients.map((g) => this.#builder.get(g));
      const shape = [gradients[0].shape[0], sum(stack.heights)];
      [joined] = this.#builder.node("Concat", parts, [{ dtype: "float32", shape }], { axis: 1 });
      this.#joined.set(key, joined);
    }
    return joined;
  }

  /**
   * Products that are the gradients of a stack's weights, dW = dyᵀ · x, in the order of the weights:
   * outputs of the program that nothing uses.
   */
  #weightGradients(node: BoundNode): { stack: Stack; nodes: BoundNode[] } | undefined {
    if (!isMatMul(node, true, false)) return undefined;
    const output = this.#outputOf.get(node.outputs[0].id);
    const place = output && this.#stackOf.get(output.slice("grad:".length));
    if (!place) return undefined;
    const [, x] = node.inputs, { stack } = place;
    const nodes = stack.names.map((name) => {
      const value = this.#graph.outputs.find((o) => o.name === `grad:${name}`)?.value;
      const made = value && producerOf(value);
      const fits = made && isMatMul(made, true, false) && made.inputs[1].id === x.id &&
        !this.#users.has(value.id);
      return fits ? made : undefined;
    });
    return nodes.every((n) => n !== undefined) ? { stack, nodes } : undefined;
  }

  #stackWeightGradients({ stack, nodes }: { stack: Stack; nodes: BoundNode[] }): void {
    const builder = this.#builder;
    const dy = this.#join(stack, nodes.map((n) => n.inputs[0]));
    const [all] = builder.node(
      "MatMul",
      [dy, builder.get(nodes[0].inputs[1])],
      [{ dtype: "float32", shape: [sum(stack.heights), stack.width] }],
      { transA: 1, transB: 0 },
    );
    for (const name of stack.names) this.#goneOutputs.add(`grad:${name}`);
    this.#newOutputs.push({ name: `grad:${stackName(stack.names[0])}`, value: all });
  }

  /** The gradient of what a stack read, Σ dy · W, where all its parts are terms of one sum. */
  #stackSum(node: BoundNode): boolean {
    const [out] = node.outputs;
    const isInner = this.#users.get(out.id)?.length === 1 &&
      this.#users.get(out.id)![0].op === "Add" &&
      `${this.#users.get(out.id)![0].outputs[0].shape}` === `${out.shape}` &&
      !this.#outputOf.has(out.id);
    if (isInner) return false;
    const terms = termsOf(out, this.#users);
    if (terms.length < 2) return false;
    const groups = new Map<Stack, (BoundNode | undefined)[]>();
    for (const term of terms) {
      const product = producerOf(baseOf(term));
      const name = product && isMatMul(product, false, false) && inputName(product.inputs[1]);
      const place = name ? this.#stackOf.get(name) : undefined;
      if (!product || !place || !this.#isPrivate(term)) continue;
      const { stack, index } = place;
      if (!groups.has(stack)) groups.set(stack, Array(stack.names.length).fill(undefined));
      groups.get(stack)![index] ??= product;
    }
    const whole = [...groups].filter(([, parts]) => parts.every((p) => p !== undefined)) as [
      Stack,
      BoundNode[],
    ][];
    if (!whole.length) return false;
    const builder = this.#builder;
    // One term for each part: a product that is added twice is left once.
    const taken = new Set(whole.flatMap(([, parts]) => parts));
    const left = terms.filter((t) => !taken.delete(producerOf(baseOf(t))!));
    const like = { dtype: out.dtype, shape: out.shape };
    const summands = [
      ...left.map((t) => builder.get(t)),
      ...whole.map(([stack, parts]) => {
        const dy = this.#join(stack, parts.map((p) => p.inputs[0]));
        const [dx] = builder.node("MatMul", [dy, this.#weights(stack)], [{
          dtype: "float32",
          shape: parts[0].outputs[0].shape,
        }], { transA: 0, transB: 0 });
        return builder.node("Reshape", [dx], [like])[0];
      }),
    ];
    builder.set(out, summands.reduce((a, b) => builder.node("Add", [a, b], [like])[0]));
    return true;
  }

  /** Whether nothing but the sum uses a term and the product behind it. */
  #isPrivate(term: BoundValue): boolean {
    for (let v = term;;) {
      if ((this.#users.get(v.id)?.length ?? 0) !== 1 || this.#outputOf.has(v.id)) return false;
      const node = nodeOf(v);
      if (node.op !== "Reshape") return true;
      v = node.inputs[0];
    }
  }

  build(): BoundGraph {
    const builder = this.#builder;
    const waiting = new Map<BoundNode, { stack: Stack; nodes: BoundNode[] }>();
    for (const node of this.#graph.nodes) {
      const found = this.#weightGradients(node);
      // They come when the last gradient is there.
      if (found) {
        const last = found.nodes.reduce((a, b) => a.order > b.order ? a : b);
        waiting.set(last, found);
        for (const n of found.nodes) this.#gone.add(n);
      }
    }
    for (const node of this.#graph.nodes) {
      const gradients = waiting.get(node);
      if (gradients) this.#stackWeightGradients(gradients);
      if (this.#gone.has(node)) continue;
      const place = this.#forward.get(node);
      if (place) this.#stackForward(place.stack);
      else if (node.op === "Add" && this.#stackSum(node)) continue;
      else builder.copy(node);
    }
    const outputs = this.#graph.outputs
      .filter((o) => !this.#goneOutputs.has(o.name))
      .map(({ name, value }) => ({ name, value: builder.get(value) }));
    return withoutDead(builder.graph([...outputs, ...this.#newOutputs], this.#graph));
  }
}

/**
 * A graph in which neighbouring weights that read one tensor are one. The gradients of their weights
 * become one output, named as that of {@linkcode stackName} of the first.
 *
 * @param graph Of a training program
 * @param offsets Where the weights lie; those that are not named stay as they are
 */
export function stackProjections(graph: BoundGraph, offsets: WeightOffsets): BoundGraph {
  const stacks = findStacks(graph, offsets);
  return stacks.length ? new Stacker(graph, stacks).build() : graph;
}
