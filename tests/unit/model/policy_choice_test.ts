import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import fc from "fast-check";
import { ShapeError } from "../../../src/errors.ts";
import { policyChoices, type PolicyRules } from "../../../src/model/mod.ts";
import { onnxExecutor } from "../../../src/runtime/mod.ts";
import { type F32, named } from "../../../src/tensor/axes.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";

/** Float32 sums of a few numbers; log-probabilities are up to about 60. */
const FLOAT32 = 2e-5;

interface Choice {
  token: number;
  logProb: number;
  retrieveProb: number;
  otherToken: number;
  otherLogProb: number;
}

/** Choices of rows that have the same logits, each with a cut of its own; undefined: the likeliest. */
function choicesOf(
  { logits, rules, mayRetrieve }: {
    logits: Float32Array;
    rules: PolicyRules;
    mayRetrieve: boolean;
  },
  uniforms: readonly (number | undefined)[],
): Choice[] {
  return tf.tidy(() => {
    const B = uniforms.length;
    const cuts = named(tf.tensor1d(uniforms.map((u) => u ?? -1)), "B", {});
    const chosen = policyChoices({
      logits: named(tf.tile(tf.tensor2d(logits, [1, logits.length]), [B, 1]), "B V", {}),
      mayRetrieve: named(tf.fill([B], Number(mayRetrieve)), "B", {}),
      uniforms: cuts,
      otherUniforms: cuts,
    }, rules);
    const numbers = Object.fromEntries(
      Object.entries(chosen).map(([name, x]) => [name, (x as tf.Tensor).dataSync()]),
    );
    return uniforms.map((_, i) => ({
      token: numbers.tokens[i],
      logProb: numbers.logProbs[i],
      retrieveProb: numbers.retrieveProbs[i],
      otherToken: numbers.otherTokens[i],
      otherLogProb: numbers.otherLogProbs[i],
    }));
  });
}

const chooseToken = (inputs: Parameters<typeof choicesOf>[0], uniform?: number): Choice =>
  choicesOf(inputs, [uniform])[0];

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

