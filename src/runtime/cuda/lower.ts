/** From a graph of known sizes to steps on a device, and a plan of its memory. @module */
import type { DType } from "../../tensor/host_tensor.ts";
import type { TypedData } from "../../graph/mod.ts";
import { type BoundGraph, type BoundNode, type BoundValue, nodeOf } from "./bound_graph.ts";
import type { MatrixPrecision, MatrixType } from "./device.ts";
import { MEMORY_BYTES, type StorageType } from "./emitter.ts";
import { COMBINE_THREADS, type Fold } from "./fold_kernel.ts";
import { Fusion, type Group } from "./fusion.ts";
import type { GeneratedKernel } from "./generated_kernel.ts";
import { planMemory } from "./memory_plan.ts";
import { isSpecial, specialSteps } from "./special_kernels.ts";
import { accessesOf, type Place, placesOf, type Step } from "./step.ts";
import { attentionBackward, attentionForward } from "./attention_kernels.ts";
import { expandSoftmax } from "./expand_softmax.ts";
import { fuseAttention } from "./fuse_attention.ts";
import { stackProjections, type WeightOffsets } from "./stack_projections.ts";
import { isAttention, StoredValues } from "./stored_values.ts";
import { baseOf, type Operand } from "./views.ts";

/** A stretch of memory of a lowered program. */
export interface Slot {
  /** Its size. */
  readonly bytes: number;
  /**
   * Who fills it: the caller with an input, the loader with a table, the runner with the keys of random
   * masks; what steps write is an output, something kept from run to run, or passing.
   */
  readonly kind: "input" | "table" | "keys" | "output" | "kept" | "passing";
  /** Name of the input or output. */
  readonly name?: string;
  /** Content of a table. */
  readonly data?: TypedData;
}

/** An output of a lowered program. */
export interface LoweredOutput {
  readonly name: string;
  readonly slot: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A program as steps on a device. */
export interface LoweredProgram {
  /** Steps that depend on constants only: run once. */
  readonly once: readonly Step[];
  /** Steps of every run. */
  readonly steps: readonly Step[];
  /** Memory. */
  readonly slots: readonly Slot[];
  /** Offsets of the slots that are `"passing"`; others are undefined. */
  readonly offsets: readonly (number | undefined)[];
  /** Bytes of all that is passing. */
  readonly passingBytes: number;
  /** Outputs in order. */
  readonly outputs: readonly LoweredOutput[];
  /** Operations that were recorded. */
  readonly recordedCount: number;
}

/** Choices of {@linkcode lower}. */
export interface LowerOptions {
  /** Precision of matrix products, and with bfloat16 of what feeds them. */
  readonly precision: MatrixPrecision;
  /** Inputs that never change. */
  readonly constants?: ReadonlySet<string>;
  /** Inputs of which there is a copy in bfloat16, named by {@linkcode halfName}. */
  readonly halves?: ReadonlySet<string>;
  /** Where inputs lie, in elements of one vector that holds them all. */
  readonly offsets?: WeightOffsets;
}

class Lowering {
  readonly slots: Slot[] = [];
  readonly steps: Step[] = [];
  readonly #values: StoredValues;
  readonly #fusion: Fusion;
  readonly #slotOf = new Map<number, number>();
  readonly #outputNames = new Map<number, string>();
  readonly #tables = new Map<TypedData, number>();
  readonly #precision: MatrixPrecision;
  #keys?: number;

  constructor(graph: BoundGraph, { precision, halves }: LowerOptions) {
    this.#precision = precision;
    this.#values = new StoredValues(graph, precision, halves);
    this.#fusion = new Fusion(this.#values, {
      lanes: precision === "bfloat16" ? 8 : 4,
      isFast: precision !== "float32",
    });
    for (const { name, value } of this.#values.outputs) this.#outputNames.set(value.id, name);
    for (const group of this.#fusion.groups()) this.#add(group);
  }

  get outputs(): { name: string; value: BoundValue; slot: number }[] {
    return this.#values.outputs.map((o) => ({ ...o, slot: this.place(o.value).slot }));
  }

  #slot(slot: Slot): number {
    this.slots.push(slot);
    return this.slots.length - 1;
  }

  /** Where a value lies. */
  place(value: BoundValue): Place {
    const known = this.#slotOf.get(value.id);
    if (known !== undefined) return { slot: known };
    const { source } = value, storage = this.#values.storageOf(value)!;
    const bytes = value.count * MEMORY_BYTES[storage];
    let slot: number;
    if (source.kind === "input") {
      slot = this.#slot({ bytes, kind: "input", name: source.name });
    } else if (source.kind === "table") {
      slot = this.#tables.get(source.data) ??
        this.#slot({ bytes, kind: "table", data: source.data });
      this.#tables.set(source.data, slot);
    } else {
      const name = this.#outputNames.get(value.id);
      slot = this.#slot({ bytes, kind: name === undefined ? "passing" : "output", name });
    }
    this.#slotOf.set(value.id, slot);
    return { slot };
  }

