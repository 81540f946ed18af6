/** The agent journey: warm start by a teacher, then policy optimisation on its own episodes. @module */
import { createHash } from "node:crypto";
import { join } from "@std/path";
import { openPolicySlots, policyRules, type PolicySlotsOptions } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import { isThere, makeFolder, writeAtomically } from "../data/mod.ts";
import { type PretrainedModel, saveModel } from "../hub/mod.ts";
import type { DecoderModel } from "../model/mod.ts";
import { type ProgressReporter, silentProgress } from "../train/progress.ts";
import type { EvaluationRecord } from "../train/train_model.ts";
import type { ScoredTrajectory } from "../train/score_trajectories.ts";
import { trainPolicy, type TrainPolicyResult } from "../train/train_policy.ts";
import { AGENT_FILES } from "./agent_files.ts";
import { replaySource } from "./agent_lessons.ts";
import { oracleOf, type WorldOracle } from "./agent_oracle.ts";
import {
  type AgentEvaluation,
  evaluateAgent,
  type EvaluateAgentOptions,
  formatAgentEvaluation,
} from "./evaluate_agent.ts";
import { executorOf } from "./executor_of.ts";
import { loadAgentData, prepareAgent, type PreparedAgent } from "./prepare_agent.ts";
import { openRun } from "./open_run.ts";
import type { MetricsLog, RunFolder } from "./run_folder.ts";
import { takeWarmStart, warmStart } from "./warm_start.ts";

/** Who watches, and who may stop it. */
export interface TrainAgentOptions {
  /** Shows progress; `phase` says of what. */
  readonly progress?: (phase: string) => ProgressReporter;
  /** When it is aborted, the run saves and ends. */
  readonly signal?: AbortSignal;
}

/** What a run ended with. */
export interface TrainAgentResult {
  /** Folder of the run. */
  readonly run: RunFolder;
  /** `"warm start"` if it was interrupted there. */
  readonly phase: "warm start" | "policy";
  /** How it ended. */
  readonly ended: TrainPolicyResult["ended"];
  /** Iterations of policy optimisation. */
  readonly iterations: number;
  /** Seconds of the warm start and of policy optimisation. */
  readonly seconds: { readonly warmStart: number; readonly policy: number };
  /** Evaluation of the warm start on the dev part. */
  readonly before?: AgentEvaluation;
  /** Evaluation of the policy on the dev part. */
  readonly evaluation?: AgentEvaluation;
}

/** What the parameters of a run mean. */
function identityOf({ start, lessons }: PreparedAgent, config: ResolvedConfig): string {
  const {
    resume: _resume,
    max_minutes: _minutes,
    eval_every: _evaluations,
    keep_last: _kept,
    trajectories_every: _trajectories,
    ...agent
  } = config.agent;
  return createHash("sha256")
    .update(JSON.stringify([start.config, start.tokenizerJson, agent, lessons]))
    .digest("hex");
}

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
    isNoisy: agent.noise > 0,
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

/**
 * Train an agent. The run folder ends up with the resolved configuration, metrics.jsonl, checkpoints,
 * trajectories, the documents, the policy (and what it was after the warm start) in Hugging Face layout,
 * and evaluation.json.
 *
 * @param config A resolved configuration
 * @param options Who watches, and who may stop it
 * @throws {CheckpointError} If the run to resume does not exist or does not fit
 * @throws {DataError} If there is nothing to learn from
 */
