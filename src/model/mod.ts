/** Models as pure functions of their parameters, and their weights in and out. @module */
export * from "./decoder.ts";
export * from "./decoder_config.ts";
export * from "./decoder_params.ts";
export * from "./half.ts";
export * from "./lexical.ts";
export * from "./lora.ts";
export * from "./model.ts";
export * from "./model_files.ts";
export * from "./pack_decoder.ts";
export * from "./safetensors.ts";
export * from "./safetensors_chunks.ts";
export * from "./safetensors_source.ts";
export * from "./t5.ts";
export * from "./t5_config.ts";
export * from "./t5_params.ts";
export * from "./t5_step.ts";
export * from "./weights_plan.ts";
