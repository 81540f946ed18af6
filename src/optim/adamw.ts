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

/** Longest stretches of equal treatment: `[first, end, decays]` in elements. */
function runsOf(layout: Layout): [number, number, boolean][] {
  const runs: [number, number, boolean][] = [];
  for (const { offset, length, decay } of layout.segments) {
    const end = offset + paddedLength(length);
    const last = runs.at(-1);
    if (last && last[2] === decay) last[1] = end;
    else runs.push([offset, end, decay]);
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
    update({ memory, layout, params, gradients, state, step, lr, scale }: RuleUpdate): void {
      for (const [first, end, decays] of runsOf(layout)) {
        memory.adamw({
          p: params.subarray(first, end),
          g: gradients.subarray(first, end),
          m: state.subarray(first, end),
          v: state.subarray(layout.length + first, layout.length + end),
        }, {
          scale,
          beta1,
          beta2,
          rate: lr / (1 - beta1 ** step),
          correction: 1 / Math.sqrt(1 - beta2 ** step),
          epsilon,
          keep: decays ? 1 - lr * weightDecay : 1,
        });
      }
    },
  };
}
