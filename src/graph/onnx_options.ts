/** What an ONNX export is asked for and what it gives. @module */
import type { HostTensor } from "../tensor/host_tensor.ts";

/**
 * How float32 constants are stored. `"float16"` halves them and computes in float32 as before;
 * `"int8"` stores matrices in 8 bits and multiplies them as integers.
 */
export type OnnxPrecision = "float32" | "float16" | "int8";

/** Choices of an export. */
export interface OnnxOptions {
  /** Inputs with a fixed value, which become initialisers. */
  constants?: Readonly<Record<string, HostTensor>>;
  /** Constants beyond this many bytes go to a data file (protocol buffers end at 2 GB). Default 1.9e9. */
  externalDataBytes?: number;
  /** Name of the data file, beside the model. Default `model.onnx_data`. */
  dataFileName?: string;
  /** Names of int32 inputs and outputs that are int64 in the file; inside, they stay int32. */
  int64?: readonly string[];
  /**
   * Names of symbols in the file, such as `{ S: "sequence_length" }`. One that is left out keeps its
   * own; one that the recording doesn't have is ignored, so that one table may serve several files.
   */
  symbolNames?: Readonly<Record<string, string>>;
  /** How float32 constants are stored. Default `"float32"`. */
  precision?: OnnxPrecision;
}

/** Number and size of the constants stored in one way. */
export interface WeightTally {
  /** How many constants. */
  readonly count: number;
  /** Bytes they take, scales included. */
  readonly sizeBytes: number;
}

/** How the float32 constants of a model were stored. */
export interface WeightReport {
  /** Constants by the element type they are stored in. */
  readonly stored: Readonly<Record<"float32" | "float16" | "uint8", WeightTally>>;
  /** The constant that lost most, if any lost anything. */
  readonly worst?: {
    /** Its name. */
    readonly name: string;
    /** ‖w − stored w‖ / ‖w‖, Euclidean norms. */
    readonly relativeError: number;
  };
  /** Constants that should have been stored in fewer bits and couldn't. */
  readonly kept: readonly {
    /** Its name. */
    readonly name: string;
    /** Why it stayed as it was, in words. */
    readonly reason: string;
  }[];
}

/** An ONNX model. */
export interface OnnxModel {
  /** Content of the `.onnx` file. */
  readonly model: Uint8Array;
  /** The data file that belongs beside it, if the constants are large. */
  readonly externalData?: {
    /** Its name, which the model refers to. */
    readonly fileName: string;
    /** Its content in order, not copied. */
    readonly chunks: readonly Uint8Array[];
    /** Sum of the chunks. */
    readonly sizeBytes: number;
  };
}

/** An ONNX model that was just written. */
export interface WrittenModel extends OnnxModel {
  /** How the float32 constants were stored. */
  readonly weights: WeightReport;
}
