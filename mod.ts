/**
 * Retrieval by a model that is trained on your documents: a Differentiable Search Index, trained on
 * this machine, measured beside BM25, exported as one ONNX graph.
 *
 * The journey is a line of calls; each takes what the one before gave:
 *
 * ```ts
 * import { composeConfig, loadDataset, openIndex, trainDsi } from "./mod.ts";
 * import { assert } from "@std/assert";
 *
 * const outputs = await Deno.makeTempDir();
 * const config = composeConfig({
 *   configName: "train/demo",
 *   overrides: ["data.documents=40", "training.max_steps=10", `output.dir=${outputs}/run`],
 * });
 * const dataset = await loadDataset(config.data, config.seed);
 * const { run, evaluation } = await trainDsi(dataset, config);
 * assert(evaluation!.systems[0].rows[0].hitsAt10.value > 0.5);
 *
 * {
 *   await using index = await openIndex(run);
 *   const { documents: [best] } = await index.search("Which festival has an apple contest?");
 *   assert(best.title !== "" && best.probability > 0);
 * }
 * await Deno.remove(outputs, { recursive: true });
 * ```
 *
 * @module
 */

// Errors ─────────────────────────────────────────────────────────────────────────────────────────
export * from "./src/errors.ts";

// The journey: configuration → dataset → training → evaluation → export → search ────────────────
export {
  composeConfig,
  type ComposeOptions,
  type ConfigKey,
  configKeys,
  printConfig,
} from "./src/config/mod.ts";
export type * from "./src/config/types.ts";
export * from "./src/recipe/mod.ts";
export * from "./src/serve/mod.ts";

// Datasets ───────────────────────────────────────────────────────────────────────────────────────
export {
  type CoverageGroups,
  coverageGroups,
  type Dataset,
  type DatasetDescription,
  describeDataset,
  type Document,
  DocumentStore,
  documentText,
  type FullTextHit,
  type FullTextOptions,
  type LengthSummary,
  type OpenStoreOptions,
  type PartDescription,
  type PromptAnswer,
  type PutOptions,
  type Query,
  readDataset,
  type ReadDatasetOptions,
  readPairs,
  type StoredDocument,
  syntheticDataset,
  type SyntheticOptions,
  writeDataset,
} from "./src/data/mod.ts";

// Text: tokenizers and their training, BM25 ──────────────────────────────────────────────────────
export * from "./src/text/mod.ts";

// Docids ─────────────────────────────────────────────────────────────────────────────────────────
export {
  assignDocids,
  type AssignOptions,
  type BalanceReport,
  balanceReport,
  buildTrie,
  type Docids,
  type DocidScheme,
  docidsFromJson,
  type DocidsJson,
  docidsToJson,
  formatBalance,
  formatDocid,
  type LsaOptions,
  lsaVectors,
  parseDocid,
  type Slots,
  slotsOf,
  type Trie,
  type TrieOptions,
} from "./src/docid/mod.ts";

// Tensors ────────────────────────────────────────────────────────────────────────────────────────
export * from "./src/tensor/mod.ts";

// Models, and their weights in and out ───────────────────────────────────────────────────────────
export * from "./src/model/mod.ts";

// Models of the Hub and of folders, with tokenizers, adapters and value heads ────────────────────
export * from "./src/hub/mod.ts";

// Texts from models ──────────────────────────────────────────────────────────────────────────────
export * from "./src/generate/mod.ts";

// Programs recorded as graphs, gradients included, and written as ONNX ───────────────────────────
export * from "./src/graph/mod.ts";

// What runs programs; parameters, optimisers at work, checkpoints ────────────────────────────────
export * from "./src/runtime/mod.ts";

// Optimisers and schedules ───────────────────────────────────────────────────────────────────────
export {
  adafactor,
  type AdafactorOptions,
  adamw,
  type AdamwOptions,
  type AdamwScalars,
  type Layout,
  type OptimizerRule,
  type RuleUpdate,
  type ScheduleConfig,
  scheduleFactor,
  type ScheduleKind,
  type Segment,
  sgd,
  VectorMemory,
} from "./src/optim/mod.ts";

// Agents: environment, rollout, rewards, retrievers, the best possible agent ─────────────────────
export * from "./src/agent/mod.ts";
export * from "./src/data/world/mod.ts";

// Policy optimisation: returns, advantages, losses ───────────────────────────────────────────────
export * from "./src/rl/mod.ts";

// Training ───────────────────────────────────────────────────────────────────────────────────────
export * from "./src/train/mod.ts";

// Search: constrained beam, exact enumeration ────────────────────────────────────────────────────
export * from "./src/retriever/mod.ts";

// Metrics ────────────────────────────────────────────────────────────────────────────────────────
export * from "./src/metric/mod.ts";
