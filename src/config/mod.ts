/** Configurations: schema, composition of files and overrides, printing. @module */
export { composeConfig, type ComposeOptions, printConfig } from "./compose.ts";
export { configJsonSchema, type ConfigKey, configKeys, type JsonSchema } from "./json_schema.ts";
export { isOverride } from "./override.ts";
export type * from "./types.ts";
