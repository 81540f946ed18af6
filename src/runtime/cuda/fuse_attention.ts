/**
 * Attention found in a graph, forwards and backwards, and put into operations of its own: scores are
 * neither stored nor moved then, and heads are read where they lie.
 *
 * @module
 */
import { canAttend } from "./attention_kernels.ts";
import { type BoundGraph, type BoundNode, type BoundValue, producerOf } from "./bound_graph.ts";
import { GraphBuilder, nextIdOf, usersOf, withoutDead } from "./rewrite_graph.ts";
import { baseOf } from "./views.ts";

/** From [B, H, S, E] to [B, S, H, E], and back. */
const HEADS_INSIDE = [0, 2, 1, 3];
/** Most tensors that may be added to the scores. */
const MOST_ADDENDS = 3;

/** What belongs to one attention. */
interface Match {
  readonly query: BoundValue;
  readonly key: BoundValue;
  readonly value: BoundValue;
  readonly addends: readonly BoundValue[];
  /** P · V */
  readonly out: BoundNode;
  readonly gradient?: GradientMatch;
}

interface GradientMatch {
  /** dO */
  readonly outGradient: BoundValue;
  readonly queryGradient: BoundNode;
  readonly keyGradient: BoundNode;
  readonly valueGradient: BoundNode;
  /** Gradient of the scores, if something else needs it too. */
  readonly scoreGradient?: BoundValue;
  /** All operations that it replaces. */
  readonly nodes: readonly BoundNode[];
}

const isProduct = (node: BoundNode | undefined, transA: number, transB: number): boolean =>
  node?.op === "MatMul" && Number(node.attributes.transA) === transA &&
  Number(node.attributes.transB) === transB;

class Finder {
  readonly #users: Map<number, BoundNode[]>;
  readonly #outputs: ReadonlySet<number>;

  constructor(graph: BoundGraph) {
    this.#users = usersOf(graph);
    this.#outputs = new Set(graph.outputs.map((o) => o.value.id));
  }

  users({ id }: BoundValue): readonly BoundNode[] {
    return this.#users.get(id) ?? [];
  }

  /** Terms of full scores: through additions of full size. */
  #terms(value: BoundValue, count: number): BoundValue[] {
    const node = producerOf(value);
    if (node?.op !== "Add" || value.count !== count) return [value];
    return node.inputs.flatMap((x) => this.#terms(x, count));
  }

