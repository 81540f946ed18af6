import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DeepragError, ShapeError } from "../../../src/errors.ts";
import { MAX_VECTOR_FLOATS, paddedLength, VectorMemory } from "../../../src/optim/mod.ts";
import { KERNELS_BASE64 } from "../../../src/optim/kernels_wasm.ts";
import { assemble } from "./assemble_kernels.ts";

/** A few roundings of float32. */
const FEW_ROUNDINGS = 1e-6;
const FLOAT64 = 1e-13;

const floats = (minLength: number): fc.Arbitrary<Float32Array> =>
  fc.float32Array({ minLength, maxLength: 70, noNaN: true, min: -100, max: 100 });

/** Vectors of one memory, filled with the given values. */
function vectors(...values: Float32Array[]): { memory: VectorMemory; vs: Float32Array[] } {
  const memory = new VectorMemory(values.reduce((n, v) => n + paddedLength(v.length), 0));
  const vs = values.map((v) => {
    const x = memory.allocate(v.length);
    x.set(v);
    return x;
  });
  return { memory, vs };
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  assertEquals(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    const scale = Math.max(1, Math.abs(expected[i]));
    assertAlmostEquals(actual[i], expected[i], FEW_ROUNDINGS * scale * 100, `element ${i}`);
  }
}

Deno.test("the committed bytes are what kernels.wat assembles to", async () => {
  assertEquals(KERNELS_BASE64, await assemble("src/optim/kernels"));
});

Deno.test("flat kernels equal their formulas at every length", () => {
  fc.assert(fc.property(floats(0), fc.float({ noNaN: true, min: -2, max: 2 }), (x, a) => {
    const y0 = x.map((v) => v / 3 + 1);
    {
      const { memory, vs: [y, z] } = vectors(y0, x);
      memory.axpy(y, z, a);
      assertClose(y, y0.map((v, i) => v + a * x[i]));
      memory.lerp(z, y, a);
      assertClose(z, x.map((v, i) => v + a * (y[i] - v)));
    }
    const { memory, vs: [y] } = vectors(y0);
    const expected = Array.from(y0).reduce((sum, v) => sum + v * v, 0);
    assertAlmostEquals(memory.sumOfSquares(y), expected, FLOAT64 * (1 + expected));
  }));
});

Deno.test("kernels touch nothing behind their vectors but padding", () => {
  const memory = new VectorMemory(64);
  const y = memory.allocate(5).fill(1), guard = memory.allocate(16).fill(7);
  const x = memory.allocate(5).fill(1);
  memory.axpy(y, x, 1);
  memory.lerp(y, x, 0.5);
  memory.rowApply({ p: y, g: x, c: x }, { k: 1, rate: 1, keep: 1 });
  assertEquals(Array.from(guard), new Array(16).fill(7));
  assertEquals(memory.sumOfSquares(x), 5);
});

Deno.test("row kernels equal their formulas at every length", () => {
  fc.assert(fc.property(floats(1), (g0) => {
    const c0 = g0.map((v) => 0.5 + v * v / 1e4), p0 = g0.map((v) => v - 2);
    const { memory, vs: [g, c, p] } = vectors(g0, c0, p0);
    const added = g0.map((v) => (0.5 * v) ** 2 + 0.25);
    const sum = memory.rowSquares(g, c, 0.5, 0.25);
    assertClose([sum], [added.reduce((a, b) => a + b, 0)]);
    assertClose(c, c0.map((v, i) => v + added[i]));
    c.set(c0);
    const squares = g0.reduce((a, v, i) => a + (2 * v * c0[i]) ** 2, 0);
    assertClose([memory.rowUpdateSquares(g, c, 2)], [squares]);
    memory.rowApply({ p, g, c }, { k: 2, rate: 0.1, keep: 0.9 });
    assertClose(p, p0.map((v, i) => 0.9 * v - 0.1 * (2 * g0[i] * c0[i])));
  }));
});

Deno.test("a million squares are summed without losing small ones", () => {
  const memory = new VectorMemory(1 << 20);
  const x = memory.allocate(1 << 20).fill(Math.fround(1e-3));
  x[0] = 1000;
  const expected = 1e6 + ((1 << 20) - 1) * Math.fround(1e-3) ** 2;
  // Float32 would be off by 1; float64 rounds a million times by at most 1e-10.
  assertAlmostEquals(memory.sumOfSquares(x), expected, 1e-4);
});

Deno.test("vectors of another memory and of other lengths are refused", () => {
  const memory = new VectorMemory(64);
  const x = memory.allocate(4);
  assertThrows(() => memory.axpy(x, new Float32Array(4), 1), ShapeError, "not allocated by this");
  assertThrows(() => memory.axpy(x, memory.allocate(5), 1), ShapeError, "4 and 5 elements");
  assertThrows(() => memory.allocate(4000000), ShapeError, "are free");
  assertThrows(() => new VectorMemory(MAX_VECTOR_FLOATS + 1), DeepragError, "4 GiB");
});
