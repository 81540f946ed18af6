/** Lexical ranking by BM25 over lists of token ids. @module */
import { DataError, ShapeError } from "../errors.ts";
import { type SparseMatrix, transposeCsr } from "../tensor/sparse.ts";
import { termCounts } from "./term_matrix.ts";

/** Options of {@linkcode bm25Index}. */
export interface Bm25Options {
  /** How slowly repetition saturates, ≥ 0. Default 0.9. */
  k1?: number;
  /** How much long documents are held back, 0 … 1. Default 0.4. */
  b?: number;
  /**
   * Ids that never match, such as the unknown word's. They still count as words of their document's
   * length. Default: none.
   */
  ignoredIds?: readonly number[];
}

/** The best documents of one query, best first. */
export interface Ranking {
  /** [K] document indices. */
  readonly docs: Int32Array;
  /** [K] their scores, falling. */
  readonly scores: Float32Array;
}

/**
 * The BM25 weight of every term in every document.
 *
 *   W[t, d] = idf(t) · tf / (tf + k1·(1 − b + b·|d| / avg|d|))
 *   idf(t)  = ln(1 + (N − df(t) + ½) / (df(t) + ½))
 *
 * tf: occurrences of t in d; df: documents with t; |d|: tokens of d. The score of a query is the sum
 * of W over its tokens, repeated tokens as often as they stand there.
 *
 * Source: the "Lucene (accurate)" variant of Kamphuis et al. 2020, "Which BM25 do you mean?" (Apache
 * Lucene 8 and later without its rounding of lengths). Departure from Robertson et al. 1994: the idf
 * is never negative, and the constant factor k1 + 1 is left out, which changes no ranking.
 *
 * @param docTokens N lists of token ids
 * @param vocabSize V: every id is in [0, V)
 * @returns [V, N] by term: row t holds the documents with t in rising order
 * @throws {DataError} If a token id lies outside the vocabulary or k1 or b is out of range
 * @example
 * ```ts
 * import { bm25Index, bm25Search } from "./bm25.ts";
 * import { assertEquals } from "@std/assert";
 * const docs = [Int32Array.of(0, 1), Int32Array.of(1, 2, 2)];
 * const index = bm25Index(docs, 3);
 * assertEquals([...bm25Search(index, [2], 10).docs], [1]);
 * ```
 */
export function bm25Index(
  docTokens: readonly ArrayLike<number>[],
  vocabSize: number,
  options: Bm25Options = {},
): SparseMatrix {
  const { k1 = 0.9, b = 0.4, ignoredIds = [] } = options;
  if (!(k1 >= 0)) throw new DataError(`Cannot index documents: k1 is ${k1}; it must be 0 or more`);
  if (!(b >= 0 && b <= 1)) {
    throw new DataError(`Cannot index documents: b is ${b}; it must lie between 0 and 1`);
  }
  const byTerm = transposeCsr(termCounts(docTokens, vocabSize));
  const ignored = new Set(ignoredIds);
  const total = docTokens.reduce((sum, tokens) => sum + tokens.length, 0);
  const penalty = Float64Array.from(
    docTokens,
    (tokens) => k1 * (1 - b + b * tokens.length * docTokens.length / Math.max(total, 1)),
  );
  for (let t = 0; t < vocabSize; t++) {
    const df = byTerm.offsets[t + 1] - byTerm.offsets[t];
    const idf = ignored.has(t) ? 0 : Math.log(1 + (docTokens.length - df + 0.5) / (df + 0.5));
    for (let i = byTerm.offsets[t]; i < byTerm.offsets[t + 1]; i++) {
      const tf = byTerm.values[i];
      byTerm.values[i] = idf * tf / (tf + penalty[byTerm.indices[i]]);
    }
  }
  return byTerm;
}

/**
 * The score of every document: s[d] = Σ_{t ∈ query} W[t, d].
 *
 * @param index [V, N] weights by term
 * @param queryTokens Token ids; a repeated one counts again
 * @param out [N] receives the scores; a fresh array when left out
 * @returns [N] scores, 0 where no token matches
 * @throws {DataError} If a token id lies outside the vocabulary
 * @throws {ShapeError} If `out` does not hold N numbers
 */
export function bm25Scores(
  index: SparseMatrix,
  queryTokens: ArrayLike<number>,
  out: Float32Array = new Float32Array(index.cols),
): Float32Array {
  if (out.length !== index.cols) {
    throw new ShapeError(
      `Cannot write scores of ${index.cols} documents into ${out.length} numbers`,
    );
  }
  out.fill(0);
  const { offsets, indices, values } = index;
  for (let q = 0; q < queryTokens.length; q++) {
    const t = queryTokens[q];
    if (!(t >= 0 && t < index.rows)) {
      throw new DataError(
        `Cannot score a query: token id ${t} is outside the vocabulary of ${index.rows}`,
      );
    }
    for (let i = offsets[t]; i < offsets[t + 1]; i++) out[indices[i]] += values[i];
  }
  return out;
}

/** Whether document `a` ranks below document `b`: lower score, then higher index. */
function isWorse(scores: Float32Array, a: number, b: number): boolean {
  return scores[a] < scores[b] || (scores[a] === scores[b] && a > b);
}

/**
 * The `k` largest positive scores, equal ones by document index.
 *
 * @param scores [N]
 * @param k How many at most
 */
export function topScores(scores: Float32Array, k: number): Ranking {
  const heap: number[] = []; // the worst of the kept documents stands at the root
  const down = (): void => {
    for (let i = 0;;) {
      const left = 2 * i + 1, right = left + 1;
      let worst = i;
      if (left < heap.length && isWorse(scores, heap[left], heap[worst])) worst = left;
      if (right < heap.length && isWorse(scores, heap[right], heap[worst])) worst = right;
      if (worst === i) return;
      [heap[i], heap[worst]] = [heap[worst], heap[i]];
      i = worst;
    }
  };
  for (let d = 0; d < scores.length; d++) {
    if (!(scores[d] > 0)) continue;
    if (heap.length < k) {
      heap.push(d);
      for (let i = heap.length - 1; i > 0;) {
        const parent = (i - 1) >> 1;
        if (!isWorse(scores, heap[i], heap[parent])) break;
        [heap[i], heap[parent]] = [heap[parent], heap[i]];
        i = parent;
      }
    } else if (heap.length > 0 && isWorse(scores, heap[0], d)) {
      heap[0] = d;
      down();
    }
  }
  heap.sort((a, b) => scores[b] - scores[a] || a - b);
  return { docs: Int32Array.from(heap), scores: Float32Array.from(heap, (d) => scores[d]) };
}

/**
 * The `k` best documents of one query. Documents that share no term with it are not among them, so
 * there may be fewer than `k`.
 *
 * @param index [V, N] weights by term
 * @param queryTokens Token ids
 * @param k How many at most
 * @throws {DataError} If a token id lies outside the vocabulary
 */
export function bm25Search(
  index: SparseMatrix,
  queryTokens: ArrayLike<number>,
  k: number,
): Ranking {
  return topScores(bm25Scores(index, queryTokens), k);
}

/**
 * {@linkcode bm25Search} for many queries, without an array of scores for each.
 *
 * @param index [V, N] weights by term
 * @param queries Token ids of each query
 * @param k How many documents at most for each
 * @throws {DataError} If a token id lies outside the vocabulary
 */
export function bm25SearchBatch(
  index: SparseMatrix,
  queries: readonly ArrayLike<number>[],
  k: number,
): Ranking[] {
  const scores = new Float32Array(index.cols);
  return queries.map((tokens) => topScores(bm25Scores(index, tokens, scores), k));
}
