/**
 * Kernels that reduce rows and use what comes out: several threads share a row, run through it once
 * for every reduction that needs the one before, and keep in registers what they read again.
 *
 * @module
 */
import type { BoundValue } from "./bound_graph.ts";
import { type Coordinate, laneText, Position } from "./coordinates.ts";
import { Emitter, NotFusable, type Persistence, REGISTERS, type StorageType } from "./emitter.ts";
import { reductionOf } from "./fold_kernel.ts";
import { type GeneratedKernel, IDENTITY, kernelText, type Written } from "./generated_kernel.ts";

/** What a row kernel computes. */
export interface RowMember extends Written {
  /** An element of each position, one number of each row, or the reduction of a row. */
  readonly kind: "column" | "row" | "reduction";
  /** Whether others than the members need it. */
  readonly isStored: boolean;
}

/** What a row kernel is made from. */
export interface RowKernelOptions {
  /** R */
  readonly rows: number;
  /** C, elements of a row. */
  readonly columns: number;
  /** Most lanes of a thread. */
  readonly lanes: number;
  /** Whether speed counts more than the last digits. */
  readonly isFast: boolean;
  /** How values lie in memory. */
  readonly storageOf: (value: BoundValue) => StorageType | undefined;
  /** Values in memory, or of members, that a value is computed from. */
  readonly readsOf: (value: BoundValue) => ReadonlySet<BoundValue>;
}

/** Floats of each thread that may be kept from one loop to the next. */
const KEPT_FLOATS = 72;

const powerAbove = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

/** Threads of a row, rounds of each, rows of a block. */
function shapeOf(chunks: number): { threads: number; rounds: number; rowsOfBlock: number } {
  const threads = chunks <= 32
    ? powerAbove(chunks)
    : chunks <= 128
    ? 32
    : Math.min(512, powerAbove(chunks / 8));
  return {
    threads,
    rounds: Math.ceil(chunks / threads),
    rowsOfBlock: threads <= 32 ? 256 / threads : 1,
  };
}

/** Where the columns begin. */
function columnAxis(shape: readonly number[], columns: number): number {
  let axis = shape.length, product = 1;
  while (product < columns && axis > 0) product *= shape[--axis];
  if (product !== columns) throw new NotFusable();
  return axis;
}

/** The loop in which each member is computed, or before which, for numbers of rows. */
function loopsOf(
  members: readonly RowMember[],
  readsOf: RowKernelOptions["readsOf"],
): { at: Map<number, number>; count: number } {
  const kinds = new Map(members.map((m) => [m.value.id, m.kind]));
  const at = new Map<number, number>();
  let count = 0;
  for (const { value, kind } of members) {
    let loop = 0;
    for (const { id } of readsOf(value)) {
      const other = kinds.get(id);
      if (!other) continue;
      if (!at.has(id)) throw new NotFusable();
      if (kind === "row" && other === "column") throw new NotFusable();
      loop = Math.max(loop, at.get(id)! + (other === "reduction" ? 1 : 0));
    }
    at.set(value.id, loop);
    if (kind !== "row") count = Math.max(count, loop + 1);
  }
  return { at, count };
}

class RowWriter {
  readonly #members: readonly RowMember[];
  readonly #options: RowKernelOptions;
  readonly #stored: readonly RowMember[];
  readonly #shape: { threads: number; rounds: number; rowsOfBlock: number };
  readonly #lanes: number;

  constructor(members: readonly RowMember[], options: RowKernelOptions) {
    this.#members = members;
    this.#options = options;
    this.#stored = members.filter((m) => m.isStored);
    let lanes = options.lanes;
    while (options.columns % lanes !== 0) lanes /= 2;
    this.#lanes = lanes;
    this.#shape = shapeOf(options.columns / lanes);
  }

