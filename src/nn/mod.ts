/** Layers as pure functions of tensors. @module */
export * from "./attention.ts";
export * from "./cross_entropy.ts";
export * from "./dropout.ts";
export * from "./embedding.ts";
export * from "./gelu.ts";
export * from "./head_cross_entropy.ts";
export * from "./layer_norm.ts";
export * from "./linear.ts";
export * from "./masked_log_softmax.ts";
export * from "./relative_position.ts";
export * from "./rms_norm.ts";
export * from "./rotary.ts";
export * from "./silu.ts";