  #scratch = (bytes: number): Place => ({ slot: this.#slot({ bytes, kind: "passing" }) });

  #reads(kernel: GeneratedKernel): Place[] {
    return kernel.reads.map(({ value }) => {
      if (value) return this.place(value);
      this.#keys ??= this.#slot({ bytes: 0, kind: "keys" });
      return { slot: this.#keys };
    });
  }

  #launch(kernel: GeneratedKernel, writes: readonly Place[], label: string): void {
    if (kernel.n === 0 || kernel.grid[0] === 0) return;
    const { text, grid, threads, hasBarriers, n } = kernel;
    const parameters = [...this.#reads(kernel), ...writes, n];
    this.steps.push({ kind: "kernel", text, parameters, grid, threads, hasBarriers, label });
  }

  #fold({ first, second, shares }: Fold): void {
    const outputs = first.writes.map((w) => this.place(w.value));
    if (!second) {
      this.#launch(first, outputs, "fold");
      return;
    }
    const parts = first.writes.map((w) => this.#scratch(w.value.count * 4 * shares));
    this.#launch(first, parts, "fold");
    parts.forEach((part, i) =>
      this.steps.push({
        kind: "kernel",
        text: second.text,
        parameters: [part, outputs[i], second.n],
        grid: [second.grid, 1, 1],
        threads: COMBINE_THREADS,
        hasBarriers: true,
        label: "fold: combine",
      })
    );
  }

  #product(node: BoundNode, precision: MatrixPrecision): void {
    const { a, b } = this.#values.products.get(node)!;
    const [out] = node.outputs;
    if (!out.count) return;
    const [m, n] = out.shape.slice(-2);
    const k = node.inputs[0].shape.at(node.attributes.transA ? -2 : -1)!;
    const batch = out.count / (m * n);
    const matrix = (o: Operand) => ({
      type: this.#values.storageOf(o.base) as MatrixType,
      rowStride: o.rowStride,
      batchStride: o.batchStride,
    });
    const c = {
      type: this.#values.storageOf(out) as MatrixType,
      rowStride: n,
      batchStride: m * n,
    };
    // One large product instead of many with the same right side.
    const isOne = batch > 1 && !a.isTransposed && b.batchStride === 0 &&
      a.batchStride === m * a.rowStride;
    const placeOf = (o: Operand): Place => {
      const offset = o.offset * MEMORY_BYTES[this.#values.storageOf(o.base)!];
      return { ...this.place(o.base), offset };
    };
    this.steps.push({
      kind: "product",
      product: {
        m: isOne ? m * batch : m,
        n,
        k,
        batch: isOne ? 1 : batch,
        transposeA: a.isTransposed,
        transposeB: b.isTransposed,
        a: matrix(a),
        b: matrix(b),
        c,
        precision,
        hasAddend: false,
      },
      a: placeOf(a),
      b: placeOf(b),
      c: this.place(out),
    });
  }

  #attention(node: BoundNode): void {
    const { heads, addends, stats } = this.#values.attentions.get(node)!;
    const [query, key] = node.inputs, [batch, count, queries, width] = query.shape;
    const sizes = { batch, heads: count, queries, keys: key.shape[2], width };
    const [q, k, v, out, outGradient] = heads.map(({ base, view }) => ({
      place: this.place(base),
      view,
    }));
    const added = addends.map(({ base, view }) => ({
      place: this.place(base),
      view: { ...view, storage: this.#values.storageOf(base)! },
    }));
    const results = node.outputs.map((value) => this.place(value));
    /** [B, S, H, E], or one of three beside each other in it. */
    const rows = (place: Place, length: number, part?: number) => {
      const row = count * width * (part === undefined ? 1 : 3);
      const offset = (part ?? 0) * count * width;
      return { place, view: { batch: length * row, head: width, row, offset } };
    };
    const tensors = { query: q, key: k, value: v, addends: added };
    if (!stats) {
      const [made, statistics] = results;
      const to = rows(made, queries);
      this.steps.push(attentionForward(sizes, { ...tensors, out: to, stats: statistics }));
      return;
    }
    const { isJoined, hasScores } = node.attributes;
    const gradients = [queries, sizes.keys, sizes.keys].map((length, i) =>
      isJoined ? rows(results[0], length, i) : rows(results[i], length)
    );
    this.steps.push(attentionBackward(sizes, {
      ...tensors,
      out,
      stats: this.place(stats),
      outGradient,
      queryGradient: gradients[0],
      keyGradient: gradients[1],
      valueGradient: gradients[2],
      scoreGradient: hasScores ? results.at(-1) : undefined,
    }));
  }

