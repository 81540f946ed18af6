/** Names and constants of an ONNX model, shared by all graphs in it. @module */
import type { HostTensor } from "../tensor/host_tensor.ts";
import type { TensorSpec } from "./onnx_proto.ts";
import type { TypedData } from "./value.ts";

/** The bytes of a typed array, not copied. */
export function bytesOf(a: TypedData | BigInt64Array | Uint16Array): Uint8Array {
  return new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
}

/** Names that no two things of a model share, subgraphs included. */
export class NamePool {
  readonly #taken: Set<string>;
  #next = 0;

  /** @param taken Names of inputs and outputs */
  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  /** `v0`, `v1`, … */
  fresh(): string {
    let name = `v${this.#next++}`;
    while (this.#taken.has(name)) name = `v${this.#next++}`;
    return name;
  }

  /** `wanted`, or with primes behind it if that name is taken. */
  claim(wanted: string): string {
    let name = wanted;
    while (this.#taken.has(name)) name += "'";
    this.#taken.add(name);
    return name;
  }
}

function isSameContent(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The constants of a model, each stored once. */
export class ConstantPool {
  /** What was asked for, in order. */
  readonly specs: TensorSpec[] = [];
  readonly #names: NamePool;
  readonly #made = new Map<string, string>();
  readonly #tables: Uint8Array[] = [];
  readonly #numbers = new Map<TypedData, number>();

  /** @param names Where new names come from */
  constructor(names: NamePool) {
    this.#names = names;
  }

  /** The name of a small constant that `key` identifies. */
  small(key: string, spec: Omit<TensorSpec, "name">): string {
    let name = this.#made.get(key);
    if (name === undefined) {
      this.#made.set(key, name = this.#names.fresh());
      this.specs.push({ name, ...spec });
    }
    return name;
  }

  /** The name of a table; equal content is stored once. */
  table(data: TypedData, spec: Pick<TensorSpec, "dtype" | "dims">): string {
    let number = this.#numbers.get(data);
    if (number === undefined) {
      const bytes = bytesOf(data);
      number = this.#tables.findIndex((t) => isSameContent(t, bytes));
      if (number < 0) number = this.#tables.push(bytes) - 1;
      this.#numbers.set(data, number);
    }
    const key = `table ${number} ${spec.dtype} [${spec.dims}]`;
    return this.small(key, { ...spec, data: this.#tables[number] });
  }

  /** Store the inputs of `constants` that a node uses, under their own names. */
  addUsed(used: ReadonlySet<string>, constants: Readonly<Record<string, HostTensor>>): void {
    for (const [name, { dtype, shape, data }] of Object.entries(constants)) {
      if (used.has(name)) this.specs.push({ name, dtype, dims: shape, data: bytesOf(data) });
    }
  }
}
