/** Datasets: read, write, describe, store and search. @module */
export {
  type FileContent,
  makeFolder,
  removeIfThere,
  type StagedFile,
  stageFile,
  writeAtomically,
} from "./atomic_write.ts";
export {
  type CoverageGroups,
  coverageGroups,
  type DatasetDescription,
  describeDataset,
  type LengthSummary,
  type PartDescription,
} from "./describe.ts";
export { documentText } from "./document_text.ts";
export { corpusFingerprint } from "./fingerprint.ts";
export { isThere } from "./is_there.ts";
export { type JsonLine, readJsonLines, type ReadLinesOptions } from "./json_lines.ts";
export {
  readDataset,
  type ReadDatasetOptions,
  readDocuments,
  readQueries,
} from "./read_dataset.ts";
export { type PromptAnswer, readPairs } from "./read_pairs.ts";
export {
  DocumentStore,
  type FullTextHit,
  type FullTextOptions,
  type OpenStoreOptions,
  type PutOptions,
  type StoredDocument,
} from "./store.ts";
export { syntheticDataset, type SyntheticOptions } from "./synthetic/synthetic_dataset.ts";
export type { Dataset, Document, Query } from "./types.ts";
export { writeDataset } from "./write_dataset.ts";
