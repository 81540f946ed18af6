/** What can run a {@linkcode Program}: one interface, one conformance suite, several implementations. @module */
import type { Program } from "../graph/program.ts";
import type { DType, HostTensor } from "../tensor/host_tensor.ts";
import type { RandomKey } from "../tensor/random.ts";
import type { ParameterStore } from "./parameter_store.ts";
import type { ResidentParameters } from "./resident.ts";
import type { OnnxProvider } from "./onnx_provider.ts";

/** Tensors by name. */
export type HostTensors = Record<string, HostTensor>;

/** Choices made once, when a program is prepared to run. */
export interface CompileOptions {
  /** Inputs with a fixed value: initialisers of a serving graph. They leave the list of inputs. */
  constants?: HostTensors;
  /** May vendor operators (com.microsoft) be used? Training: `"training"`; whatever is exported: `"export"`. Default `"training"`. */
  dialect?: "training" | "export";
  /** Threads of one operator. Default: all cores. */
  threads?: number;
}

/** Choices of one run. */
export interface RunOptions {
  /** Buffers to write outputs into instead of allocating; sizes must fit exactly. */
  outputs?: HostTensors;
  /** Stream from which the program's random operations draw. Needed when it has any. */
  random?: RandomKey;
}

/** A program that is ready to run. */
export interface Executable {
  /** Inputs still to be fed: name to element type. */
  readonly inputs: Readonly<Record<string, DType>>;
  /** Names of the outputs. */
  readonly outputs: readonly string[];
  /**
   * Provider of ONNX Runtime that its session was opened on, which is not the chosen one where that
   * couldn't be used. Operators that it lacks are computed by the cpu, and ONNX Runtime does not tell
   * JavaScript which. Absent where ONNX Runtime is not at work.
   */
  readonly provider?: OnnxProvider;
  /** Run once. Missing, unknown or misshapen inputs are a `ShapeError` that names them. */
  run(inputs: HostTensors, options?: RunOptions): Promise<HostTensors>;
  /** Free everything. Running afterwards is an error. */
  dispose(): Promise<void>;
}

/** Something that runs programs. */
export interface Executor {
  /** `"onnx"`, `"onnx-worker"`, `"wasm"`, `"cpu"`, `"tfjs-node"`, `"tfjs-node-gpu"`, `"cuda"`. */
  readonly name: string;
  /**
   * Open what programs run on before the first is compiled, so that what is missing is said in time.
   * Absent where there is nothing to open.
   *
   * @returns The executor that runs them
   */
  open?(): Promise<Executor>;
  /** Prepare `program` to run. */
  compile(program: Program, options?: CompileOptions): Promise<Executable>;
  /**
   * Keep the vectors of a store where programs run, if that is elsewhere and this store can be trained
   * there.
   */
  reside?(store: ParameterStore): ResidentParameters | undefined;
}
