/** What an optimiser is: a size for its state, and a pure in-place update of flat vectors. @module */
import type { Layout } from "./segment.ts";
import type { VectorMemory } from "./vector_memory.ts";

/** Everything one update reads and writes. All vectors were allocated by `memory`. */
export interface RuleUpdate {
  /** Runs the loops. */
  memory: VectorMemory;
  /** Places of the parameters in `params` and `gradients`. */
  layout: Layout;
  /** Parameters; changed in place. */
  params: Float32Array;
  /** Gradients; not changed. */
  gradients: Float32Array;
  /** The optimiser's memory, zeros before the first update; changed in place. */
  state: Float32Array;
  /** Working space whose content means nothing between updates. */
  scratch: Float32Array;
  /** Number of this update, from 1. */
  step: number;
  /** Learning rate of this update. */
  lr: number;
  /**
   * Rows of each row-sparse parameter that take part, ascending. Their gradients stand at the start
   * of the parameter's place in `gradients`, row after row. A row-sparse parameter that is not named
   * here is not updated.
   */
  rows?: Readonly<Record<string, Int32Array>>;
  /** The gradients are multiplied with this first: the clip factor times 1 / accumulated batches. */
  scale: number;
}

/** An optimiser as plain data and two pure functions. */
export interface OptimizerRule {
  /** `"adamw"`, `"adafactor"`, `"sgd"`. */
  readonly name: string;
  /** Hyperparameters, all of them, as a checkpoint records them. */
  readonly options: Readonly<Record<string, number | boolean>>;
  /** Floats of state that a layout needs; the state starts as zeros. */
  stateLength(layout: Layout): number;
  /** Floats of working space that a layout needs. */
  scratchLength(layout: Layout): number;
  /** Do one update in place. */
  update(u: RuleUpdate): void;
}
