/** From recordings of one program at several sizes to one recording whose sizes are expressions. @module */
import { TraceError } from "../errors.ts";
import type { Graph } from "./graph.ts";
import { describeSite } from "./site.ts";
import { type SizeExpr, type Sizes, SizeSolver } from "./sizes.ts";
import type { Node, Source, Traced, Value } from "./value.ts";

/** What the graphs have in common. */
export interface SolvedGraph {
  /** Live nodes in order. */
  readonly nodes: readonly Node<SizeExpr>[];
  /** Outputs in order. */
  readonly outputs: readonly Value<SizeExpr>[];
  /** Random masks by site. */
  readonly keepMasks: readonly Value<SizeExpr>[];
}

const show = (sizes: Sizes): string =>
  Object.entries(sizes).map(([s, n]) => `${s}=${n}`).join(", ") || "the same sizes";

const describeNode = (n: Node<number> | undefined): string =>
  n ? `${n.op} at ${describeSite(n.site)}` : "the end";

/** Walks the same place of all graphs at once. */
class Alignment {
  readonly #graphs: readonly Graph[];
  readonly #probes: readonly Sizes[];
  readonly #solver: SizeSolver;
  readonly #solved = new Map<Traced, Value<SizeExpr>>();
  /** For each graph, which value of the first one a value stands for. */
  readonly #counterparts: Map<Traced, Traced>[];

  constructor(graphs: readonly Graph[], probes: readonly Sizes[]) {
    this.#graphs = graphs;
    this.#probes = probes;
    this.#solver = new SizeSolver(probes);
    this.#counterparts = graphs.map(() => new Map());
  }

  #differs(a: Node<number> | undefined, b: Node<number> | undefined, t: number): TraceError {
    const [p, q] = [show(this.#probes[0]), show(this.#probes[t])];
    return new TraceError(
      `Cannot record a program whose path follows a size: with ${p} a step is ` +
        `${describeNode(a)}, with ${q} it is ${describeNode(b)}. A condition or loop in ` +
        "JavaScript depends on a size; use tensor operations (tf.where, tf.range, tf.cumsum) or " +
        "make the size a fixed number.",
    );
  }

  size(values: readonly number[], where: string): SizeExpr {
    const expr = this.#solver.solve(values);
    if (expr) return expr;
    const seen = values.map((v, t) => `${v} with ${show(this.#probes[t])}`);
    throw new TraceError(
      `Cannot express a size at ${where}: it is ${seen.slice(0, 3).join("; ")}. A size must be a ` +
        "sum of multiples of products of symbols; declare a symbol of its own for it.",
    );
  }

  shape(shapes: readonly (readonly number[])[], where: string): SizeExpr[] {
    const rank = shapes[0].length;
    if (shapes.some((s) => s.length !== rank)) {
      throw new TraceError(`Cannot record a tensor at ${where}: its rank follows a size`);
    }
    return shapes[0].map((_, i) => this.size(shapes.map((s) => s[i]), where));
  }

  #source(values: readonly Traced[], where: string): Source<SizeExpr> {
    const sources = values.map((v) => v.source);
    const first = sources[0];
    if (first.kind === "sizes") {
      const all = sources.map((s) => s.kind === "sizes" ? s.sizes : []);
      return { kind: "sizes", sizes: this.shape(all, where) };
    }
    if (first.kind === "uniform") {
      const numbers = sources.map((s) => s.kind === "uniform" ? s.value : NaN);
      if (numbers.every((n) => Object.is(n, first.value))) return first;
      throw new TraceError(
        `Cannot record a constant at ${where}: it is ${numbers.slice(0, 3).join(", ")}, … as the ` +
          "sizes change. Use sizeScalar(n) of tensor/ to compute with a size, or tf.mean.",
      );
    }
    if (first.kind === "table") {
      const isSame = sources.every((s, t) =>
        s.kind === "table" && `${values[t].shape}` === `${values[0].shape}` &&
        (s.data === first.data || s.data.every((x, i) => Object.is(x, first.data[i])))
      );
      if (isSame) return first;
      throw new TraceError(
        `Cannot record a table of shape [${values[0].shape}] at ${where}: its shape or contents ` +
          "follow a size, or are random. Build it with tensor operations (tf.range, tf.less, …); " +
          "for random numbers use keepMask of tensor/.",
      );
    }
    return first as Source<SizeExpr>;
  }

