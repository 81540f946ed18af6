/** A model whose logits are a table, and tries to search it over. @module */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { assignDocids } from "../../../src/docid/assign.ts";
import { buildTrie, type Trie, trieFromTokenSequences } from "../../../src/docid/trie.ts";
import type { DocidScorer } from "../../../src/retriever/scorer.ts";
import { randomStream } from "../../../src/tensor/random.ts";

/** Random tries with docids of mixed length; none begins another. */
export const anyTrie: fc.Arbitrary<Trie> = fc.uniqueArray(
  fc.array(fc.integer({ min: 2, max: 6 }), { maxLength: 4 }),
  { minLength: 1, maxLength: 25, selector: String },
).map((rows) => trieFromTokenSequences(rows.map((row) => [...row, 1])));

/** Those, tries whose slots are codes with holes, and atomic ones. */
export const anyKindOfTrie: fc.Arbitrary<Trie> = fc.oneof(
  anyTrie,
  fc.integer({ min: 1, max: 3 }).chain((length) =>
    fc.uniqueArray(fc.array(fc.nat(4), { minLength: length, maxLength: length }), {
      minLength: 1,
      selector: String,
    })
  ).map((rows) =>
    buildTrie({
      scheme: "naive",
      base: 5,
      digits: rows.map((row) => Int32Array.from(row)),
      collisions: 0,
    })
  ),
  fc.integer({ min: 1, max: 12 }).map((N) => buildTrie(assignDocids(N, { scheme: "atomic" }))),
);

/** A table of logits for `questions` questions. */
export function toyTable(trie: Trie, questions: number, seed: number): Float32Array {
  const stream = randomStream({ seed, stream: "toy", step: 0 });
  const size = questions * trie.nodeCount * trie.branching;
  return Float32Array.from({ length: size }, () => 3 * stream.normal());
}

/**
 * Logits of question `q` at node `n` are `table[q, n]`. The node is not read from the step: the rows
 * of the state follow the tokens down the trie, so that a search that mixes its rows up goes wrong.
 */
export function toyScorer(trie: Trie, table: Float32Array, isOverVocabulary = false): DocidScorer {
  const { nodeCount: M, branching: C } = trie;
  const tokens = 1 + Math.max(...trie.childToken);
  const next = new Int32Array(M * tokens);
  trie.childToken.forEach((token, at) => {
    if (trie.childNode[at] >= 0) next[Math.floor(at / C) * tokens + token] = trie.childNode[at];
  });
  return {
    inputs: { question: { dtype: "int32", shape: ["B"] } },
    start: (_params, { question }) => ({
      shared: {},
      rows: { question, node: tf.zerosLike(question) },
    }),
    step: (_params, { rows }, { beams, token }) => {
      const { question } = rows;
      const int = (x: number): tf.Scalar => tf.scalar(x, "int32");
      const node = token
        ? tf.gather(
          tf.tensor1d(next, "int32"),
          tf.add(tf.mul(rows.node, int(tokens)), token) as tf.Tensor1D,
        )
        : rows.node;
      if (node.shape[0] % beams) throw new Error("rows are not K per question");
      const at = tf.add(tf.mul(question, int(M)), node) as tf.Tensor1D;
      const logits = tf.gather(tf.tensor2d(table, [table.length / C, C]), at);
      const logTotal = isOverVocabulary ? tf.logSumExp(logits, 1, true) : undefined;
      return { logits, logTotal, rows: { question, node } };
    },
  };
}

/** log p(slot | node) of one question in float64, over filled slots or over all. */
export function toyLogProbs(
  trie: Trie,
  table: Float32Array,
  { question, isOverVocabulary = false }: { question: number; isOverVocabulary?: boolean },
): (node: number) => number[] {
  const { nodeCount: M, branching: C } = trie;
  return (node) => {
    const logits = [...table.subarray((question * M + node) * C, (question * M + node + 1) * C)];
    const total = logits.reduce((sum, x, slot) => {
      const isIn = isOverVocabulary || trie.childToken[node * C + slot] >= 0;
      return isIn ? sum + Math.exp(x) : sum;
    }, 0);
    return logits.map((x) => x - Math.log(total));
  };
}
