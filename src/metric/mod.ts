/** Figures of merit: retrieval, written answers, confidence intervals, paired tests. @module */
export { answerF1, exactMatch, normalizeAnswer } from "./answers.ts";
export {
  type HotpotAnswer,
  type HotpotScore,
  type HotpotScores,
  hotpotScores,
  type SupportingFact,
} from "./hotpot.ts";
export {
  bootstrapMeanInterval,
  type BootstrapOptions,
  type Estimate,
  wilsonInterval,
} from "./intervals.ts";
export { comparePairedRanks, mcnemarTest, type PairedTest, signTest } from "./paired.ts";
export { bestRank, hitsAt, mrrAt } from "./ranks.ts";
export { rougeL } from "./rouge_l.ts";
export { type RetrievalRanks, type RetrievalRow, summariseRetrieval } from "./summary.ts";
