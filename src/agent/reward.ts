/** What an episode is worth. @module */
import { ConfigError, type ConfigProblem } from "../errors.ts";
import { answerF1, exactMatch, rougeL } from "../metric/mod.ts";

/** How an episode ended. */
export interface EpisodeOutcome {
  /** The answer that was given; undefined if none was. */
  readonly answer: string | undefined;
  /** Accepted answers; may be empty. */
  readonly accepted: readonly string[];
  /** How often documents were retrieved. */
  readonly retrievals: number;
  /** Whether there is exactly one answer, nothing after it, and no query or answer is blank. */
  readonly isWellFormed: boolean;
}

/** Name of something that a reward may count. */
export type RewardTerm = "em" | "f1" | "rouge_l" | "format";

type AnswerMetric = (prediction: string, accepted: readonly string[]) => number;

/** A metric of the answer; 0 where none was given. */
function ofAnswer(metric: AnswerMetric): (outcome: EpisodeOutcome) => number {
  return ({ answer, accepted }) => answer === undefined ? 0 : metric(answer, accepted);
}

/**
 * What a reward may count, each in [0, 1]: exact match, F1 and ROUGE-L of the answer, best accepted
 * one, 0 if there is no answer or none is accepted; and `format`, 1 if the episode is well-formed,
 * else 0, so that its mean is a share of episodes.
 *
 * Departure of `f1` from HotpotQA's `hotpot_evaluate_v1.py`, which gives 0 where one side is "yes", "no"
 * or "noanswer" and the other more than that: words are compared here as in every other answer.
 */
export const REWARD_TERMS: Readonly<Record<RewardTerm, (outcome: EpisodeOutcome) => number>> = {
  em: ofAnswer(exactMatch),
  f1: ofAnswer(answerF1),
  rouge_l: ofAnswer(rougeL),
  format: ({ isWellFormed }) => isWellFormed ? 1 : 0,
};

/** What each term counts, and what a retrieval costs. */
export interface RewardWeights {
  /** Weight of exact match. */
  readonly em: number;
  /** Weight of F1. */
  readonly f1: number;
  /** Weight of ROUGE-L. */
  readonly rouge_l: number;
  /** Weight of a well-formed episode. */
  readonly format: number;
  /** Price of one retrieval, ≥ 0, in the unit of the reward. */
  readonly cost: number;
}

const TERMS = Object.keys(REWARD_TERMS) as RewardTerm[];

function checkConfig(config: RewardWeights): void {
  const problems: ConfigProblem[] = TERMS.filter((term) => !Number.isFinite(config[term])).map(
    (term) => ({ key: term, message: `the weight is ${config[term]}; it must be a finite number` }),
  );
  if (!(config.cost >= 0 && config.cost < Infinity)) {
    problems.push({
      key: "cost",
      message: `${config.cost}; it must be a finite number, 0 or more`,
    });
  }
  if (problems.length) throw new ConfigError(problems, "this reward");
}

/**
 * The reward on the last action of an episode.
 *
 *   R = Σₖ wₖ · termₖ,  k over {@linkcode REWARD_TERMS}
 *
 * The cost of retrievals is not in it: each is paid on the action that retrieves.
 *
 * @returns A number between the sum of the negative weights and the sum of the positive ones
 * @throws {ConfigError} If a weight is not finite or the cost is negative or not finite
 * @example
 * ```ts
 * import { terminalReward } from "./reward.ts";
 * import { assertEquals } from "@std/assert";
 * const outcome = { answer: "Bees", accepted: ["bees"], retrievals: 2, isWellFormed: true };
 * assertEquals(terminalReward(outcome, { em: 1, f1: 0, rouge_l: 0, format: 0.5, cost: 0.25 }), 1.5);
 * ```
 */
export function terminalReward(outcome: EpisodeOutcome, config: RewardWeights): number {
  checkConfig(config);
  return TERMS.filter((term) => config[term] !== 0)
    .reduce((sum, term) => sum + config[term] * REWARD_TERMS[term](outcome), 0);
}

/**
 * Everything an episode earned, undiscounted: R − cost · retrievals, with R of
 * {@linkcode terminalReward}.
 *
 * @returns At most the sum of the positive weights; falls by `cost` with every retrieval
 * @throws {ConfigError} If a weight is not finite or the cost is negative or not finite
 * @example
 * ```ts
 * import { episodeReturn } from "./reward.ts";
 * import { assertEquals } from "@std/assert";
 * const outcome = { answer: "Bees", accepted: ["bees"], retrievals: 2, isWellFormed: true };
 * assertEquals(episodeReturn(outcome, { em: 1, f1: 0, rouge_l: 0, format: 0.5, cost: 0.25 }), 1);
 * ```
 */
export function episodeReturn(outcome: EpisodeOutcome, config: RewardWeights): number {
  return terminalReward(outcome, config) - config.cost * outcome.retrievals;
}