export async function trainAgent(
  config: ResolvedConfig,
  options: TrainAgentOptions = {},
): Promise<TrainAgentResult> {
  const { signal } = options, { agent: choices, seed } = config;
  const progressOf = options.progress ?? (() => silentProgress);
  const executor = executorOf(config.device);
  const preparing = progressOf("prepare");
  const data = await loadAgentData(config);
  await using agent = await prepareAgent(config, data, {
    executor,
    onNote: (note) => preparing.message(note),
  });
  const { from } = choices.warm_start;
  // One that does not fit is refused before a run folder is made; a run that goes on may have its own.
  const taken = from === null || choices.resume !== null
    ? undefined
    : await takeWarmStart(from, agent.start);
  const run = await openRun(config, data.documents, { key: "agent.resume", run: choices.resume });
  preparing.message(`run folder ${run.path}`);
  const { lessons: questions } = agent;
  const dev = (data.queries.dev ?? []).filter(({ answers }) => answers.length);
  const oracle = await oracleOf([...questions, ...dev], { config, data, base: agent.base });
  const { slots, temperature } = choices;
  const asked = evaluationOptions(config, data, oracle);
  const measured = { ...asked, executor, slots, temperature };
  const identity = identityOf(agent, config);

  const isWarm = await isThere(join(run.file(AGENT_FILES.warmStart), "config.json"));
  let log: MetricsLog | undefined;
  const openLog = async (phase: string, step: number): Promise<MetricsLog> => {
    log?.[Symbol.dispose]();
    return log = await run.openMetrics(step, phase);
  };
  try {
    const warm = await warmStart(agent, config, run, {
      executor,
      progress: progressOf("warm start"),
      signal,
      identity,
      openLog,
      taken,
    });
    const warmSeconds = warm.seconds;
    if (!warm.policy) {
      return {
        run,
        phase: "warm start",
        ended: "interrupted",
        iterations: 0,
        seconds: { warmStart: warmSeconds, policy: 0 },
      };
    }
    const progress = progressOf("policy");
    const before = dev.length
      ? await measurePolicy(warm.policy, agent, { ...measured, isBrief: true })
      : undefined;
    if (before && !isWarm) progress.message(`after the warm start: ${brief(before)}`);

    const { algorithm } = choices;
    const result = await trainPolicy({
      model: warm.policy,
      executor,
      environment: agent.environment,
      questions,
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
      temperature,
      slots,
      lessons: replaySource(agent, config),
      seed,
      maxMinutes: choices.max_minutes ?? undefined,
      oracleReturn: oracle && ((question, cost) => oracle(question, cost).value),
      evalEvery: choices.eval_every,
      evaluate: dev.length
        ? async (_policy, slots): Promise<EvaluationRecord> =>
          summary(await evaluateAgent(slots, agent.environment, { ...asked, isBrief: true }))
        : undefined,
      checkpoints: {
        folder: run.file(AGENT_FILES.checkpoints),
        every: choices.checkpoint_every,
        keepLast: choices.keep_last,
        resume: choices.resume !== null,
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
      onStart: async (step) => {
        await openLog("policy", step);
      },
      log: (record) => log!.append({ phase: "policy", ...record }),
      progress,
      signal,
    });
    const outcome = {
      run,
      phase: "policy" as const,
      ended: result.ended,
      iterations: result.step,
      seconds: { warmStart: warmSeconds, policy: result.seconds },
      before,
    };
    if (result.ended === "interrupted") return outcome;
    const whole: PretrainedModel = {
      ...agent.start,
      ...result.policy,
      valueHead: result.valueHead,
    };
    await saveModel(run.file(AGENT_FILES.policy), whole);
    if (!dev.length) return outcome;
    const evaluation = await measurePolicy(result.policy, agent, measured);
    await writeAtomically(
      run.file(AGENT_FILES.evaluation),
      `${JSON.stringify({ before, ...evaluation }, null, 2)}\n`,
    );
    progress.message(formatAgentEvaluation(evaluation));
    return { ...outcome, evaluation };
  } finally {
    log?.[Symbol.dispose]();
  }
}

/** The main figures of an agent, for the log: the first decides which checkpoint is the best. */
function summary({ agents: [agent] }: AgentEvaluation): EvaluationRecord {
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

/** The same as a line. */
function brief(evaluation: AgentEvaluation): string {
  return Object.entries(summary(evaluation)).map(([name, value]) => `${name} ${value.toFixed(3)}`)
    .join(", ");
}
