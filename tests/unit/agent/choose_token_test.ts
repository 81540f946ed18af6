import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import { chooseToken } from "../../../src/agent/mod.ts";
import type { PolicyRules } from "../../../src/model/mod.ts";
import { randomStream } from "../../../src/tensor/random.ts";

/** Sums in float64 of the same float32 logits. */
const FLOAT64 = 1e-9;

/** Softmax over the tokens that are open, in plain numbers; 0 for the others. */
function softmax(
  logits: ArrayLike<number>,
  { forbidden, retrieveToken, temperature }: PolicyRules,
  mayRetrieve: boolean,
): number[] {
  const isOpen = (v: number) => !forbidden.includes(v) && (mayRetrieve || v !== retrieveToken);
  const open = Array.from(logits, (x, v) => isOpen(v) ? x / temperature : -Infinity);
  const top = open.reduce((a, b) => Math.max(a, b));
  const weights = open.map((x) => Math.exp(x - top));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / sum);
}

/** Evenly spread, where `fc.double` prefers tiny numbers. */
const between = (min: number, max: number) =>
  fc.nat(1_000_000 - 1).map((n) => min + (max - min) * n / 1_000_000);

/** Five to twelve logits; the retrieve token, some that are forbidden, and one that never is. */
const anyChoice = fc.integer({ min: 5, max: 12 }).chain((V) =>
  fc.record({
    logits: fc.array(between(-6, 6), { minLength: V, maxLength: V })
      .map((x) => Float32Array.from(x)),
    retrieveToken: fc.nat(V - 2),
    forbidden: fc.array(fc.nat(V - 2), { maxLength: 4 }),
    temperature: between(0.1, 5),
    mayRetrieve: fc.boolean(),
    uniform: between(0, 1),
  })
).map(({ retrieveToken, forbidden, temperature, ...rest }) => ({
  ...rest,
  rules: { retrieveToken, forbidden, temperature },
}));

Deno.test("a choice is where the cumulative softmax in float64 is cut, with its log-probability", () => {
  fc.assert(fc.property(anyChoice, ({ logits, rules, mayRetrieve, uniform }) => {
    const p = softmax(logits, rules, mayRetrieve);
    const { token, logProb, retrieveProb } = chooseToken({ logits, rules, mayRetrieve }, uniform);
    const below = p.slice(0, token).reduce((a, b) => a + b, 0);
    assert(p[token] > 0);
    assert(uniform >= below - FLOAT64 && uniform <= below + p[token] + FLOAT64);
    assertAlmostEquals(logProb, Math.log(p[token]), FLOAT64);
    assertAlmostEquals(retrieveProb, p[rules.retrieveToken], FLOAT64);
  }));
});

Deno.test("the probabilities of all tokens that can be drawn add up to 1", () => {
  fc.assert(fc.property(anyChoice, ({ logits, rules, mayRetrieve }) => {
    const p = softmax(logits, rules, mayRetrieve);
    let below = 0, sum = 0, left = 0;
    p.forEach((x, v) => {
      // A cut in the middle of what belongs to the token; what is too small to hit is added as it is.
      if (x > 1e-6) {
        const { token, logProb } = chooseToken({ logits, rules, mayRetrieve }, below + x / 2);
        assertEquals(token, v);
        sum += Math.exp(logProb);
      } else left += x;
      below += x;
    });
    assertAlmostEquals(sum + left, 1, FLOAT64);
  }));
});

Deno.test("many draws have the frequencies of the softmax", () => {
  const logits = Float32Array.of(0.5, -1, 2, 9, 0, 1.5, -0.5, 1);
  const random = randomStream({ seed: 3, stream: "draws", step: 0 });
  const DRAWS = 20_000;
  for (const temperature of [0.7, 1, 2]) {
    for (const mayRetrieve of [true, false]) {
      const rules = { forbidden: [3], retrieveToken: 5, temperature };
      const p = softmax(logits, rules, mayRetrieve);
      const counts = p.map(() => 0);
      for (let i = 0; i < DRAWS; i++) {
        counts[chooseToken({ logits, rules, mayRetrieve }, random.uniform()).token]++;
      }
      const distance = p.reduce(
        (sum, x, v) => sum + (x === 0 ? 0 : (counts[v] - DRAWS * x) ** 2 / (DRAWS * x)),
        0,
      );
      // Upper thousandths of chi-square with six and five degrees of freedom.
      assert(distance < (mayRetrieve ? 22.46 : 20.52), `distance ${distance} at ${temperature}`);
      assertEquals([counts[3], mayRetrieve || counts[5] === 0], [0, true]);
    }
  }
});

