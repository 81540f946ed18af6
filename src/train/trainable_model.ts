/** What the training loop needs of a model, whatever it is. @module */
import type { Program } from "../graph/program.ts";
import type { HostTensors } from "../runtime/executor.ts";
import type { ParameterStore } from "../runtime/parameter_store.ts";
import type { ParamSpecs } from "../tensor/params.ts";

/** The tensors of one step. */
export interface TrainingBatch {
  /** Inputs of the training program other than the parameters that are trained. */
  readonly inputs: HostTensors;
  /** Rows of each row-sparse parameter that take part, ascending. */
  readonly rows: Readonly<Record<string, Int32Array>>;
  /** Positions that hold a token, and all positions: their quotient tells the share of padding. */
  readonly tokens: number;
  /** See `tokens`. */
  readonly positions: number;
}

/** A model that can be trained on examples of some kind. Pure but for `start`. */
export interface TrainableModel<Example> {
  /** What it is, for messages: `"lexical"`, `"t5"`, `"llama"`, … */
  readonly family: string;
  /** Parameters that are trained, by name. */
  readonly specs: ParamSpecs;
  /** Parameters and a batch in; `loss` out. */
  readonly trainingProgram: Program;
  /** Fill the parameters for step 0. */
  start(store: ParameterStore): void;
  /** The tensors of one step. */
  batch(examples: readonly Example[]): TrainingBatch;
}
