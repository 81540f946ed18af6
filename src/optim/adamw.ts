/** Adam with decoupled weight decay. @module */
import { ConfigError, type ConfigProblem } from "../errors.ts";
import type { OptimizerRule, RuleUpdate } from "./rule.ts";
import type { Layout } from "./segment.ts";
import { paddedLength } from "./vector_memory.ts";

/** Hyperparameters of {@linkcode adamw}. */
export interface AdamwOptions {
  /** Decay of the mean of gradients. Default 0.9. */
  beta1?: number;
  /** Decay of the mean of squared gradients. Default 0.999. */
  beta2?: number;
  /** Added to the denominator; > 0. Default 1e-8. */
  epsilon?: number;
  /** Decoupled weight decay, for parameters whose specification allows it. Default 0.01. */
  weightDecay?: number;
}

/** A stretch of equal treatment, in elements. */
interface Run {
  /** First element. */
  first: number;
  /** Element behind the last. */
  end: number;
  /** Whether weight decay applies. */
  decay: boolean;
  /** Multiplies the learning rate. */
  rateFactor: number;
}

/** Longest stretches of equal treatment among the parameters that are updated as a whole. */
function runsOf(layout: Layout): Run[] {
  const runs: Run[] = [];
  for (const { offset, length, decay, rateFactor, isRowSparse } of layout.segments) {
    if (isRowSparse) continue;
    const end = offset + paddedLength(length);
    const last = runs.at(-1);
    if (last?.end === offset && last.decay === decay && last.rateFactor === rateFactor) {
      last.end = end;
    } else runs.push({ first: offset, end, decay, rateFactor });
  }
  return runs;
}

/**
 * AdamW (Loshchilov and Hutter 2019, algorithm 2), with the gradient scale folded in.
 *
 *   mₜ = mₜ₋₁ + (1 − β₁)(g − mₜ₋₁)      vₜ = β₂ vₜ₋₁ + (1 − β₂) g²
 *   θₜ = (1 − lr·λ) θₜ₋₁ − lr/(1 − β₁ᵗ) · mₜ / (√vₜ / √(1 − β₂ᵗ) + ε)
 *
 * Equal to `torch.optim.AdamW` up to rounding. Departure: parameters whose specification says
 * `decay: false` get λ = 0, as two parameter groups would in PyTorch.
 *
 * Departure: of a row-sparse parameter only the rows that a batch names are updated, with the bias
 * corrections of the global step t ("lazy Adam": the moments of the other rows do not decay).
 *
 * State: m and v, two floats a parameter.
 *
 * @throws {ConfigError} If a hyperparameter is out of range
 * @example One step on one parameter moves it by the learning rate
 * ```ts
 * import { adamw } from "./adamw.ts";
 * import { layoutOf } from "./segment.ts";
 * import { VectorMemory } from "./vector_memory.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const layout = layoutOf({ w: { shape: [1], init: { kind: "constant", value: 0 } } });
 * const rule = adamw({ weightDecay: 0 });
 * const memory = new VectorMemory(64);
 * const params = memory.allocate(layout.length), gradients = memory.allocate(layout.length);
 * const state = memory.allocate(rule.stateLength(layout)), scratch = memory.allocate(0);
 * gradients[0] = 5;
 * rule.update({ memory, layout, params, gradients, state, scratch, step: 1, lr: 0.1, scale: 1 });
 * assertAlmostEquals(params[0], -0.1, 1e-6);
 * ```
 */
export function adamw(options: AdamwOptions = {}): OptimizerRule {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01 } = options;
  const problems: ConfigProblem[] = [];
  const require = (isRight: boolean, key: string, message: string): unknown =>
    isRight || problems.push({ key, message });
  require(beta1 >= 0 && beta1 < 1, "beta1", `${beta1} is not in [0, 1)`);
  require(beta2 >= 0 && beta2 < 1, "beta2", `${beta2} is not in [0, 1)`);
  require(epsilon > 0, "epsilon", `${epsilon} is not > 0`);
  require(weightDecay >= 0, "weightDecay", `${weightDecay} is not ≥ 0`);
  if (problems.length) throw new ConfigError(problems);
  return {
    name: "adamw",
    options: { beta1, beta2, epsilon, weightDecay },
    stateLength: (layout) => 2 * layout.length,
    scratchLength: () => 0,
    update(u: RuleUpdate): void {
      const { memory, layout, params, gradients, state, step, lr, scale, rows = {} } = u;
      const correction = 1 / Math.sqrt(1 - beta2 ** step);
      const apply = (
        at: { first: number; end: number; gradient: number; decay: boolean; rateFactor: number },
      ): void => {
        const { first, end, gradient, decay } = at;
        const rate = lr * at.rateFactor;
        memory.adamw({
          p: params.subarray(first, end),
          g: gradients.subarray(gradient, gradient + end - first),
          m: state.subarray(first, end),
          v: state.subarray(layout.length + first, layout.length + end),
        }, {
          scale,
          beta1,
          beta2,
          rate: rate / (1 - beta1 ** step),
          correction,
          epsilon,
          keep: decay ? 1 - rate * weightDecay : 1,
        });
      };
      for (const run of runsOf(layout)) apply({ ...run, gradient: run.first });
      for (const { name, shape, offset, decay, rateFactor, isRowSparse } of layout.segments) {
        if (!isRowSparse) continue;
        const width = shape[1];
        rows[name]?.forEach((row, i) => {
          const first = offset + row * width;
          const gradient = offset + i * width;
          apply({ first, end: first + width, gradient, decay, rateFactor });
        });
      }
    },
  };
}
