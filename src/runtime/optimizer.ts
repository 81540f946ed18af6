/** An optimiser at work on a parameter store: clipping, accumulation, moving average. @module */
import { DeepragError } from "../errors.ts";
import { clipFactor } from "../optim/mod.ts";
import type { ParameterStore, TrainingVectors } from "./parameter_store.ts";

/** Choices of an {@linkcode Optimizer}. */
export interface OptimizerOptions {
  /** Decay of the moving average of the parameters, in [0, 1). Needs a store with `average`. */
  averageDecay?: number;
}

/** Choices of one step. */
export interface OptimizerStepOptions {
  /** Largest global norm of the gradients; larger ones are scaled down. Default: no limit. */
  clipNorm?: number;
  /** Multiplied with the gradients, or with their mean if several batches were accumulated. Default 1. */
  scale?: number;
  /** Rows of each row-sparse parameter that took part, ascending; see `RuleUpdate.rows`. */
  rows?: Readonly<Record<string, Int32Array>>;
}

/** What a step did. */
export interface OptimizerStepResult {
  /** Global norm of the (mean, scaled) gradients before clipping. */
  readonly gradNorm: number;
  /** `false` if a gradient was NaN or infinite: then nothing was changed. */
  readonly isApplied: boolean;
}

/** Elements exchanged at a time. */
const SWAP_FLOATS = 1 << 16;

/**
 * An optimiser over the parameters of a store. Clipping costs one pass over the gradients for their
 * norm: the factor is applied inside the update.
 *
 * @example Two batches, one step
 * ```ts
 * import { Optimizer } from "./optimizer.ts";
 * import { ParameterStore } from "./parameter_store.ts";
 * import { sgd } from "../optim/mod.ts";
 * import { assertEquals } from "@std/assert";
 * const specs = { w: { shape: [2], init: { kind: "constant", value: 1 } } } as const;
 * const store = new ParameterStore(specs, { rule: sgd(), accumulate: true });
 * store.initialise(0);
 * const optimizer = new Optimizer(store);
 * for (const gradient of [1, 3]) {
 *   store.gradients.w.data.fill(gradient);
 *   optimizer.accumulate();
 * }
 * optimizer.step(0.25);
 * assertEquals(store.params.w.data, Float32Array.of(0.5, 0.5));
 * ```
 */
export class Optimizer {
  /** The parameters it changes. */
  readonly store: ParameterStore;
  readonly #vectors: TrainingVectors;
  readonly #averageDecay?: number;
  #updates = 0;
  #batches = 0;
  #isSwapped = false;