  #row(e: Emitter, value: BoundValue): Position {
    if (value.count !== this.#options.rows) throw new NotFusable();
    const at: Coordinate = { text: "r", use: "same", bound: this.#options.rows };
    return Position.of(e.math, value.shape, at);
  }

  #column(e: Emitter, { shape, count }: BoundValue): Position {
    const { rows, columns } = this.#options;
    if (count !== rows * columns) throw new NotFusable();
    const r: Coordinate = { text: "r", use: "same", bound: rows };
    const c: Coordinate = {
      text: "c",
      use: this.#lanes > 1 ? "counts" : "same",
      bound: columns,
    };
    return Position.ofTwo(e.math, shape, columnAxis(shape, columns), [r, c]);
  }

  /** `isRow && …` where some threads have no row of their own. */
  #guard(text: string): string {
    return this.#shape.rowsOfBlock > 1 ? `if (isRow) ${text}` : text;
  }

  #nameOf(member: RowMember): string {
    return `q${this.#stored.indexOf(member)}`;
  }

  /** Numbers of rows that can be computed before loop `k`. */
  #rows(e: Emitter, wanted: readonly RowMember[]): string[] {
    return wanted.flatMap((member) => {
      const position = this.#row(e, member.value), text = e.evaluate(member.value, position);
      e.define(member.value, position, text);
      if (!member.isStored) return [];
      const test = this.#shape.rowsOfBlock > 1 ? "isRow && lane == 0" : "lane == 0";
      return [`if (${test}) write(${this.#nameOf(member)} + r, ${text});`];
    });
  }

  /** The statements of the kernel; `persistence` finds out or says what to keep. */
  write(persistence?: Persistence): { body: string[]; e: Emitter } {
    const { storageOf, readsOf, rows, columns } = this.#options;
    const { rounds, threads } = this.#shape, lanes = this.#lanes;
    const values = this.#members.map((m) => m.value);
    const e = new Emitter(lanes, storageOf, {
      members: values,
      isFast: this.#options.isFast,
      persistence,
    });
    if (rows * columns > 2 ** 31 - 1) e.isWide = true;
    const { at, count } = loopsOf(this.#members, readsOf);
    const of = (loop: number, kind: RowMember["kind"]): RowMember[] =>
      this.#members.filter((m) => m.kind === kind && at.get(m.value.id) === loop);
    const out: string[] = [];
    const isEven = rounds * threads * lanes === columns;
    for (let loop = 0; loop < count; loop++) {
      const rowStores = this.#rows(e, of(loop, "row"));
      const head: string[] = [],
        inLanes: string[] = [],
        stores: string[] = [],
        after: string[] = [];
      const known: { member: RowMember; name: string }[] = [];
      // In the order of the members: a column may read another one of this loop, and so may a reduction.
      for (const member of this.#members) {
        if (at.get(member.value.id) !== loop || member.kind === "row") continue;
        const { value } = member;
        if (member.kind === "column") {
          const position = this.#column(e, value), text = e.evaluate(value, position);
          e.define(value, position, text);
          if (!member.isStored) continue;
          const q = this.#nameOf(member), address = position.linear();
          if (lanes > 1 && address.use === "counts") {
            head.push(`${REGISTERS[member.storage]} y${q}[V];`);
            inLanes.push(`y${q}[l] = ${text};`);
            stores.push(this.#guard(`writePack<V>(${q} + ${address.text}, y${q});`));
          } else inLanes.push(this.#guard(`write(${q} + ${laneText(address)}, ${text});`));
          continue;
        }
        const { op: kind, operand: x } = reductionOf(value);
        const type = value.dtype === "int32" ? "int32" : "float32";
        const name = e.fresh("s"), cType = type === "int32" ? "int" : "float";
        const text = e.read(x, this.#column(e, x));
        out.push(`${cType} ${name} = ${IDENTITY[kind][type]};`);
        inLanes.push(`${name} = ${kind}::of(${name}, ${text});`);
        after.push(`${name} = across<${kind}, ${threads}>(${name});`);
        if (member.isStored) {
          const test = this.#shape.rowsOfBlock > 1 ? "isRow && lane == 0" : "lane == 0";
          after.push(`if (${test}) write(${this.#nameOf(member)} + r, ${name});`);
        }
        known.push({ member, name });
      }
      const { row, before, body } = e.startLoop();
      out.push(
        ...row,
        ...rowStores,
        rounds <= 16 ? "#pragma unroll" : "#pragma unroll 1",
        "for (int j = 0; j < NV; j++) {",
        `const Index c = (j * ${threads} + lane) * V;`,
        ...(isEven ? [] : [`if (c < ${columns}) {`]),
        ...head,
        ...before,
        ...(lanes > 1 ? ["#pragma unroll", "for (int l = 0; l < V; l++) {"] : []),
        ...body,
        ...inLanes,
        ...(lanes > 1 ? ["}"] : []),
        ...stores,
        ...(isEven ? [] : ["}"]),
        "}",
        ...after,
      );
      for (const { member: { value }, name } of known) {
        e.define(value, this.#row(e, value), name);
      }
    }
    const last = this.#rows(e, of(count, "row"));
    out.push(...e.startLoop().row, ...last);
    return { body: out, e };
  }

  /** What fits the registers: all, or what would have to be read from memory again, or nothing. */
  #affordable(wanted: ReadonlyMap<string, boolean>): Map<string, boolean> {
    const fits = (n: number): boolean => n * this.#shape.rounds * this.#lanes <= KEPT_FLOATS;
    if (fits(wanted.size)) return new Map(wanted);
    const loads = [...wanted].filter(([, isLoad]) => isLoad);
    return new Map(fits(loads.length) ? loads : []);
  }

  kernel(): GeneratedKernel {
    const { rows } = this.#options, { threads, rounds, rowsOfBlock } = this.#shape;
    const persistence = (wanted: Map<string, boolean>, isProbe: boolean): Persistence => ({
      wanted,
      isProbe,
      seen: new Map(),
      loads: new Set(),
      kept: new Map(),
      declarations: [],
    });
    const probe = persistence(new Map(), true);
    let { body, e } = this.write(probe);
    let declarations: string[] = [];
    if (probe.wanted.size) {
      const kept = persistence(this.#affordable(probe.wanted), false);
      ({ body, e } = this.write(kept));
      declarations = kept.declarations;
    }
    const blockThreads = rowsOfBlock > 1 ? 256 : threads;
    const place = rowsOfBlock > 1
      ? [
        `const long long at = (long long)blockIdx.x * ${rowsOfBlock} + threadIdx.x / ${threads};`,
        "const bool isRow = at < n;",
        "const Index r = (Index)(isRow ? at : n - 1);",
        `const int lane = threadIdx.x % ${threads};`,
      ]
      : ["const Index r = (Index)blockIdx.x;", "const int lane = threadIdx.x;"];
    const text = kernelText({
      reads: e.buffers,
      writes: this.#stored,
      threads: blockThreads,
      isWide: e.isWide,
      body: [
        `constexpr int V = ${this.#lanes};`,
        `constexpr int NV = ${rounds};`,
        ...place,
        ...declarations,
        ...body,
      ],
    });
    return {
      text,
      reads: e.buffers,
      writes: this.#stored,
      n: rows,
      grid: [Math.ceil(rows / rowsOfBlock), 1, 1],
      threads: blockThreads,
      hasBarriers: true,
    };
  }
}

/**
 * A kernel that reduces rows and computes what depends on the results.
 *
 * @param members What it computes, in an order in which each can be computed from those before
 * @param options Sizes, and how values lie in memory
 * @throws {NotFusable} If a thread needs what another one computes
 */
export function rowKernel(
  members: readonly RowMember[],
  options: RowKernelOptions,
): GeneratedKernel {
  return new RowWriter(members, options).kernel();
}
