import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type GuardedFigures,
  type GuardLimits,
  PolicyGuard,
} from "../../../src/train/policy_guard.ts";

/** An iteration with nothing wrong. */
const FINE: GuardedFigures = {
  return: 0.5,
  correctLogProbChange: 0,
  kl: 0,
  truncatedShare: 0,
  degenerateShare: 0,
  isFinite: true,
};

/** What a guard says to iterations that are fine but for this. */
const reasons = (
  limits: GuardLimits,
  ...all: Partial<GuardedFigures>[]
): (string | undefined)[] => {
  const guard = new PolicyGuard(limits);
  return all.map((figures) => guard.observe({ ...FINE, ...figures })?.reason);
};

Deno.test("each figure over its limit is an alarm, with its number, and at the limit is none", () => {
  const cases: [GuardLimits, Partial<GuardedFigures>, Partial<GuardedFigures>, string][] = [
    [
      { displacement: 0.25 },
      { correctLogProbChange: -0.25 },
      { correctLogProbChange: -0.251 },
      "right episodes become less likely: log π changed by -0.251 nats per action in one iteration",
    ],
    [
      { kl: 2 },
      { kl: 2 },
      { kl: 2.125 },
      "the policy is 2.13 nats per action away from its reference",
    ],
    [
      { brokenShare: 0.25 },
      { truncatedShare: 0.25, degenerateShare: 0.25 },
      { truncatedShare: 0.375 },
      "0.375 of the episodes were cut off",
    ],
    [
      { brokenShare: 0.25 },
      { truncatedShare: 0.25 },
      { degenerateShare: 0.75 },
      "0.750 of the episodes repeat themselves",
    ],
  ];
  for (const [limits, allowed, wrong, reason] of cases) {
    assertEquals(reasons({ ...limits, patience: 1 }, {}, allowed, wrong), [
      undefined,
      undefined,
      reason,
    ]);
  }
});

Deno.test("the limits that are not given: 0.3, 0.3, 10, 0.5, and three iterations in a row", () => {
  const cases: [Partial<GuardedFigures>, Partial<GuardedFigures>][] = [
    [{ correctLogProbChange: -0.3 }, { correctLogProbChange: -0.31 }],
    [{ kl: 10 }, { kl: 10.1 }],
    [{ truncatedShare: 0.5 }, { truncatedShare: 0.51 }],
    [{ degenerateShare: 0.5 }, { degenerateShare: 0.51 }],
  ];
  for (const [allowed, wrong] of cases) {
    assertEquals(reasons({}, allowed, allowed, allowed), [undefined, undefined, undefined]);
    const [first, second, third] = reasons({}, wrong, wrong, wrong);
    assertEquals([first, second], [undefined, undefined]);
    assert(third);
  }
  // Averages of 1, then zeros: 0.7, 0.49, 0.343. The first is not yet 0.3 lower.
  const falls = reasons({}, { return: 1 }, ...Array(4).fill({ return: 0 }));
  assertEquals(falls.slice(0, 4), Array(4).fill(undefined));
  assertEquals(falls[4], "the return fell from 1.00 to 0.240");
});

Deno.test("the return that is watched is an average: 0.7 of the old one and 0.3 of the new", () => {
  // Averages 1, 0.7, 0.49 against a best of 1; what is lower by more than 0.4 is an alarm.
  assertEquals(
    reasons({ returnDrop: 0.4, patience: 1 }, { return: 1 }, { return: 0 }, { return: 0 }),
    [undefined, undefined, "the return fell from 1.00 to 0.490"],
  );
  // The best is the best average, not the best return: 0, 0.3, 0.51, then 0.357.
  const rises = [{ return: 0 }, { return: 1 }, { return: 1 }, { return: 0 }];
  assertEquals(reasons({ returnDrop: 0.16, patience: 1 }, ...rises), Array(4).fill(undefined));
  assertEquals(
    reasons({ returnDrop: 0.15, patience: 1 }, ...rises).at(-1),
    "the return fell from 0.510 to 0.357",
  );
  // What goes up, or was always low, is fine.
  assertEquals(
    reasons({ returnDrop: 0, patience: 1 }, ...rises.slice(0, 3)),
    Array(3).fill(undefined),
  );
  assertEquals(reasons({ patience: 1 }, { return: -9 }, { return: -9 }), [undefined, undefined]);
});

Deno.test("bad iterations count only in a row", () => {
  const bad = { kl: 11 };
  const guard = new PolicyGuard({ patience: 3 });
  const said: boolean[] = [], healthy: boolean[] = [];
  for (const figures of [bad, bad, {}, bad, bad, bad, bad, bad, bad]) {
    said.push(guard.observe({ ...FINE, ...figures }) !== undefined);
    healthy.push(guard.isHealthy);
  }
  const yes = (...at: number[]) => said.map((_, i) => at.includes(i));
  // After an alarm it starts to count anew.
  assertEquals(said, yes(5, 8));
  assertEquals(healthy, yes(2, 5, 8));
  assert(new PolicyGuard().isHealthy);
});

Deno.test("bad iterations of different kinds in a row count together", () => {
  const [, , third] = reasons({}, { kl: 11 }, { truncatedShare: 1 }, { degenerateShare: 1 });
  assertEquals(third, "1.00 of the episodes repeat themselves");
});

Deno.test("a gradient that is not finite is an alarm at once", () => {
  assertEquals(reasons({ patience: 5 }, {}, { isFinite: false }), [
    undefined,
    "a gradient is not finite",
  ]);
});

Deno.test("after an alarm the average and the best start anew", () => {
  const limits = { returnDrop: 0.2, patience: 1 };
  assertEquals(
    reasons(limits, { return: 1 }, { return: 0 }, { return: 0 }, { return: 0 }, { return: -1 }),
    [
      undefined,
      "the return fell from 1.00 to 0.700",
      undefined,
      undefined,
      "the return fell from 0.00 to -0.300",
    ],
  );
});

Deno.test("what is saved as JSON and restored goes on as if it had not been", () => {
  const seldom = <T>(usual: T, other: T) => fc.nat(19).map((n) => n ? usual : other);
  const figures = fc.record({
    return: fc.integer({ min: -8, max: 8 }).map((x) => x / 8),
    correctLogProbChange: seldom(0, -0.5),
    kl: seldom(0, 11),
    truncatedShare: seldom(0, 0.75),
    degenerateShare: seldom(0, 0.75),
    isFinite: seldom(true, false),
  });
  fc.assert(fc.property(fc.array(figures, { maxLength: 12 }), fc.nat(12), (all, at) => {
    const limits = { patience: 2, returnDrop: 0.2 };
    const whole = new PolicyGuard(limits);
    let other = new PolicyGuard(limits);
    all.forEach((one, i) => {
      if (i === at) {
        const saved = JSON.parse(JSON.stringify(other.state));
        other = new PolicyGuard(limits);
        other.restore(saved);
      }
      assertEquals(other.observe(one), whole.observe(one));
      assertEquals([other.isHealthy, other.state], [whole.isHealthy, whole.state]);
    });
  }));
});
