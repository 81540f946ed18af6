/** What trainings of an agent have in common: the loop's options, files of trajectories, how it is measured. @module */
import { join } from "@std/path";
import { openPolicySlots, policyRules, type PolicySlotsOptions } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import { makeFolder, writeAtomically } from "../data/mod.ts";
import type { DecoderModel } from "../model/mod.ts";
import type { ScoredTrajectory } from "../train/score_trajectories.ts";
import type { EvaluationRecord } from "../train/train_model.ts";
import type { TrainPolicyOptions } from "../train/train_policy.ts";
import { AGENT_FILES } from "./agent_files.ts";
import { replaySource } from "./agent_lessons.ts";
import type { WorldOracle } from "./agent_oracle.ts";
import {
  type AgentEvaluation,
  evaluateAgent,
  type EvaluateAgentOptions,
} from "./evaluate_agent.ts";
import type { PreparedAgent } from "./prepare_agent.ts";
import type { RunFolder } from "./run_folder.ts";

/** One line of a file of trajectories; docs/data.md explains the fields. */
export function trajectoryToJson(scored: ScoredTrajectory): Record<string, unknown> {
  const { trajectory: t, advantages, rewards, values, returns, referenceLogProbs } = scored;
  const isAction = Array(t.tokens.length).fill(0);
  for (const at of t.actions) isAction[at] = 1;
  return {
    query_id: t.question.queryId,
    query: t.question.query,
    answers: t.question.answers,
    cost: t.cost,
    episode: t.episode,
    tokens: [...t.tokens],
    is_action: isAction,
    actions: [...t.actions],
    may_retrieve: [...t.mayRetrieve],
    log_probs: [...t.behaviorLogProbs],
    reference_log_probs: [...referenceLogProbs],
    retrieve_probs: [...t.retrieveProbs],
    rewards: [...rewards],
    advantages: [...advantages],
    ...(values && { values: [...values], returns: [...returns!] }),
    retrievals: t.retrievals,
    answer: t.answer ?? null,
    return: scored.return,
    is_truncated: t.isTruncated,
    is_well_formed: t.isWellFormed,
  };
}

/** Options of policy optimisation that follow from the configuration, the data and the run folder. */
export function policyTraining(
  config: ResolvedConfig,
  agent: PreparedAgent,
  { run, oracle, identity, resume }: {
    run: RunFolder;
    oracle?: WorldOracle;
    identity: string;
    resume: boolean;
  },
): Omit<TrainPolicyOptions, "model" | "executor"> {
  const { agent: choices, seed } = config, { algorithm } = choices;
  return {
    environment: agent.environment,
    questions: agent.lessons,
    costs: choices.costs,
    reward: choices.reward,
    algorithm: algorithm === "dr_grpo" ? "grpo" : algorithm,
    normalization: algorithm === "dr_grpo" ? "dr_grpo" : "grpo",
    loss: {
      clipLow: choices.clip_low,
      clipHigh: choices.clip_high,
      clipValue: choices.clip_value,
      valueCoefficient: choices.value_coefficient,
      valueGradient: choices.value_gradient,
      entropyCoefficient: choices.entropy_coefficient,
    },
    iterations: choices.iterations,
    questionsPerIteration: choices.questions,
    groupSize: choices.group_size,
    epochs: choices.epochs,
    minibatches: choices.minibatches,
    learningRate: choices.learning_rate,
    schedule: {
      kind: "linear",
      warmupSteps: Math.min(5, choices.iterations),
      totalSteps: Math.max(1, choices.iterations),
      minFactor: 0.1,
    },
    clipNorm: choices.clip_norm,
    valueRate: choices.value_rate,
    gamma: choices.gamma,
    lambda: choices.lambda,
    klCoefficient: choices.kl_coefficient,
    klTarget: choices.kl_target ?? undefined,
    temperature: choices.temperature,
    slots: choices.slots,
    lessons: replaySource(agent, config),
    seed,
    maxMinutes: choices.max_minutes ?? undefined,
    oracleReturn: oracle && ((question, cost) => oracle(question, cost).value),
    evalEvery: choices.eval_every,
    checkpoints: {
      folder: run.file(AGENT_FILES.checkpoints),
      every: choices.checkpoint_every,
      keepLast: choices.keep_last,
      resume,
      identity,
    },
    onTrajectories: async (step, scored) => {
      const { trajectories_every: every } = choices;
      if (every === 0 || step % every !== 0) return;
      const folder = run.file(AGENT_FILES.trajectories);
      await makeFolder(folder);
      await writeAtomically(
        join(folder, `iteration-${String(step).padStart(6, "0")}.jsonl`),
        scored.map((one) => `${JSON.stringify(trajectoryToJson(one))}\n`),
      );
    },
  };
}

/** How the agent of a configuration is measured. */
export function evaluationOptions(
  config: ResolvedConfig,
  data: PreparedAgent["data"],
  oracle: WorldOracle | undefined,
): EvaluateAgentOptions {
  const { agent, seed, evaluation } = config;
  return {
    questions: data.queries.dev ?? [],
    costs: agent.costs,
    reward: agent.reward,
    hops: data.world ? config.data.world.hops : 1,
    oracle,
    isNoisy: agent.noise > 0 || agent.warm_start.distractor_share > 0,
    titleWeight: agent.title_weight,
    seed,
    resamples: evaluation.bootstrap_samples,
  };
}

/** Measure a policy in its environment. */
export async function measurePolicy(
  policy: DecoderModel,
  agent: Pick<PreparedAgent, "environment">,
  options: EvaluateAgentOptions & PolicySlotsOptions & { temperature: number },
): Promise<AgentEvaluation> {
  const rules = policyRules(agent.environment.protocol, options.temperature);
  const slots = await openPolicySlots(policy, rules, options);
  try {
    return await evaluateAgent(slots, agent.environment, options);
  } finally {
    await slots.dispose();
  }
}

/** The main figures of an agent, for the log: the first decides which checkpoint is the best. */
export function agentFigures({ agents: [agent] }: AgentEvaluation): EvaluationRecord {
  const figures = {
    "dev return": agent.return,
    "dev regret": agent.regret,
    "dev accuracy": agent.accuracy,
    "dev retrievals": agent.retrievals,
    "dev retrieves on known": agent.retrievesOnKnown,
    "dev retrieves on unknown": agent.retrievesOnUnknown,
  };
  // What is not known, or a share of nothing, is left out.
  return Object.fromEntries(
    Object.entries(figures).map(([name, figure]) => [name, figure?.value ?? NaN] as const)
      .filter(([, value]) => Number.isFinite(value)),
  );
}

/** Figures as a line. */
export function briefly(figures: EvaluationRecord): string {
  return Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(3)}`).join(", ");
}
