/** Measures the agent of a run on a part of its questions. @module */
import type { ResolvedConfig } from "../config/mod.ts";
import { corpusFingerprint } from "../data/mod.ts";
import { CheckpointError, DataError } from "../errors.ts";
import { oracleOf } from "./agent_oracle.ts";
import { type AgentEvaluation, evaluateAgent } from "./evaluate_agent.ts";
import { openAgent } from "./open_agent.ts";
import { loadAgentData } from "./prepare_agent.ts";
import type { RunFolder } from "./run_folder.ts";
import { evaluationOptions } from "./policy_training.ts";

/** Choices of {@linkcode evaluateAgentRun}. */
export interface EvaluateAgentRunOptions {
  /** Part whose questions are asked. Default `"dev"`. */
  readonly part?: string;
  /** Told what is measured now. */
  readonly onNote?: (note: string) => void;
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
  const data = await loadAgentData(config);
  const questions = data.queries[part];
  if (!questions) {
    throw new DataError(
      `Cannot evaluate on part ${part}: the dataset has ${Object.keys(data.queries).join(", ")}`,
    );
  }
  await using agent = await openAgent(run, { config, slots: config.agent.slots });
  if (corpusFingerprint(data.documents) !== corpusFingerprint(agent.environment.documents)) {
    throw new CheckpointError(
      `Cannot evaluate the run ${run.path}: the documents of its dataset have changed since it was ` +
        "trained. Train again, or restore them",
    );
  }
  const oracle = await oracleOf(questions, { config, data, base: agent.base });
  return await evaluateAgent(agent.slots, agent.environment, {
    ...evaluationOptions(config, data, oracle),
    questions,
    part,
    onNote,
  });
}
