/** Parameters that live where programs run, for executors with a memory of their own. @module */
import type { Program } from "../graph/mod.ts";
import type { CompileOptions, Executable } from "./executor.ts";
import type { OptimizerStepResult } from "./optimizer.ts";

/** One update of resident parameters. */
export interface ResidentUpdate {
  /** Number of this update, from 1. */
  readonly step: number;
  /** Learning rate. */
  readonly lr: number;
  /** Multiplied with the gradients, or with their sum if several batches were accumulated. */
  readonly scale: number;
  /** Whether the gradients are the accumulated ones. */
  readonly isAccumulated: boolean;
  /** Largest global norm of the gradients. Default: no limit. */
  readonly clipNorm?: number;
  /** Decay of the moving average of the parameters. */
  readonly averageDecay?: number;
  /** Rows of each row-sparse parameter that took part, ascending. */
  readonly rows?: Readonly<Record<string, Int32Array>>;
}

/**
 * The vectors of a parameter store in the memory of an executor. Between updates the newer copy is
 * either there or here: a store says before it hands out views that they must be brought up to date,
 * and a step takes what the host may have changed.
 */
export interface ResidentParameters {
  /** The executor's copy is about to be used: make it the newer one. */
  claim(): void;
  /** Views of the host are about to be used: make them up to date. */
  settle(): void;
  /**
   * Prepare a program whose parameters and gradients are the resident ones; both leave its inputs and
   * outputs.
   */
  compile(program: Program, options: CompileOptions): Promise<Executable>;
  /** Say which rows of each row-sparse parameter the next run sees; they were checked. */
  useRows(rows: Readonly<Record<string, Int32Array>>): void;
  /** Add the gradients to those of earlier batches, or start with them. */
  accumulate(isFirst: boolean): void;
  /** Clip, update parameters and state, average; gradients that are not finite change nothing. */
  update(update: ResidentUpdate): OptimizerStepResult;
  /** One more user. */
  hold(): void;
  /** One user less; the last one frees the memory, after the host's copy is up to date. */
  release(): void;
}
