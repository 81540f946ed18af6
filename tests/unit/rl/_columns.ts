/** Tensors, gradients and bits of the tests of losses. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { registerGradients } from "../../../src/graph/mod.ts";
import { type F32, named } from "../../../src/tensor/axes.ts";

registerGradients();

/** Columns of numbers by name. */
export type Columns = Record<string, ArrayLike<number>>;

/** [N] of numbers. */
export const column = (x: ArrayLike<number>): F32<"N"> =>
  named(tf.tensor1d(Float32Array.from(x)), "N", {});

/** The only number of a scalar. */
export const value = (x: tf.Tensor): number => x.dataSync()[0];

/** The gradient of `loss` for every column, on tfjs's cpu backend. */
export function gradients<C extends Columns>(
  columns: C,
  loss: (x: Record<keyof C, F32<"N">>) => tf.Tensor,
): Record<keyof C, number[]> {
  const names = Object.keys(columns) as (keyof C)[];
  const found = tf.grads((...x) =>
    loss(Object.fromEntries(names.map((name, i) => [name, x[i]])) as Record<keyof C, F32<"N">>)
  )(names.map((name) => column(columns[name])), tf.scalar(1));
  return Object.fromEntries(
    names.map((name, i) => [name, Array.from(found[i].dataSync())]),
  ) as Record<keyof C, number[]>;
}

/** The bits of float32 numbers. */
export const bits = (x: ArrayLike<number>): number[] => [
  ...new Uint32Array(Float32Array.from(x).buffer),
];
