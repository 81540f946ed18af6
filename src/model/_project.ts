import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { dropout, linear } from "../nn/mod.ts";
import { type Dims, type F32, named } from "../tensor/axes.ts";
import type { Params } from "../tensor/params.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { LoraScaling } from "./lora.ts";

/** What a projection needs beside its input. */
export interface ProjectionContext {
  readonly params: Params;
  /** Low-rank adapters, where the model has some. */
  readonly lora?: LoraScaling;
}

/** How a projection is stored. */
export interface ProjectionLayout {
  /** Is the weight [I, O], as GPT-2 has it, instead of [O, I]? */
  isConv1d?: boolean;
  /** Is there a `.bias`? */
  hasBias?: boolean;
}

/** The parameter `name`, whose axes are `axes`. */
export function weight<Axes extends string>(
  { params }: Pick<ProjectionContext, "params">,
  name: string,
  axes: Axes,
  dims: Dims = {},
): F32<Axes> {
  const tensor = params[name];
  if (!tensor) {
    throw new ShapeError(`Cannot find parameter ${name}: there are ${Object.keys(params).length}`);
  }
  return named(tensor, axes, dims, { as: name });
}

/** `x · Wᵀ + b` with the parameters of `name`, plus what a low-rank adapter beside it adds. */
export function project(
  context: ProjectionContext,
  name: string,
  x: Tensor,
  { isConv1d = false, hasBias = false }: ProjectionLayout = {},
): Tensor {
  const { params, lora } = context;
  let y: Tensor;
  if (isConv1d) {
    const table = weight(context, `${name}.weight`, "I O");
    const rows = tf.matMul(tf.reshape(x, [-1, x.shape[x.shape.length - 1]]), table as Tensor);
    y = tf.reshape(rows, [...x.shape.slice(0, -1), table.shape[1]!]);
  } else y = linear(x, weight(context, `${name}.weight`, "O I"));
  if (hasBias) y = tf.add(y, weight(context, `${name}.bias`, "O") as Tensor);
  if (!lora || !params[`${name}.lora_A.weight`]) return y;
  const dims: Dims = { A: lora.rank };
  const down = weight(context, `${name}.lora_A.weight`, "A I", dims) as Tensor;
  const up = weight(context, `${name}.lora_B.weight`, "O A", dims) as Tensor;
  const low = linear(dropout(x, lora.dropoutRate), named(down, "O I", {}));
  return tf.add(y, tf.mul(linear(low, named(up, "O I", {})), lora.factor));
}
