/** Rows of a table by id. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, named } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * `y = table[ids]`. The gradient of the table adds up over repeated ids. An id outside of the table
 * is undefined behaviour on some backends: ids are checked where they come in, not here.
 *
 * @param ids int32, any axes
 * @param table [V, D]
 * @returns […, D]
 * @throws {ShapeError} If `table` has not two axes
 */
export function embedding(ids: Tensor, table: F32<"V D">): Tensor {
  const dims: Dims = {};
  named(table, "V D", dims, { as: "table" });
  return tf.gather(table as Tensor, ids as tf.Tensor1D);
}
