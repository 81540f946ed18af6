import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { slotsOf } from "../../../src/docid/slots.ts";
import type { Trie } from "../../../src/docid/trie.ts";
import { lexicalParamSpecs } from "../../../src/model/lexical.ts";
import { beamSearch } from "../../../src/retriever/beam.ts";
import { exhaustiveLogProbs } from "../../../src/retriever/exhaustive.ts";
import { enumerateDocuments } from "../../../src/retriever/plain.ts";
import { lexicalScorer } from "../../../src/retriever/tree_scorer.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { anyKindOfTrie } from "./_toy.ts";

/** Float32 products of width 5 and sums of a few log-probabilities. */
const LOG_PROB = 2e-5;
const WIDTH = 5, VOCABULARY = 11;

await tf.setBackend("cpu");

/** Parameters, and log p(slot | node) by the formulas of the model in float64. */
function setUp(trie: Trie, seed: number): {
  params: Record<string, tf.Tensor>;
  logProbs: (ids: number[]) => (node: number) => number[];
} {
  const slots = slotsOf(trie);
  const config = { vocabSize: VOCABULARY, width: WIDTH, slotCount: slots.slotCount };
  const stream = randomStream({ seed, stream: "tree", step: 0 });
  const values: Record<string, Float32Array> = {};
  const params: Record<string, tf.Tensor> = {};
  for (const [name, { shape }] of Object.entries(lexicalParamSpecs(config))) {
    const size = shape.reduce((a, b) => a * b, 1);
    values[name] = Float32Array.from({ length: size }, () => stream.normal());
    params[name] = tf.tensor(values[name], [...shape]);
  }
  const logProbs = (ids: number[]) => (node: number): number[] => {
    const query = Array.from(
      { length: WIDTH },
      (_, j) =>
        ids.reduce(
          (sum, id) => sum + values["stem.weight"][id] * values["stem.embedding"][id * WIDTH + j],
          0,
        ),
    );
    const logits = Array.from({ length: trie.branching }, (_, c) => {
      const slot = slots.padded[node * trie.branching + c];
      if (slot === slots.slotCount) return -Infinity;
      return values["slot.bias"][slot] +
        query.reduce((sum, x, j) => sum + x * values["slot.embedding"][slot * WIDTH + j], 0);
    });
    const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
    return logits.map((x) => x - total);
  };
  return { params, logProbs };
}

for (const compute of ["all", "visited"] as const) {
  Deno.test(`lexical scores equal their formula, computing ${compute} slots`, () => {
    fc.assert(
      fc.property(anyKindOfTrie, fc.nat(1000), (trie, seed) => {
        const questions = [[3, 7, 7, 1], [10, 2]];
        const { params, logProbs } = setUp(trie, seed);
        const scorer = lexicalScorer(slotsOf(trie), { compute });
        const inputs = {
          inputIds: tf.tensor2d([3, 7, 7, 1, 10, 2, 0, 0], [2, 4], "int32"),
          isToken: tf.tensor2d([1, 1, 1, 1, 1, 1, 0, 0], [2, 4]),
        };
        const exact = exhaustiveLogProbs(scorer, trie, { params, inputs })
          .arraySync() as number[][];
        const options = { beam: trie.docCount };
        const found = beamSearch(scorer, trie, { params, inputs, options });
        const docs = found.doc.arraySync() as number[][];
        const scores = found.logProb.arraySync() as number[][];
        questions.forEach((ids, b) => {
          const expected = enumerateDocuments(trie, logProbs(ids));
          expected.forEach((x, doc) => assertLess(Math.abs(exact[b][doc] - x), LOG_PROB));
          assertEquals([...docs[b]].sort((x, y) => x - y), [...expected.keys()]);
          docs[b].forEach((doc, k) => assertLess(Math.abs(scores[b][k] - expected[doc]), LOG_PROB));
        });
      }),
      { numRuns: 50 },
    );
  });
}
