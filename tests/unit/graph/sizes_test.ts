import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import {
  evaluateSize,
  formatSize,
  probeSizes,
  type SizeExpr,
  SizeSolver,
  type SizeTerm,
} from "../../../src/graph/sizes.ts";

const SYMBOLS = ["B", "S", "T"];
const PROBES = (() => {
  const { small, large } = probeSizes(SYMBOLS, new Set());
  return [...small, ...large];
})();

const products = ["B", "S", "T", "BS", "BT", "ST", "SS", "BST", "BSS"].map((s) => [...s]);
const expressions = fc.record({
  constant: fc.integer({ min: -20, max: 20 }),
  terms: fc.uniqueArray(
    fc.record({
      coefficient: fc.integer({ min: -64, max: 512 }).filter((c) => c !== 0),
      symbols: fc.constantFrom(...products),
    }) as fc.Arbitrary<SizeTerm>,
    { maxLength: 2, selector: (t) => t.symbols.join("") },
  ),
}) as fc.Arbitrary<SizeExpr>;

Deno.test("the solver finds the expression behind its values", () => {
  const solver = new SizeSolver(PROBES);
  fc.assert(
    fc.property(expressions, (expr) => {
      const found = solver.solve(PROBES.map((p) => evaluateSize(expr, p)));
      assert(found, formatSize(expr));
      const unseen = { B: 64, S: 1, T: 999 };
      assertEquals(evaluateSize(found, unseen), evaluateSize(expr, unseen));
    }),
    { numRuns: 200 },
  );
});

Deno.test("three lengths concatenated are an expression", () => {
  const solver = new SizeSolver(PROBES);
  const found = solver.solve(PROBES.map(({ B, S, T }) => B + 2 * S + T + 1));
  assertEquals(found && formatSize(found), "B+2*S+T+1");
});

Deno.test("what is no such expression is not found", () => {
  const solver = new SizeSolver(PROBES);
  assertEquals(solver.solve(PROBES.map(({ S }) => Math.ceil(S / 2))), undefined);
  assertEquals(solver.solve(PROBES.map(({ S }) => Math.min(S, 100))), undefined);
  assertEquals(solver.solve(PROBES.map(({ S }) => S / 2)), undefined);
});

Deno.test("probes are prime, distinct, and avoid sizes of the program", () => {
  const avoid = new Set([11, 13, 211]);
  for (const attempt of [0, 1]) {
    const { small, large } = probeSizes(["A", "B", "C", "D", "E", "F"], avoid, attempt);
    const all = [...small, ...large].flatMap((p) => Object.values(p));
    assertEquals(new Set(all).size, 7 * 6);
    for (const n of all) {
      assert(!avoid.has(n));
      for (let d = 2; d * d <= n; d++) assert(n % d, `${n}`);
    }
    assert(Math.min(...large.flatMap((p) => Object.values(p))) > 200);
  }
});

Deno.test("sizes read as one would write them", () => {
  const expr = {
    terms: [{ coefficient: 2, symbols: ["B", "S"] }, { coefficient: -1, symbols: ["T"] }],
  };
  assertEquals(formatSize({ ...expr, constant: -3 }), "2*B*S+-1*T-3".replace("+-", "-"));
  assertEquals(formatSize({ terms: [], constant: 0 }), "0");
});
