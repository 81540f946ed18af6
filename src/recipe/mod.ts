/** The journeys, each a straight line: prepare, train, evaluate, export, open and search. @module */
export {
  oracleOf,
  type OracleOfOptions,
  type WorldOracle,
  worldOracle,
  type WorldOracleOptions,
} from "./agent_oracle.ts";
export { type DemoOptions, runDemo } from "./demo.ts";
export {
  BASELINES,
  evaluateIndex,
  type EvaluateOptions,
  formatEvaluation,
  type IndexEvaluation,
  type Ranks,
  rankWithBm25,
  rankWithIndex,
  type SystemEvaluation,
} from "./evaluate_index.ts";
export {
  type AgentEvaluation,
  type AgentFigures,
  evaluateAgent,
  type EvaluateAgentOptions,
  formatAgentEvaluation,
  type ProbeFigures,
} from "./evaluate_agent.ts";
export { evaluateAgentRun, type EvaluateAgentRunOptions } from "./evaluate_agent_run.ts";
export { executorOf, onnxOptionsOf, openExecutor } from "./executor_of.ts";
export {
  EXPORT_FILES,
  exportIndex,
  type ExportOptions,
  type ExportReport,
} from "./export_index.ts";
export {
  INDEX_FILES,
  type IndexFiles,
  type LoadedIndex,
  loadIndex,
  saveIndex,
} from "./index_folder.ts";
export {
  type ExportedFile,
  exportModel,
  type ExportModelOptions,
  type ExportPrecision,
  PRECISION_SUFFIX,
} from "./export_model.ts";
export { fineTune, type FineTuned, type FineTuneOptions } from "./fine_tune.ts";
export {
  LanguageModel,
  openExportedLanguageModel,
  openLanguageModel,
  type OpenLanguageModelOptions,
  type TextOptions,
  type WrittenText,
} from "./language_model.ts";
export { loadDataset, worldOf } from "./load_dataset.ts";
export {
  type ExportFigures,
  formatExportFigures,
  measureExport,
  type MeasureExportOptions,
} from "./measure_export.ts";
export { openExported, type OpenExportedOptions } from "./open_exported.ts";
export {
  type AgentAnswer,
  type AgentStep,
  type AskOptions,
  findAgentRun,
  hasPolicy,
  openAgent,
  type OpenAgentOptions,
  type OpenedAgent,
  type ShownDocument,
} from "./open_agent.ts";
export {
  EXPORT_FOLDER,
  findTrainedRun,
  type FoundDocument,
  hasIndex,
  type IndexAnswer,
  type OpenedIndex,
  openIndex,
  type OpenIndexOptions,
  searcherOfExport,
} from "./open_index.ts";
export {
  type AgentData,
  environmentOf,
  loadAgentData,
  type PolicyStart,
  prepareAgent,
  type PrepareAgentOptions,
  type PreparedAgent,
  type PreparedRetriever,
  prepareRetriever,
  type RetrieverOptions,
} from "./prepare_agent.ts";
export {
  type IndexParts,
  type PreparedIndex,
  prepareIndex,
  type PrepareOptions,
  stemMatrix,
} from "./prepare_index.ts";
export {
  createRunFolder,
  type CreateRunOptions,
  latestRun,
  listRuns,
  type MetricsLog,
  type MetricsRecord,
  openRunFolder,
  type RunFolder,
  type RunLocation,
  RUNS_ROOT,
} from "./run_folder.ts";
export { AGENT_FILES } from "./agent_files.ts";
export { evaluationOptions, measurePolicy, trajectoryToJson } from "./policy_training.ts";
export { trainAgent, type TrainAgentOptions, type TrainAgentResult } from "./train_agent.ts";
export { RUN_FILES } from "./run_files.ts";
export {
  attributeAnswer,
  type AttributeOptions,
  type Attribution,
  type DocumentAttribution,
} from "./attribute.ts";
export {
  biasCaption,
  evaluateJointRun,
  type EvaluateJointRunOptions,
  formatJointEvaluation,
  type JointEvaluation,
} from "./evaluate_joint_run.ts";
export {
  evaluateSystems,
  type EvaluateSystemsOptions,
  formatSystems,
  supportingSentence,
  type SystemComparison,
  type SystemFigures,
  systemRows,
} from "./evaluate_system.ts";
export { beamRows, biasRows, type JointBiasOptions, measureJointBias } from "./joint_bias.ts";
export { isJointRun, JOINT_FILES } from "./joint_files.ts";
export {
  type JointFigures,
  trainJoint,
  type TrainJointOptions,
  type TrainJointResult,
} from "./train_joint.ts";
export { trainDsi, type TrainDsiOptions, type TrainDsiResult } from "./train_dsi.ts";