  /** The solved form of the values at one place of all graphs. */
  value(values: readonly Traced[], where: string): Value<SizeExpr> {
    const first = values[0];
    const kinds = new Set(values.map((v) => v.source.kind));
    if (kinds.size > 1) {
      const t = values.findIndex((v) => v.source.kind !== first.source.kind);
      throw new TraceError(
        `Cannot record an operand at ${where}: it is a ${first.source.kind} with ` +
          `${show(this.#probes[0])} and a ${values[t].source.kind} with ${show(this.#probes[t])}`,
      );
    }
    const isOperation = first.source.kind === "node" || first.source.kind === "input";
    const isMoved = isOperation && values.some((v, t) => this.#counterparts[t].get(v) !== first);
    if (isMoved) {
      throw new TraceError(
        `Cannot record an operand at ${where}: which tensor it is follows a size`,
      );
    }
    // A constant may serve several places that only coincide at one probe, so it is solved anew.
    const known = isOperation ? this.#solved.get(first) : undefined;
    return known ?? this.#solve(values, where);
  }

  #solve(values: readonly Traced[], where: string): Value<SizeExpr> {
    const shape = this.shape(values.map((v) => v.shape), where);
    const { id, dtype } = values[0];
    return { id, dtype, shape, source: this.#source(values, where) };
  }

  /** Declare the inputs at one place of all graphs. */
  input(values: readonly Traced[], where: string): Value<SizeExpr> {
    values.forEach((v, t) => this.#counterparts[t].set(v, values[0]));
    const solved = this.#solve(values, where);
    this.#solved.set(values[0], solved);
    return solved;
  }

  /** Fail unless all graphs have the same operations in the same order. */
  path(graphs: readonly Node<number>[][]): void {
    const form = (n: Node<number> | undefined) =>
      n && `${n.op} ${n.inputs.length} ${n.outputs.length} ${JSON.stringify(n.attributes)}`;
    const [first] = graphs;
    graphs.forEach((nodes, t) => {
      for (let i = 0; i < Math.max(nodes.length, first.length); i++) {
        if (form(nodes[i]) !== form(first[i])) throw this.#differs(first[i], nodes[i], t);
      }
    });
  }

  /** The solved form of the nodes at one place of all graphs. */
  node(all: readonly Node<number>[]): Node<SizeExpr> {
    const [first] = all;
    const where = `${first.op}, ${describeSite(first.site)}`;
    const outputs: Value<SizeExpr>[] = [];
    const node: Node<SizeExpr> = {
      op: first.op,
      domain: first.domain,
      attributes: first.attributes,
      inputs: first.inputs.map((_, i) => this.value(all.map((n) => n.inputs[i]), where)),
      outputs,
    };
    first.outputs.forEach((v, i) => {
      const values = all.map((n) => n.outputs[i]);
      values.forEach((w, t) => this.#counterparts[t].set(w, v));
      const shape = this.shape(values.map((w) => w.shape), where);
      const solved: Value<SizeExpr> = {
        id: v.id,
        dtype: v.dtype,
        shape,
        source: { kind: "node", node },
      };
      this.#solved.set(v, solved);
      outputs.push(solved);
    });
    return node;
  }

  run(): SolvedGraph {
    const [first] = this.#graphs;
    first.inputs.forEach((_, i) => this.input(this.#graphs.map((g) => g.inputs[i]), "an input"));
    const masks = this.#graphs.map((g) => g.keepMasks);
    const kinds = (m: Graph["keepMasks"]) => `${m.map((k) => k.keepProb)}`;
    if (masks.some((m) => kinds(m) !== kinds(masks[0]))) {
      throw new TraceError(
        "Cannot record a program whose random masks follow a size: " +
          `their number or probabilities differ between ${this.#probes.map(show).join("; ")}`,
      );
    }
    const keepMasks = masks[0].map((_, i) =>
      this.input(masks.map((m) => m[i].value), `keep mask ${i}`)
    );
    const live = this.#graphs.map((g) => g.liveNodes());
    this.path(live);
    const nodes = live[0].map((_, i) => this.node(live.map((l) => l[i])));
    const outputs = first.outputs.map((o, i) =>
      this.value(this.#graphs.map((g) => g.outputs[i].value), `output ${o.name}`)
    );
    return { nodes, outputs, keepMasks };
  }
}

/**
 * The one graph that `graphs` are, with every size an expression.
 *
 * @param graphs The same program recorded at each probe
 * @param probes Values of the symbols at each recording
 * @throws {TraceError} If the recordings differ in more than sizes, or a size has no expression
 */
export function solveGraphs(graphs: readonly Graph[], probes: readonly Sizes[]): SolvedGraph {
  return new Alignment(graphs, probes).run();
}
