/** Axis labels, tensors in ordinary memory, parameter records and seeded random streams. @module */
export * from "./axes.ts";
export * from "./host_tensor.ts";
export * from "./keep_mask.ts";
export * from "./params.ts";
export * from "./random.ts";
export * from "./size_scalar.ts";
export * from "./sparse.ts";
export * from "./stop_gradient.ts";
export type { Scalar, Tensor } from "./tensor.ts";
