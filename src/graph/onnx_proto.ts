/** The few messages of the ONNX format that a graph needs, as protocol buffers. @module */
import type { Attribute, ElementType } from "./value.ts";

/** How a constant may be stored: as what it is, or in fewer bits. */
export type StoredType = ElementType | "float16" | "uint8";

/** Number of an element type in ONNX. */
export const ONNX_TYPE: Readonly<Record<StoredType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};
const IR_VERSION = 8;
const OPSET = 17;
/** Field numbers of AttributeProto.type. */
const FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, GRAPH = 5, INTS = 7;

/** A constant tensor. */
export interface TensorSpec {
  /** Its name; absent in an attribute. */
  name?: string;
  /** Element type. */
  dtype: StoredType;
  /** Sizes. */
  dims: readonly number[];
  /** Elements, little endian: the bytes, or where they stand in the data file. */
  data: Uint8Array | { fileName: string; offset: number; sizeBytes: number };
}

/** An input or output. A string as size is a symbol. */
export interface ValueSpec {
  /** Its name. */
  name: string;
  /** Element type. */
  dtype: ElementType;
  /** Sizes. */
  dims: readonly (number | string)[];
}

/** An attribute of a node: of a recorded one, a tensor, or a graph that may use the names around it. */
export type AttributeSpec = Attribute | { tensor: TensorSpec } | { graph: GraphSpec };

/** An operation. */
export interface NodeSpec {
  /** Operator. */
  op: string;
  /** Operator domain. */
  domain?: string;
  /** Names of operands. */
  inputs: readonly string[];
  /** Names of results. */
  outputs: readonly string[];
  /** Attributes. */
  attributes?: Readonly<Record<string, AttributeSpec>>;
}

/** A whole graph. */
export interface GraphSpec {
  /** Its name. */
  name: string;
  /** Operations in order. */
  nodes: readonly NodeSpec[];
  /** Constants. */
  initializers: readonly TensorSpec[];
  /** Inputs. */
  inputs: readonly ValueSpec[];
  /** Outputs. */
  outputs: readonly ValueSpec[];
}

const utf8 = new TextEncoder();

/** A message under construction. Payloads are kept by reference and copied once, by `finish`. */
class Message {
  readonly #parts: Uint8Array[] = [];
  #head: number[] = [];
  #size = 0;

  #varint(n: number): void {
    if (n < 0) {
      // Two's complement of 64 bits.
      let v = BigInt.asUintN(64, BigInt(n));
      for (; v > 0x7fn; v >>= 7n) this.#byte(Number(v & 0x7fn) | 0x80);
      return this.#byte(Number(v));
    }
    for (; n > 0x7f; n = Math.floor(n / 128)) this.#byte((n % 128) | 0x80);
    this.#byte(n);
  }

  #byte(b: number): void {
    this.#head.push(b);
    this.#size++;
  }

  #flush(): void {
    if (this.#head.length) this.#parts.push(Uint8Array.from(this.#head));
    this.#head = [];
  }

  int(field: number, n: number): this {
    this.#varint(field << 3);
    this.#varint(n);
    return this;
  }

  float(field: number, x: number): this {
    this.#varint((field << 3) | 5);
    for (const b of new Uint8Array(Float32Array.of(x).buffer)) this.#byte(b);
    return this;
  }

  bytes(field: number, b: Uint8Array): this {
    this.#varint((field << 3) | 2);
    this.#varint(b.length);
    this.#flush();
    this.#parts.push(b);
    this.#size += b.length;
    return this;
  }

  text(field: number, s: string): this {
    return this.bytes(field, utf8.encode(s));
  }

  message(field: number, m: Message): this {
    this.#varint((field << 3) | 2);
    this.#varint(m.#size);
    this.#flush();
    m.#flush();
    for (const p of m.#parts) this.#parts.push(p);
    this.#size += m.#size;
    return this;
  }

  finish(): Uint8Array {
    this.#flush();
    const out = new Uint8Array(this.#size);
    let at = 0;
    for (const p of this.#parts) {
      out.set(p, at);
      at += p.length;
    }
    return out;
  }
}

function entry(key: string, value: string | number): Message {
  return new Message().text(1, key).text(2, `${value}`);
}

function tensor(t: TensorSpec): Message {
  const m = new Message();
  for (const d of t.dims) m.int(1, d);
  m.int(2, ONNX_TYPE[t.dtype]);
  if (t.name) m.text(8, t.name);
  if (t.data instanceof Uint8Array) return m.bytes(9, t.data);
  m.message(13, entry("location", t.data.fileName));
  m.message(13, entry("offset", t.data.offset));
  m.message(13, entry("length", t.data.sizeBytes));
  return m.int(14, 1);
}

function attribute(name: string, a: AttributeSpec): Message {
  const m = new Message().text(1, name);
  if (typeof a === "number") return m.int(3, a).int(20, INT);
  if ("float" in a) return m.float(2, a.float).int(20, FLOAT);
  if ("string" in a) return m.text(4, a.string).int(20, STRING);
  if ("tensor" in a) return m.message(5, tensor(a.tensor)).int(20, TENSOR);
  if ("graph" in a) return m.message(6, graph(a.graph)).int(20, GRAPH);
  for (const i of a.ints) m.int(8, i);
  return m.int(20, INTS);
}

function node(n: NodeSpec, index: number): Message {
  const m = new Message();
  for (const name of n.inputs) m.text(1, name);
  for (const name of n.outputs) m.text(2, name);
  m.text(3, `${n.op}_${index}`).text(4, n.op);
  for (const [name, a] of Object.entries(n.attributes ?? {})) m.message(5, attribute(name, a));
  if (n.domain) m.text(7, n.domain);
  return m;
}

function value(v: ValueSpec): Message {
  const shape = new Message();
  for (const d of v.dims) {
    shape.message(1, typeof d === "number" ? new Message().int(1, d) : new Message().text(2, d));
  }
  const type = new Message().int(1, ONNX_TYPE[v.dtype]).message(2, shape);
  return new Message().text(1, v.name).message(2, new Message().message(1, type));
}

function graph(spec: GraphSpec): Message {
  const g = new Message();
  spec.nodes.forEach((n, i) => g.message(1, node(n, i)));
  g.text(2, spec.name);
  for (const t of spec.initializers) g.message(5, tensor(t));
  for (const v of spec.inputs) g.message(11, value(v));
  for (const v of spec.outputs) g.message(12, value(v));
  return g;
}

/** Operator domains of a graph and the graphs within it, `ai.onnx` left out. */
function domainsOf({ nodes }: GraphSpec): Set<string> {
  const domains = new Set<string>();
  for (const n of nodes) {
    if (n.domain) domains.add(n.domain);
    for (const a of Object.values(n.attributes ?? {})) {
      if (typeof a === "object" && "graph" in a) {
        for (const domain of domainsOf(a.graph)) domains.add(domain);
      }
    }
  }
  return domains;
}

/** The bytes of an .onnx file: opset 17, IR version 8. */
export function encodeModel(spec: GraphSpec): Uint8Array {
  const m = new Message().int(1, IR_VERSION).text(2, "deeprag").message(7, graph(spec));
  m.message(8, new Message().text(1, "").int(2, OPSET));
  for (const domain of domainsOf(spec)) {
    m.message(8, new Message().text(1, domain).int(2, 1));
  }
  return m.finish();
}