Deno.test("a choice is where the cumulative softmax is cut, with its log-probability", () => {
  fc.assert(fc.property(anyChoice, ({ logits, rules, mayRetrieve, uniform }) => {
    const p = softmax(logits, rules, mayRetrieve);
    const { token, logProb, retrieveProb } = chooseToken({ logits, rules, mayRetrieve }, uniform);
    const below = p.slice(0, token).reduce((a, b) => a + b, 0);
    assert(p[token] > 0);
    assert(uniform >= below - FLOAT32 && uniform <= below + p[token] + FLOAT32);
    assertAlmostEquals(logProb, Math.log(p[token]), FLOAT32);
    assertAlmostEquals(retrieveProb, p[rules.retrieveToken], FLOAT32);
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
    assertAlmostEquals(sum + left, 1, FLOAT32);
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
      const cuts = Array.from({ length: DRAWS }, () => random.uniform());
      for (const { token } of choicesOf({ logits, rules, mayRetrieve }, cuts)) counts[token]++;
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
  const logits = Float32Array.of(1e6, 0, 1e6, Math.log(3), 1e6);
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
    assertAlmostEquals(Math.exp(logProb), Math.max(...p), FLOAT32);
    assertAlmostEquals(p[token], Math.max(...p), FLOAT32);
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

Deno.test("what would be chosen without a retrieval is what is chosen where none is possible", () => {
  fc.assert(fc.property(anyChoice, ({ logits, rules, uniform }) => {
    const [open, closed] = [true, false].map((mayRetrieve) =>
      chooseToken({ logits, rules, mayRetrieve }, uniform)
    );
    assertEquals(open.otherToken, closed.token);
    assertAlmostEquals(open.otherLogProb, closed.logProb, FLOAT32);
    assertEquals(closed.otherToken, closed.token);
  }));
});

Deno.test("rows choose by their own logits, cuts and rules; ONNX Runtime chooses the same", async () => {
  const rules: PolicyRules = { forbidden: [0], retrieveToken: 3, temperature: 0.8 };
  const B = 200, V = 17, random = randomStream({ seed: 5, stream: "rows", step: 0 });
  const column = (of: () => number, shape: number[]) =>
    hostTensor("float32", Float32Array.from({ length: tf.util.sizeFromShape(shape) }, of), shape);
  const inputs = {
    logits: column(() => 2 * random.normal(), [B, V]),
    mayRetrieve: column(() => random.int(2), [B]),
    uniforms: column(() => random.int(4) ? random.uniform() : -1, [B]),
    otherUniforms: column(() => random.uniform(), [B]),
  };
  const executable = await onnxExecutor({ threads: 1 }).compile({
    name: "choices",
    inputs: {
      logits: { dtype: "float32", shape: ["B", V] },
      mayRetrieve: { dtype: "float32", shape: ["B"] },
      uniforms: { dtype: "float32", shape: ["B"] },
      otherUniforms: { dtype: "float32", shape: ["B"] },
    },
    run: (x) => {
      const perRow = (name: string): F32<"B"> => named(x[name], "B", {});
      return {
        ...policyChoices({
          logits: named(x.logits, "B V", {}),
          mayRetrieve: perRow("mayRetrieve"),
          uniforms: perRow("uniforms"),
          otherUniforms: perRow("otherUniforms"),
        }, rules),
      };
    },
  });
  const found = await executable.run(inputs);
  await executable.dispose();
  for (let b = 0; b < B; b++) {
    const row = inputs.logits.data.slice(b * V, (b + 1) * V);
    const at = (name: keyof typeof inputs) => inputs[name].data[b];
    const mayRetrieve = at("mayRetrieve") === 1, cut = at("uniforms");
    const own = chooseToken({ logits: row, rules, mayRetrieve }, cut < 0 ? undefined : cut);
    const other = chooseToken({ logits: row, rules, mayRetrieve: false }, at("otherUniforms"));
    assertEquals(found.tokens.data[b], own.token);
    assertAlmostEquals(found.logProbs.data[b] as number, own.logProb, FLOAT32);
    assertAlmostEquals(found.retrieveProbs.data[b] as number, own.retrieveProb, FLOAT32);
    assertEquals(found.otherTokens.data[b], other.token);
    assertAlmostEquals(found.otherLogProbs.data[b] as number, other.logProb, FLOAT32);
  }
});

Deno.test("without a cut of its own no choice without a retrieval is made, and the choice is the same", () => {
  const rules: PolicyRules = { forbidden: [0], retrieveToken: 3, temperature: 0.8 };
  tf.tidy(() => {
    const inputs = {
      logits: named(tf.randomNormal([6, 9], 0, 1, "float32", 3), "B V", {}),
      mayRetrieve: named(tf.tensor1d([0, 1, 0, 1, 0, 1]), "B", {}),
      uniforms: named(tf.tensor1d([0.1, 0.3, 0.5, 0.7, 0.9, -1]), "B", {}),
    };
    const both = policyChoices({ ...inputs, otherUniforms: inputs.uniforms }, rules);
    const own = policyChoices(inputs, rules);
    assertEquals(Object.keys(own), ["tokens", "logProbs", "retrieveProbs"]);
    for (const [name, values] of Object.entries(own)) {
      const same = both[name as keyof typeof own] as tf.Tensor;
      assertEquals((values as tf.Tensor).dataSync(), same.dataSync());
    }
  });
});

Deno.test("inputs that do not fit each other are refused", () => {
  const three = named(tf.zeros([3]), "B", {}), two = named(tf.zeros([2]), "B", {});
  const logits = named(tf.zeros([3, 5]), "B V", {});
  const rules = { forbidden: [], retrieveToken: 1, temperature: 1 };
  for (const wrong of ["mayRetrieve", "uniforms", "otherUniforms"]) {
    const right = { logits, mayRetrieve: three, uniforms: three, otherUniforms: three };
    assertThrows(() => policyChoices({ ...right, [wrong]: two }, rules), ShapeError, wrong);
  }
});
