/** Rows of different length as one batch. @module */
import { ShapeError } from "../errors.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";

/** Options of {@linkcode padBatch}. */
export interface PadOptions {
  /** Id that fills up short rows. */
  padId: number;
  /** S: length of every row. Default: that of the longest list, at least 1. */
  padTo?: number;
  /**
   * Where padding stands. Default `"right"`; `"left"` puts the last token of every row at the same place,
   * where a model that goes on writing needs it.
   */
  side?: "left" | "right";
}

/** A padded batch. */
export interface PaddedBatch {
  /** [B, S] token ids, `padId` behind the end of each list or before its start. */
  readonly inputIds: HostTensor<"int32">;
  /** [B, S] 1 where a token stands, 0 where there is padding. */
  readonly isToken: HostTensor<"float32">;
}

/**
 * Lists of ids as one batch, padded on one side.
 *
 * @param idLists B lists of token ids
 * @throws {ShapeError} If a list is longer than `padTo`
 * @example
 * ```ts
 * import { padBatch } from "./pad_batch.ts";
 * import { assertEquals } from "@std/assert";
 * const { inputIds, isToken } = padBatch([[5, 6], [7]], { padId: 0 });
 * assertEquals(inputIds.shape, [2, 2]);
 * assertEquals([...inputIds.data], [5, 6, 7, 0]);
 * assertEquals([...isToken.data], [1, 1, 1, 0]);
 * assertEquals([...padBatch([[5, 6], [7]], { padId: 0, side: "left" }).inputIds.data], [5, 6, 0, 7]);
 * ```
 */
export function padBatch(
  idLists: readonly ArrayLike<number>[],
  options: PadOptions,
): PaddedBatch {
  const { padId, side = "right" } = options;
  const length = options.padTo ?? idLists.reduce((most, ids) => Math.max(most, ids.length), 1);
  const shape = [idLists.length, length];
  const inputIds = new Int32Array(idLists.length * length).fill(padId);
  const isToken = new Float32Array(idLists.length * length);
  idLists.forEach((ids, row) => {
    if (ids.length > length) {
      throw new ShapeError(
        `Cannot pad to ${length} tokens: row ${row} has ${ids.length}; cut it first`,
      );
    }
    const start = row * length + (side === "left" ? length - ids.length : 0);
    inputIds.set(ids, start);
    isToken.fill(1, start, start + ids.length);
  });
  return {
    inputIds: hostTensor("int32", inputIds, shape),
    isToken: hostTensor("float32", isToken, shape),
  };
}
