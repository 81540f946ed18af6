/** Adafactor: adaptive learning rates with a factored second moment. @module */
import { ConfigError, type ConfigProblem } from "../errors.ts";
import type { OptimizerRule, RuleUpdate } from "./rule.ts";
import { type Layout, refuseRowSparse, type Segment } from "./segment.ts";
import { paddedLength, type VectorMemory } from "./vector_memory.ts";

/** Hyperparameters of {@linkcode adafactor}. Their defaults are those of transformers. */
export interface AdafactorOptions {
  /** Added to squared gradients. Default 1e-30. */
  epsilon?: number;
  /** Smallest root mean square of a parameter that `scaleParameter` uses. Default 1e-3. */
  minScale?: number;
  /** Largest root mean square of an update before it is scaled down. Default 1. */
  clipThreshold?: number;
  /** Exponent c of the decay β₂ₜ = 1 − tᶜ; negative. Default −0.8. */
  decayRate?: number;
  /** Decoupled weight decay, for parameters whose specification allows it. Default 0. */
  weightDecay?: number;
  /** Multiply the learning rate with the root mean square of each parameter. Default `true`. */
  scaleParameter?: boolean;
  /** Multiply it with min(10⁻², 1/√t) as well, and then give 1 for it. Default `true`. */
  relativeStep?: boolean;
}

/** Rows summed in float32 before they go into the float64 sums. */
const ROWS_PER_BLOCK = 64;

/** A parameter seen as `count` matrices of `rows` × `columns`; vectors are not factored. */
interface Matrices {
  count: number;
  rows: number;
  columns: number;
}

function matricesOf({ shape, length }: Segment): Matrices | undefined {
  if (shape.length < 2) return undefined;
  const rows = shape[shape.length - 2], columns = shape[shape.length - 1];
  return { count: rows * columns ? length / (rows * columns) : 0, rows, columns };
}

/** Floats of state of one parameter: a mean per row and per column, or one per element. */
function stateOf(segment: Segment): number {
  const m = matricesOf(segment);
  return paddedLength(m ? m.count * (m.rows + m.columns) : segment.length);
}

/** What the updates of one parameter share. */
interface Step {
  memory: VectorMemory;
  scale: number;
  beta2: number;
  epsilon: number;
  clipThreshold: number;
  rate: number;
  keep: number;
}

/** Update one factored parameter of `count` matrices. */
function updateMatrices(
  s: Step,
  m: Matrices,
  v: { p: Float32Array; g: Float32Array; state: Float32Array; scratch: Float32Array },
): void {
  const { memory, scale, beta2, epsilon } = s;
  const { count, rows, columns } = m;
  const { p, g, state, scratch } = v;
  const columnFactors = scratch.subarray(0, columns);
  const rowFactors = new Float32Array(count * rows);
  const sums = new Float64Array(columns);
  const row = (x: Float32Array, i: number): Float32Array =>
    x.subarray(i * columns, (i + 1) * columns);
  const columnMean = (k: number): Float32Array =>
    state.subarray(count * rows + k * columns, count * rows + (k + 1) * columns);

  let updateSquares = 0;
  for (let k = 0; k < count; k++) {
    let rowMean = 0;
    sums.fill(0);
    for (let i = 0; i < rows; i++) {
      if (i % ROWS_PER_BLOCK === 0) columnFactors.fill(0);
      const at = k * rows + i;
      const mean = memory.rowSquares(row(g, at), columnFactors, scale, epsilon) / columns;
      state[at] = beta2 * state[at] + (1 - beta2) * mean;
      rowMean += state[at] / rows;
      if (i % ROWS_PER_BLOCK === ROWS_PER_BLOCK - 1 || i === rows - 1) {
        for (let j = 0; j < columns; j++) sums[j] += columnFactors[j];
      }
    }
    const columnState = columnMean(k);
    for (let j = 0; j < columns; j++) {
      columnState[j] = beta2 * columnState[j] + (1 - beta2) * (sums[j] / rows);
      columnFactors[j] = 1 / Math.sqrt(columnState[j]);
    }
    for (let i = 0; i < rows; i++) {
      const at = k * rows + i;
      rowFactors[at] = scale / Math.sqrt(state[at] / rowMean);
      updateSquares += memory.rowUpdateSquares(row(g, at), columnFactors, rowFactors[at]);
    }
  }
  const rate = s.rate / Math.max(1, Math.sqrt(updateSquares / p.length) / s.clipThreshold);
  for (let k = 0; k < count; k++) {
    const columnState = columnMean(k);
    for (let j = 0; j < columns; j++) columnFactors[j] = 1 / Math.sqrt(columnState[j]);
    for (let i = 0; i < rows; i++) {
      const at = k * rows + i;
      memory.rowApply(
        { p: row(p, at), g: row(g, at), c: columnFactors },
        { k: rowFactors[at], rate, keep: s.keep },
      );
    }
  }
}

