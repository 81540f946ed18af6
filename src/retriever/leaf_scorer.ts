/** A classifier over documents read as a generator of digits. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Slots, slotsOf } from "../docid/slots.ts";
import type { Trie } from "../docid/trie.ts";
import { lexicalQuery, slotLogits } from "../model/lexical.ts";
import type { DocidScorer } from "./scorer.ts";
import { slotTableScorer } from "./tree_scorer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** One level of the trie: what its slots' logits are made of. */
interface Level {
  /** [slots of the level] row of `concat(documents [N], nodes of the next level)`. */
  readonly source: Int32Array;
  /** [nodes · C] slot of the level at each place, the number of slots where there is none. */
  readonly padded: Int32Array;
  /** Nodes of the level. */
  readonly nodeCount: number;
}

/** Levels of the trie, the root first. Slots are numbered node by node, so a level is one stretch. */
function levelsOf(trie: Trie, slots: Slots): Level[] {
  const { branching: C, docCount: N, levelStart } = trie;
  return Array.from({ length: trie.depth }, (_, depth) => {
    const first = levelStart[depth] * C, end = levelStart[depth + 1] * C;
    const places = slots.padded.slice(first, end);
    const filled = [...places.keys()].filter((at) => places[at] < slots.slotCount);
    const offset = places[filled[0]];
    const source = Int32Array.from(filled, (at) => {
      const doc = trie.childDoc[first + at];
      return doc >= 0 ? doc : N + trie.childNode[first + at] - levelStart[depth + 1];
    });
    const padded = places.map((slot) => slot < slots.slotCount ? slot - offset : filled.length);
    return { source, padded, nodeCount: levelStart[depth + 1] - levelStart[depth] };
  });
}

const FORBIDDEN = -1e9;

/**
 * Logits of all slots of a trie from logits of its documents: the logit of an inner slot is the
 * log-sum-exp of the documents below it,
 *
 *   z(slot) = log Σ_{d below slot} exp z(d)
 *
 * so that the product of the digits' probabilities equals the softmax over all documents.
 *
 * @param logits [N, B]
 * @param trie The trie
 * @returns [P, B]
 */
export function slotLogitsFromLeaves(logits: Tensor, trie: Trie): Tensor {
  const slots = slotsOf(trie), levels = levelsOf(trie, slots);
  const B = logits.shape[1]!, C = trie.branching;
  const parts: Tensor[] = [];
  let below: Tensor | undefined; // [nodes of the level below, B]
  for (const { source, padded, nodeCount } of levels.toReversed()) {
    const all = below ? tf.concat([logits, below], 0) : logits;
    const z = tf.gather(all, tf.tensor1d(source, "int32"));
    parts.unshift(z);
    const withPad = tf.concat([z, tf.fill([1, B], FORBIDDEN)], 0);
    const nodes = tf.reshape(tf.gather(withPad, tf.tensor1d(padded, "int32")), [nodeCount, C, B]);
    const highest = tf.max(nodes, 1, true);
    const sum = tf.sum(tf.exp(tf.sub(nodes, highest)), 1);
    below = tf.add(tf.log(sum), tf.reshape(highest, [nodeCount, B]));
  }
  return parts.length === 1 ? parts[0] : tf.concat(parts, 0);
}

/**
 * The lexical model with one vector per *document*, searched digit by digit: p(d|q) is the same
 * whatever the docids are.
 *
 * @param trie Docids; the model's slots are its documents
 */
export function lexicalLeafScorer(trie: Trie): DocidScorer {
  return slotTableScorer(slotsOf(trie), (params, { inputIds, isToken }) => {
    const documents = slotLogits(params, lexicalQuery(params, inputIds, isToken));
    return tf.transpose(slotLogitsFromLeaves(documents, trie));
  });
}
