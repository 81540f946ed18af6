/** The agent journey: warm start by a teacher, then policy optimisation on its own episodes. @module */
import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { ResolvedConfig } from "../config/mod.ts";
import { isThere, writeAtomically } from "../data/mod.ts";
import { type PretrainedModel, saveModel } from "../hub/mod.ts";
import { type ProgressReporter, silentProgress } from "../train/progress.ts";
import type { EvaluationRecord } from "../train/train_model.ts";
import { trainPolicy, type TrainPolicyResult } from "../train/train_policy.ts";
import { AGENT_FILES } from "./agent_files.ts";
import { oracleOf } from "./agent_oracle.ts";
import { type AgentEvaluation, evaluateAgent, formatAgentEvaluation } from "./evaluate_agent.ts";
import { openExecutor } from "./executor_of.ts";
import { loadAgentData, prepareAgent, type PreparedAgent } from "./prepare_agent.ts";
import { openRun } from "./open_run.ts";
import {
  agentFigures,
  briefly,
  evaluationOptions,
  measurePolicy,
  policyTraining,
} from "./policy_training.ts";
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
export function agentIdentityOf({ start, lessons }: PreparedAgent, config: ResolvedConfig): string {
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
  const { signal } = options, { agent: choices } = config;
  const progressOf = options.progress ?? (() => silentProgress);
  const executor = await openExecutor(config.device);
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
  const identity = agentIdentityOf(agent, config);

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
    if (before && !isWarm) {
      progress.message(`after the warm start: ${briefly(agentFigures(before))}`);
    }

    const result = await trainPolicy({
      ...policyTraining(config, agent, { run, oracle, identity, resume: choices.resume !== null }),
      model: warm.policy,
      executor,
      evaluate: dev.length
        ? async (_policy, slots): Promise<EvaluationRecord> =>
          agentFigures(await evaluateAgent(slots, agent.environment, { ...asked, isBrief: true }))
        : undefined,
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