  find(softmax: BoundNode): Match | undefined {
    const [z] = softmax.inputs, [p] = softmax.outputs;
    if (z.shape.length !== 4 || this.#outputs.has(p.id)) return undefined;
    const terms = this.#terms(z, z.count);
    const scores = terms.find((t) =>
      isProduct(producerOf(t), 0, 1) && `${t.shape}` === `${z.shape}`
    );
    if (!scores || terms.length - 1 > MOST_ADDENDS) return undefined;
    const [query, key] = producerOf(scores)!.inputs;
    const users = this.users(p);
    const out = users.find((n) => isProduct(n, 0, 0) && n.inputs[0] === p);
    if (!out) return undefined;
    const value = out.inputs[1], [batch, heads, queries, keys] = z.shape;
    const width = query.shape[3];
    const fits = [query, key, value].every((x) =>
      x.shape.length === 4 && x.shape[0] === batch && x.shape[1] === heads &&
      x.shape[3] === width
    );
    if (!fits || !canAttend({ batch, heads, queries, keys, width }, [])) return undefined;
    const match = { query, key, value, addends: terms.toSpliced(terms.indexOf(scores), 1), out };
    if (users.length === 1) return match;
    const gradient = this.#gradient(p, match);
    return gradient && { ...match, gradient };
  }

  #gradient(p: BoundValue, match: Match): GradientMatch | undefined {
    const { query, key, value, out } = match;
    const users = this.users(p).filter((n) => n !== out);
    const dv = users.find((n) => isProduct(n, 1, 0) && n.inputs[0] === p);
    if (!dv) return undefined;
    const outGradient = dv.inputs[1];
    const products = users.filter((n) => n.op === "Mul");
    const other = (n: BoundNode): BoundValue => n.inputs[0] === p ? n.inputs[1] : n.inputs[0];
    const g = products.find((n) => {
      const dp = producerOf(other(n));
      return isProduct(dp, 0, 1) && dp!.inputs[0] === outGradient && dp!.inputs[1] === value;
    });
    const rest = products.find((n) => n !== g);
    if (!g || !rest || users.length !== 3 || this.users(other(g)).length !== 1) return undefined;
    // Σ over the keys, in the same shape but for the last axis.
    const sum = producerOf(baseOf(other(rest)));
    if (sum?.op !== "ReduceSum" || sum.inputs[0] !== g.outputs[0]) return undefined;
    const ds = this.users(rest.outputs[0])[0];
    const isDifference = ds?.op === "Sub" && ds.inputs[0] === g.outputs[0] &&
      ds.inputs[1] === rest.outputs[0] && this.users(rest.outputs[0]).length === 1 &&
      this.users(g.outputs[0]).length === 2;
    if (!isDifference) return undefined;
    const [score] = ds.outputs, scoreUsers = this.users(score);
    const dq = scoreUsers.find((n) =>
      isProduct(n, 0, 0) && n.inputs[0] === score && n.inputs[1] === key
    );
    const dk = scoreUsers.find((n) =>
      isProduct(n, 1, 0) && n.inputs[0] === score && n.inputs[1] === query
    );
    if (!dq || !dk) return undefined;
    const isNeeded = scoreUsers.length > 2 || this.#outputs.has(score.id);
    return {
      outGradient,
      queryGradient: dq,
      keyGradient: dk,
      valueGradient: dv,
      scoreGradient: isNeeded ? score : undefined,
      nodes: [producerOf(other(g))!, dv, g, sum, rest, ds, dq, dk],
    };
  }

  /** The operation that puts [B, S, H·E] of all three side by side, if nothing else uses them. */
  joinOf(gradient: GradientMatch): BoundNode | undefined {
    let join: BoundNode | undefined;
    const parts = [gradient.queryGradient, gradient.keyGradient, gradient.valueGradient];
    for (const [i, { outputs: [part] }] of parts.entries()) {
      let v = part;
      for (;;) {
        const users = this.users(v);
        if (users.length !== 1 || this.#outputs.has(v.id)) return undefined;
        const [user] = users;
        if (user.op === "Concat") {
          const isHere = user.inputs.length === 3 && user.inputs[i] === v &&
            (!join || join === user);
          if (!isHere) return undefined;
          join = user;
          break;
        }
        const isMove = user.op === "Reshape" ||
          user.op === "Transpose" && v === part && `${user.attributes.perm}` === `${HEADS_INSIDE}`;
        if (!isMove || (v === part && user.op !== "Transpose")) return undefined;
        v = user.outputs[0];
      }
    }
    const [batch, heads, queries, width] = parts[0].outputs[0].shape;
    const keys = parts[1].outputs[0].shape[2];
    const shape = `${[batch * queries, 3 * heads * width]}`;
    return queries === keys && join && `${join.outputs[0].shape}` === shape ? join : undefined;
  }
}

/** Replaces attentions by operations of their own. */
class Fuser {
  readonly #finder: Finder;
  readonly #builder: GraphBuilder;
  readonly #forward = new Map<BoundNode, Match>();
  readonly #backward = new Map<BoundNode, Match>();
  readonly #gone = new Set<BoundNode>();
  /** What the forward operation of a match gave: O as [B, H, Q, E], and the statistics. */
  readonly #made = new Map<Match, { out: BoundValue; stats: BoundValue }>();