Deno.test("a cut at the very end still falls on a token that is open", () => {
  // Differences of rounding may leave something over behind the last open token.
  const uniform = 1 - Number.EPSILON / 2;
  const random = randomStream({ seed: 4, stream: "logits", step: 0 });
  for (let i = 0; i < 200; i++) {
    const logits = Float32Array.from({ length: 12 }, () => random.normal());
    const rules = { forbidden: [9, 11], retrieveToken: 10, temperature: 1 };
    assertEquals(chooseToken({ logits, rules, mayRetrieve: false }, uniform).token, 8);
  }
});

Deno.test("what is forbidden is never chosen, however likely it seems", () => {
  const logits = Float32Array.of(1e30, 0, 1e30, Math.log(3), 1e30);
  const rules: PolicyRules = { forbidden: [0, 4], retrieveToken: 2, temperature: 1 };
  for (const uniform of [undefined, 0, 0.1, 0.24, 0.26, 0.999999]) {
    const { token, logProb, retrieveProb } = chooseToken(
      { logits, rules, mayRetrieve: false },
      uniform,
    );
    const isRare = uniform !== undefined && uniform < 0.25;
    assertEquals([token, retrieveProb], [isRare ? 1 : 3, 0]);
    assertAlmostEquals(logProb, Math.log(isRare ? 0.25 : 0.75), 1e-7);
  }
  const { token, retrieveProb } = chooseToken({ logits, rules, mayRetrieve: true }, 0.5);
  assertEquals([token, retrieveProb], [2, 1]);
  // Forbidden, the retrieve token stays closed where a retrieval would be possible.
  const closed = { ...rules, forbidden: [0, 2, 4] };
  assertEquals(chooseToken({ logits, rules: closed, mayRetrieve: true }, 0.1).token, 1);
  assertEquals(chooseToken({ logits, rules: closed, mayRetrieve: true }).retrieveProb, 0);
});

Deno.test("greedy takes the likeliest token, the first of equal ones", () => {
  const rules: PolicyRules = { forbidden: [1], retrieveToken: 4, temperature: 0.5 };
  const logits = Float32Array.of(0, 5, 2, 2, 3);
  assertEquals(chooseToken({ logits, rules, mayRetrieve: true }).token, 4);
  assertEquals(chooseToken({ logits, rules, mayRetrieve: false }).token, 2);
  fc.assert(fc.property(anyChoice, ({ logits, rules, mayRetrieve }) => {
    const p = softmax(logits, rules, mayRetrieve);
    const { token, logProb } = chooseToken({ logits, rules, mayRetrieve });
    assertAlmostEquals(Math.exp(logProb), Math.max(...p), FLOAT64);
    assertAlmostEquals(p[token], Math.max(...p), FLOAT64);
  }));
});

Deno.test("the temperature divides the logits", () => {
  // At ½ the odds of 3 to 1 become 9 to 1, at 2 they become √3 to 1.
  const logits = Float32Array.of(0, Math.log(3), 0);
  for (const [temperature, odds] of [[0.5, 9], [1, 3], [2, Math.sqrt(3)]]) {
    const rules = { forbidden: [2], retrieveToken: 1, temperature };
    const { logProb, retrieveProb } = chooseToken({ logits, rules, mayRetrieve: true }, 0);
    assertAlmostEquals(logProb, Math.log(1 / (1 + odds)), 1e-7);
    assertAlmostEquals(retrieveProb, odds / (1 + odds), 1e-7);
  }
});

Deno.test("the logits are as before", () => {
  fc.assert(fc.property(anyChoice, ({ logits, rules, mayRetrieve, uniform }) => {
    const before = logits.slice();
    const twice = { ...rules, forbidden: [...rules.forbidden, ...rules.forbidden] };
    const once = chooseToken({ logits, rules, mayRetrieve }, uniform);
    assertEquals(chooseToken({ logits, rules: twice, mayRetrieve }, uniform), once);
    assertEquals(logits, before);
  }));
});
