/**
 * The lexical index model: a question is a learned weighted sum of stem vectors, a docid is a path
 * through a tree whose slots have vectors.
 *
 *   q(x)          = Σᵢ w[sᵢ] · E[sᵢ]                        over the stems sᵢ of the question
 *   z(slot | q)   = U[slot] · q(x) + b[slot]
 *   p(slot | n,q) = exp z(slot) / Σ_{c child of n} exp z(c)   softmax over the children of node n
 *   p(d | q)      = Π p(slot | n, q) along d's path from the root
 *
 * With one level this is the classifier over atomic docids. Started from a factorisation M ≈ E·Uᵀ of
 * a BM25 matrix, step 0 ranks as BM25 does; training then learns what BM25 can't know.
 *
 * Source: Tay et al. 2022 ("Transformer memory as a differentiable search index") for docids as a
 * tree. Departure: the encoder is a bag of stems instead of a transformer, because from scratch, on
 * thousands of documents, it is what retrieves well (docs/log.md has the figures).
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Params, ParamSpecs } from "../tensor/params.ts";
import type { Scalar, Tensor } from "../tensor/tensor.ts";

/** Sizes of a lexical index model. */
export interface LexicalConfig {
  /** Stems, V. */
  readonly vocabSize: number;
  /** Width of stem and slot vectors, D. */
  readonly width: number;
  /** Slots of the tree, P: every (node, child) pair. Atomic docids have one per document. */
  readonly slotCount: number;
}

/** Names of the parameters. */
export const STEM_EMBEDDING = "stem.embedding",
  STEM_WEIGHT = "stem.weight",
  SLOT_EMBEDDING = "slot.embedding",
  SLOT_BIAS = "slot.bias";

/** Shapes and random starts. The start from a BM25 matrix replaces them. */
export function lexicalParamSpecs(config: LexicalConfig): ParamSpecs {
  const { vocabSize, width, slotCount } = config;
  const std = width ** -0.5;
  return {
    [STEM_EMBEDDING]: { shape: [vocabSize, width], init: { kind: "normal", std } },
    [STEM_WEIGHT]: { shape: [vocabSize, 1], init: { kind: "constant", value: 1 }, decay: false },
    [SLOT_EMBEDDING]: { shape: [slotCount, width], init: { kind: "normal", std } },
    [SLOT_BIAS]: { shape: [slotCount, 1], init: { kind: "constant", value: 0 }, decay: false },
  };
}

/**
 * Question vectors from token ids: the form that serves.
 *
 * @param params Parameters of the model
 * @param inputIds [B, S] stem ids
 * @param isToken [B, S] 1 where a stem stands, 0 on padding
 * @returns [B, D]
 */
export function lexicalQuery(params: Params, inputIds: Tensor, isToken: Tensor): Tensor {
  const rows = tf.gather(params[STEM_EMBEDDING], inputIds as tf.Tensor2D); // [B, S, D]
  const weights = tf.mul(
    tf.gather(params[STEM_WEIGHT], inputIds as tf.Tensor2D), // [B, S, 1]
    tf.expandDims(isToken, 2),
  );
  return tf.sum(tf.mul(rows, weights), 1);
}

/**
 * Question vectors from the rows of the stems that occur in a batch: the form that trains. It equals
 * {@linkcode lexicalQuery}, but the gradient reaches U rows instead of V.
 *
 * @param bag [B, U] how often each of the U stems stands in each question
 * @param rows [U, D] their vectors
 * @param weights [U, 1] their weights
 * @returns [B, D]
 */
export function lexicalQueryFromBag(
  bag: Tensor,
  rows: Tensor,
  weights: Tensor,
): Tensor {
  return tf.matMul(bag as tf.Tensor2D, tf.mul(rows, weights) as tf.Tensor2D);
}

/**
 * Logit of every slot for every question, slots first so that the children of a node are whole rows.
 *
 * @param params Parameters of the model
 * @param query [B, D]
 * @returns [P, B]
 */
