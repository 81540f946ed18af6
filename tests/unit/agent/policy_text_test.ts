import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { policyBatchOf, type PolicyText } from "../../../src/agent/mod.ts";
import { ShapeError } from "../../../src/errors.ts";

const PAD = 99;

Deno.test("two texts by hand", () => {
  const { inputs, lengths, tokens, positions } = policyBatchOf([
    { tokens: [5, 6, 7], actions: [2], mayRetrieve: [1] },
    { tokens: [1, 2, 3, 4, 8], actions: [1, 2, 4], mayRetrieve: [1, 1, 0] },
  ], PAD);
  assertEquals(inputs.inputIds.shape, [2, 5]);
  assertEquals([...inputs.inputIds.data], [5, 6, 7, PAD, PAD, 1, 2, 3, 4, 8]);
  assertEquals([...inputs.isToken.data], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]);
  // A choice is made at the position before it; the second row begins at 5.
  assertEquals([...inputs.states.data], [1, 5, 6, 8]);
  assertEquals([...inputs.actions.data], [7, 2, 3, 8]);
  assertEquals([...inputs.mayRetrieve.data], [1, 1, 1, 0]);
  for (const name of ["states", "actions", "mayRetrieve"]) {
    assertEquals(inputs[name].shape, [4], name);
  }
  assertEquals(
    Object.fromEntries(Object.entries(inputs).map(([name, { dtype }]) => [name, dtype])),
    {
      inputIds: "int32",
      isToken: "float32",
      states: "int32",
      actions: "int32",
      mayRetrieve: "float32",
    },
  );
  assertEquals([lengths, tokens, positions], [[1, 3], 8, 10]);
});

/** A text whose tokens name their places, with some of them chosen. */
const anyText = fc.integer({ min: 1, max: 9 }).chain((length) =>
  fc.record({
    tokens: fc.array(fc.nat(90), { minLength: length, maxLength: length }),
    chosen: fc.subarray(Array.from({ length: length - 1 }, (_, i) => i + 1)),
    bit: fc.nat(1),
  })
).map(({ tokens, chosen, bit }): PolicyText => ({
  tokens: Int32Array.from(tokens),
  actions: Int32Array.from(chosen),
  mayRetrieve: Uint8Array.from(chosen, (at) => (at + bit) % 2),
}));

Deno.test("every choice stands behind its state, in the order of the texts", () => {
  fc.assert(fc.property(fc.array(anyText, { minLength: 1, maxLength: 5 }), (texts) => {
    const { inputs, lengths, tokens, positions } = policyBatchOf(texts, PAD);
    const [B, S] = inputs.inputIds.shape;
    assertEquals([B, S], [texts.length, Math.max(...texts.map((text) => text.tokens.length))]);
    assertEquals(positions, B * S);
    assertEquals(tokens, texts.reduce((sum, text) => sum + text.tokens.length, 0));
    assertEquals(lengths, texts.map(({ actions }) => actions.length));
    let n = 0;
    texts.forEach((text, b) => {
      for (let s = 0; s < S; s++) {
        const isToken = s < text.tokens.length;
        assertEquals(inputs.inputIds.data[b * S + s], isToken ? text.tokens[s] : PAD);
        assertEquals(inputs.isToken.data[b * S + s], Number(isToken));
      }
      for (let t = 0; t < text.actions.length; t++, n++) {
        const state = inputs.states.data[n];
        assertEquals([Math.floor(state / S), state % S], [b, text.actions[t] - 1]);
        assertEquals(inputs.actions.data[n], inputs.inputIds.data[state + 1]);
        assertEquals(inputs.isToken.data[state + 1], 1);
        assertEquals(inputs.mayRetrieve.data[n], text.mayRetrieve[t]);
      }
    });
    assertEquals([inputs.states, inputs.actions, inputs.mayRetrieve].map((x) => x.data.length), [
      n,
      n,
      n,
    ]);
  }));
});

Deno.test("texts without a choice are read and not scored", () => {
  const { inputs, lengths } = policyBatchOf([{ tokens: [1], actions: [], mayRetrieve: [] }], PAD);
  assertEquals([inputs.states.shape, lengths], [[0], [0]]);
  assert(inputs.inputIds.data.length === 1);
});

Deno.test("a choice that nothing stands before, or that stands outside, is refused", () => {
  const refuse = (at: number, words: string): void => {
    const good = { tokens: [1, 2], actions: [1], mayRetrieve: [0] };
    const bad = { tokens: [1, 2, 3], actions: [1, at], mayRetrieve: [0, 0] };
    assertThrows(() => policyBatchOf([good, bad], PAD), ShapeError, words);
  };
  refuse(0, "Cannot score choice 1 of text 1: it stands at 0 of 3 tokens");
  refuse(3, "it stands at 3 of 3 tokens");
  refuse(-1, "it stands at -1 of 3 tokens");
  refuse(NaN, "it stands at NaN of 3 tokens");
});
