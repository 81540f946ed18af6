import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ConfigError } from "../../../src/errors.ts";
import { type ScheduleConfig, scheduleFactor } from "../../../src/optim/mod.ts";

const EXACT = 1e-12;

function curve(config: ScheduleConfig, steps: number): number[] {
  return Array.from({ length: steps }, (_, step) => scheduleFactor(config, step));
}

Deno.test("inverse square root equals transformers 5.18 get_inverse_sqrt_schedule", () => {
  const expected = [0, 0.25, 0.5, 0.75, 1, 0.8944271909999159, 0.8164965809277261];
  curve({ kind: "inverseSqrt", warmupSteps: 4 }, 7)
    .forEach((x, i) => assertAlmostEquals(x, expected[i], EXACT));
  assertAlmostEquals(scheduleFactor({ kind: "inverseSqrt" }, 4), 0.9998000599800071, EXACT);
});

Deno.test("cosine with a floor equals transformers 5.18 get_cosine_with_min_lr_schedule", () => {
  // deno-fmt-ignore
  const expected = [
    0, 1 / 3, 2 / 3, 1, 0.9704493841850951, 0.8853617771282992, 0.755, 0.595087607056796,
    0.42491239294320415, 0.265, 0.13463822287170082, 0.04955061581490493, 0.02,
  ];
  curve({ kind: "cosine", warmupSteps: 3, totalSteps: 12, minFactor: 0.02 }, 13)
    .forEach((x, i) => assertAlmostEquals(x, expected[i], EXACT));
});

Deno.test("past the last step, linear and cosine stay at their floor", () => {
  for (const kind of ["linear", "cosine"] as const) {
    assertAlmostEquals(
      scheduleFactor({ kind, totalSteps: 10, minFactor: 0.1 }, 1000),
      0.1,
      EXACT,
    );
  }
});

Deno.test("every schedule stays between its floor and 1 after the warm-up and never rises", () => {
  fc.assert(fc.property(
    fc.constantFrom("linear", "cosine", "constant", "inverseSqrt"),
    fc.nat(50),
    fc.nat(100),
    fc.double({ min: 0, max: 1, noNaN: true }),
    (kind, warmupSteps, more, minFactor) => {
      const config = { kind, warmupSteps, totalSteps: warmupSteps + more, minFactor } as const;
      const after = curve(config, warmupSteps + more + 5).slice(warmupSteps);
      after.forEach((x, i) => {
        if (x < minFactor - EXACT || x > 1 + EXACT) throw new Error(`${x} at ${i}`);
        if (i && x > after[i - 1] + EXACT) throw new Error(`rises at ${i}`);
      });
    },
  ));
});

Deno.test("all problems of a schedule are reported at once", () => {
  const error = assertThrows(
    () => scheduleFactor({ kind: "cosine", warmupSteps: -1, minFactor: 2 }, 0),
    ConfigError,
  );
  assertEquals(error.problems.map((p) => p.key), ["warmupSteps", "totalSteps", "minFactor"]);
});
