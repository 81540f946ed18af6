/** The version of the package; a test compares it with deno.json. @module */

/** Version of DeepRAG. */
export const VERSION = "0.1.0";
