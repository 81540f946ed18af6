/** Exact log p(d|q) of every document. @module */
import * as tf from "@tensorflow/tfjs-core";
import { nodeDepths } from "../docid/path.ts";
import type { Trie } from "../docid/trie.ts";
import type { Params } from "../tensor/params.ts";
import { type Level, levelsOf, rowsOf, slotLogProbs } from "./_levels.ts";
import type { DocidScorer, Tensors } from "./scorer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * log p(d|q) of all documents: every inner node is visited once, those of one depth together, with
 * what the model keeps from the depth before. Gradient flows into the parameters.
 *
 * @param scorer The model
 * @param trie Docids
 * @param arguments_ Parameters and questions as tensors
 * @returns [B, N] natural logarithms by document index; they sum to 1 in probability unless the
 *   scorer normalises over more than the trie
 */
export function exhaustiveLogProbs(
  scorer: DocidScorer,
  trie: Trie,
  { params, inputs }: { params: Params; inputs: Tensors },
): Tensor {
  const { branching: C } = trie;
  const batch = inputs[Object.keys(scorer.inputs)[0]].shape[0];
  const repeat = (values: Int32Array): Tensor =>
    tf.reshape(tf.tile(tf.tensor2d(values, [1, values.length], "int32"), [batch, 1]), [-1]);
  const docs = docsByDepth(trie);
  const leaves: Tensor[] = [];
  let state = scorer.start(params, inputs);
  let prefix: Tensor | undefined; // [B, M] log-probability of each node of the level
  let token: Tensor | undefined;
  levelsOf(trie).forEach((level, depth) => {
    const M = level.nodes;
    const own = Int32Array.from({ length: M }, (_, i) => i);
    const output = scorer.step(params, state, {
      depth,
      beams: M,
      node: repeat(own.map((i) => i + level.firstNode)),
      token,
    });
    const logProb = slotLogProbs(output, filledRows(level, C, repeat(own)));
    let total: Tensor = tf.reshape(logProb, [batch, M, C]);
    if (prefix) total = tf.add(total, tf.expandDims(prefix, 2));
    const flat = tf.reshape(total, [batch, M * C]);
    const columns = (at: Int32Array): Tensor => tf.gather(flat, tf.tensor1d(at, "int32"), 1);
    if (level.leaves > 0) {
      const place = (d: number): number =>
        (trie.docNode[d] - level.firstNode) * C + trie.docSlot[d];
      leaves.push(columns(docs[depth].map(place)));
    }
    if (level.inner === 0) return;
    const above = placesOfNext(trie, depth);
    prefix = columns(above);
    token = repeat(above.map((at) => level.token[at]));
    const from = tf.add(
      tf.mul(tf.expandDims(tf.range(0, batch, 1, "int32"), 1), tf.scalar(M, "int32")),
      tf.tensor2d(above.map((at) => Math.floor(at / C)), [1, above.length], "int32"),
    );
    const rows = tf.reshape(from, [-1]) as tf.Tensor1D;
    state = {
      shared: state.shared,
      rows: Object.fromEntries(
        Object.entries(output.rows).map(([name, x]) => [name, tf.gather(x, rows)]),
      ),
    };
  });
  const order = docs.flatMap((d) => [...d]);
  const place = new Int32Array(trie.docCount);
  order.forEach((doc, at) => place[doc] = at);
  const all = leaves.length > 1 ? tf.concat(leaves, 1) : leaves[0];
  return order.every((doc, at) => doc === at)
    ? all
    : tf.gather(all, tf.tensor1d(place, "int32"), 1);
}

/** Documents by the depth of the node that their last digit is chosen at, in rising order. */
function docsByDepth(trie: Trie): Int32Array[] {
  const depths = nodeDepths(trie);
  const docs: number[][] = Array.from({ length: trie.depth }, () => []);
  trie.docNode.forEach((node, doc) => docs[depths[node]].push(doc));
  return docs.map((d) => Int32Array.from(d));
}

/** [nodes of depth + 1] place of each among the slots of its parents' level. */
function placesOfNext(trie: Trie, depth: number): Int32Array {
  const { levelStart, branching: C } = trie;
  const first = levelStart[depth + 1];
  return Int32Array.from({ length: levelStart[depth + 2] - first }, (_, i) => {
    return (trie.parentNode[first + i] - levelStart[depth]) * C + trie.parentSlot[first + i];
  });
}

function filledRows(level: Level, C: number, node: Tensor): Tensor | undefined {
  if (level.leaves + level.inner === level.nodes * C) return undefined;
  return rowsOf(level.isFilled, node, { nodes: level.nodes, branching: C });
}
