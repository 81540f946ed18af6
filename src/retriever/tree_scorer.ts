/** Search over models that give every slot of the trie a vector, such as the lexical index. @module */
import * as tf from "@tensorflow/tfjs-core";
import type { Slots } from "../docid/slots.ts";
import { lexicalQuery, SLOT_BIAS, SLOT_EMBEDDING } from "../model/lexical.ts";
import type { Params } from "../tensor/params.ts";
import {
  type DocidScorer,
  QUESTION_INPUTS,
  type ScorerOutput,
  type ScorerState,
  type Tensors,
} from "./scorer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A model whose logit of a slot is U[slot]·q + b[slot]. */
export interface TreeScorerOptions {
  /** Question vectors [B, D] from parameters and inputs. */
  query: (params: Params, inputs: Tensors) => Tensor;
  /** Name of the parameter U, [P, D]. */
  slotEmbedding: string;
  /** Name of the parameter b, [P, 1]. */
  slotBias: string;
  /** Inputs that hold the questions. Default {@linkcode QUESTION_INPUTS}. */
  inputs?: DocidScorer["inputs"];
  /**
   * `"all"` multiplies the question with every slot once; `"visited"` gathers the vectors of the
   * slots below each prefix, so that the cost no longer grows with the corpus. Default: `"all"` up
   * to 16,384 slots.
   */
  compute?: "all" | "visited";
}

/** Slots up to which one product with all of them is cheaper than gathering rows. */
const ALL_UP_TO = 16_384;

/**
 * A scorer over vectors of slots.
 *
 * @param slots The trie's slots, numbered without gaps
 * @param options Where the vectors are
 */
export function treeScorer(slots: Slots, options: TreeScorerOptions): DocidScorer {
  const compute = options.compute ?? (slots.slotCount <= ALL_UP_TO ? "all" : "visited");
  if (compute === "visited") return overVisited(slots, options);
  const logits = (params: Params, x: Tensors): Tensor => {
    const query = options.query(params, x) as tf.Tensor2D;
    const dot = tf.matMul(query, params[options.slotEmbedding] as tf.Tensor2D, false, true);
    return tf.add(dot, tf.reshape(params[options.slotBias], [1, slots.slotCount]));
  };
  return slotTableScorer(slots, logits, options.inputs);
}

/** [M·C] slot of each place; some other slot where there is none, because search hides it. */
function safePlaces({ padded, slotCount }: Slots): Int32Array {
  return padded.map((slot) => Math.min(slot, slotCount - 1));
}

/** Columns of the root among the first or all slots of each question: they come first. */
function rootColumns(logits: Tensor, { padded, branching: C }: Slots): Tensor {
  const [B, columns] = logits.shape;
  const root = padded.subarray(0, C);
  if (C > columns! || root.some((slot, at) => slot !== at)) {
    const places = root.map((slot) => Math.min(slot, columns! - 1));
    return tf.gather(logits, tf.tensor1d(places, "int32"), 1);
  }
  return C === columns ? logits : tf.slice(logits, [0, 0], [B, C]);
}

/**
 * A scorer that has the logits of all slots before the first digit and only looks them up.
 *
 * @param slots The trie's slots, numbered without gaps
 * @param logitsOf [B, P] from parameters and inputs
 * @param inputs Inputs that hold the questions. Default {@linkcode QUESTION_INPUTS}
 */
export function slotTableScorer(
  slots: Slots,
  logitsOf: (params: Params, inputs: Tensors) => Tensor,
  inputs: DocidScorer["inputs"] = QUESTION_INPUTS,
): DocidScorer {
  const { slotCount: P, branching: C, nodeCount: M } = slots;
  const places = safePlaces(slots);
  return {
    inputs,
    start: (params, x): ScorerState => ({ shared: { all: logitsOf(params, x) }, rows: {} }),
    step(_params, { shared: { all } }, { depth, beams, node }): ScorerOutput {
      if (depth === 0) return { logits: rootColumns(all, slots), rows: {} };
      const [B] = all.shape;
      const here = tf.gather(tf.tensor2d(places, [M, C], "int32"), node as tf.Tensor1D);
      const question = tf.mul(tf.range(0, B, 1, "int32"), tf.scalar(P, "int32"));
      const at = tf.add(tf.reshape(here, [B, beams, C]), tf.reshape(question, [B, 1, 1]));
      const logits = tf.gather(tf.reshape(all, [-1]), at as tf.Tensor3D);
      return { logits: tf.reshape(logits, [B * beams, C]), rows: {} };
    },
  };
}

function overVisited(slots: Slots, options: TreeScorerOptions): DocidScorer {
  const { slotCount: P, branching: C, nodeCount: M } = slots;
  const places = safePlaces(slots);
  const rootCount = slots.padded.subarray(0, C).filter((slot) => slot < P).length;
  return {
    inputs: options.inputs ?? QUESTION_INPUTS,
    start: (params, inputs): ScorerState => ({
      shared: { query: options.query(params, inputs) },
      rows: {},
    }),
    step(params, { shared: { query } }, { depth, beams, node }): ScorerOutput {
      const U = params[options.slotEmbedding] as tf.Tensor2D;
      const b = tf.reshape(params[options.slotBias], [P]);
      const [B, D] = query.shape;
      if (depth === 0) {
        const rows = tf.slice(U, [0, 0], [rootCount, D!]);
        const dot = tf.matMul(query as tf.Tensor2D, rows, false, true);
        const logits = tf.add(dot, tf.slice(b, [0], [rootCount]));
        return { logits: rootColumns(logits, slots), rows: {} };
      }
      const here = tf.reshape(
        tf.gather(tf.tensor2d(places, [M, C], "int32"), node as tf.Tensor1D),
        [B, beams * C],
      ) as tf.Tensor2D;
      const dot = tf.matMul(tf.gather(U, here), tf.reshape(query, [B, D!, 1]));
      const logits = tf.add(tf.reshape(dot, [B, beams * C]), tf.gather(b, here));
      return { logits: tf.reshape(logits, [B * beams, C]), rows: {} };
    },
  };
}

/**
 * The lexical index model as a scorer.
 *
 * @param slots The trie's slots, numbered without gaps
 * @param options How to compute; see {@linkcode TreeScorerOptions.compute}
 */
export function lexicalScorer(
  slots: Slots,
  options: { compute?: "all" | "visited" } = {},
): DocidScorer {
  return treeScorer(slots, {
    ...options,
    query: (params, x) => lexicalQuery(params, x.inputIds, x.isToken),
    slotEmbedding: SLOT_EMBEDDING,
    slotBias: SLOT_BIAS,
  });
}
