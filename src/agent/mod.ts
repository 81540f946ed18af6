/** An agent that retrieves: what finds documents for it, and what an episode is worth. @module */
export {
  type DocumentRetriever,
  type RetrievalRequest,
  type RetrievedDocument,
} from "./retriever.ts";
export { bm25Retriever, type Bm25RetrieverOptions } from "./retrievers/bm25_retriever.ts";
export { emptyRetriever } from "./retrievers/empty_retriever.ts";
export { exactRetriever } from "./retrievers/exact_retriever.ts";
export { indexRetriever } from "./retrievers/index_retriever.ts";
export { noisyRetriever, type NoisyRetrieverOptions } from "./retrievers/noisy_retriever.ts";
export { oracleRetriever } from "./retrievers/oracle_retriever.ts";
export { randomRetriever } from "./retrievers/random_retriever.ts";
export {
  type EpisodeOutcome,
  episodeReturn,
  REWARD_TERMS,
  type RewardTerm,
  type RewardWeights,
  terminalReward,
} from "./reward.ts";
export {
  type Demonstrator,
  type DemonstratorOptions,
  plainDemonstrator,
  type PlainDemonstratorOptions,
  worldDemonstrator,
} from "./demonstrate.ts";
export {
  type ActionValues,
  computeOracle,
  type MeasuredQueries,
  type Oracle,
  type OracleOptions,
  type SearchErrors,
  searchErrors,
} from "./oracle.ts";
export {
  openPolicySlots,
  type PolicyChoice,
  type PolicySlots,
  type PolicySlotsOptions,
  type PolicyTurn,
  type TokenChoice,
} from "./policy_slots.ts";
export {
  type Lesson,
  policyBatchOf,
  type PolicyBatchTensors,
  type PolicyText,
} from "./policy_text.ts";
export {
  AGENT_TOKENS,
  type AgentProtocol,
  agentProtocol,
  agentTokens,
  budgetToken,
  MAX_BUDGET,
  type ProtocolOptions,
} from "./protocol.ts";
export {
  type AgentEnvironment,
  type EpisodeRequest,
  type GateState,
  policyRules,
  rollout,
  type RolloutOptions,
} from "./rollout.ts";
export { outcomeOf, type Trajectory, type TrajectoryRetrieval } from "./trajectory.ts";
export {
  answerTokens,
  askingSituation,
  closedText,
  gateText,
  isFirstMove,
  readingText,
  type Situation,
  situationsOf,
} from "./situation.ts";
