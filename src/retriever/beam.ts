/** Trie-constrained beam search in tensor operations: runs eagerly or is recorded as one graph. @module */
import * as tf from "@tensorflow/tfjs-core";
import type { Trie } from "../docid/trie.ts";
import { DeepragError } from "../errors.ts";
import type { Params } from "../tensor/params.ts";
import { hide, int, type Level, levelsOf, NOTHING, rowsOf, slotLogProbs } from "./_levels.ts";
import type { DocidScorer, ScorerState, Tensors } from "./scorer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Choices of {@linkcode beamSearch}. */
export interface BeamOptions {
  /** Prefixes that live on after each digit, and documents returned, K. */
  beam: number;
  /**
   * Which finished documents count. `"collect"`: every one met, kept aside from the prefixes, so that
   * a short docid costs no place in the beam. `"compete"`: only those among the K best
   * continuations of their step, which is what Hugging Face's beam search does with an
   * end-of-sequence token. They differ only where docids differ in length. Default `"collect"`.
   */
  leaves?: "collect" | "compete";
}

/** Tensors that search returns. */
export interface BeamOutput extends Tensors {
  /** [B, K] int32 documents, best first; -1 where there are fewer than K. */
  doc: Tensor;
  /** [B, K] natural logarithm of p(d|q); -∞ where there is no document. */
  logProb: Tensor;
  /** [B] 1 − Σ p(d|q) over the documents returned: the mass that search left out. */
  droppedMass: Tensor;
}

/** Documents found so far, best first. */
interface Found {
  /** [B, F] */
  doc: Tensor;
  /** [B, F] */
  logProb: Tensor;
}

/** Prefixes that live. */
interface Beams {
  /** K, per question. */
  count: number;
  /** [B, K] log-probability of the prefix; nothing at the root. */
  logProb?: Tensor;
  /** [B·K] node, counted within its level. */
  node: Tensor;
  /** [B·K] token that led there; nothing at the root. */
  token?: Tensor;
}

/** Continuations of all prefixes of a question, side by side. */
interface Continuations {
  /** [B, K·C] */
  logProb: Tensor;
  beams: Beams;
  level: Level;
  batch: number;
  branching: number;
}

/**
 * The K most probable documents that beam search finds for each question, by the chain of their
 * digits' log-probabilities. Only docids of the trie can come out, and none comes out twice. With
 * K ≥ N the result is the full ranking. Docids may differ in length.
 *
 * Sizes of the beam are known when recording: at digit d there are min(K, nodes of depth d) prefixes,
 * so that the first steps are cheap and K may exceed the number of candidates.
 *
 * @param scorer The model
 * @param trie Docids
 * @param arguments_ Parameters and questions as tensors, and the options
 * @throws {DeepragError} If the beam is not a positive integer
 */
export function beamSearch(
  scorer: DocidScorer,
  trie: Trie,
  { params, inputs, options }: { params: Params; inputs: Tensors; options: BeamOptions },
): BeamOutput {
  const { beam: K, leaves = "collect" } = options;
  if (!Number.isSafeInteger(K) || K < 1) {
    throw new DeepragError(`Cannot search with a beam of ${K}: it must be a positive integer`);
  }
  const { branching } = trie;
  const batch = inputs[Object.keys(scorer.inputs)[0]].shape[0];
  let state = scorer.start(params, inputs);
  let beams: Beams = { count: 1, node: tf.zeros([batch], "int32") };
  let found: Found | undefined;
  levelsOf(trie).forEach((level, depth) => {
    const output = scorer.step(params, state, {
      depth,
      beams: beams.count,
      node: tf.add(beams.node, int(level.firstNode)),
      token: beams.token,
    });
    const all = continuations(output, { beams, level, batch, branching });
    if (level.leaves > 0) found = collect(found, finished(all, K, leaves), K, batch);
    if (level.inner > 0) {
      const next = advance(all, Math.min(K, level.inner));
      state = { shared: state.shared, rows: pickRows(output.rows, next.from) };
      beams = next.beams;
    }
  });
  return asOutput(found!, K, batch);
}

function continuations(
  output: { logits: Tensor; logTotal?: Tensor; rows: ScorerState["rows"] },
  { beams, level, batch, branching: C }: Omit<Continuations, "logProb">,
): Continuations {
  const isFull = level.leaves + level.inner === level.nodes * C;
  const size = { nodes: level.nodes, branching: C };
  const isFilled = isFull ? undefined : rowsOf(level.isFilled, beams.node, size);
  let logProb = slotLogProbs(output, isFilled);
  if (beams.logProb) logProb = tf.add(logProb, tf.reshape(beams.logProb, [batch * beams.count, 1]));
  return {
    logProb: tf.reshape(logProb, [batch, beams.count * C]),
    beams,
    level,
    batch,
    branching: C,
  };
}

