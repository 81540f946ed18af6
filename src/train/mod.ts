/** Trainable retrievers, their examples, and the loop that trains them. @module */
export { bucketed, type ExampleSource } from "./bucketed.ts";
export type { IndexBatch, IndexExample, IndexModel } from "./index_model.ts";
export { lexicalIndex, type LexicalIndexOptions } from "./lexical_index.ts";
export { type ProgressReporter, type ProgressUpdate, silentProgress } from "./progress.ts";
export * from "./pseudo_queries/mod.ts";
export { digitTokens, t5Index, type T5IndexOptions } from "./t5_index.ts";
export {
  type EvaluationRecord,
  trainIndex,
  type TrainIndexOptions,
  type TrainIndexResult,
  type TrainingRecord,
} from "./train_index.ts";
