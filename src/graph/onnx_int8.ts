/**
 * Matrices in 8 bits, and the nodes that compute with them.
 *
 *   W ≈ s·(W₈ − 128)                     W₈ in 1 … 255, one scale s for each output
 *   x·W ≈ sₓ·s·((x₈ − zₓ)·(W₈ − 128))    x₈, sₓ, zₓ from DynamicQuantizeLinear, for the whole of x
 *
 * W₈ is unsigned although its values lie around zero: on a CPU without VNNI, ONNX Runtime multiplies
 * unsigned by signed bytes in sums of 16 bits, which overflow (errors of up to 10 % were measured),
 * and weights of 7 bits, which would not, double the rounding error.
 *
 * @module
 */
import { quantiseMatrix } from "./_quantise_matrix.ts";
import { bytesOf, type NamePool } from "./onnx_constants.ts";
import { floatsOf, type ModelParts, type StoredParts, WeightLog } from "./onnx_parts.ts";
import { type NodeSpec, ONNX_TYPE, type TensorSpec } from "./onnx_proto.ts";
import { matrixUse, type MatrixUses, usesOf } from "./onnx_weight_uses.ts";

/** Constants with fewer elements stay float32, as do vectors: norms, biases. */
const SMALL_ELEMENTS = 1024;

/** Names under which the parts of a matrix stand in the model. */
interface StoredMatrix {
  /** uint8 [V, D], for taking rows; only if some node does. */
  readonly rows?: string;
  /** uint8 [I, O], for multiplying; only if some node does. */
  readonly factor?: string;
  /** float32, one for each row of `rows` and column of `factor`. */
  readonly scales: string;
}

/** Why a matrix can't be stored in 8 bits; undefined if it can. */
function obstacle({ uses, others }: MatrixUses): string | undefined {
  if (others.size) return `it is used by ${[...others].sort().join(", ")}`;
  if (uses.has("columns") && uses.size > 1) return "its uses need a scale for each row and column";
  return undefined;
}

/** Rewrites nodes so that they use matrices of 8 bits. */
class Int8Writer {
  /** Constants that the new nodes need. */
  readonly initializers: TensorSpec[] = [];
  /** Nodes that depend on constants only. */
  readonly prelude: NodeSpec[] = [];
  readonly #names: NamePool;
  readonly #matrices = new Map<string, StoredMatrix>();
  readonly #shared = new Map<string, string>();

  constructor(names: NamePool) {
    this.#names = names;
  }

