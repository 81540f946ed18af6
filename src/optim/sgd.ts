/** Plain stochastic gradient descent. @module */
import type { OptimizerRule } from "./rule.ts";
import { refuseRowSparse } from "./segment.ts";
import { paddedLength } from "./vector_memory.ts";

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
    update({ memory, layout, params, gradients, lr, scale }): void {
      for (const segment of layout.segments) {
        refuseRowSparse("sgd", segment);
        const [first, end] = [segment.offset, segment.offset + paddedLength(segment.length)];
        const rate = -lr * segment.rateFactor * scale;
        memory.axpy(params.subarray(first, end), gradients.subarray(first, end), rate);
      }
    },
  };
}
