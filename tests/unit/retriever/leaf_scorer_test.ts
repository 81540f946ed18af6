import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import { trieFromTokenSequences } from "../../../src/docid/trie.ts";
import { lexicalParamSpecs } from "../../../src/model/lexical.ts";
import { beamSearch } from "../../../src/retriever/beam.ts";
import { exhaustiveLogProbs } from "../../../src/retriever/exhaustive.ts";
import { lexicalLeafScorer, slotLogitsFromLeaves } from "../../../src/retriever/leaf_scorer.ts";
import { searchProgram } from "../../../src/retriever/program.ts";
import { hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { assertParity } from "../../parity.ts";
import { anyKindOfTrie } from "./_toy.ts";

/** Float32 products of width 5, then a log-sum-exp a digit. */
const LOG_PROB = 5e-5;
const WIDTH = 5, VOCABULARY = 11;

await tf.setBackend("cpu");

/** Random parameters, and log softmax over all documents by its formula in float64. */
function setUp(docCount: number, seed: number): {
  params: Record<string, tf.Tensor>;
  logProbs: (ids: number[]) => number[];
} {
  const config = { vocabSize: VOCABULARY, width: WIDTH, slotCount: docCount };
  const stream = randomStream({ seed, stream: "leaf", step: 0 });
  const values: Record<string, Float32Array> = {};
  const params: Record<string, tf.Tensor> = {};
  for (const [name, { shape }] of Object.entries(lexicalParamSpecs(config))) {
    values[name] = Float32Array.from({ length: sizeOf(shape) }, () => stream.normal());
    params[name] = tf.tensor(values[name], [...shape]);
  }
  const logProbs = (ids: number[]): number[] => {
    const query = Array.from({ length: WIDTH }, (_, j) =>
      ids.reduce(
        (sum, id) => sum + values["stem.weight"][id] * values["stem.embedding"][id * WIDTH + j],
        0,
      ));
    const logits = Array.from({ length: docCount }, (_, d) =>
      query.reduce(
        (sum, x, j) => sum + x * values["slot.embedding"][d * WIDTH + j],
        values["slot.bias"][d],
      ));
    const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
    return logits.map((x) => x - total);
  };
  return { params, logProbs };
}

Deno.test("the logit of a prefix is the log-sum-exp of its documents", () => {
  // Documents 0 and 1 below the first digit 0, document 2 beside it.
  const trie = trieFromTokenSequences([[0, 0], [0, 1], [1]]);
  const logits = slotLogitsFromLeaves(tf.tensor2d([1, 2, 4], [3, 1]), trie).dataSync();
  const inner = Math.log(Math.exp(1) + Math.exp(2));
  [inner, 4, 1, 2].forEach((x, slot) => assertAlmostEquals(logits[slot], x, LOG_PROB));
});

Deno.test("whatever the docids are, p(d|q) is the softmax over documents, and search ranks by it", () => {
  fc.assert(
    fc.property(anyKindOfTrie, fc.nat(1000), (trie, seed) => {
      const questions = [[3, 7, 7, 1], [10, 2]];
      const { params, logProbs } = setUp(trie.docCount, seed);
      const scorer = lexicalLeafScorer(trie);
      const inputs = {
        inputIds: tf.tensor2d([3, 7, 7, 1, 10, 2, 0, 0], [2, 4], "int32"),
        isToken: tf.tensor2d([1, 1, 1, 1, 1, 1, 0, 0], [2, 4]),
      };
      const exact = exhaustiveLogProbs(scorer, trie, { params, inputs }).arraySync() as number[][];
      const found = beamSearch(scorer, trie, {
        params,
        inputs,
        options: { beam: trie.docCount + 2 },
      });
      const docs = found.doc.arraySync() as number[][];
      const scores = found.logProb.arraySync() as number[][];
      const dropped = found.droppedMass.dataSync();
      questions.forEach((ids, b) => {
        const expected = logProbs(ids);
        expected.forEach((x, doc) => assertAlmostEquals(exact[b][doc], x, LOG_PROB));
        const ranked = docs[b].slice(0, trie.docCount);
        assertEquals([...ranked].sort((x, y) => x - y), [...expected.keys()]);
        const falling = expected.toSorted((x, y) => y - x);
        ranked.forEach((doc, k) => {
          assertAlmostEquals(scores[b][k], expected[doc], LOG_PROB);
          assertAlmostEquals(expected[doc], falling[k], LOG_PROB);
        });
        assertEquals(docs[b].slice(trie.docCount), [-1, -1]);
        assertAlmostEquals(dropped[b], 0, LOG_PROB);
      });
    }),
    { numRuns: 50 },
  );
});

Deno.test("a logit that exp can't hold leaves probabilities as they are", () => {
  const trie = trieFromTokenSequences([[0, 0], [0, 1], [1, 0], [1, 1]]);
  const logits = slotLogitsFromLeaves(tf.tensor2d([500, 499, -500, -501], [4, 1]), trie);
  assert([...logits.dataSync()].every(Number.isFinite));
  assertAlmostEquals(logits.dataSync()[0], 500 + Math.log1p(Math.exp(-1)), 1e-3);
});

Deno.test("recorded search of the leaf scorer equals eager search at every size", async () => {
  const stream = randomStream({ seed: 3, stream: "leaf", step: 1 });
  for (
    const trie of [
      trieFromTokenSequences([[0], [1, 0], [1, 1, 0], [1, 1, 2], [2, 0], [2, 3]]),
      trieFromTokenSequences([[4]]),
    ]
  ) {
    const params = lexicalParamSpecs({
      vocabSize: VOCABULARY,
      width: WIDTH,
      slotCount: trie.docCount,
    });
    const constants = Object.fromEntries(
      Object.entries(params).map(([name, { shape }]) => [
        name,
        hostTensor(
          "float32",
          Float32Array.from({ length: sizeOf(shape) }, () => stream.normal()),
          shape,
        ),
      ]),
    );
    const sets = [[1, 1], [2, 5], [5, 3]].map(([B, S]) => ({
      inputIds: hostTensor(
        "int32",
        Int32Array.from({ length: B * S }, () => stream.int(VOCABULARY)),
        [B, S],
      ),
      isToken: hostTensor(
        "float32",
        Float32Array.from({ length: B * S }, (_, i) => i % S <= i / S ? 1 : 0),
        [B, S],
      ),
    }));
    const program = searchProgram(lexicalLeafScorer(trie), trie, { params, beam: 4 });
    await assertParity(program, sets, { constants, dialects: ["export"] });
  }
});