/** Continuations that are leaves (1) or are not (0), the others hidden. */
function only(kind: 0 | 1, all: Continuations): Tensor {
  const { level, beams, branching, batch } = all;
  if (level.leaves === 0 || level.inner === 0) return all.logProb;
  const kept = kind === 1 ? level.isLeaf : level.isLeaf.map((x) => 1 - x);
  const rows = rowsOf(kept, beams.node, { nodes: level.nodes, branching });
  return hide(all.logProb, tf.reshape(rows, [batch, beams.count * branching]));
}

/** Best documents among the continuations. */
function finished(all: Continuations, K: number, leaves: "collect" | "compete"): Found {
  const { level, beams, branching } = all;
  const width = beams.count * branching;
  let logProb = only(1, all);
  if (leaves === "compete" && level.inner > 0 && width > K) {
    const best = tf.topk(all.logProb, K).values;
    const least = tf.slice(best, [0, K - 1], [all.batch, 1]);
    logProb = hide(logProb, tf.cast(tf.greaterEqual(logProb, least), "float32"));
  }
  const { values, indices } = tf.topk(logProb, Math.min(K, width, level.leaves));
  return { logProb: values, doc: lookUp(level.doc, all, indices).found };
}

/** Old and new documents together, best first. */
function collect(old: Found | undefined, more: Found, K: number, batch: number): Found {
  if (!old) return more;
  const logProb = tf.concat([old.logProb, more.logProb], 1),
    doc = tf.concat([old.doc, more.doc], 1);
  const width = logProb.shape[1]!;
  const { values, indices } = tf.topk(logProb, Math.min(K, width));
  const flat = tf.add(indices, questionOffsets(batch, width));
  return { logProb: values, doc: tf.gather(tf.reshape(doc, [-1]), flat as tf.Tensor2D) };
}

/** The best `count` prefixes that are one digit longer, and the row each one comes from. */
function advance(all: Continuations, count: number): { beams: Beams; from: Tensor } {
  const { values, indices } = tf.topk(only(0, all), Math.min(count, all.logProb.shape[1]!));
  const { found: node, at, row } = lookUp(all.level.child, all, indices);
  const token = tf.gather(tf.tensor1d(all.level.token, "int32"), at as tf.Tensor2D);
  const flat = (x: Tensor): Tensor => tf.reshape(x, [-1]);
  const beams = {
    count: values.shape[1]!,
    logProb: values,
    node: flat(node),
    token: flat(token),
  };
  return { beams, from: flat(row) };
}

/**
 * Entries of a table of the level for chosen continuations.
 *
 * @param indices [B, X] in [0, K·C)
 * @returns `found` [B, X]; `at` [B, X] place in the level's tables; `row` [B, X] of all B·K prefixes
 */
function lookUp(
  table: Int32Array,
  { beams, batch, branching: C }: Continuations,
  indices: Tensor,
): { found: Tensor; at: Tensor; row: Tensor } {
  const beam = tf.floorDiv(indices, int(C));
  const row = tf.add(beam, questionOffsets(batch, beams.count));
  const at = beams.logProb
    ? tf.add(
      tf.mul(tf.gather(beams.node as tf.Tensor1D, row as tf.Tensor2D), int(C)),
      tf.sub(indices, tf.mul(beam, int(C))),
    )
    : indices; // At the root the continuation is the slot.
  return { found: tf.gather(tf.tensor1d(table, "int32"), at as tf.Tensor2D), at, row };
}

/** [B, 1] index of each question's first row where every question has `count` of them. */
function questionOffsets(batch: number, count: number): Tensor {
  return tf.mul(tf.expandDims(tf.range(0, batch, 1, "int32"), 1), int(count));
}

function pickRows(rows: Tensors, from: Tensor): Tensors {
  return Object.fromEntries(
    Object.entries(rows).map(([name, x]) => [name, tf.gather(x, from as tf.Tensor1D)]),
  );
}

function asOutput({ doc, logProb }: Found, K: number, batch: number): BeamOutput {
  const missing = K - doc.shape[1]!;
  if (missing > 0) {
    doc = tf.concat([doc, tf.fill([batch, missing], -1, "int32")], 1);
    logProb = tf.concat([logProb, tf.fill([batch, missing], 2 * NOTHING)], 1);
  }
  const isFound = tf.greater(logProb, NOTHING);
  const mass = tf.sum(tf.mul(tf.exp(logProb), tf.cast(isFound, "float32")), 1);
  return {
    doc: tf.where(isFound, doc, tf.fill([batch, K], -1, "int32")),
    logProb: tf.where(isFound, logProb, tf.fill([batch, K], -Infinity)),
    droppedMass: tf.maximum(tf.sub(1, mass), 0),
  };
}
