/** Models as pure functions of their parameters, and their weights in and out. @module */
export * from "./lexical.ts";
export * from "./model_files.ts";
export * from "./safetensors.ts";
export * from "./t5.ts";
export * from "./t5_config.ts";
export * from "./t5_params.ts";
export * from "./t5_step.ts";