  constructor(graph: BoundGraph) {
    this.#finder = new Finder(graph);
    this.#builder = new GraphBuilder(nextIdOf(graph));
    for (const node of graph.nodes) {
      const match = node.op === "Softmax" ? this.#finder.find(node) : undefined;
      if (!match) continue;
      this.#forward.set(match.out, match);
      for (const n of match.gradient?.nodes ?? []) this.#backward.set(n, match);
    }
  }

  get isEmpty(): boolean {
    return this.#forward.size === 0;
  }

  #inside(x: BoundValue): BoundValue {
    const shape = HEADS_INSIDE.map((i) => x.shape[i]);
    return this.#builder.node("Transpose", [x], [{ dtype: "float32", shape }], {
      perm: HEADS_INSIDE,
    })[0];
  }

  #attend(match: Match): void {
    const builder = this.#builder, { query, key, value, addends, out } = match;
    const [batch, heads, queries, width] = query.shape;
    const [made, stats] = builder.node(
      "Attention",
      [query, key, value, ...addends].map((x) => builder.get(x)),
      [
        { dtype: "float32", shape: [batch, queries, heads, width] },
        { dtype: "float32", shape: [batch, heads, queries, 2] },
      ],
    );
    const back = this.#inside(made);
    builder.set(out.outputs[0], back);
    this.#made.set(match, { out: back, stats });
  }

  #differentiate(match: Match, gradient: GradientMatch): void {
    const builder = this.#builder, { query, key, value, addends } = match;
    const { out, stats } = this.#made.get(match)!;
    const [batch, heads, queries, width] = query.shape, keys = key.shape[2];
    const float = (shape: number[]) => ({ dtype: "float32" as const, shape });
    const join = this.#finder.joinOf(gradient);
    const score = gradient.scoreGradient;
    const results = builder.node(
      "AttentionGradient",
      [query, key, value, out, stats, gradient.outGradient, ...addends].map((x, i) =>
        i === 3 || i === 4 ? x : builder.get(x)
      ),
      [
        ...(join
          ? [float([batch, queries, 3, heads, width])]
          : [queries, keys, keys].map((rows) => float([batch, rows, heads, width]))),
        ...(score ? [float([batch, heads, queries, keys])] : []),
      ],
      { isJoined: Number(Boolean(join)), hasScores: Number(Boolean(score)) },
    );
    if (score) builder.set(score, results.at(-1)!);
    if (join) {
      const [like] = join.outputs;
      builder.set(like, builder.node("Reshape", [results[0]], [like])[0]);
      this.#gone.add(join);
      return;
    }
    const parts = [gradient.queryGradient, gradient.keyGradient, gradient.valueGradient];
    parts.forEach((node, i) => builder.set(node.outputs[0], this.#inside(results[i])));
  }

  /** The rest of the chain to a join is not needed, and can't be copied. */
  #isBehindJoin(node: BoundNode): boolean {
    return node.inputs.some((x) => !this.#builder.has(x));
  }

  build(graph: BoundGraph): BoundGraph {
    const builder = this.#builder, done = new Set<Match>();
    for (const node of graph.nodes) {
      const forward = this.#forward.get(node), backward = this.#backward.get(node);
      if (forward) this.#attend(forward);
      else if (backward) {
        if (!done.has(backward)) this.#differentiate(backward, backward.gradient!);
        done.add(backward);
      } else if (!this.#gone.has(node) && !this.#isBehindJoin(node)) builder.copy(node);
    }
    const outputs = graph.outputs.map(({ name, value }) => ({ name, value: builder.get(value) }));
    return withoutDead(builder.graph(outputs, graph));
  }
}

/**
 * A graph in which attentions are operations: `Attention` of queries, keys, values [B, H, S, E] and
 * what is added to the scores, with O as [B, Q, H, E] and row statistics; `AttentionGradient`, whose
 * gradients are [B, S, H, E], or side by side as [B, S, 3, H, E].
 */
export function fuseAttention(graph: BoundGraph): BoundGraph {
  const fuser = new Fuser(graph);
  return fuser.isEmpty ? graph : fuser.build(graph);
}
