/** Measures the agent of a run on a part of its questions. @module */
import type { ResolvedConfig } from "../config/mod.ts";
import { corpusFingerprint, type Query } from "../data/mod.ts";
import { CheckpointError, DataError } from "../errors.ts";
import { oracleOf } from "./agent_oracle.ts";
import { type AgentEvaluation, evaluateAgent } from "./evaluate_agent.ts";
import { openAgent, type OpenedAgent } from "./open_agent.ts";
import { type AgentData, loadAgentData } from "./prepare_agent.ts";
import type { RunFolder } from "./run_folder.ts";
import { evaluationOptions } from "./policy_training.ts";

/** Choices of {@linkcode evaluateAgentRun}. */
export interface EvaluateAgentRunOptions {
  /** Part whose questions are asked. Default `"dev"`. */
  readonly part?: string;
  /** Told what is measured now. */
  readonly onNote?: (note: string) => void;
}

/** An agent with the questions of a part, to be closed after use. */
export interface OpenedEvaluation extends AsyncDisposable {
  /** The agent of the run, in slots for many episodes. */
  readonly agent: OpenedAgent;
  /** What it is asked about. */
  readonly data: AgentData;
  /** Questions of the part. */
  readonly questions: readonly Query[];
}

/**
 * Open the agent of a run beside the data of its configuration.
 *
 * @param run A run with a trained policy
 * @param config Its configuration, with what was overridden
 * @param options Which part, and how many documents a retrieval may return
 * @throws {DataError} If there is no such part
 * @throws {CheckpointError} If the documents have changed since the training
 */
export async function openForEvaluation(
  run: RunFolder,
  config: ResolvedConfig,
  { part, top }: { part: string; top?: number },
): Promise<OpenedEvaluation> {
  const data = await loadAgentData(config), questions = data.queries[part];
  if (!questions) {
    throw new DataError(
      `Cannot evaluate on part ${part}: the dataset has ${Object.keys(data.queries).join(", ")}`,
    );
  }
  const agent = await openAgent(run, { config, slots: config.agent.slots, top });
  const close = (): PromiseLike<void> => agent[Symbol.asyncDispose]();
  if (corpusFingerprint(data.documents) !== corpusFingerprint(agent.environment.documents)) {
    await close();
    throw new CheckpointError(
      `Cannot evaluate the run ${run.path}: the documents of its dataset have changed since it was ` +
        "trained. Train again, or restore them",
    );
  }
  return { agent, data, questions, [Symbol.asyncDispose]: close };
}

/**
 * Measure the agent of a run.
 *
 * @param run A run with a trained policy
 * @param config Its configuration, with what was overridden
 * @param options Which part
 * @throws {DataError} If there is no such part
 * @throws {CheckpointError} If the documents have changed since the training
 */
export async function evaluateAgentRun(
  run: RunFolder,
  config: ResolvedConfig,
  options: EvaluateAgentRunOptions = {},
): Promise<AgentEvaluation> {
  const { part = "dev", onNote } = options;
  await using opened = await openForEvaluation(run, config, { part });
  const { agent, data, questions } = opened;
  const oracle = await oracleOf(questions, { config, data, base: agent.base });
  return await evaluateAgent(agent.slots, agent.environment, {
    ...evaluationOptions(config, data, oracle),
    questions,
    part,
    onNote,
  });
}
