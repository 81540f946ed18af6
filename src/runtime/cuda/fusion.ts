/** Which values are computed together in one kernel. @module */
import { type BoundValue, nodeOf } from "./bound_graph.ts";
import { NotFusable } from "./emitter.ts";
import { type Fold, foldKernels, reductionOf } from "./fold_kernel.ts";
import type { GeneratedKernel } from "./generated_kernel.ts";
import { loopKernel } from "./loop_kernel.ts";
import { rowKernel, type RowMember } from "./row_kernel.ts";
import { isSpecial } from "./special_kernels.ts";
import { isAttention, isReduction, isRowReduction, type StoredValues } from "./stored_values.ts";

/** How the members of a group are computed. */
export type GroupKind = "loop" | "row" | "fold" | "other";

/** Values that are computed in one kernel; or one operation that is none. */
export interface Group {
  /** How. */
  readonly kind: GroupKind;
  /** What, in an order in which each can be computed from those before. */
  readonly members: readonly BoundValue[];
  /** R, if it is of rows. */
  readonly rows: number;
  /** C, if it is of rows. */
  readonly columns: number;
}

/** What a group has become. */
export type GroupKernel = { kernel: GeneratedKernel } | { fold: Fold };

interface Draft {
  kind: GroupKind;
  members: BoundValue[];
  rows: number;
  columns: number;
  /** Groups it reads from. */
  needs: Set<Draft>;
  /** Values in memory that it reads. */
  reads: Set<BoundValue>;
}

/** Most members of a group. */
const MOST_MEMBERS = 16;
/** Most values that a group reads. */
const MOST_READS = 28;

/** Puts values into groups. */
export class Fusion {
  readonly #values: StoredValues;
  readonly #lanes: number;
  readonly #isFast: boolean;
  readonly #drafts: Draft[] = [];
  readonly #of = new Map<number, Draft>();
  /** Groups that read a value. */
  readonly #readers = new Map<number, Set<Draft>>();

  /**
   * @param values What is stored
   * @param options.lanes Most neighbours that a thread of a row kernel computes at a time
   * @param options.isFast Whether speed counts more than the last digits
   */
  constructor(values: StoredValues, { lanes, isFast }: { lanes: number; isFast: boolean }) {
    this.#isFast = isFast;
    this.#values = values;
    this.#lanes = lanes;
    for (const value of values.inOrder) {
      if (!this.#of.has(value.id)) this.#place(value);
    }
  }

  #kindOf(value: BoundValue): GroupKind {
    if (isReduction(value)) {
      if (reductionOf(value).operand.count === 0) return "other";
      return isRowReduction(value) ? "row" : "fold";
    }
    const node = nodeOf(value);
    const isOther = node.op === "MatMul" || isAttention(node) || isSpecial(node.op);
    return isOther ? "other" : "loop";
  }

