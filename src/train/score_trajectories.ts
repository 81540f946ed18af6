/** What episodes earned, and what that makes of their choices. @module */
import {
  outcomeOf,
  policyBatchOf,
  type PolicyText,
  type RewardWeights,
  terminalReward,
  type Trajectory,
} from "../agent/mod.ts";
import { ShapeError } from "../errors.ts";
import type { DecoderConfig, PolicyRules } from "../model/mod.ts";
import { generalizedAdvantages, groupAdvantages, leaveOneOut, whiten } from "../rl/mod.ts";
import type { Executor, HostTensors, ParameterStore } from "../runtime/mod.ts";
import { partsByLength } from "./parts_by_length.ts";
import { type PolicyAlgorithm, scoringProgram } from "./policy_program.ts";

/** How the actions of a GRPO batch are weighted. */
export type GrpoNormalization = "grpo" | "dr_grpo";

/** Trajectories of an iteration with what was made of them. */
export interface ScoredTrajectory {
  /** The episode. */
  readonly trajectory: Trajectory;
  /** What it earned. */
  readonly return: number;
  /** [T] reward of each action. */
  readonly rewards: Float64Array;
  /** [T] advantage of each action. */
  readonly advantages: Float64Array;
  /** [T] log-probability under the reference. */
  readonly referenceLogProbs: Float32Array;
  /** [T+1] values, the last one behind the last action (PPO). */
  readonly values?: Float64Array;
  /** [T] targets of the values (PPO). */
  readonly returns?: Float64Array;
}

/**
 * Reward of each action: the price on each retrieval, the terminal reward on the last action. Without an
 * end there is no terminal reward.
 */
export function actionRewards(
  trajectory: Trajectory,
  reward: Omit<RewardWeights, "cost">,
): Float64Array {
  const { actions, retrievals, cost, isTruncated } = trajectory;
  const rewards = new Float64Array(actions.length);
  for (const { action } of retrievals) rewards[action] -= cost;
  if (!isTruncated) {
    rewards[actions.length - 1] += terminalReward(outcomeOf(trajectory), { ...reward, cost });
  }
  return rewards;
}

const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);

/** How trajectories are scored. */
export interface TrajectoryScorerOptions {
  /** What runs the program. */
  readonly executor: Executor;
  /** Sizes of the policy. */
  readonly config: DecoderConfig;
  /** Its parameters, with those of a value head where there is one. */
  readonly specs: ParameterStore["specs"];
  /** What it may choose. */
  readonly rules: PolicyRules;
  /** Token that ends an episode. */
  readonly endToken: number;
  /** What an answer earns. */
  readonly reward: Omit<RewardWeights, "cost">;
  /** Which advantages it takes. */
  readonly algorithm: PolicyAlgorithm;
  /** Which advantages GRPO takes. */
  readonly normalization: GrpoNormalization;
  /** G, episodes per question. */
  readonly groupSize: number;
  /** γ */
  readonly gamma: number;
  /** λ of GAE (PPO). */
  readonly lambda: number;
  /** Rows of one forward pass. */
  readonly rows: number;
}

/** What parameters say about a text. */
export interface JudgedText {
  /** [T] log-probability of each choice. */
  readonly logProbs: Float32Array;
  /** [T] value of the state before each choice, where there is a value head. */
  readonly values?: Float32Array;
}

/** What a policy says about texts. */
export interface PolicyJudge {
  /** What some parameters say about texts. */
  judge(params: HostTensors, texts: readonly PolicyText[]): Promise<JudgedText[]>;
  /** Free the program. */
  dispose(): Promise<void>;
}

/** What a {@linkcode PolicyJudge} needs to know of a policy. */
export type PolicyJudgeOptions = Pick<
  TrajectoryScorerOptions,
  "executor" | "config" | "specs" | "rules" | "rows"
>;