/** Update one parameter that has no two axes to factor. */
function updateVector(
  s: Step,
  v: { p: Float32Array; g: Float32Array; state: Float32Array },
): void {
  const { p, g, state } = v;
  let squares = 0;
  for (let i = 0; i < p.length; i++) {
    const x = g[i] * s.scale;
    state[i] = s.beta2 * state[i] + (1 - s.beta2) * (x * x + s.epsilon);
    squares += x * x / state[i];
  }
  const rate = s.rate / Math.max(1, Math.sqrt(squares / p.length) / s.clipThreshold);
  for (let i = 0; i < p.length; i++) {
    p[i] = s.keep * p[i] - rate * (g[i] * s.scale) / Math.sqrt(state[i]);
  }
}

/**
 * Adafactor (Shazeer and Stern 2018, algorithms 4 and 5) without a first moment.
 *
 *   β₂ₜ = 1 − tᶜ
 *   R = β₂ₜ R + (1 − β₂ₜ) rowMean(g² + ε₁)      C = β₂ₜ C + (1 − β₂ₜ) columnMean(g² + ε₁)
 *   u = g · √(mean(R) / R) / √C      û = u / max(1, RMS(u)/d)
 *   θ ← θ − α û,   α = lr · [max(ε₂, RMS(θ))] · [min(10⁻², 1/√t)]
 *
 * with the two bracketed factors under `scaleParameter` and `relativeStep`. Axes before the last two
 * are separate matrices; parameters of fewer than two axes keep a full second moment.
 *
 * Equal to transformers' `Adafactor` up to rounding (sums here are float64). Departures: no `beta1`,
 * no `warmup_init`; with `relativeStep` the learning rate still multiplies (give 1 for the same
 * numbers), so that a schedule can act; `decay: false` switches weight decay off for a parameter.
 *
 * State: a float per row and column.
 *
 * @throws {ConfigError} If a hyperparameter is out of range
 * @example A 1 000 × 1 000 matrix needs 2 000 floats of state
 * ```ts
 * import { adafactor } from "./adafactor.ts";
 * import { layoutOf } from "./segment.ts";
 * import { assertEquals } from "@std/assert";
 * const w = { shape: [1000, 1000], init: { kind: "constant", value: 0 } } as const;
 * assertEquals(adafactor().stateLength(layoutOf({ w })), 2000);
 * ```
 */
export function adafactor(options: AdafactorOptions = {}): OptimizerRule {
  const { epsilon = 1e-30, minScale = 1e-3, clipThreshold = 1, decayRate = -0.8 } = options;
  const { weightDecay = 0, scaleParameter = true, relativeStep = true } = options;
  const problems: ConfigProblem[] = [];
  const require = (isRight: boolean, key: string, message: string): unknown =>
    isRight || problems.push({ key, message });
  require(epsilon > 0, "epsilon", `${epsilon} is not > 0`);
  require(minScale > 0, "minScale", `${minScale} is not > 0`);
  require(clipThreshold > 0, "clipThreshold", `${clipThreshold} is not > 0`);
  require(decayRate < 0, "decayRate", `${decayRate} is not < 0`);
  require(weightDecay >= 0, "weightDecay", `${weightDecay} is not ≥ 0`);
  if (problems.length) throw new ConfigError(problems);
  return {
    name: "adafactor",
    options: {
      epsilon,
      minScale,
      clipThreshold,
      decayRate,
      weightDecay,
      scaleParameter,
      relativeStep,
    },
    stateLength: (layout: Layout) => layout.segments.reduce((n, s) => n + stateOf(s), 0),
    scratchLength: (layout: Layout) =>
      layout.segments.reduce((n, s) => Math.max(n, matricesOf(s)?.columns ?? 0), 0),
    update(u: RuleUpdate): void {
      const { memory, layout, scratch, step, scale } = u;
      let at = 0;
      for (const segment of layout.segments) {
        const { offset, length, decay } = segment;
        refuseRowSparse("adafactor", segment);
        const state = u.state.subarray(at, at + stateOf(segment));
        at += stateOf(segment);
        if (length === 0) continue;
        const p = u.params.subarray(offset, offset + length);
        const g = u.gradients.subarray(offset, offset + length);
        let rate = u.lr * segment.rateFactor;
        if (relativeStep) rate *= Math.min(1e-2, 1 / Math.sqrt(step));
        if (scaleParameter) {
          // The padding behind the parameter is zero, so the whole cache line may be read.
          const rms = Math.sqrt(memory.sumOfSquares(p) / length);
          rate *= Math.max(minScale, rms);
        }
        const s: Step = {
          memory,
          scale,
          beta2: 1 - step ** decayRate,
          epsilon,
          clipThreshold,
          rate,
          keep: decay ? 1 - rate * weightDecay : 1,
        };
        const matrices = matricesOf(segment);
        if (matrices) updateMatrices(s, matrices, { p, g, state, scratch });
        else updateVector(s, { p, g, state });
      }
    },
  };
}