  #draft(value: BoundValue): Draft {
    const kind = this.#kindOf(value), rows = value.count;
    let columns = 1;
    if (kind === "row") columns = rows ? reductionOf(value).operand.count / rows : 1;
    const members = kind === "other" ? [...nodeOf(value).outputs] : [value];
    return { kind, members, rows, columns, needs: new Set(), reads: new Set() };
  }

  /** Values in memory that computing `value` needs. */
  #readsOf(value: BoundValue): ReadonlySet<BoundValue> {
    const node = nodeOf(value), product = this.#values.products.get(node);
    if (product) return new Set([product.a.base, product.b.base]);
    const attention = this.#values.attentions.get(node);
    if (attention) {
      const { heads, addends, stats } = attention;
      return new Set([...[...heads, ...addends].map((x) => x.base), ...(stats ? [stats] : [])]);
    }
    return this.#values.readsOf(value);
  }

  /** Whether `from` has to wait for `to`. */
  #dependsOn(from: Draft, to: Draft): boolean {
    const seen = new Set<Draft>(), stack = [from];
    for (let d = stack.pop(); d; d = stack.pop()) {
      if (d === to) return true;
      if (seen.has(d)) continue;
      seen.add(d);
      stack.push(...d.needs);
    }
    return false;
  }

  #register(draft: Draft, value: BoundValue): void {
    this.#of.set(value.id, draft);
    for (const read of this.#readsOf(value)) {
      const other = this.#of.get(read.id);
      if (other === draft) continue;
      draft.reads.add(read);
      if (other) draft.needs.add(other);
      if (!this.#readers.has(read.id)) this.#readers.set(read.id, new Set());
      this.#readers.get(read.id)!.add(draft);
    }
  }

  #place(value: BoundValue): void {
    const own = this.#draft(value);
    if (own.kind !== "other" && value.count > 0) {
      for (const draft of this.#candidates(value, own)) {
        if (this.#tryJoin(draft, own, value)) return;
      }
    }
    this.#drafts.push(own);
    for (const v of own.members) this.#register(own, v);
  }

  /** Groups that have something in common with a value, the best first. */
  #candidates(value: BoundValue, own: Draft): Draft[] {
    const gains = new Map<Draft, number>();
    const gain = (d: Draft, elements: number): unknown =>
      d.kind !== "other" && gains.set(d, (gains.get(d) ?? 0) + elements);
    const reads = this.#readsOf(value);
    for (const read of reads) {
      const producer = this.#of.get(read.id);
      if (producer) gain(producer, 2 * read.count);
      for (const reader of this.#readers.get(read.id) ?? []) gain(reader, read.count);
    }
    const fits = (d: Draft): boolean => {
      if (d.members.length >= MOST_MEMBERS || d.reads.size + reads.size > MOST_READS) return false;
      return this.#joined(d, own) !== undefined;
    };
    return [...gains].filter(([d]) => fits(d)).sort((a, b) => b[1] - a[1]).slice(0, 4)
      .map(([d]) => d);
  }

  /** Kind and sizes of a group of both, if there is such a group. */
  #joined(d: Draft, own: Draft): Pick<Draft, "kind" | "rows" | "columns"> | undefined {
    const { kind, rows, columns } = d, [value] = own.members;
    if (kind === "fold" || own.kind === "fold") {
      if (kind !== own.kind) return undefined;
      const [a, b] = [reductionOf(d.members[0]), reductionOf(value)];
      const isSame = `${a.operand.shape}` === `${b.operand.shape}` && `${a.axes}` === `${b.axes}` &&
        a.op === b.op && d.members[0].dtype === value.dtype;
      return isSame ? { kind, rows, columns } : undefined;
    }
    if (own.kind === "row") {
      const isRow = kind === "row" && rows === own.rows && columns === own.columns;
      const isLoop = kind === "loop" && d.members[0].count === own.rows * own.columns;
      return isRow || isLoop ? { kind: "row", rows: own.rows, columns: own.columns } : undefined;
    }
    if (kind === "loop") {
      const isSame = d.members[0].count === value.count &&
        d.members[0].shape.at(-1) === value.shape.at(-1);
      return isSame ? { kind, rows, columns } : undefined;
    }
    const fits = value.count === rows * columns || value.count === rows;
    return kind === "row" && fits ? { kind, rows, columns } : undefined;
  }

  #tryJoin(draft: Draft, own: Draft, value: BoundValue): boolean {
    for (const read of this.#readsOf(value)) {
      const other = this.#of.get(read.id);
      if (other && other !== draft && this.#dependsOn(other, draft)) return false;
    }
    const joined = this.#joined(draft, own)!;
    const members = [...draft.members, value];
    try {
      this.#generate({ ...joined, members }, () => true);
    } catch (error) {
      if (error instanceof NotFusable) return false;
      throw error;
    }
    Object.assign(draft, joined, { members });
    this.#register(draft, value);
    return true;
  }

  #generate(group: Group, isStored: (v: BoundValue) => boolean): GroupKernel {
    const { readsOf } = this.#values;
    // What only members of a loop need is computed on the way.
    const isGone = new Set(
      group.kind === "loop" ? group.members.filter((v) => !isStored(v)).map((v) => v.id) : [],
    );
    const storageOf = (v: BoundValue) => isGone.has(v.id) ? undefined : this.#values.storageOf(v);
    const written = (value: BoundValue) => ({ value, storage: storageOf(value)! });
    if (group.kind === "fold") {
      const reads = group.members.flatMap((v) => [...readsOf(v)]);
      const isHalf = reads.some((v) => storageOf(v) === "bfloat16");
      return {
        fold: foldKernels(group.members, storageOf, {
          preferred: isHalf ? "bfloat16" : "float32",
          isFast: this.#isFast,
        }),
      };
    }
    if (group.kind === "loop") {
      const members = group.members.filter((v) => !isGone.has(v.id));
      return { kernel: loopKernel(members.map(written), storageOf, this.#isFast) };
    }
    const { rows, columns } = group;
    const kindOf = (v: BoundValue): RowMember["kind"] =>
      isReduction(v) ? "reduction" : v.count === rows * columns ? "column" : "row";
    return {
      kernel: rowKernel(
        group.members.map((value) => ({
          ...written(value),
          kind: kindOf(value),
          isStored: isStored(value),
        })),
        { rows, columns, lanes: this.#lanes, isFast: this.#isFast, storageOf, readsOf },
      ),
    };
  }

  /** Whether a value is needed outside its group. */
  #isNeeded(value: BoundValue, outputs: ReadonlySet<number>): boolean {
    if (outputs.has(value.id)) return true;
    const own = this.#of.get(value.id);
    return [...this.#readers.get(value.id) ?? []].some((d) => d !== own);
  }

  /** Groups in an order in which they can run, close to the order of recording. */
  groups(): Group[] {
    const position = new Map(this.#drafts.map((d, i) => [d, i]));
    const waiting = new Map<Draft, number>(), users = new Map<Draft, Draft[]>();
    for (const d of this.#drafts) {
      waiting.set(d, d.needs.size);
      for (const n of d.needs) users.set(n, [...users.get(n) ?? [], d]);
    }
    const ready = this.#drafts.filter((d) => d.needs.size === 0).map((d) => position.get(d)!);
    const out: Draft[] = [];
    while (ready.length) {
      let best = 0;
      for (let i = 1; i < ready.length; i++) if (ready[i] < ready[best]) best = i;
      const draft = this.#drafts[ready.splice(best, 1)[0]];
      out.push(draft);
      for (const user of users.get(draft) ?? []) {
        const left = waiting.get(user)! - 1;
        waiting.set(user, left);
        if (left === 0) ready.push(position.get(user)!);
      }
    }
    return out;
  }

  /**
   * The kernel of a group.
   *
   * @param group One that computes elements or reductions
   */
  kernelOf(group: Group): GroupKernel {
    const outputs = new Set(this.#values.outputs.map((o) => o.value.id));
    const isStored = (v: BoundValue): boolean => this.#isNeeded(v, outputs);
    return this.#generate(group, isStored);
  }
}
