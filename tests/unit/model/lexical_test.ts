import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { type Slots, slotsOf } from "../../../src/docid/slots.ts";
import { buildTrie, type Trie, trieFromTokenSequences } from "../../../src/docid/trie.ts";
import {
  lexicalParamSpecs,
  lexicalQuery,
  lexicalQueryFromBag,
  slotCrossEntropy,
  slotLogits,
  slotLogProbs,
} from "../../../src/model/lexical.ts";
import { enumerateDocuments } from "../../../src/retriever/plain.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { assertParity } from "../../parity.ts";
import { anyKindOfTrie } from "../retriever/_toy.ts";

/** Sums of a few dozen float32 numbers of size 1 to 10. */
const FLOAT32 = 2e-5;
/** Central differences in float64: error about step² = 1e-8, here held against float32. */
const DIFFERENCE_STEP = 1e-4;

await tf.setBackend("cpu");

const normals = (length: number, seed: number): Float64Array => {
  const stream = randomStream({ seed, stream: "lexical", step: 0 });
  // Rounded to float32, so that both computations start from the same numbers.
  return Float64Array.from({ length }, () => Math.fround(2 * stream.normal()));
};

/** log p(d | q) of every document from logits by slot, in float64, by walking the trie. */
function documentLogProbs(trie: Trie, slots: Slots, logits: ArrayLike<number>): Float64Array {
  return enumerateDocuments(trie, (node) => {
    const z = Array.from({ length: trie.branching }, (_, c) => {
      const slot = slots.padded[node * trie.branching + c];
      return slot < slots.slotCount ? logits[slot] : -Infinity;
    });
    const total = Math.log(z.reduce((sum, x) => sum + Math.exp(x), 0));
    return z.map((x) => x - total);
  });
}

Deno.test("a question from its tokens and from the bag of its stems are one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat(8), { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      fc.nat(1000),
      (texts, seed) => {
        const B = texts.length, V = 9, D = 3, S = Math.max(1, ...texts.map((t) => t.length));
        const embedding = normals(V * D, seed), weight = normals(V, seed + 1);
        const params = {
          "stem.embedding": tf.tensor2d(Float32Array.from(embedding), [V, D]),
          "stem.weight": tf.tensor2d(Float32Array.from(weight), [V, 1]),
        };
        const padded = texts.map((t) => [...t, ...new Array(S - t.length).fill(5)]);
        const isToken = texts.map((t) => Array.from({ length: S }, (_, i) => i < t.length ? 1 : 0));
        const fromTokens = lexicalQuery(
          params,
          tf.tensor2d(padded, [B, S], "int32"),
          tf.tensor2d(isToken, [B, S]),
        ).dataSync();

        const used = [...new Set([0, ...texts.flat()])].sort((a, b) => a - b);
        const bag = texts.map((t) => used.map((stem) => t.filter((x) => x === stem).length));
        const rows = used.flatMap((stem) => [...embedding.slice(stem * D, (stem + 1) * D)]);
        const fromBag = lexicalQueryFromBag(
          tf.tensor2d(bag, [B, used.length]),
          tf.tensor2d(rows, [used.length, D]),
          tf.tensor2d(used.map((stem) => weight[stem]), [used.length, 1]),
        ).dataSync();

        for (let b = 0; b < B; b++) {
          for (let d = 0; d < D; d++) {
            const byHand = texts[b].reduce((q, s) => q + weight[s] * embedding[s * D + d], 0);
            assertAlmostEquals(fromTokens[b * D + d], byHand, 10 * FLOAT32);
            assertAlmostEquals(fromBag[b * D + d], byHand, 10 * FLOAT32);
          }
        }
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("logits of slots: slots first, the bias added", () => {
  const params = {
    "slot.embedding": tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]),
    "slot.bias": tf.tensor2d([10, 20, 30], [3, 1]),
  };
  const logits = slotLogits(params, tf.tensor2d([1, 0, 0, 2], [2, 2]));
  assertEquals(logits.arraySync(), [[11, 14], [23, 28], [35, 42]]);
});

Deno.test("children of every node share a probability of 1, as the softmax says", () => {
  fc.assert(
    fc.property(anyKindOfTrie, fc.nat(1000), (trie, seed) => {
      const slots = slotsOf(trie), P = slots.slotCount, B = 2;
      const z = normals(P * B, seed);
      const logProbs = slotLogProbs(tf.tensor2d(Float32Array.from(z), [P, B]), slots);
      assertEquals(logProbs.shape, [P, B]);
      const found = logProbs.dataSync();
      for (let b = 0; b < B; b++) {
        const sums = new Map<number, number>();
        const byHand = new Map<number, number>();
        for (let s = 0; s < P; s++) {
          const node = slots.parent[s];
          sums.set(node, (sums.get(node) ?? 0) + Math.exp(found[s * B + b]));
          byHand.set(node, (byHand.get(node) ?? 0) + Math.exp(z[s * B + b]));
        }
        for (const sum of sums.values()) assertAlmostEquals(sum, 1, FLOAT32);
        for (let s = 0; s < P; s++) {
          const expected = z[s * B + b] - Math.log(byHand.get(slots.parent[s])!);
          assertAlmostEquals(found[s * B + b], expected, FLOAT32);
        }
      }
    }),
    { numRuns: 60 },
  );
});