export function slotLogits(params: Params, query: Tensor): Tensor {
  const dot = tf.matMul(params[SLOT_EMBEDDING] as tf.Tensor2D, query as tf.Tensor2D, false, true);
  return tf.add(dot, params[SLOT_BIAS]);
}

/** Where the slots of a tree stand when every node is padded to C children. */
export interface SlotLayout {
  /** Nodes, M. */
  readonly nodeCount: number;
  /** Most children of a node, C. */
  readonly branching: number;
  /** [M·C] slot that stands there, P where there is none. */
  readonly padded: Int32Array;
  /** [P] place of each slot among the M·C. */
  readonly place: Int32Array;
}

const FORBIDDEN = -1e9;

/** [P, B] → [M, C, B]; `pad` where a node has no such child. */
function toNodes(x: Tensor, layout: SlotLayout, pad: number): Tensor {
  const { nodeCount: M, branching: C } = layout;
  const B = x.shape[1]!;
  if (isFlat(layout)) return tf.reshape(x, [1, C, B]);
  const withPad = tf.concat([x, tf.fill([1, B], pad)], 0);
  return tf.reshape(tf.gather(withPad, tf.tensor1d(layout.padded, "int32")), [M, C, B]);
}

/** [M, C, B] → [P, B], the inverse. */
function toSlots(x: Tensor, layout: SlotLayout): Tensor {
  const { nodeCount: M, branching: C } = layout;
  const flat = tf.reshape(x, [M * C, x.shape[2]!]);
  return isFlat(layout) ? flat : tf.gather(flat, tf.tensor1d(layout.place, "int32"));
}

/** One node and no gaps: both layouts are the same. */
const isFlat = (layout: SlotLayout) =>
  layout.nodeCount === 1 && layout.place.length === layout.branching;

/**
 * log p(slot | its node, question) for every slot.
 *
 * @param logits [P, B]
 * @param layout Where the slots stand
 * @returns [P, B], natural logarithm; the children of each node sum to 1 in probability
 */
export function slotLogProbs(logits: Tensor, layout: SlotLayout): Tensor {
  const z = toNodes(logits, layout, FORBIDDEN);
  const shifted = tf.sub(z, tf.max(z, 1, true));
  return toSlots(tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 1, true))), layout);
}

/**
 * Cross-entropy between target distributions over documents and p(d | q), summed over questions.
 *
 *   −Σ_d t(d) log p(d|q) = −Σ_slot t(slot) log p(slot | node),   t(slot) = Σ_{d below slot} t(d)
 *
 * so the target enters as its mass on every slot and no distribution over documents is ever built.
 * Gradient with respect to the logits: p(slot | node) · t(node) − t(slot).
 *
 * @param logits [P, B]
 * @param target [P, B] mass of the target below each slot; no gradient flows to it
 * @param layout Where the slots stand
 * @returns Scalar: nats, summed over the B questions
 */
export function slotCrossEntropy(
  logits: Tensor,
  target: Tensor,
  layout: SlotLayout,
): Scalar {
  return tf.customGrad((...args) => {
    const [x, save] = args as unknown as [Tensor, tf.GradSaveFunc];
    const z = toNodes(x, layout, FORBIDDEN), t = toNodes(target, layout, 0);
    const highest = tf.max(z, 1, true);
    const exp = tf.exp(tf.sub(z, highest));
    const total = tf.sum(exp, 1, true); // [M, 1, B]
    const nodeMass = tf.sum(t, 1, true); // [M, 1, B]
    const logTotal = tf.add(tf.log(total), highest);
    save([exp, total, nodeMass, target]);
    const value = tf.sub(tf.sum(tf.mul(nodeMass, logTotal)), tf.sum(tf.mul(target, x)));
    const gradFunc = (dy: Tensor | Tensor[], saved: Tensor[]) => {
      const [exp, total, nodeMass, target] = saved;
      const expected = toSlots(tf.mul(exp, tf.div(nodeMass, total)), layout);
      return tf.mul(tf.sub(expected, target), dy as Tensor);
    };
    return { value, gradFunc };
  })(logits) as Scalar;
}
