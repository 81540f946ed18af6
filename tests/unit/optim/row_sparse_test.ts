/** Updating single rows of a parameter, and learning rates of their own. */
import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/errors.ts";
import {
  adamw,
  layoutOf,
  type OptimizerRule,
  type RuleUpdate,
  sgd,
  VectorMemory,
} from "../../../src/optim/mod.ts";
import type { ParamSpecs } from "../../../src/tensor/params.ts";

const zero = { kind: "constant", value: 0 } as const;
const WIDTH = 8;

function setUp(
  specs: ParamSpecs,
): Omit<RuleUpdate, "step" | "lr" | "scale"> & { rule: OptimizerRule } {
  const layout = layoutOf(specs), rule = adamw({ weightDecay: 0.1 });
  const memory = new VectorMemory(8 * layout.length + 64);
  return {
    memory,
    layout,
    rule,
    params: memory.allocate(layout.length).fill(0.5),
    gradients: memory.allocate(layout.length),
    state: memory.allocate(rule.stateLength(layout)),
    scratch: memory.allocate(0),
  };
}

Deno.test("named rows move as in the dense update; the others keep value and moments", () => {
  const rows = 6, named = Int32Array.of(1, 4);
  const sparse = setUp({ e: { shape: [rows, WIDTH], init: zero, isRowSparse: true } });
  const dense = setUp({ e: { shape: [rows, WIDTH], init: zero } });
  for (let step = 1; step <= 3; step++) {
    dense.gradients.fill(0);
    named.forEach((row, i) => {
      for (let c = 0; c < WIDTH; c++) {
        const g = Math.sin(step * 31 + row * 7 + c);
        dense.gradients[row * WIDTH + c] = g;
        sparse.gradients[i * WIDTH + c] = g;
      }
    });
    const common = { step, lr: 0.1, scale: 0.7 };
    dense.rule.update({ ...dense, ...common });
    sparse.rule.update({ ...sparse, ...common, rows: { e: named } });
  }
  for (let row = 0; row < rows; row++) {
    const slice = (x: Float32Array) => [...x.subarray(row * WIDTH, (row + 1) * WIDTH)];
    if (named.includes(row)) assertEquals(slice(sparse.params), slice(dense.params));
    else assertEquals(slice(sparse.params), new Array(WIDTH).fill(0.5));
    if (!named.includes(row)) assertEquals(slice(sparse.state), new Array(WIDTH).fill(0));
  }
});

Deno.test("a parameter's rate factor multiplies its learning rate", () => {
  const scaled = setUp({ w: { shape: [16], init: zero, rateFactor: 0.25 } });
  const plain = setUp({ w: { shape: [16], init: zero } });
  for (const s of [scaled, plain]) s.gradients.fill(3);
  scaled.rule.update({ ...scaled, step: 1, lr: 0.4, scale: 1 });
  plain.rule.update({ ...plain, step: 1, lr: 0.1, scale: 1 });
  assertEquals([...scaled.params], [...plain.params]);
});

Deno.test("rows that SIMD can't address alone are refused", () => {
  assertThrows(
    () => layoutOf({ e: { shape: [4, 3], init: zero, isRowSparse: true } }),
    ShapeError,
    "multiple of 4",
  );
});

Deno.test("optimisers of whole parameters refuse row-sparse ones", () => {
  const s = setUp({ e: { shape: [2, 4], init: zero, isRowSparse: true } });
  assertThrows(() => sgd().update({ ...s, step: 1, lr: 1, scale: 1 }), ShapeError, "adamw");
});
