/** A value head: how much reward a policy may expect from here. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Dims, type F32, named } from "../tensor/axes.ts";
import type { Params, ParamSpecs } from "../tensor/params.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { weight } from "./_project.ts";

/** Names of the parameters; TRL's models with a value head use the same. */
export const VALUE_WEIGHT = "v_head.summary.weight", VALUE_BIAS = "v_head.summary.bias";

/** Name of the file beside `model.safetensors` that holds the head. */
export const VALUE_HEAD_FILE = "value_head.safetensors";

/**
 * Parameters of a value head, to stand among those of the model. It starts at 0, so that the first
 * values are 0 and not noise (departure from TRL, whose heads start at random).
 *
 * @param modelWidth D
 * @param rateFactor Multiplies the learning rate. Default 1
 */
export function valueHeadParamSpecs(modelWidth: number, rateFactor?: number): ParamSpecs {
  const common = { init: { kind: "constant", value: 0 } as const, rateFactor };
  return {
    [VALUE_WEIGHT]: { ...common, shape: [1, modelWidth] },
    [VALUE_BIAS]: { ...common, shape: [1], decay: false },
  };
}

/**
 * The value of every state: `v = w · h + b`. Gradient flows to the head and, unless the caller stops it
 * there, to the states.
 *
 * @param params Parameters of {@linkcode valueHeadParamSpecs}
 * @param hidden [B, T, D] states after the final norm
 * @returns [B, T] in the unit of the reward
 * @throws {ShapeError} If the head is missing or has another width
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { VALUE_BIAS, VALUE_WEIGHT, valueHead } from "./value_head.ts";
 * import { assertEquals } from "@std/assert";
 * const params = { [VALUE_WEIGHT]: tf.tensor2d([[2, 3]]), [VALUE_BIAS]: tf.tensor1d([1]) };
 * const hidden = named(tf.tensor3d([[[1, 0], [0, 10]]]), "B T D", {});
 * assertEquals(valueHead(params, hidden).arraySync(), [[3, 31]]);
 * ```
 */
export function valueHead(params: Params, hidden: F32<"B T D">): F32<"B T"> {
  const dims: Dims = {};
  named(hidden, "B T D", dims, { as: "hidden" });
  const { B, T, D } = dims;
  const gain: Tensor = weight({ params }, VALUE_WEIGHT, "1 D", dims);
  const bias: Tensor = weight({ params }, VALUE_BIAS, "1", dims);
  const rows = tf.reshape(hidden as Tensor, [-1, D]);
  const values = tf.add(tf.matMul(rows, gain, false, true), bias);
  return named(tf.reshape(values, [B, T]), "B T", dims);
}