/** Mass of a distribution over documents below every slot, [P], by every document's own path. */
function massesOf(slots: Slots, byDocument: ArrayLike<number>): Float64Array {
  const masses = new Float64Array(slots.slotCount);
  slots.path.forEach((slot, i) => {
    if (slot >= 0) masses[slot] += byDocument[Math.floor(i / slots.depth)];
  });
  return masses;
}

Deno.test("slot cross-entropy: value and gradient are those of −Σ t(d) log p(d|q)", () => {
  fc.assert(
    fc.property(anyKindOfTrie, fc.nat(1000), (trie, seed) => {
      const slots = slotsOf(trie), P = slots.slotCount, N = trie.docCount, B = 2;
      const z = normals(P * B, seed);
      // Not normalised: what a question weighs is its own business.
      const targets = Array.from({ length: B }, (_, b) => normals(N, seed + 1 + b).map(Math.abs));
      const naive = (logits: Float64Array): number =>
        targets.reduce((sum, target, b) => {
          const column = logits.filter((_, i) => i % B === b);
          const logProbs = documentLogProbs(trie, slots, column);
          return sum - target.reduce((s, t, d) => s + t * logProbs[d], 0);
        }, 0);
      const masses = targets.map((target) => massesOf(slots, target));
      const target = tf.tensor2d(
        Float32Array.from({ length: P * B }, (_, i) => masses[i % B][Math.floor(i / B)]),
        [P, B],
      );
      const x = tf.tensor2d(Float32Array.from(z), [P, B]);
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => slotCrossEntropy(x, target, slots))(
        x,
      );
      const total = targets.flat().reduce((n, t) => n + t.reduce((a, b) => a + b, 0), 1);
      assertAlmostEquals(value.dataSync()[0], naive(z), FLOAT32 * total);
      const gradient = grad.dataSync();
      for (let i = 0; i < P * B; i++) {
        const moved = (by: number): number => naive(z.with(i, z[i] + by));
        const slope = (moved(DIFFERENCE_STEP) - moved(-DIFFERENCE_STEP)) / (2 * DIFFERENCE_STEP);
        assertAlmostEquals(gradient[i], slope, FLOAT32 * total);
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("slot cross-entropy survives logits that exp can't hold", () => {
  const slots = slotsOf(trieFromTokenSequences([[0, 0], [0, 1], [1]]));
  const logits = tf.tensor2d([200, -200, 300, 310], [4, 1]);
  const target = tf.tensor2d([1, 0, 0, 1], [4, 1]);
  const loss = slotCrossEntropy(logits, target, slots).dataSync()[0];
  assertLess(Math.abs(loss - Math.log1p(Math.exp(-10))), 2e-4); // 310 has an ulp of 3e-5
});

for (
  const [name, trie] of Object.entries({
    "one level": buildTrie({
      scheme: "atomic",
      base: 5,
      digits: Array.from({ length: 5 }, (_, i) => Int32Array.of(i)),
      collisions: 0,
    }),
    "ragged": trieFromTokenSequences([[0], [1, 0], [1, 1, 0], [1, 1, 2], [2, 0], [2, 3]]),
  })
) {
  Deno.test(`slot cross-entropy recorded over a trie of ${name} equals eager, gradient too`, async () => {
    const slots = slotsOf(trie), P = slots.slotCount;
    const sets = [1, 2, 5].map((B) => {
      const f32 = (seed: number, f = (v: number) => v) =>
        hostTensor("float32", Float32Array.from(normals(P * B, seed), f), [P, B]);
      return { logits: f32(B), target: f32(10 + B, Math.abs) };
    });
    await assertParity(
      {
        name: "cross-entropy",
        inputs: {
          logits: { dtype: "float32", shape: [P, "B"] },
          target: { dtype: "float32", shape: [P, "B"] },
        },
        run: ({ logits, target }) => ({ loss: slotCrossEntropy(logits, target, slots) }),
      },
      sets,
      { gradients: { loss: "loss", parameters: ["logits"] }, dialects: ["training"] },
    );
    await assertParity({
      name: "log-probabilities",
      inputs: { logits: { dtype: "float32", shape: [P, "B"] } },
      run: ({ logits }) => ({ y: slotLogProbs(logits, slots) }),
    }, sets.map(({ logits }) => ({ logits })));
  });
}

Deno.test("parameters: what starts as what, and what does not decay", () => {
  const specs = lexicalParamSpecs({ vocabSize: 7, width: 4, slotCount: 3 });
  const sizes = Object.entries(specs).map(([name, { shape, decay = true }]) => [
    name,
    `${shape}`,
    decay,
  ]);
  assertEquals(sizes, [
    ["stem.embedding", "7,4", true],
    ["stem.weight", "7,1", false],
    ["slot.embedding", "3,4", true],
    ["slot.bias", "3,1", false],
  ]);
});
