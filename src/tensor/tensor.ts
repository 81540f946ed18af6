/**
 * Tensors of a tfjs backend, under names that this package exports and documents.
 *
 * The types are those of `@tensorflow/tfjs-core`, taken from its values: a plain alias would make
 * every signature point to a type outside this package's documentation.
 *
 * @module
 */
import type * as tf from "@tensorflow/tfjs-core";

/** A tensor of the running, or recording, tfjs backend: `Tensor` of `@tensorflow/tfjs-core`. */
export type Tensor = InstanceType<(typeof tf)["Tensor"]>;

/** A tensor without axes: `Scalar` of `@tensorflow/tfjs-core`. */
export type Scalar = ReturnType<(typeof tf)["scalar"]>;
