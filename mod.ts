/**
 * DeepRAG for Deno.
 *
 * @module
 */
export * from "./src/errors.ts";
export * from "./src/tensor/host_tensor.ts";
