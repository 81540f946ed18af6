/** Plain stochastic gradient descent. @module */
import type { OptimizerRule } from "./rule.ts";

/**
 * Stochastic gradient descent without momentum or decay: θ ← θ − lr·g. No state.
 *
 * Equal to `torch.optim.SGD` with its defaults.
 *
 * @example
 * ```ts
 * import { sgd } from "./sgd.ts";
 * import { layoutOf } from "./segment.ts";
 * import { assertEquals } from "@std/assert";
 * const layout = layoutOf({ w: { shape: [3], init: { kind: "constant", value: 0 } } });
 * assertEquals(sgd().stateLength(layout), 0);
 * ```
 */
export function sgd(): OptimizerRule {
  return {
    name: "sgd",
    options: {},
    stateLength: () => 0,
    scratchLength: () => 0,
    update({ memory, params, gradients, lr, scale }): void {
      memory.axpy(params, gradients, -lr * scale);
    },
  };
}
