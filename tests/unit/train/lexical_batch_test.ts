import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Slots, slotsOf } from "../../../src/docid/slots.ts";
import { type Trie, trieFromTokenSequences } from "../../../src/docid/trie.ts";
import { ShapeError } from "../../../src/errors.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { bm25Index } from "../../../src/text/bm25.ts";
import { lexicalBatch, slotsWithin } from "../../../src/train/lexical_batch.ts";
import { anyTrie } from "../retriever/_toy.ts";

/** Masses are float32 sums of up to 25 documents. */
const MASS = 1e-6;
/** Ids 0 and 1 are padding and unknown. */
const FIRST_STEM = 2, VOCABULARY = 12;

function bm25Of(docCount: number, seed: number): ReturnType<typeof bm25Index> {
  const random = randomStream({ seed, stream: "corpus", step: 0 });
  const tokens = Array.from(
    { length: docCount },
    () => Array.from({ length: 6 }, () => FIRST_STEM + random.int(VOCABULARY - FIRST_STEM)),
  );
  return bm25Index(tokens, VOCABULARY);
}

const texts = fc.array(
  fc.record({
    tokenIds: fc.array(fc.integer({ min: 0, max: VOCABULARY - 1 }), { maxLength: 6 }),
    doc: fc.nat(1000),
    isReal: fc.boolean(),
  }),
  { minLength: 1, maxLength: 5 },
);

/** A batch over any trie, with what the properties need to know about it. */
const anyBatch = fc.record({
  trie: anyTrie,
  texts,
  weight: fc.constantFrom(0, 0.3, 1),
  temperature: fc.constantFrom(0.5, 4),
  unseen: fc.array(fc.boolean(), { minLength: 25, maxLength: 25 }),
}).map(({ trie, texts, weight, temperature, unseen }) => {
  const N = trie.docCount, slots = slotsOf(trie), bm25 = bm25Of(N, N);
  const examples = texts.map((e) => ({ ...e, doc: e.doc % N }));
  const isUnseen = Uint8Array.from(unseen.slice(0, N), Number);
  const { inputs, rows, tokens, positions } = lexicalBatch(examples, {
    slots,
    bm25,
    distill: { weight, temperature },
    isUnseen,
    firstStem: FIRST_STEM,
  });
  const context = { slots, bm25, weight, temperature, isUnseen, B: examples.length };
  return { ...context, trie, examples, inputs, rows, tokens, positions };
});

/** The share of each document in one row of masses: what its last slot holds. */
function byDocument(slots: Slots, { docCount }: Trie, row: ArrayLike<number>): number[] {
  const masses = new Array(docCount).fill(0);
  slots.doc.forEach((doc, slot) => doc >= 0 && (masses[doc] = row[slot]));
  return masses;
}

Deno.test("bags count the stems of each text; special tokens count nowhere", () => {
  fc.assert(fc.property(anyBatch, ({ examples, inputs, rows, tokens, positions }) => {
    const used = [...rows["stem.embedding"]];
    assertEquals(used, [...inputs.rows.data]);
    const kept = examples.map(({ tokenIds }) => tokenIds.filter((id) => id >= FIRST_STEM));
    const occurring = [...new Set(kept.flat())].sort((a, b) => a - b);
    // Where no text has a stem, the padding stands in with a count of 0.
    assertEquals(used, occurring.length ? occurring : [0]);
    assertEquals(
      [...inputs.bag.data],
      kept.flatMap((ids) => used.map((stem) => ids.filter((id) => id === stem).length)),
    );
    assertEquals(inputs.bag.shape, [examples.length, used.length]);
    assertEquals(inputs.isReal.data, Float32Array.from(examples, (e) => Number(e.isReal)));
    assertEquals([tokens, positions], [kept.flat().length, kept.flat().length]);
  }));
});

