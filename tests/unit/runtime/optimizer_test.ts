import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeepragError } from "../../../src/errors.ts";
import { adamw, sgd } from "../../../src/optim/mod.ts";
import { Optimizer, ParameterStore, type ParameterStoreOptions } from "../../../src/runtime/mod.ts";
import type { ParamSpecs } from "../../../src/tensor/params.ts";

const EXACT = 1e-6;

const specs: ParamSpecs = {
  a: { shape: [2], init: { kind: "constant", value: 1 } },
  b: { shape: [1], init: { kind: "constant", value: 1 } },
};

function storeOf(options: Omit<ParameterStoreOptions, "rule"> = {}): ParameterStore {
  const store = new ParameterStore(specs, { rule: sgd(), ...options });
  store.initialise(0);
  return store;
}

function setGradients(store: ParameterStore, a0: number, a1: number, b: number): void {
  store.gradients.a.data.set([a0, a1]);
  store.gradients.b.data.set([b]);
}

const valuesOf = ({ params }: ParameterStore): number[] => [...params.a.data, ...params.b.data];

Deno.test("the global norm spans all parameters, and clipping scales all of them", () => {
  const store = storeOf(), optimizer = new Optimizer(store);
  setGradients(store, 2, 3, 6); // norm 7
  assertEquals(optimizer.step(1, { clipNorm: 100 }), { gradNorm: 7, isApplied: true });
  assertEquals(valuesOf(store), [-1, -2, -5]);
  setGradients(store, 2, 3, 6);
  assertEquals(optimizer.step(1, { clipNorm: 3.5 }).gradNorm, 7);
  [-2, -3.5, -8].forEach((x, i) => assertAlmostEquals(valuesOf(store)[i], x, EXACT));
  assertEquals(optimizer.updates, 2);
});

Deno.test("accumulated batches count as their mean, and are forgotten after the step", () => {
  const store = storeOf({ accumulate: true }), optimizer = new Optimizer(store);
  for (const g of [3, 6, 0]) {
    setGradients(store, g, 0, 0);
    optimizer.accumulate();
  }
  assertEquals(optimizer.step(1), { gradNorm: 3, isApplied: true });
  assertEquals(valuesOf(store), [-2, 1, 1]);
  setGradients(store, 0, 5, 0);
  optimizer.accumulate();
  assertEquals(optimizer.step(1, { scale: 2 }), { gradNorm: 10, isApplied: true });
  assertEquals(valuesOf(store), [-2, -9, 1]);
  setGradients(store, 0, 0, 4); // without accumulate(): the gradients in the store
  assertEquals(optimizer.step(0.5).gradNorm, 4);
  assertEquals(valuesOf(store), [-2, -9, -1]);
});

Deno.test("a gradient that is no number changes nothing and says so", () => {
  const store = storeOf({ average: true }), optimizer = new Optimizer(store, { averageDecay: 0.5 });
  for (const bad of [NaN, Infinity]) {
    setGradients(store, 1, bad, 1);
    assertEquals(optimizer.step(1, { clipNorm: 1 }).isApplied, false);
  }
  assertEquals(valuesOf(store), [1, 1, 1]);
  assertEquals(optimizer.updates, 0);
  setGradients(store, 1, 1, 1);
  assertEquals(optimizer.step(1).isApplied, true);
});

Deno.test("the moving average follows, stands in for evaluation, and goes back", async () => {
  const store = storeOf({ average: true }),
    optimizer = new Optimizer(store, { averageDecay: 0.75 });
  assertEquals(await optimizer.withAverage(() => Promise.resolve(valuesOf(store))), [1, 1, 1]);
  setGradients(store, 4, 0, -8);
  optimizer.step(1); // parameters -3, 1, 9; average 1 + ¼(-3 − 1) = 0, 1, 3
  optimizer.step(1); // parameters -7, 1, 17; average 0 + ¼(-7 − 0) = -1.75, 1, 6.5
  const seen = await optimizer.withAverage(async () => {
    assertThrows(() => optimizer.step(1), DeepragError, "moving average is in the place");
    assertThrows(() => optimizer.accumulate(), DeepragError, "moving average is in the place");
    await assertRejects(() => optimizer.withAverage(() => Promise.resolve()), DeepragError);
    return valuesOf(store);
  });
  assertEquals(seen, [-1.75, 1, 6.5]);
  assertEquals(valuesOf(store), [-7, 1, 17]);
  await assertRejects(
    () => optimizer.withAverage(() => Promise.reject(new Error("x"))),
    Error,
    "x",
  );
  assertEquals(valuesOf(store), [-7, 1, 17]);
});

Deno.test("what cannot work is refused with the remedy", async () => {
  assertThrows(() => new Optimizer(new ParameterStore(specs)), DeepragError, "Give it a `rule`");
  assertThrows(
    () => new Optimizer(storeOf(), { averageDecay: 0.9 }),
    DeepragError,
    "average: true",
  );
  assertThrows(() => new Optimizer(storeOf({ average: true })), DeepragError, "averageDecay");
  assertThrows(
    () => new Optimizer(storeOf({ average: true }), { averageDecay: 1 }),
    DeepragError,
    "[0, 1)",
  );
  const optimizer = new Optimizer(storeOf());
  assertThrows(() => optimizer.accumulate(), DeepragError, "accumulate: true");
  assertThrows(() => optimizer.step(NaN), DeepragError, "learning rate is NaN");
  assertThrows(() => optimizer.step(-1), DeepragError, "learning rate is -1");
  assertThrows(() => optimizer.step(1, { clipNorm: 0 }), DeepragError, "not > 0");
  assertThrows(() => optimizer.step(1, { scale: Infinity }), DeepragError, "scale is Infinity");
  await assertRejects(() => optimizer.withAverage(() => Promise.resolve()), DeepragError, "none");
});

Deno.test("row-sparse parameters: their rows count in the norm, and batches cannot be summed", () => {
  const sparse: ParamSpecs = {
    e: { shape: [4, 4], init: { kind: "constant", value: 0 }, isRowSparse: true, decay: false },
    b: specs.b,
  };
  const store = new ParameterStore(sparse, { rule: adamw(), accumulate: true });
  const optimizer = new Optimizer(store);
  // Two rows of 4 ones stand at the start; what stands behind them is left over from earlier.
  store.gradients.e.data.fill(1, 0, 8).fill(1e6, 8);
  store.gradients.b.data[0] = 1;
  const { gradNorm } = optimizer.step(0.1, { rows: { e: Int32Array.of(0, 3) } });
  assertEquals(gradNorm, 3);
  const moved = Array.from(store.params.e.data, (x) => x !== 0);
  assertEquals(moved, Array.from({ length: 16 }, (_, i) => i < 4 || i >= 12));
  assertThrows(() => optimizer.accumulate(), DeepragError, "rows of its own");
});