  #constant(name: string, spec: Omit<TensorSpec, "name">): string {
    const claimed = this.#names.claim(name);
    this.initializers.push({ name: claimed, ...spec });
    return claimed;
  }

  #sharedConstant(name: string, spec: Omit<TensorSpec, "name">): string {
    if (!this.#shared.has(name)) this.#shared.set(name, this.#constant(name, spec));
    return this.#shared.get(name)!;
  }

  /** Store a matrix in 8 bits, unless it holds a number that is not finite. */
  store(t: TensorSpec, uses: MatrixUses["uses"], log: WeightLog): boolean {
    const isLookup = uses.has("lookup"), name = t.name!, [R, C] = t.dims;
    const matrix = quantiseMatrix(floatsOf(t), C, {
      channel: uses.has("columns") ? "column" : "row",
      isTransposed: uses.has("rows") && !isLookup,
    });
    if (!matrix) return false;
    const { bytes, scales, relativeError } = matrix;
    const sizeBytes = bytes.length + scales.byteLength;
    log.store(name, "uint8", { sizeBytes, relativeError });
    const stored = this.#constant(`${name}:uint8`, {
      dtype: "uint8",
      dims: uses.has("rows") && !isLookup ? [C, R] : [R, C],
      data: bytes,
    });
    let factor: string | undefined = stored;
    if (isLookup) {
      factor = undefined;
      if (uses.has("rows")) {
        factor = this.#names.fresh();
        const attributes = { perm: { ints: [1, 0] } };
        this.prelude.push({ op: "Transpose", inputs: [stored], outputs: [factor], attributes });
      }
    }
    this.#matrices.set(name, {
      rows: isLookup ? stored : undefined,
      factor,
      scales: this.#constant(`${name}:scales`, {
        dtype: "float32",
        dims: [scales.length],
        data: bytesOf(scales),
      }),
    });
    return true;
  }

  /** The nodes of a graph, with products and look-ups of stored matrices written out. */
  rewrite(body: readonly NodeSpec[]): NodeSpec[] {
    const nodes: NodeSpec[] = [];
    const emit = (op: string, inputs: string[], attributes?: NodeSpec["attributes"]): string => {
      const name = this.#names.fresh();
      nodes.push({ op, inputs, outputs: [name], attributes });
      return name;
    };
    const toFloat = { to: ONNX_TYPE.float32 };
    const quantised = new Map<string, readonly string[]>();
    const quantisedOf = (x: string): readonly string[] => {
      let parts = quantised.get(x);
      if (!parts) {
        quantised.set(x, parts = [1, 2, 3].map(() => this.#names.fresh()));
        nodes.push({ op: "DynamicQuantizeLinear", inputs: [x], outputs: parts });
      }
      return parts;
    };
    for (const node of body) {
      const at = node.inputs.findIndex((n, i) => this.#matrices.has(n) && matrixUse(node, i));
      if (at < 0) {
        nodes.push(node);
        continue;
      }
      const { rows, factor, scales } = this.#matrices.get(node.inputs[at])!;
      const { outputs } = node;
      if (node.op === "Gather") {
        const index = node.inputs[1];
        const bytes = emit("Cast", [emit("Gather", [rows!, index])], toFloat);
        const centred = emit("Sub", [bytes, this.#zeroPoint("float32")]);
        const scale = emit("Unsqueeze", [emit("Gather", [scales, index]), this.#lastAxis()]);
        nodes.push({ op: "Mul", inputs: [centred, scale], outputs });
        continue;
      }
      // In the order that ONNX Runtime knows how to fuse.
      const [x, xScale, xZero] = quantisedOf(node.inputs[0]);
      const sums = emit("MatMulInteger", [x, factor!, xZero, this.#zeroPoint("uint8")]);
      const floats = emit("Cast", [sums], toFloat);
      nodes.push({ op: "Mul", inputs: [floats, emit("Mul", [xScale, scales])], outputs });
    }
    return nodes;
  }

  #zeroPoint(dtype: "float32" | "uint8"): string {
    const data = dtype === "uint8" ? Uint8Array.of(128) : bytesOf(Float32Array.of(128));
    return this.#sharedConstant(`zero_point:${dtype}`, { dtype, dims: [], data });
  }

  #lastAxis(): string {
    const data = bytesOf(BigInt64Array.of(-1n));
    return this.#sharedConstant("last_axis", { dtype: "int64", dims: [1], data });
  }
}

/**
 * `parts` with constant matrices in 8 bits where they are factors of products or tables of rows. A table
 * that is both is stored once. What is used in another way stays float32 and is reported.
 */
export function quantise(parts: ModelParts, names: NamePool): StoredParts {
  const log = new WeightLog(), writer = new Int8Writer(names);
  const countOf = (t: TensorSpec) => t.dims.reduce((a, b) => a * b, 1);
  const isLarge = (t: TensorSpec) =>
    t.dtype === "float32" && t.dims.length > 1 && countOf(t) >= SMALL_ELEMENTS;
  const large = new Set(parts.initializers.filter(isLarge).map((t) => t.name!));
  const uses = usesOf(large, parts.bodies);
  const initializers = parts.initializers.filter((t) => {
    if (t.dtype !== "float32") return true;
    if (!large.has(t.name!)) {
      log.keep(t);
      return true;
    }
    const found = uses.get(t.name!)!;
    const reason = t.dims.length > 2 ? "it is no matrix" : obstacle(found);
    if (!reason && writer.store(t, found.uses, log)) return false;
    log.keep(t, reason ?? "a number is not finite");
    return true;
  });
  const bodies = parts.bodies.map((body) => writer.rewrite(body));
  return {
    prelude: writer.prelude,
    bodies,
    initializers: [...initializers, ...writer.initializers],
    report: log.finish(),
  };
}
