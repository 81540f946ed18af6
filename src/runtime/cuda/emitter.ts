/**
 * Values as C++ statements. A kernel asks for what it stores; what that is computed from, back to what
 * lies in memory, is written into the kernel.
 *
 * @module
 */
import { KernelError } from "../../errors.ts";
import type { BoundValue } from "./bound_graph.ts";
import { type Coordinate, Coordinates, laneText, Position } from "./coordinates.ts";
import { expressionOf, isElementwise, literal, REGISTER_TYPE } from "./expressions.ts";
import { isTransparent, readMovement } from "./movements.ts";

/** How a value is stored. */
export type StorageType = "float32" | "bfloat16" | "int32" | "bool";

/** The C++ type of a stored number. */
export const MEMORY_TYPE: Readonly<Record<StorageType, string>> = {
  float32: "float",
  bfloat16: "Bf16",
  int32: "int",
  bool: "Bool",
};

/** Bytes of a stored number. */
export const MEMORY_BYTES: Readonly<Record<StorageType, number>> = {
  float32: 4,
  bfloat16: 2,
  int32: 4,
  bool: 1,
};

/** The C++ type in registers of a stored number. */
export const REGISTERS: Readonly<Record<StorageType, string>> = {
  float32: "float",
  bfloat16: "float",
  int32: "int",
  bool: "bool",
};

/** Thrown when a value can't be computed in the kernel at hand, because another thread has what it needs. */
export class NotFusable extends Error {}

/** A pointer parameter of a kernel. */
export interface Buffer {
  /** What is there; undefined for the keys of random masks. */
  readonly value?: BoundValue;
  /** C++ name. */
  readonly name: string;
  /** How it is stored; undefined for the keys. */
  readonly storage?: StorageType;
}

/** A stretch of code and what is known in it. */
interface Scope {
  readonly lines: string[];
  readonly known: Map<string, string>;
}

const newScope = (): Scope => ({ lines: [], known: new Map() });

/** Values that one loop of a kernel computes and another one reads again. */
export interface Persistence {
  /** Keys of values to keep in registers, and whether each is read from memory. */
  readonly wanted: Map<string, boolean>;
  /** Whether the writing only finds out what is wanted: what it writes is no code then. */
  readonly isProbe: boolean;
  /** Loop in which a value was asked for first. */
  readonly seen: Map<string, number>;
  /** Values that were read from memory. */
  readonly loads: Set<string>;
  /** Where a value is kept. */
  readonly kept: Map<string, string>;
  /** Declarations of what is kept. */
  readonly declarations: string[];
}

/** What a member of a kernel is called there. */
interface Member {
  readonly address: string;
  readonly text: string;
  readonly loop: number;
}

/** Writes the statements of one kernel. */
export class Emitter {
  /** Arithmetic on coordinates. */
  readonly math: Coordinates;
  /** Memory that is read, in the order of first use. */
  readonly buffers: Buffer[] = [];
  /** Whether a number of elements does not fit 31 bits. */
  isWide = false;
  readonly #storageOf: (value: BoundValue) => StorageType | undefined;
  readonly #members = new Map<number, Member>();
  readonly #pending = new Set<number>();
  readonly #persistence?: Persistence;
  readonly #isFast: boolean;
  #row: Scope;
  #before: Scope;
  #body: Scope;
  #branches: Scope[] = [];
  #wideBranches = 0;
  #loopNames: Set<string>;
  #nextName = 0;
  #loop = 0;

  /**
   * @param lanes V
   * @param storageOf How a value lies in memory; undefined if it does not
   * @param options Members that are not computed yet, whether speed counts more than the last digits, and
   * what is kept from loop to loop
   */
  constructor(
    lanes: number,
    storageOf: (value: BoundValue) => StorageType | undefined,
    options: { members: readonly BoundValue[]; isFast: boolean; persistence?: Persistence },
  ) {
    this.#isFast = options.isFast;
    this.math = new Coordinates(lanes);
    this.#storageOf = storageOf;
    for (const { id } of options.members) this.#pending.add(id);
    this.#persistence = options.persistence;
    this.#row = newScope();
    this.#before = newScope();
    this.#body = newScope();
    this.#loopNames = new Set(["c", "t", "l", "j"]);
  }

  /** Start another loop; what was known in the last one is forgotten. */
  startLoop(): { row: string[]; before: string[]; body: string[] } {
    const done = { row: this.#row.lines, before: this.#before.lines, body: this.#body.lines };
    this.#row = { lines: [], known: this.#row.known };
    this.#before = newScope();
    this.#body = newScope();
    this.#loop++;
    return done;
  }

  /** A name that was not used yet. */
  fresh(prefix = "v"): string {
    return `${prefix}${this.#nextName++}`;
  }

  /** Say what a member is called from now on. */
  define(value: BoundValue, position: Position, text: string): void {
    this.#pending.delete(value.id);
    this.#members.set(value.id, { address: addressOf(position), text, loop: this.#loop });
  }

  get #isBranching(): boolean {
    return this.#branches.length > 0 || this.#wideBranches > 0;
  }

