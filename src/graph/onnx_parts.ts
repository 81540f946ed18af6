/** A model on its way into a file, and a record of what became of its constants. @module */
import type { WeightReport } from "./onnx_options.ts";
import type { NodeSpec, TensorSpec } from "./onnx_proto.ts";

/** Nodes and constants of a model. */
export interface ModelParts {
  /** Nodes of each graph: of the model, or of the branches of a merged one. */
  readonly bodies: readonly (readonly NodeSpec[])[];
  /** Constants of all of them. */
  readonly initializers: readonly TensorSpec[];
}

/** A model whose constants are stored as asked for. */
export interface StoredParts extends ModelParts {
  /** Nodes that depend on constants only and come before all bodies. */
  readonly prelude: readonly NodeSpec[];
  /** What became of the float32 constants. */
  readonly report: WeightReport;
}

/** The elements of a float32 constant, without a copy where its bytes are aligned. */
export function floatsOf(t: TensorSpec): Float32Array {
  const bytes = t.data as Uint8Array;
  const aligned = bytes.byteOffset % 4 ? bytes.slice() : bytes;
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

/** Collects what a {@linkcode WeightReport} says. */
export class WeightLog {
  readonly #stored = {
    float32: { count: 0, sizeBytes: 0 },
    float16: { count: 0, sizeBytes: 0 },
    uint8: { count: 0, sizeBytes: 0 },
  };
  readonly #kept: { name: string; reason: string }[] = [];
  #worst: WeightReport["worst"];

  /** A constant that stays float32. */
  keep({ name, data }: TensorSpec, reason?: string): void {
    this.#count("float32", (data as Uint8Array).length);
    if (reason) this.#kept.push({ name: name!, reason });
  }

  /** A constant that lost this part of its norm. */
  store(
    name: string,
    as: "float16" | "uint8",
    { sizeBytes, relativeError }: { sizeBytes: number; relativeError: number },
  ): void {
    this.#count(as, sizeBytes);
    if (relativeError > (this.#worst?.relativeError ?? 0)) this.#worst = { name, relativeError };
  }

  #count(as: keyof WeightReport["stored"], sizeBytes: number): void {
    this.#stored[as].count++;
    this.#stored[as].sizeBytes += sizeBytes;
  }

  /** The report. */
  finish(): WeightReport {
    return { stored: this.#stored, worst: this.#worst, kept: this.#kept };
  }
}