  /** A reduction of nothing. */
  #empty(value: BoundValue): void {
    const { op } = nodeOf(value);
    const identity = { ReduceProd: "1", ReduceMax: "-infinity()", ReduceMin: "infinity()" }[op];
    const to = this.place(value), bytes = value.count * 4;
    if (!identity) this.steps.push({ kind: "clear", to, bytes });
    else {
      this.steps.push({
        kind: "kernel",
        label: "fill",
        text: 'extern "C" __global__ void NAME(float* q0, long long n) {\n' +
          `for (long long i = threadIdx.x; i < n; i += 256) q0[i] = ${identity};\n}`,
        parameters: [to, value.count],
        grid: [1, 1, 1],
        threads: 256,
        hasBarriers: false,
      });
    }
  }

  #add(group: Group): void {
    const [value] = group.members;
    if (!value.count && group.kind !== "other") return;
    if (group.kind === "other") {
      const node = nodeOf(value);
      if (isSpecial(node.op)) {
        const storage = (v: BoundValue): StorageType => this.#values.storageOf(baseOf(v))!;
        this.steps.push(...specialSteps(node, {
          inputs: node.inputs.map((v) => ({ place: this.place(baseOf(v)), storage: storage(v) })),
          outputs: node.outputs.map((v) => this.place(v)),
          scratch: this.#scratch,
        }));
      } else if (isAttention(node)) this.#attention(node);
      else if (node.op === "MatMul") this.#product(node, this.#precisionOf(node));
      else this.#empty(value);
      return;
    }
    const made = this.#fusion.kernelOf(group);
    if ("fold" in made) this.#fold(made.fold);
    else {
      const { kernel } = made;
      this.#launch(kernel, kernel.writes.map((w) => this.place(w.value)), group.kind);
    }
  }

  #precisionOf(node: BoundNode): MatrixPrecision {
    const { a } = this.#values.products.get(node)!;
    return this.#values.storageOf(a.base) === "bfloat16" ? "bfloat16" : this.#precision;
  }
}

/**
 * Steps that compute a graph.
 *
 * @param bound What to compute
 * @param options Precision, and which inputs never change
 */
export function lower(bound: BoundGraph, options: LowerOptions): LoweredProgram {
  const { constants = new Set(), precision } = options;
  const stacked = stackProjections(bound, options.offsets ?? new Map());
  const graph = expandSoftmax(precision === "bfloat16" ? fuseAttention(stacked) : stacked);
  const lowering = new Lowering(graph, options);
  const { steps } = lowering, slots = [...lowering.slots];
  const outputs = lowering.outputs.map(({ name, value, slot }) => ({
    name,
    slot,
    dtype: value.dtype,
    shape: graph.outputs.find((o) => o.name === name)!.value.shape,
  }));
  // What is computed from constants only is computed once, and kept.
  const isConstant = slots.map((s) =>
    s.kind === "table" || s.kind === "input" && constants.has(s.name!)
  );
  const once: Step[] = [], always: Step[] = [];
  const accesses = steps.map(accessesOf);
  const writers = slots.map(() => 0);
  for (const { writes } of accesses) for (const { slot } of writes) writers[slot]++;
  steps.forEach((step, i) => {
    const { reads, writes } = accesses[i];
    const isOnce = reads.length > 0 && reads.every(({ slot }) => isConstant[slot]) &&
      writes.every(({ slot }) => slots[slot].kind === "passing" && writers[slot] === 1);
    (isOnce ? once : always).push(step);
    if (!isOnce) return;
    for (const { slot } of writes) {
      isConstant[slot] = true;
      slots[slot] = { ...slots[slot], kind: "kept" };
    }
  });
  const first = new Map<number, number>(), last = new Map<number, number>();
  always.forEach((step, i) => {
    for (const { slot } of placesOf(step)) {
      if (!first.has(slot)) first.set(slot, i);
      last.set(slot, i);
    }
  });
  const passing = slots.map((_, i) => i).filter((i) => slots[i].kind === "passing" && first.has(i));
  const { offsets, bytes } = planMemory(passing.map((i) => ({
    bytes: slots[i].bytes,
    first: first.get(i)!,
    last: last.get(i)!,
  })));
  const placed = Array<number | undefined>(slots.length).fill(undefined);
  passing.forEach((slot, k) => placed[slot] = offsets[k]);
  return {
    once,
    steps: always,
    slots,
    offsets: placed,
    passingBytes: bytes,
    outputs,
    recordedCount: graph.recordedCount,
  };
}
