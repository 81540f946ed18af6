import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { CheckpointError, DeepragError } from "../../../src/errors.ts";
import { adafactor, adamw, sgd } from "../../../src/optim/mod.ts";
import { ParameterStore } from "../../../src/runtime/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import type { ParamSpecs } from "../../../src/tensor/params.ts";

const specs: ParamSpecs = {
  w: { shape: [40, 50], init: { kind: "normal", std: 0.02 } },
  b: { shape: [50], init: { kind: "constant", value: -1 }, decay: false },
  u: { shape: [7], init: { kind: "normal", std: 1 } },
};

const initialised = (s: ParamSpecs, seed: number): ParameterStore => {
  const store = new ParameterStore(s);
  store.initialise(seed);
  return store;
};

Deno.test("a new parameter changes no other one's start; another seed changes all", () => {
  const { w, b, u } = initialised(specs, 3).params;
  const grown = initialised({ extra: { shape: [9], init: specs.u.init }, ...specs }, 3).params;
  assertEquals(grown.w.data, w.data);
  assertEquals(grown.u.data, u.data);
  assertEquals(Array.from(b.data), new Array(50).fill(-1));
  const other = initialised(specs, 4).params;
  assertEquals(other.w.data.some((x, i) => x === w.data[i]), false);
  assertEquals(grown.extra.data.subarray(0, 7).some((x, i) => x === u.data[i]), false);
});

Deno.test("normal parameters have their standard deviation and mean 0", () => {
  const { data } = initialised(specs, 3).params.w;
  const mean = data.reduce((a, x) => a + x, 0) / data.length;
  const variance = data.reduce((a, x) => a + (x - mean) ** 2, 0) / data.length;
  // 2 000 draws: four standard errors.
  assertAlmostEquals(mean, 0, 4 * 0.02 / Math.sqrt(2000));
  assertAlmostEquals(Math.sqrt(variance), 0.02, 4 * 0.02 / Math.sqrt(4000));
});

Deno.test("views show one flat vector, aligned, and gradients are laid out alike", () => {
  const store = new ParameterStore(specs, { rule: sgd() });
  store.flat.forEach((_, i) => store.flat[i] = i);
  for (const { name, offset, length } of store.layout.segments) {
    assertEquals(offset % 16, 0);
    assertEquals(store.params[name].data[length - 1], offset + length - 1);
    store.gradients[name].data.fill(offset);
    assertEquals(store.training.gradients[offset + length - 1], offset);
    assertEquals(store.params[name].data.buffer === store.gradients[name].data.buffer, true);
  }
  assertEquals(store.parameterCount, 2057);
});

Deno.test("loading copies weights, or says everything that is wrong and copies nothing", () => {
  const store = initialised(specs, 3);
  const f32 = (shape: number[], value: number): ReturnType<typeof hostTensor> =>
    hostTensor("float32", new Float32Array(shape.reduce((a, b) => a * b)).fill(value), shape);
  store.load({ u: f32([7], 1), w: f32([40, 50], 2), b: f32([50], 3) });
  assertEquals([store.params.u, store.params.w, store.params.b].map((t) => t.data[4]), [1, 2, 3]);
  const { message } = assertThrows(
    () =>
      store.load({
        w: f32([50, 40], 9),
        b: hostTensor("int32", new Int32Array(50), [50]),
        surplus: f32([1], 9),
      }),
    CheckpointError,
  );
  assertEquals(message.split("\n  "), [
    "Cannot load these weights: 4 do not fit",
    "w is [50, 40], not [40, 50]",
    "b is int32, not float32",
    "u is missing",
    "surplus is unexpected",
  ]);
  assertEquals(store.params.w.data[0], 2);
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`p${i}`, f32([1], 0)]));
  assertEquals(
    assertThrows(() => store.load(many), CheckpointError).message.split("\n").at(-1),
    "  … and 33 more",
  );
});

Deno.test("a store without an optimiser says that it cannot train", () => {
  const store = new ParameterStore(specs);
  assertEquals(store.isTrainable, false);
  assertThrows(() => store.training, DeepragError, "without an optimiser");
  assertThrows(() => store.gradients, DeepragError, "without an optimiser");
});

Deno.test("more than 4 GiB is refused with the remedy before anything is allocated", () => {
  const huge: ParamSpecs = {
    w: { shape: [300_000, 1000], init: { kind: "constant", value: 0 } },
  };
  const { message } = assertThrows(
    () => new ParameterStore(huge, { rule: adamw() }),
    DeepragError,
    "300000000 parameters to train with adamw",
  );
  assertEquals(message.includes("4.5 GiB"), true, message);
  assertEquals(message.includes("Adafactor"), true);
  // With its factored state Adafactor fits: the memory is reserved, not touched.
  assertEquals(new ParameterStore(huge, { rule: adafactor() }).parameterCount, 300_000_000);
});
