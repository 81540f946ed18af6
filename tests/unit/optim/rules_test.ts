import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/errors.ts";
import {
  adafactor,
  adamw,
  clipFactor,
  type Layout,
  layoutOf,
  type OptimizerRule,
  sgd,
  VectorMemory,
} from "../../../src/optim/mod.ts";
import { REFERENCE_STEPS } from "./reference_steps.ts";

/** PyTorch and these kernels round differently in a handful of float32 operations. */
const ROUNDING = 1e-6;

const init = { kind: "constant", value: 0 } as const;
const LAYOUT = layoutOf({
  a: { shape: [3, 5], init },
  b: { shape: [2, 3, 7], init },
  c: { shape: [6], init, decay: false },
});

interface Run {
  rule: OptimizerRule;
  lr: (t: number) => number;
  maxNorm?: number;
  layout?: Layout;
}

/** Three steps from the start and with the gradients that `reference_steps.ts` describes. */
function run({ rule, lr, maxNorm, layout = LAYOUT }: Run): { flat: Float32Array; used: number[] } {
  const n = layout.length;
  const memory = new VectorMemory(2 * n + rule.stateLength(layout) + 64);
  const params = memory.allocate(n), gradients = memory.allocate(n);
  const state = memory.allocate(rule.stateLength(layout));
  const scratch = memory.allocate(rule.scratchLength(layout));
  const each = (f: (at: number, i: number) => void): void => {
    let i = 1;
    for (const { offset, length } of layout.segments) {
      for (let k = 0; k < length; k++) f(offset + k, i++);
    }
  };
  each((at, i) => params[at] = Math.sin(i));
  for (let t = 0; t < 3; t++) {
    each((at, i) => gradients[at] = 0.3 * Math.cos(i * (t + 1)));
    const scale = clipFactor(Math.sqrt(memory.sumOfSquares(gradients)), maxNorm);
    rule.update({
      memory,
      layout,
      params,
      gradients,
      state,
      scratch,
      step: t + 1,
      lr: lr(t),
      scale,
    });
  }
  const used: number[] = [];
  each((at) => used.push(params[at]));
  return { flat: params, used };
}

const RUNS: Record<string, Run> = {
  adamw: {
    rule: adamw({ beta1: 0.9, beta2: 0.99, weightDecay: 0.1 }),
    lr: () => 0.05,
    maxNorm: 0.5,
  },
  adafactorFixed: {
    rule: adafactor({ relativeStep: false, scaleParameter: false, weightDecay: 0.1 }),
    lr: () => 1e-2,
    layout: layoutOf({
      a: { shape: [3, 5], init },
      b: { shape: [2, 3, 7], init },
      c: { shape: [6], init },
    }),
  },
  adafactorRelative: { rule: adafactor(), lr: () => 1 },
  sgd: { rule: sgd(), lr: (t) => 0.1 * (t + 1) },
};

for (const [name, options] of Object.entries(RUNS)) {
  Deno.test(`${name} takes the steps of PyTorch`, () => {
    const { used } = run(options);
    const expected = REFERENCE_STEPS[name];
    assertEquals(used.length, expected.length);
    used.forEach((x, i) => assertAlmostEquals(x, expected[i], ROUNDING, `element ${i}`));
  });

  Deno.test(`${name} gives the same bits twice and leaves padding zero`, () => {
    const { flat } = run(options);
    assertEquals(flat, run(options).flat);
    const inside = new Set<number>();
    for (const { offset, length } of LAYOUT.segments) {
      for (let k = 0; k < length; k++) inside.add(offset + k);
    }
    flat.forEach((x, i) => inside.has(i) || assertEquals(x, 0));
  });
}

Deno.test("the gradient scale equals scaling the gradients", () => {
  for (const rule of [adamw(), adafactor(), sgd()]) {
    const halves = [1, 0.5].map((scale) => {
      const memory = new VectorMemory(4096);
      const params = memory.allocate(LAYOUT.length), gradients = memory.allocate(LAYOUT.length);
      const state = memory.allocate(rule.stateLength(LAYOUT));
      const scratch = memory.allocate(rule.scratchLength(LAYOUT));
      for (const { offset, length } of LAYOUT.segments) {
        for (let k = 0; k < length; k++) gradients[offset + k] = (k + 1) / scale;
      }
      rule.update({
        memory,
        layout: LAYOUT,
        params,
        gradients,
        state,
        scratch,
        step: 1,
        lr: 0.1,
        scale,
      });
      return params;
    });
    // Halving and doubling are exact in binary, so nothing may differ.
    assertEquals(halves[0], halves[1]);
  }
});

Deno.test("clipFactor equals clip_grad_norm_, its 1e-6 included", () => {
  assertEquals(clipFactor(2, 1), 1 / (2 + 1e-6));
  assertEquals(clipFactor(0.5, 1), 1);
  assertEquals(clipFactor(1e9), 1);
});

Deno.test("impossible hyperparameters are refused, all at once", () => {
  const error = assertThrows(() => adamw({ beta1: 1, epsilon: 0 }), ConfigError);
  assertEquals(error.problems.map((p) => p.key), ["beta1", "epsilon"]);
  assertThrows(() => adafactor({ decayRate: 0.8 }), ConfigError, "decayRate");
});