Deno.test("label and teacher share each text's weight of 1 / B, and parents hold what children hold", () => {
  fc.assert(fc.property(anyBatch, (batch) => {
    const { slots, inputs, examples, weight, isUnseen, B } = batch;
    const P = slots.slotCount;
    examples.forEach(({ isReal, doc }, b) => {
      const rowOf = (name: string) => Array.from(inputs[name].data).slice(b * P, (b + 1) * P);
      const isTaught = !isReal || isUnseen.some((x) => !x);
      const share = { teacher: isTaught ? weight : 0, label: isTaught ? 1 - weight : 1 };
      for (const name of ["label", "teacher"] as const) {
        const row = rowOf(name);
        const total = row.filter((_, s) => slots.parent[s] < 0).reduce((a, x) => a + x, 0);
        assertAlmostEquals(total, share[name] / B, MASS);
        const below = new Float64Array(P);
        slots.parent.forEach((parent, s) => parent >= 0 && (below[parent] += row[s]));
        slots.doc.forEach((d, s) => d < 0 && assertAlmostEquals(row[s], below[s], MASS));
      }
      const labels = byDocument(slots, batch.trie, rowOf("label"));
      labels.forEach((x, d) => assertAlmostEquals(x, d === doc ? share.label / B : 0, MASS));
    });
  }));
});

Deno.test("the teacher is the softmax of BM25 scores over the documents that may be negatives", () => {
  fc.assert(fc.property(anyBatch, (batch) => {
    const { slots, inputs, examples, bm25, weight, temperature, isUnseen, B } = batch;
    const P = slots.slotCount;
    examples.forEach(({ isReal, tokenIds }, b) => {
      const scores = new Array(bm25.cols).fill(0);
      for (const stem of tokenIds.filter((id) => id >= FIRST_STEM)) {
        for (let i = bm25.offsets[stem]; i < bm25.offsets[stem + 1]; i++) {
          scores[bm25.indices[i]] += bm25.values[i];
        }
      }
      const odds = scores.map((x, d) => isReal && isUnseen[d] ? 0 : Math.exp(x / temperature));
      const total = odds.reduce((a, x) => a + x, 0);
      const row = inputs.teacher.data.subarray(b * P, (b + 1) * P);
      byDocument(slots, batch.trie, row).forEach((x, d) =>
        assertAlmostEquals(x, total ? weight / B * odds[d] / total : 0, MASS)
      );
    });
  }));
});

Deno.test("a teacher that is nearly certain, and scores that exp can't hold", () => {
  const slots = slotsOf(trieFromTokenSequences([[0], [1]]));
  const bm25 = bm25Index([[2, 2], [3]], 4);
  const { inputs } = lexicalBatch([{ tokenIds: [2, 2, 2], doc: 1, isReal: true }], {
    slots,
    bm25,
    distill: { weight: 1, temperature: 1e-3 },
    isUnseen: new Uint8Array(2),
    firstStem: FIRST_STEM,
  });
  assertEquals([...inputs.teacher.data], [1, 0]);
});

Deno.test("a slot is within a set of documents if all that is below it is", () => {
  fc.assert(fc.property(anyTrie, fc.array(fc.boolean(), { minLength: 25 }), (trie, marks) => {
    const slots = slotsOf(trie);
    const isMarked = Uint8Array.from(marks.slice(0, trie.docCount), Number);
    const within = slotsWithin(slots, isMarked);
    const expected = new Float32Array(slots.slotCount).fill(1);
    slots.path.forEach((slot, i) => {
      if (slot >= 0 && !isMarked[Math.floor(i / slots.depth)]) expected[slot] = 0;
    });
    assertEquals(within, expected);
  }));
});

Deno.test("no examples make no batch", () => {
  const slots = slotsOf(trieFromTokenSequences([[0], [1]]));
  const context = {
    slots,
    bm25: bm25Index([[2], [3]], 4),
    distill: { weight: 0, temperature: 1 },
    isUnseen: new Uint8Array(2),
    firstStem: FIRST_STEM,
  };
  assertThrows(() => lexicalBatch([], context), ShapeError, "no examples");
  // ONNX Runtime takes no empty rows.
  const { inputs, rows } = lexicalBatch([{ tokenIds: [1], doc: 0, isReal: true }], context);
  assertEquals([...rows["stem.embedding"]], [0]);
  assertEquals([...inputs.bag.data], [0]);
});
