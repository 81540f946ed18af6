/** Trainable retrievers, their examples, and the loop that trains them. @module */
export { bucketed, type ExampleSource } from "./bucketed.ts";
export {
  type CandidateReader,
  candidateReader,
  type CandidateReaderOptions,
  type JudgedSituations,
} from "./candidate_reader.ts";
export { type Demonstration, demonstrationModel } from "./demonstration_model.ts";
export type { IndexExample, IndexModel, JointExamples, WeighedExample } from "./index_model.ts";
export {
  type JointLearner,
  type JointLearnerOptions,
  type JointStepOptions,
  type JointStepResult,
  openJointLearner,
} from "./joint_learner.ts";
export {
  JOINT_OBJECTIVES,
  type JointGradients,
  type JointObjective,
  type JointObjectiveName,
  type JointObjectiveOptions,
  jointObjectiveProgram,
  type JudgedCandidates,
  openJointObjective,
} from "./joint_objective.ts";
export { lexicalIndex, type LexicalIndexOptions } from "./lexical_index.ts";
export type { CompanionReport, CompanionTurn, PolicyCompanion } from "./policy_companion.ts";
export {
  type GuardAlarm,
  type GuardedFigures,
  type GuardLimits,
  PolicyGuard,
} from "./policy_guard.ts";
export {
  imitationProgram,
  type PolicyAlgorithm,
  type PolicyLossOptions,
  policyLossProgram,
  policyParamSpecs,
  scoringProgram,
} from "./policy_program.ts";
export { type ProgressReporter, type ProgressUpdate, silentProgress } from "./progress.ts";
export {
  type BeamLoss,
  type BiasReport,
  type Estimator,
  type EstimatorBias,
  measureBias,
  type MeasureBiasOptions,
} from "./measure_bias.ts";
export * from "./pseudo_queries/mod.ts";
export type { CheckpointPlan, Ending } from "./session.ts";
export { shuffledEpochs } from "./shuffled_epochs.ts";
export { digitTokens, t5Index, type T5IndexOptions } from "./t5_index.ts";
export { tensorsOf, type TextExample, textModel, type TextModelOptions } from "./text_model.ts";
export {
  type EvaluationRecord,
  type TrainingRecord,
  trainModel,
  type TrainModelOptions,
  type TrainModelResult,
} from "./train_model.ts";
export {
  actionRewards,
  type GrpoNormalization,
  type JudgedText,
  openPolicyJudge,
  openTrajectoryScorer,
  type PolicyJudge,
  type PolicyJudgeOptions,
  type ScoredTrajectory,
  type TrajectoryScorer,
  type TrajectoryScorerOptions,
} from "./score_trajectories.ts";
export {
  isDegenerate,
  type PolicyRecord,
  trainPolicy,
  type TrainPolicyOptions,
  type TrainPolicyResult,
} from "./train_policy.ts";
export type { TrainableModel, TrainingBatch } from "./trainable_model.ts";
