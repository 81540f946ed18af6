/** From examples to the tensors of one training step of the lexical index model. @module */
import type { Slots } from "../docid/slots.ts";
import { ShapeError } from "../errors.ts";
import { hostTensor } from "../tensor/host_tensor.ts";
import type { SparseMatrix } from "../tensor/sparse.ts";
import { bm25Scores } from "../text/bm25.ts";
import type { IndexExample, JointExamples } from "./index_model.ts";
import type { TrainingBatch } from "./trainable_model.ts";
import { STEM_EMBEDDING } from "../model/lexical.ts";

/** What stays the same from step to step. */
export interface LexicalBatchContext {
  /** Slots of the docid tree. */
  readonly slots: Slots;
  /** [V, N] BM25 weights by stem: the teacher. */
  readonly bm25: SparseMatrix;
  /** Share of the target that is softmax(BM25 / temperature); the label gets the rest. */
  readonly distill: { readonly weight: number; readonly temperature: number };
  /** [N] 1 for documents no training question asks for: left out of the softmax on real questions. */
  readonly isUnseen: Uint8Array;
  /** Stem ids below this one are special tokens and carry no meaning. */
  readonly firstStem: number;
}

/** [P] 1 where every document below the slot is marked in `isMarked`. */
export function slotsWithin(slots: Slots, isMarked: Uint8Array): Float32Array {
  const within = new Float32Array(slots.slotCount).fill(1);
  for (let s = slots.slotCount - 1; s >= 0; s--) {
    if (slots.doc[s] >= 0 && !isMarked[slots.doc[s]]) within[s] = 0;
    if (slots.parent[s] >= 0 && !within[s]) within[slots.parent[s]] = 0;
  }
  return within;
}

/**
 * The tensors of one step of supervised training: the mean over the examples, see
 * {@linkcode lexicalJointBatch}.
 *
 * @param examples B texts
 * @param context What stays the same
 * @throws {ShapeError} If there is no example
 */
export function lexicalBatch(
  examples: readonly IndexExample[],
  context: LexicalBatchContext,
): TrainingBatch {
  return lexicalJointBatch({ weighed: [], replay: examples, replayWeight: 1 }, context);
}

/**
 * The tensors of one step of joint training.
 *
 * A replayed text has two targets: its document, with weight 1 − λ, and softmax(BM25(text, ·) / T) over the
 * documents that may be negatives, with weight λ; where none may be, its document has all of it. A weighed
 * one has the weights of its documents, whatever their signs and sum, and nothing is masked. Masses are
 * summed up the tree, parents from children.
 *
 * Inputs: `rows` [U] the stems that occur, ascending; `bag` [B, U] how often each stands in each text;
 * `label` and `teacher` [B, P] mass of either target below each slot, that of replayed texts times
 * replayWeight / their number; `isReal` [B] 1 for real questions among them.
 *
 * @param examples B texts in all, the weighed ones first
 * @param context What stays the same
 * @throws {ShapeError} If there is no example
 */
export function lexicalJointBatch(
  { weighed, replay, replayWeight }: JointExamples,
  context: LexicalBatchContext,
): TrainingBatch {
  const B = weighed.length + replay.length;
  if (B === 0) throw new ShapeError("Cannot build a batch: there are no examples");
  const { slots, bm25, distill, isUnseen, firstStem } = context;
  const P = slots.slotCount, N = bm25.cols;

  const column = new Map<number, number>();
  const texts = [...weighed, ...replay]
    .map((e) => Array.from(e.tokenIds).filter((t) => t >= firstStem));
  const rows = Int32Array.from(new Set(texts.flat())).sort();
  rows.forEach((stem, u) => column.set(stem, u));
  // An empty batch of stems can't be fed: the padding stem stands in with count 0.
  const used = rows.length > 0 ? rows : Int32Array.of(0);
  const U = used.length;
  const bag = new Float32Array(B * U);
  texts.forEach((stems, b) => {
    for (const stem of stems) bag[b * U + column.get(stem)!]++;
  });

  const label = new Float32Array(B * P), teacher = new Float32Array(B * P);
  const isReal = new Float32Array(B);
  const leaf = leafSlots(slots, N);
  const sumUp = (mass: Float32Array): void => {
    for (let s = P - 1; s >= 0; s--) if (slots.parent[s] >= 0) mass[slots.parent[s]] += mass[s];
  };
  weighed.forEach(({ docs, weights }, b) => {
    const mass = label.subarray(b * P, (b + 1) * P);
    for (let k = 0; k < docs.length; k++) mass[leaf[docs[k]]] += weights[k];
    sumUp(mass);
  });
  const scores = new Float32Array(N), share = replayWeight / replay.length;
  replay.forEach((example, i) => {
    const b = weighed.length + i;
    isReal[b] = example.isReal ? 1 : 0;
    const mass = teacher.subarray(b * P, (b + 1) * P);
    let taught = 0;
    if (distill.weight > 0) {
      bm25Scores(bm25, texts[b], scores);
      const masked = example.isReal ? isUnseen : undefined;
      const { weight, temperature } = distill;
      taught = softmaxInto(mass, scores, { leaf, masked, mass: weight * share, temperature });
    }
    sumUp(mass);
    for (let s = leaf[example.doc]; s >= 0; s = slots.parent[s]) label[b * P + s] = share - taught;
  });
  const tokens = texts.reduce((n, stems) => n + stems.length, 0);
  return {
    rows: { [STEM_EMBEDDING]: used },
    inputs: {
      rows: hostTensor("int32", used, [U]),
      bag: hostTensor("float32", bag, [B, U]),
      label: hostTensor("float32", label, [B, P]),
      teacher: hostTensor("float32", teacher, [B, P]),
      isReal: hostTensor("float32", isReal, [B]),
    },
    tokens,
    positions: tokens, // a bag has no padding
  };
}

/** [N] last slot of each document. */
export function leafSlots(slots: Slots, docCount: number): Int32Array {
  const leaf = new Int32Array(docCount);
  for (let s = 0; s < slots.slotCount; s++) if (slots.doc[s] >= 0) leaf[slots.doc[s]] = s;
  return leaf;
}

/** mass[leaf[d]] = given · softmax(scores / temperature)[d], 0 where masked; returns what it gave. */
function softmaxInto(
  mass: Float32Array,
  scores: Float32Array,
  options: { leaf: Int32Array; masked?: Uint8Array; mass: number; temperature: number },
): number {
  const { leaf, masked, temperature } = options;
  const N = scores.length;
  let highest = -Infinity;
  for (let d = 0; d < N; d++) if (!masked?.[d] && scores[d] > highest) highest = scores[d];
  if (highest === -Infinity) return 0;
  const unmatched = Math.exp(-highest / temperature);
  let total = 0;
  for (let d = 0; d < N; d++) {
    if (masked?.[d]) continue;
    const p = scores[d] === 0 ? unmatched : Math.exp((scores[d] - highest) / temperature);
    mass[leaf[d]] = p;
    total += p;
  }
  const scale = options.mass / total;
  for (let d = 0; d < N; d++) mass[leaf[d]] *= scale;
  return options.mass;
}