/** Prepare the reading of texts; rows of similar length are read together. */
export async function openPolicyJudge(options: PolicyJudgeOptions): Promise<PolicyJudge> {
  const { executor, config, specs, rules, rows } = options;
  const program = await executor.compile(scoringProgram(config, specs, rules));
  return {
    async judge(params, texts): Promise<JudgedText[]> {
      const found: JudgedText[] = Array(texts.length);
      const length = (i: number): number => texts[i].tokens.length;
      for (const part of partsByLength(texts.map((_, i) => i), rows, length)) {
        const { inputs, lengths } = policyBatchOf(part.map((i) => texts[i]), config.padToken ?? 0);
        const { logProbs, values } = await program.run({ ...params, ...inputs });
        let at = 0;
        part.forEach((i, k) => {
          const end = at + lengths[k];
          found[i] = {
            logProbs: (logProbs.data as Float32Array).slice(at, end),
            values: values && (values.data as Float32Array).slice(at, end),
          };
          at = end;
        });
      }
      return found;
    },
    dispose: () => program.dispose(),
  };
}

/** Scores trajectories. */
export interface TrajectoryScorer extends PolicyJudge {
  /**
   * Returns and advantages.
   *
   * @param played Episodes; those of one question stand together, and of each there are G
   * @param by Parameters of the policy, and of the reference
   * @throws {ShapeError} If their number is no multiple of G, where advantages are those of groups
   */
  score(
    played: readonly Trajectory[],
    by: { params: HostTensors; reference: HostTensors },
  ): Promise<ScoredTrajectory[]>;
}

/** Prepare the scoring of trajectories. */
export async function openTrajectoryScorer(
  options: TrajectoryScorerOptions,
): Promise<TrajectoryScorer> {
  const { endToken, reward, algorithm, normalization, groupSize: G, gamma, lambda } = options;
  const { judge, dispose } = await openPolicyJudge(options);

  /** One advantage for all choices of an episode: its return beside those of its group. */
  const relativeAdvantages = (earned: readonly number[]): number[] => {
    if (earned.length % G) {
      throw new ShapeError(`Cannot compare ${earned.length} episodes in groups of ${G}`);
    }
    const relative = algorithm === "reinforce"
      ? leaveOneOut
      : (group: number[]) =>
        groupAdvantages(group, { scale: normalization === "grpo" ? "std" : "none" });
    return Array.from(
      { length: earned.length / G },
      (_, q) => Array.from(relative(earned.slice(q * G, (q + 1) * G))),
    ).flat();
  };

  return {
    judge,
    async score(played, { params, reference }): Promise<ScoredTrajectory[]> {
      const rewards = played.map((trajectory) => actionRewards(trajectory, reward));
      const earned = rewards.map(sum);
      const references = await judge(reference, played);
      const common = played.map((trajectory, i) => ({
        trajectory,
        return: earned[i],
        rewards: rewards[i],
        referenceLogProbs: references[i].logProbs,
      }));
      if (algorithm !== "ppo") {
        const advantages = relativeAdvantages(earned);
        return common.map((scored, i) => ({
          ...scored,
          advantages: new Float64Array(scored.rewards.length).fill(advantages[i]),
        }));
      }
      // One state more than there are actions: what is behind a cut counts.
      const states = await judge(
        params,
        played.map(({ tokens, actions, mayRetrieve }) => ({
          tokens: [...tokens, endToken],
          actions: [...actions, tokens.length],
          mayRetrieve: [...mayRetrieve, 0],
        })),
      );
      const estimated = played.map(({ isTruncated }, i) => {
        const values = Float64Array.from(states[i].values!);
        if (!isTruncated) values[values.length - 1] = 0;
        return {
          values,
          ...generalizedAdvantages({ rewards: rewards[i], values, gamma, lambda }),
        };
      });
      const white = whiten(estimated.flatMap(({ advantages }) => [...advantages]));
      let at = 0;
      return common.map((scored, i) => {
        const { values, returns } = estimated[i];
        const advantages = white.slice(at, at += returns.length);
        return { ...scored, advantages, values, returns };
      });
    },
    dispose,
  };
}
