/** Constrained search, and exact log-probabilities of all documents. @module */
export * from "./beam.ts";
export * from "./beam_survival.ts";
export * from "./distribution.ts";
export * from "./exhaustive.ts";
export * from "./gumbel.ts";
export * from "./leaf_scorer.ts";
export * from "./plain.ts";
export * from "./program.ts";
export * from "./scorer.ts";
export * from "./searcher.ts";
export * from "./t5_scorer.ts";
export * from "./tree_scorer.ts";