  /**
   * An optimiser that has done no update yet.
   *
   * @param store Parameters, gradients and state; made with a `rule`
   * @throws {DeepragError} If the store cannot train, or has no room for the moving average
   */
  constructor(store: ParameterStore, options: OptimizerOptions = {}) {
    const { averageDecay } = options;
    this.store = store;
    this.#vectors = store.training;
    this.#averageDecay = averageDecay;
    if ((averageDecay === undefined) !== (this.#vectors.average === undefined)) {
      throw new DeepragError(
        averageDecay === undefined
          ? "Cannot keep a moving average: it has a place in the store but no `averageDecay`"
          : "Cannot keep a moving average: make the store with `average: true`",
      );
    }
    if (averageDecay !== undefined && !(averageDecay >= 0 && averageDecay < 1)) {
      throw new DeepragError(`Cannot average with decay ${averageDecay}: it is not in [0, 1)`);
    }
  }

  /** Updates done so far. */
  get updates(): number {
    return this.#updates;
  }

  /** Continue after `updates` updates, whose state is in the store: used when resuming. */
  resumeAt(updates: number): void {
    this.#updates = updates;
    this.#batches = 0;
  }

  #refuseWhileSwapped(action: string): void {
    if (!this.#isSwapped) return;
    throw new DeepragError(
      `Cannot ${action}: the moving average is in the place of the parameters`,
    );
  }

  /**
   * Add the gradients in the store to those of earlier batches; the next step uses their mean.
   *
   * @throws {DeepragError} If the store was made without `accumulate`, or holds row-sparse parameters
   */
  accumulate(): void {
    this.#refuseWhileSwapped("accumulate gradients");
    const { resident } = this.store;
    const { gradients, accumulated } = resident ? this.#vectors : this.store.training;
    if (!accumulated) {
      throw new DeepragError(
        "Cannot accumulate gradients: make the store with `accumulate: true`",
      );
    }
    const sparse = this.store.layout.segments.find((s) => s.isRowSparse);
    if (sparse) {
      throw new DeepragError(
        `Cannot accumulate gradients of ${sparse.name}: each batch has rows of its own`,
      );
    }
    const isFirst = this.#batches++ === 0;
    if (resident) resident.accumulate(isFirst);
    else if (isFirst) accumulated.set(gradients);
    else this.store.memory.axpy(accumulated, gradients, 1);
  }

  /**
   * One update from the gradients in the store, or from the mean of those accumulated since the last
   * update. Gradients with a NaN or an infinity change nothing and are reported.
   *
   * @param lr Learning rate, ≥ 0
   * @param options Clipping and scaling
   * @throws {DeepragError} If the learning rate, scale or limit is not a usable number
   */
  step(lr: number, options: OptimizerStepOptions = {}): OptimizerStepResult {
    this.#refuseWhileSwapped("take a step");
    const { clipNorm, scale = 1, rows } = options;
    if (!(lr >= 0 && Number.isFinite(lr))) {
      throw new DeepragError(`Cannot take a step: the learning rate is ${lr}`);
    }
    if (!Number.isFinite(scale)) {
      throw new DeepragError(`Cannot take a step: the gradient scale is ${scale}`);
    }
    if (clipNorm !== undefined && !(clipNorm > 0)) {
      throw new DeepragError(`Cannot clip gradients to a norm of ${clipNorm}: it is not > 0`);
    }
    const { resident } = this.store;
    if (resident) {
      const isAccumulated = this.#batches > 0, averageDecay = this.#averageDecay;
      const result = resident.update({
        step: this.#updates + 1,
        lr,
        scale: scale / (this.#batches || 1),
        isAccumulated,
        clipNorm,
        averageDecay,
        rows,
      });
      this.#batches = 0;
      if (result.isApplied) this.#updates++;
      return result;
    }
    const { store: { memory, layout, flat } } = this;
    const { rule, state, scratch, average } = this.#vectors;
    const gradients = this.#batches ? this.#vectors.accumulated! : this.#vectors.gradients;
    const mean = scale / (this.#batches || 1);
    this.#batches = 0;
    const gradNorm = Math.sqrt(this.#sumOfSquares(gradients, rows)) * Math.abs(mean);
    if (!Number.isFinite(gradNorm)) return { gradNorm, isApplied: false };

    if (average && this.#updates === 0) average.set(flat);
    this.#updates++;
    rule.update({
      memory,
      layout,
      params: flat,
      gradients,
      state,
      scratch,
      step: this.#updates,
      lr,
      rows,
      scale: mean * clipFactor(gradNorm, clipNorm),
    });
    if (average) memory.lerp(average, flat, 1 - this.#averageDecay!);
    return { gradNorm, isApplied: true };
  }

  /** Σ g² over all that takes part: of row-sparse parameters, only the rows that stand there. */
  #sumOfSquares(gradients: Float32Array, rows: OptimizerStepOptions["rows"] = {}): number {
    const { memory, layout: { segments } } = this.store;
    if (!segments.some((s) => s.isRowSparse)) return memory.sumOfSquares(gradients);
    return segments.reduce((sum, { name, shape, offset, length, isRowSparse }) => {
      const used = isRowSparse ? (rows[name]?.length ?? 0) * shape[1] : length;
      return sum + memory.sumOfSquares(gradients.subarray(offset, offset + used));
    }, 0);
  }

  /** Exchange parameters and moving average, element by element. */
  #swap(): void {
    const { flat } = this.store, average = this.#vectors.average!;
    for (let i = 0; i < flat.length; i += SWAP_FLOATS) {
      const held = flat.slice(i, i + SWAP_FLOATS);
      flat.set(average.subarray(i, i + SWAP_FLOATS), i);
      average.set(held, i);
    }
    this.#isSwapped = !this.#isSwapped;
  }

  /**
   * Run `f` while the moving average stands where the parameters are, as for evaluation. Before the
   * first update the average is the parameters.
   *
   * @param f What to run
   * @throws {DeepragError} If there is no moving average
   */
  async withAverage<T>(f: () => Promise<T>): Promise<T> {
    this.#refuseWhileSwapped("exchange parameters and average");
    if (!this.#vectors.average) {
      throw new DeepragError(
        "Cannot use a moving average: there is none. Make the store with `average: true`.",
      );
    }
    if (this.#updates === 0) return await f();
    this.#swap();
    try {
      return await f();
    } finally {
      this.#swap();
    }
  }

  /** Whether the moving average stands where the parameters are right now. */
  get isAverageInPlace(): boolean {
    return this.#isSwapped;
  }
}
