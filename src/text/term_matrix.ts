/** Documents as sparse vectors over terms. @module */
import { DataError } from "../errors.ts";
import type { SparseMatrix } from "../tensor/sparse.ts";

/**
 * How often each term stands in each document.
 *
 * @param docTokens N lists of token ids
 * @param vocabSize V: every id is in [0, V)
 * @returns [N, V] counts, the columns of a row in rising order
 * @throws {DataError} If a token id lies outside the vocabulary
 * @example
 * ```ts
 * import { termCounts } from "./term_matrix.ts";
 * import { assertEquals } from "@std/assert";
 * const counts = termCounts([[2, 0, 2], []], 3);
 * assertEquals([...counts.offsets], [0, 2, 2]);
 * assertEquals([...counts.indices], [0, 2]);
 * assertEquals([...counts.values], [1, 2]);
 * ```
 */
export function termCounts(
  docTokens: readonly ArrayLike<number>[],
  vocabSize: number,
): SparseMatrix {
  const counts = new Int32Array(vocabSize);
  const offsets = new Int32Array(docTokens.length + 1);
  const indices: number[] = [], values: number[] = [];
  for (let d = 0; d < docTokens.length; d++) {
    const tokens = docTokens[d];
    const distinct: number[] = [];
    for (let i = 0; i < tokens.length; i++) {
      const t = tokens[i];
      if (!(t >= 0 && t < vocabSize)) {
        throw new DataError(
          `Cannot count the terms of document ${d}: token id ${t} is outside the vocabulary of ` +
            `${vocabSize}`,
        );
      }
      if (counts[t]++ === 0) distinct.push(t);
    }
    for (const t of distinct.sort((a, b) => a - b)) {
      indices.push(t);
      values.push(counts[t]);
      counts[t] = 0;
    }
    offsets[d + 1] = indices.length;
  }
  return {
    rows: docTokens.length,
    cols: vocabSize,
    offsets,
    indices: Int32Array.from(indices),
    values: Float32Array.from(values),
  };
}

/**
 * Counts weighted by rarity, each document scaled to length 1.
 *
 *   x[d, t] = (1 + ln tf) · (ln((1 + N) / (1 + df(t))) + 1),   then   x[d] ← x[d] / ‖x[d]‖₂
 *
 * Source: Manning et al. 2008, "Introduction to Information Retrieval", 6.2–6.4 (sublinear tf), with
 * scikit-learn's smoothed idf: equal to `TfidfVectorizer(sublinear_tf=True)`.
 *
 * @param counts [N, V] occurrences of each term
 * @returns [N, V] on the same places; a document without terms stays empty
 */
export function tfIdf(counts: SparseMatrix): SparseMatrix {
  const { rows, cols, offsets, indices } = counts;
  const df = new Int32Array(cols);
  for (let i = 0; i < indices.length; i++) df[indices[i]]++;
  const idf = Float64Array.from(df, (n) => Math.log((1 + rows) / (1 + n)) + 1);
  const values = new Float32Array(indices.length);
  for (let d = 0; d < rows; d++) {
    let square = 0;
    for (let i = offsets[d]; i < offsets[d + 1]; i++) {
      values[i] = (1 + Math.log(counts.values[i])) * idf[indices[i]];
      square += values[i] ** 2;
    }
    const scale = 1 / Math.sqrt(square);
    for (let i = offsets[d]; i < offsets[d + 1]; i++) values[i] *= scale;
  }
  return { rows, cols, offsets, indices, values };
}
