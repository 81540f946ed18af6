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
import type { Params, ParamSpecs } from "../tensor/params.ts";
import { randomStream } from "../tensor/random.ts";
import { csrTimesDense, type SparseMatrix, transposeCsr } from "../tensor/sparse.ts";
import type { IndexModel } from "./index_model.ts";
import { leafSlots, lexicalBatch, lexicalJointBatch, slotsWithin } from "./lexical_batch.ts";

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
  /** Largest width D of the vectors; more than the slots, rounded up to a multiple of 4, is never used. */
  readonly width: number;
  /**
   * `"svd"`: from the singular vectors of the BM25 matrix; `"projection"`: from a random projection of
   * it; `"random"`: normal numbers.
   */
  readonly init: "svd" | "projection" | "random";
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
  const slots = head === "leaf" ? flatSlots(trie.docCount) : slotsOf(trie);
  const width = Math.ceil(Math.min(options.width, slots.slotCount) / 4) * 4;
  const config = { vocabSize: bm25.rows, width, slotCount: slots.slotCount };
  const plain = lexicalParamSpecs(config);
  const specs: ParamSpecs = {
    ...plain,
    [STEM_EMBEDDING]: { ...plain[STEM_EMBEDDING], isRowSparse: true },
    [SLOT_EMBEDDING]: { ...plain[SLOT_EMBEDDING], rateFactor: slotRateFactor },
    [SLOT_BIAS]: { ...plain[SLOT_BIAS], rateFactor: slotRateFactor },
  };
  const context = { slots, bm25, distill, isUnseen, firstStem };
  const program = trainingProgram(specs, slots, {
    hidden: slotsWithin(slots, isUnseen),
    temperature: distill.temperature,
  });
  return {
    family: "lexical",
    specs,
    trie,
    scorer: head === "leaf" ? lexicalLeafScorer(trie) : lexicalScorer(slots),
    trainingProgram: program,
    // Any weights of documents are a target like another: one program does both.
    jointProgram: program,
    start(store): void {
      if (options.init === "random") store.initialise(options.seed);
      else startFromBm25(store, slots, options);
      // Special tokens say nothing, in training (left out) as in search (zero).
      const { data, shape } = store.params[STEM_EMBEDDING];
      data.fill(0, 0, firstStem * shape[1]);
    },
    batch: (examples) => lexicalBatch(examples, context),
    jointBatch: (examples) => lexicalJointBatch(examples, context),
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
    run(x): Params {
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
 * A ≈ E·Uᵀ with orthonormal columns U, so that the logits of step 0 are the scores of A:
 *
 *   A[t, slot] = max_{d below slot} BM25[t, d]
 *
 * for the slot of a single document its BM25, for an inner slot that of a pseudo document which
 * holds the best of every word. Every stem weighs 1.
 *
 * Where the width allows it, U is an orthonormal cosine basis and the product exact: any basis does,
 * and this one costs nothing. A smaller width loses something. Singular vectors lose the least of the
 * whole matrix, but that is its frequent words: where the width is a small part of the documents, rare
 * words, which retrieve, are what is lost, and {@linkcode projectBm25} keeps them.
 */
function startFromBm25(store: ParameterStore, slots: Slots, options: LexicalIndexOptions): void {
  const stems = store.params[STEM_EMBEDDING], slotRows = store.params[SLOT_EMBEDDING];
  const scores = slotScores(options.bm25, slots);
  const width = stems.shape[1], P = slots.slotCount;
  stems.data.fill(0);
  slotRows.data.fill(0);
  store.params[STEM_WEIGHT].data.fill(1);
  store.params[SLOT_BIAS].data.fill(0);
  if (width >= P) {
    cosineBasis(slotRows.data, P, width);
    stems.data.set(csrTimesDense(scores, slotRows.data, width));
    return;
  }
  if (options.init === "projection") return projectBm25(store, scores, options.seed);
  const { U, S, V } = sparseSvd(scores, { rank: width, seed: options.seed });
  const rank = S.length;
  for (let t = 0; t < scores.rows; t++) {
    for (let r = 0; r < rank; r++) stems.data[t * width + r] = U.data[t * rank + r] * S[r];
  }
  for (let s = 0; s < P; s++) {
    slotRows.data.set(V.data.subarray(s * rank, (s + 1) * rank), s * width);
  }
}

/**
 * A ≈ E·Uᵀ by a random projection of the stems:
 *
 *   E[t] = m[t]·R[t]    U[s] = Σ_t A[t, s]/m[t] · R[t]    m[t] = max_s A[t, s]
 *
 * R[t, r] is ±1/√D with equal chances, so that E[R[t]·R[u]] = 1 if t = u, else 0: the logits of step 0
 * are A's scores on average, off by |m∘q|·|A[:, s]/m|/√D for a question q. With the divisor m the
 * vector of a slot holds how often its words stand there and that of a stem how rare it is, so that a
 * document's rare words make no noise for questions without them.
 *
 * Source: Achlioptas 2003 ("Database-friendly random projections", theorem 1.1). Departure: the scale m.
 */
function projectBm25(store: ParameterStore, scores: SparseMatrix, seed: number): void {
  const stems = store.params[STEM_EMBEDDING], { rows, offsets } = scores;
  const D = stems.shape[1], stream = randomStream({ seed, stream: "lexical/projection", step: 0 });
  const unit = 1 / Math.sqrt(D);
  for (let from = 0; from < stems.data.length; from += 32) {
    const signs = stream.uint32(), to = Math.min(from + 32, stems.data.length);
    for (let i = from; i < to; i++) stems.data[i] = (signs >>> (i - from)) & 1 ? unit : -unit;
  }
  const values = scores.values.slice(), largest = new Float32Array(rows);
  for (let t = 0; t < rows; t++) {
    const row = values.subarray(offsets[t], offsets[t + 1]);
    largest[t] = row.reduce((a, b) => Math.max(a, b), 0);
    if (largest[t] > 0) { for (let i = 0; i < row.length; i++) row[i] /= largest[t]; }
  }
  store.params[SLOT_EMBEDDING].data.set(
    csrTimesDense(transposeCsr({ ...scores, values }), stems.data, D),
  );
  for (let i = 0; i < stems.data.length; i++) {
    stems.data[i] *= largest[Math.floor(i / D)];
  }
}

/** rows[s, r] = c(r)·cos(π(s + ½)r / n) for r < n, the orthonormal DCT-II (Ahmed et al. 1974). */
function cosineBasis(rows: Float32Array, n: number, width: number): void {
  for (let s = 0; s < n; s++) {
    rows[s * width] = Math.sqrt(1 / n);
    for (let r = 1; r < n; r++) {
      rows[s * width + r] = Math.sqrt(2 / n) * Math.cos(Math.PI * (s + 0.5) * r / n);
    }
  }
}

/** [V, P] weight of each stem in each slot: the largest among the documents below it. */
function slotScores(bm25: SparseMatrix, slots: Slots): SparseMatrix {
  const leaf = leafSlots(slots, bm25.cols);
  const offsets = new Int32Array(bm25.rows + 1), indices: number[] = [], values: number[] = [];
  for (let t = 0; t < bm25.rows; t++) {
    const row = new Map<number, number>();
    for (let i = bm25.offsets[t]; i < bm25.offsets[t + 1]; i++) {
      for (let s = leaf[bm25.indices[i]]; s >= 0; s = slots.parent[s]) {
        row.set(s, Math.max(row.get(s) ?? 0, bm25.values[i]));
      }
    }
    for (const s of [...row.keys()].sort((a, b) => a - b)) {
      indices.push(s);
      values.push(row.get(s)!);
    }
    offsets[t + 1] = indices.length;
  }
  return {
    rows: bm25.rows,
    cols: slots.slotCount,
    offsets,
    indices: Int32Array.from(indices),
    values: Float32Array.from(values),
  };
}