  #find(key: string): string | undefined {
    for (const scope of [...this.#branches].reverse()) {
      const found = scope.known.get(key);
      if (found) return found;
    }
    return this.#body.known.get(key) ?? this.#before.known.get(key) ?? this.#row.known.get(key);
  }

  /** Whether a position is the same in all rounds of a loop. */
  #isRowWide(position: Position): boolean {
    const names = position.key.match(/[a-z]\w*/g) ?? [];
    return position.use === "same" && !names.some((n) => this.#loopNames.has(n));
  }

  #scopeOf(position: Position): Scope {
    const branch = this.#branches.at(-1);
    if (branch) return branch;
    if (position.use !== "same") return this.#body;
    return this.#isRowWide(position) ? this.#row : this.#before;
  }

  /** Give a computed number a name. */
  #assign(key: string, position: Position, type: string, text: string): string {
    const scope = this.#scopeOf(position), seen = this.#persistence?.seen;
    if (seen && !seen.has(key)) seen.set(key, this.#loop);
    const name = this.fresh();
    scope.lines.push(`const ${type} ${name} = ${text};`);
    if (scope !== this.#row) this.#loopNames.add(name);
    scope.known.set(key, name);
    this.#keepIfWanted(key, position, { type, name, scope });
    return name;
  }

  /** Keep a number for later loops, if one of them reads it again. */
  #keepIfWanted(
    key: string,
    position: Position,
    { type, name, scope }: { type: string; name: string; scope: Scope },
  ): void {
    if (!this.#persistence?.wanted.has(key) || scope === this.#row || this.#isBranching) return;
    const at = this.math.lanes > 1 && position.use !== "same" ? "[j][l]" : "[j][0]";
    const kept = this.fresh("k");
    this.#persistence.declarations.push(`${type} ${kept}[NV][V];`);
    this.#persistence.kept.set(key, `${kept}${at}`);
    scope.lines.push(`${kept}${at} = ${name};`);
  }

  /** What an earlier loop kept, if it is to be had. */
  #earlier(key: string, position: Position): string | undefined {
    const persistence = this.#persistence;
    if (!persistence || this.#isBranching || this.#isRowWide(position)) return undefined;
    const kept = persistence.kept.get(key);
    if (kept) return kept;
    const first = persistence.seen.get(key);
    if (first === undefined) persistence.seen.set(key, this.#loop);
    else if (first < this.#loop && persistence.isProbe) {
      persistence.wanted.set(key, persistence.loads.has(key));
      return "0";
    }
    return undefined;
  }

  #buffer(value: BoundValue | undefined, storage?: StorageType): string {
    const found = this.buffers.find((b) => b.value?.id === value?.id);
    if (found) return found.name;
    const name = `p${this.buffers.length}`;
    this.buffers.push({ value, name, storage });
    return name;
  }

  #note(c: Coordinate): Coordinate {
    if (c.bound > 2 ** 31 - 1) this.isWide = true;
    return c;
  }

  /** A number in memory. */
  #load(key: string, value: BoundValue, position: Position, storage: StorageType): string {
    this.#persistence?.loads.add(key);
    const at = this.#note(position.linear());
    const buffer = this.#buffer(value, storage), type = REGISTER_TYPE[value.dtype];
    if (at.use === "counts" && !this.#branches.length) {
      const isKept = this.#persistence?.wanted.has(key) && !this.#wideBranches;
      const name = this.fresh(isKept ? "k" : "x");
      const pack = isKept ? `${name}[j]` : name;
      if (isKept) {
        this.#persistence!.declarations.push(`${type} ${name}[NV][V];`);
        this.#persistence!.kept.set(key, `${name}[j][l]`);
      } else this.#before.lines.push(`${type} ${name}[V];`);
      this.#before.lines.push(`readPack<V>(${pack}, ${buffer} + ${at.text});`);
      this.#before.known.set(key, `${pack}[l]`);
      return `${pack}[l]`;
    }
    return this.#assign(key, position, type, `read(${buffer} + ${laneText(at)})`);
  }

  /** A number of a random mask. */
  #mask(
    key: string,
    position: Position,
    { site, keepProb }: { site: number; keepProb: number },
  ): string {
    const last = Math.ceil(keepProb * 2 ** 32) - 1;
    if (!(last >= 0)) return "0.0f";
    const at = this.#note(position.linear());
    const keys = `${this.#buffer(undefined)} + ${4 * site}`;
    if (at.use === "counts" && this.math.lanes % 4 === 0 && !this.#branches.length) {
      const name = this.fresh("x");
      this.#before.lines.push(
        `float ${name}[V];`,
        `keepPack<V>(${name}, ${at.text}, ${keys}, ${last}u);`,
      );
      this.#before.known.set(key, `${name}[l]`);
      return `${name}[l]`;
    }
    return this.#assign(key, position, "float", `keep(${laneText(at)}, ${keys}, ${last}u)`);
  }

  /**
   * The number of `value` at `position`, as C++ text.
   *
   * @throws {NotFusable} If another thread of the kernel computes it
   */
  read(value: BoundValue, position: Position): string {
    const { source, dtype } = value;
    if (source.kind === "uniform") return literal(source.value, dtype);
    if (source.kind === "numbers" && value.count === 1) return literal(source.numbers[0], dtype);
    const member = this.#members.get(value.id);
    if (member) {
      if (member.address !== addressOf(position)) throw new NotFusable();
      if (member.loop === this.#loop || this.#isRowWide(position)) return member.text;
    } else if (this.#pending.has(value.id)) throw new NotFusable();
    const storage = member ? undefined : this.#storageOf(value);
    // What is only seen through is known by what lies behind.
    const isSeenThrough = source.kind === "node" && isTransparent(source.node.op);
    if (isSeenThrough && !storage) return this.evaluate(value, position);
    const key = `${value.id}@${position.key}`;
    const found = this.#find(key);
    if (found) return found;
    const earlier = this.#earlier(key, position);
    if (earlier) return earlier;
    if (source.kind === "mask") return this.#mask(key, position, source);
    if (storage) return this.#load(key, value, position, storage);
    return this.evaluate(value, position);
  }

  /** The same, computed here even if it lies in memory too. */
  evaluate(value: BoundValue, position: Position): string {
    const { source } = value;
    if (source.kind !== "node") throw new KernelError("Cannot compute what is no result");
    const { node, index } = source;
    if (!isElementwise(node.op)) {
      const moved = readMovement(this, node, index, position);
      if (moved !== undefined) return moved;
    }
    const args = node.inputs.map((x) => this.read(x, position.broadcast(x.shape)));
    return this.named(value, position, expressionOf(node, args, { isFast: this.#isFast }));
  }

  /** A number with a name, for what is computed from it. */
  named(value: BoundValue, position: Position, text: string): string {
    return this.#assign(
      `${value.id}@${position.key}`,
      position,
      REGISTER_TYPE[value.dtype],
      text,
    );
  }

  /**
   * A number that is computed in one of several ways.
   *
   * @param ways Conditions in order, the last one without; and what to compute
   */
  choose(
    value: BoundValue,
    position: Position,
    ways: readonly { condition?: string; read: () => string }[],
  ): string {
    const outer = this.#scopeOf(position), name = this.fresh();
    if (outer !== this.#row) this.#loopNames.add(name);
    outer.lines.push(`${REGISTER_TYPE[value.dtype]} ${name};`);
    ways.forEach(({ condition, read }, i) => {
      const scope = newScope();
      this.#branches.push(scope);
      let text: string;
      try {
        text = read();
      } finally {
        this.#branches.pop();
      }
      const test = condition ? `if (${condition}) ` : "";
      outer.lines.push(`${i ? "else " : ""}${test}{`, ...scope.lines, `${name} = ${text};`, "}");
    });
    const key = `${value.id}@${position.key}`;
    outer.known.set(key, name);
    this.#keepIfWanted(key, position, { type: REGISTER_TYPE[value.dtype], name, scope: outer });
    return name;
  }

  /**
   * The same, where all lanes of a thread go the same way: each way reads and computes V neighbours at
   * a time.
   */
  chooseWide(
    value: BoundValue,
    position: Position,
    ways: readonly { condition?: string; read: () => string }[],
  ): string {
    const outer = this.#before, outerBody = this.#body, name = this.fresh("x");
    outer.lines.push(`${REGISTER_TYPE[value.dtype]} ${name}[V];`);
    this.#wideBranches++;
    try {
      ways.forEach(({ condition, read }, i) => {
        const before = this.#before = newScope(), body = this.#body = newScope();
        const text = read(), test = condition ? `if (${condition}) ` : "";
        outer.lines.push(
          `${i ? "else " : ""}${test}{`,
          ...before.lines,
          "#pragma unroll",
          "for (int l = 0; l < V; l++) {",
          ...body.lines,
          `${name}[l] = ${text};`,
          "}",
          "}",
        );
      });
    } finally {
      this.#wideBranches--;
      this.#before = outer;
      this.#body = outerBody;
    }
    outer.known.set(`${value.id}@${position.key}`, `${name}[l]`);
    return `${name}[l]`;
  }

  /** Whether a branch in which all lanes go the same way can be written here. */
  get canBranchWide(): boolean {
    return this.math.lanes > 1 && !this.#branches.length;
  }
}

/** Where an element lies in memory, as text. */
function addressOf(position: Position): string {
  const { use, text } = position.linear();
  return `${use === "counts" ? "l+" : ""}${text}`;
}
