/** The lexical index model, ready to be trained: start from BM25, training program, batches. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Slots, slotsOf } from "../docid/slots.ts";
import { sparseSvd } from "../docid/svd.ts";
import { buildTrie, type Trie } from "../docid/trie.ts";
import { ShapeError } from "../errors.ts";
import type { Program } from "../graph/program.ts";
import {
  lexicalParamSpecs,
  lexicalQueryFromBag,
  SLOT_BIAS,
  SLOT_EMBEDDING,
  slotCrossEntropy,
  slotLogits,
  STEM_EMBEDDING,
  STEM_WEIGHT,
} from "../model/lexical.ts";
import { lexicalLeafScorer } from "../retriever/leaf_scorer.ts";
import { lexicalScorer } from "../retriever/tree_scorer.ts";
import type { ParameterStore } from "../runtime/parameter_store.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import type { SparseMatrix } from "../tensor/sparse.ts";
import type { IndexModel } from "./index_model.ts";
import { lexicalBatch, slotsWithin } from "./lexical_batch.ts";

/** What a lexical index is made of. */
export interface LexicalIndexOptions {
  /** [V, N] BM25 weights by stem. */
  readonly bm25: SparseMatrix;
  /** Docids. */
  readonly trie: Trie;
  /**
   * `"tree"`: one vector per slot of the trie. `"leaf"`: one per document; the logit of a prefix is
   * the log-sum-exp of its documents' logits, so that docids do not change p(d|q).
   */
  readonly head: "tree" | "leaf";
  /** Width D of the vectors: rounded up to a multiple of 4; more than N is never needed. */
  readonly width: number;
  /** `"svd"`: from the singular vectors of the BM25 matrix; `"random"`: normal numbers. */
  readonly init: "svd" | "random";
  /** Share of the target that is softmax(BM25 / temperature); the label gets the rest. */
  readonly distill: { readonly weight: number; readonly temperature: number };
  /** Multiplies the learning rate of the slots' vectors. */
  readonly slotRateFactor: number;
  /** [N] 1 for documents that are left out of the softmax on real questions. */
  readonly isUnseen: Uint8Array;
  /** Stem ids below this one are special tokens and carry no meaning. */
  readonly firstStem: number;
  /** Seed of the randomised decomposition. */
  readonly seed: number;
}

/** Slots of a trie in which every document hangs below the root. */
function flatSlots(docCount: number): Slots {
  const digits = Array.from({ length: docCount }, (_, d) => Int32Array.of(d));
  return slotsOf(buildTrie({ scheme: "atomic", base: docCount, digits, collisions: 0 }));
}

/**
 * A lexical index model over a corpus.
 *
 * @throws {ShapeError} If matrix, trie and marks are not of the same corpus
 */
export function lexicalIndex(options: LexicalIndexOptions): IndexModel {
  const { bm25, trie, head, isUnseen, slotRateFactor, distill, firstStem } = options;
  if (bm25.cols !== trie.docCount || isUnseen.length !== trie.docCount) {
    throw new ShapeError(
      `Cannot make an index: the matrix has ${bm25.cols} documents, the trie ${trie.docCount}, ` +
        `the marks ${isUnseen.length}`,
    );
  }
  const width = Math.ceil(options.width / 4) * 4;
  const slots = head === "leaf" ? flatSlots(trie.docCount) : slotsOf(trie);
  const config = { vocabSize: bm25.rows, width, slotCount: slots.slotCount };
  const plain = lexicalParamSpecs(config);
  const specs: ParamSpecs = {
    ...plain,
    [STEM_EMBEDDING]: { ...plain[STEM_EMBEDDING], isRowSparse: true },
    [SLOT_EMBEDDING]: { ...plain[SLOT_EMBEDDING], rateFactor: slotRateFactor },
    [SLOT_BIAS]: { ...plain[SLOT_BIAS], rateFactor: slotRateFactor },
  };
  return {
    family: "lexical",
    specs,
    trie,
    scorer: head === "leaf" ? lexicalLeafScorer(trie) : lexicalScorer(slots),
    trainingProgram: trainingProgram(specs, slots, {
      hidden: slotsWithin(slots, isUnseen),
      temperature: distill.temperature,
    }),
    start(store): void {
      store.initialise(options.seed);
      if (options.init === "svd") startFromBm25(store, slots, options);
      // Special tokens say nothing, in training (left out) as in search (zero).
      const { data, shape } = store.params[STEM_EMBEDDING];
      data.fill(0, 0, firstStem * shape[1]);
    },
    batch: (examples) => lexicalBatch(examples, { slots, bm25, distill, isUnseen, firstStem }),
  };
}

