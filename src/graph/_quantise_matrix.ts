/** A matrix in 8 bits. @module */

/** A matrix in 8 bits with a scale for each channel: w ≈ scale·(bytes − 128). */
export interface ByteMatrix {
  /** The elements plus 128, 1 … 255. */
  readonly bytes: Uint8Array;
  /** One scale for each channel. */
  readonly scales: Float32Array;
  /** ‖w − its bytes‖ / ‖w‖. */
  readonly relativeError: number;
}

/** How to store a matrix. */
export interface ByteMatrixOptions {
  /** What has a scale of its own. */
  readonly channel: "row" | "column";
  /** Whether the bytes are those of the transposed matrix. */
  readonly isTransposed: boolean;
}

const LARGEST = 127, ZERO_POINT = 128;

/** Scales that bring the largest magnitude of each channel to 127; 1 for a channel of zeros. */
function scalesOf(w: Float32Array, columns: number, isByRow: boolean): Float32Array | undefined {
  const rows = w.length / columns;
  const scales = new Float32Array(isByRow ? rows : columns);
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, i++) {
      const x = Math.abs(w[i]), channel = isByRow ? r : c;
      if (!(x < Infinity)) return undefined;
      if (x > scales[channel]) scales[channel] = x;
    }
  }
  for (let i = 0; i < scales.length; i++) {
    scales[i] /= LARGEST;
    // So small that it has few bits left, too few for all steps to fit: as good as zero.
    if (!(Math.fround(1 / scales[i]) < Infinity)) scales[i] = 1;
  }
  return scales;
}

/**
 * `w` in 8 bits, rounded to nearest.
 *
 * @param w [R, C] row by row
 * @param columns C
 * @returns undefined if a number is infinite or none
 */
export function quantiseMatrix(
  w: Float32Array,
  columns: number,
  { channel, isTransposed }: ByteMatrixOptions,
): ByteMatrix | undefined {
  const isByRow = channel === "row", rows = w.length / columns;
  const scales = scalesOf(w, columns, isByRow);
  if (!scales) return undefined;
  const bytes = new Uint8Array(w.length);
  let lost = 0, norm = 0;
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, i++) {
      const scale = scales[isByRow ? r : c], x = w[i];
      const q = Math.round(x / scale), difference = x - q * scale;
      bytes[isTransposed ? c * rows + r : i] = q + ZERO_POINT;
      lost += difference * difference;
      norm += x * x;
    }
  }
  return { bytes, scales, relativeError: norm ? Math.sqrt(lost / norm) : 0 };
}
