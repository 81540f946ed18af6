/** The trie cut into levels: small tables, because beams at digit d stand at nodes of depth d. @module */
import * as tf from "@tensorflow/tfjs-core";
import { HIDDEN } from "../nn/attention.ts";
import { maskedLogSoftmax } from "../nn/masked_log_softmax.ts";
import type { Trie } from "../docid/trie.ts";
import type { ScorerOutput } from "./scorer.ts";

/** Scores below this stand for "nothing there": no real log-probability comes near. */
export const NOTHING = HIDDEN / 10;

/** Nodes of one depth. Nodes are counted from the first one of their level. */
export interface Level {
  /** Nodes, M. */
  readonly nodes: number;
  /** Number of the first node in the whole trie. */
  readonly firstNode: number;
  /** Leaves and inner nodes that hang below. */
  readonly leaves: number;
  /** See {@linkcode leaves}. */
  readonly inner: number;
  /** [M·C] 1 where a slot is filled. */
  readonly isFilled: Float32Array;
  /** [M·C] 1 where a slot holds a document. */
  readonly isLeaf: Float32Array;
  /** [M·C] token of the slot, 0 where it is empty. */
  readonly token: Int32Array;
  /** [M·C] document in the slot, 0 where there is none. */
  readonly doc: Int32Array;
  /** [M·C] node of the next level that the slot leads to, 0 where there is none. */
  readonly child: Int32Array;
}

/** Cut a trie into its levels. */
export function levelsOf(trie: Trie): Level[] {
  const { branching: C, levelStart } = trie;
  return Array.from({ length: trie.depth }, (_, d) => {
    const firstNode = levelStart[d], end = levelStart[d + 1];
    const cut = (table: Int32Array): Int32Array => table.slice(firstNode * C, end * C);
    const doc = cut(trie.childDoc), child = cut(trie.childNode), token = cut(trie.childToken);
    return {
      nodes: end - firstNode,
      firstNode,
      leaves: doc.reduce((n, x) => x >= 0 ? n + 1 : n, 0),
      inner: child.reduce((n, x) => x >= 0 ? n + 1 : n, 0),
      isFilled: Float32Array.from(token, (x) => x >= 0 ? 1 : 0),
      isLeaf: Float32Array.from(doc, (x) => x >= 0 ? 1 : 0),
      token: token.map((x) => Math.max(x, 0)),
      doc: doc.map((x) => Math.max(x, 0)),
      child: child.map((x) => x >= 0 ? x - end : 0),
    };
  });
}

/** An int32 scalar: a plain number would turn the other operand into float32. */
export function int(x: number): tf.Scalar {
  return tf.scalar(x, "int32");
}

/** Rows `node` [R] of a level's table [M·C], as [R, C]. */
export function rowsOf(
  table: Float32Array,
  node: tf.Tensor,
  { nodes, branching: C }: { nodes: number; branching: number },
): tf.Tensor {
  return tf.gather(tf.tensor2d(table, [nodes, C], "float32"), node as tf.Tensor1D);
}

/**
 * log p(slot | prefix), about {@linkcode HIDDEN} where a slot is empty.
 *
 * @param output What the model said
 * @param isFilled [R, C], or nothing where no slot of the level is empty
 * @returns [R, C]
 */
export function slotLogProbs(output: ScorerOutput, isFilled?: tf.Tensor): tf.Tensor {
  const { logits, logTotal } = output;
  if (!logTotal) return isFilled ? maskedLogSoftmax(logits, isFilled) : tf.logSoftmax(logits);
  const logProbs = tf.sub(logits, logTotal);
  return isFilled ? hide(logProbs, isFilled) : logProbs;
}

/** `x` where `isKept` is 1, {@linkcode HIDDEN} elsewhere. */
export function hide(x: tf.Tensor, isKept: tf.Tensor): tf.Tensor {
  return tf.where(tf.greater(isKept, 0.5), x, tf.fill(x.shape, HIDDEN));
}