/** Parameters (the stem embedding as its U rows) and a batch to the loss. */
function trainingProgram(
  specs: ParamSpecs,
  slots: Slots,
  { hidden, temperature }: { hidden: Float32Array; temperature: number },
): Program {
  const P = slots.slotCount;
  const isAnyHidden = hidden.some((x) => x > 0);
  return {
    name: "lexical-training",
    inputs: {
      ...Object.fromEntries(
        Object.entries(specs).map(([name, { shape, isRowSparse }]) => [
          name,
          { dtype: "float32", shape: isRowSparse ? ["U", shape[1]] : shape },
        ]),
      ),
      rows: { dtype: "int32", shape: ["U"] },
      bag: { dtype: "float32", shape: ["B", "U"] },
      label: { dtype: "float32", shape: ["B", P] },
      teacher: { dtype: "float32", shape: ["B", P] },
      isReal: { dtype: "float32", shape: ["B"] },
    },
    run(x) {
      const weights = tf.gather(x[STEM_WEIGHT], x.rows as tf.Tensor1D);
      const query = lexicalQueryFromBag(x.bag, x[STEM_EMBEDDING], weights);
      let logits = slotLogits(x, query);
      // Documents that no question asks for would only ever be pushed down by real questions. A
      // lowered logit, not -∞: the label itself may be such a document in a shuffled control.
      if (isAnyHidden) {
        const lowered = tf.mul(tf.tensor2d(hidden, [P, 1]), -1e4);
        logits = tf.add(logits, tf.matMul(lowered, tf.reshape(x.isReal, [1, -1]) as tf.Tensor2D));
      }
      const label = slotCrossEntropy(logits, tf.transpose(x.label), slots);
      const softened = tf.div(logits, temperature);
      const teacher = slotCrossEntropy(softened, tf.transpose(x.teacher), slots);
      return {
        loss: tf.add(label, tf.mul(teacher, temperature)),
        labelLoss: label,
        teacherLoss: teacher,
      };
    },
  };
}

/**
 * M = BM25 ≈ E·Uᵀ with orthonormal U: E = M·V, U = V from the singular value decomposition. Every
 * stem weighs 1, so that the logits of step 0 are BM25. An inner slot starts as the mean of its
 * documents.
 */
function startFromBm25(store: ParameterStore, slots: Slots, options: LexicalIndexOptions): void {
  const { bm25, seed } = options;
  const stems = store.params[STEM_EMBEDDING], slotRows = store.params[SLOT_EMBEDDING];
  const width = stems.shape[1], P = slots.slotCount;
  const { U, S, V } = sparseSvd(bm25, { rank: Math.min(width, bm25.cols), seed });
  const rank = S.length;
  stems.data.fill(0);
  for (let t = 0; t < bm25.rows; t++) {
    for (let r = 0; r < rank; r++) stems.data[t * width + r] = U.data[t * rank + r] * S[r];
  }
  store.params[STEM_WEIGHT].data.fill(1);
  store.params[SLOT_BIAS].data.fill(0);
  slotRows.data.fill(0);
  const below = new Float64Array(P);
  for (let s = P - 1; s >= 0; s--) {
    const row = slotRows.data.subarray(s * width, (s + 1) * width);
    const doc = slots.doc[s];
    if (doc >= 0) {
      row.set(V.data.subarray(doc * rank, (doc + 1) * rank));
      below[s] = 1;
    }
    const up = slots.parent[s];
    if (up >= 0) {
      below[up] += below[s];
      const parent = slotRows.data.subarray(up * width, (up + 1) * width);
      for (let r = 0; r < rank; r++) parent[r] += row[r];
    }
    if (doc < 0) { for (let r = 0; r < rank; r++) row[r] /= below[s]; }
  }
}
