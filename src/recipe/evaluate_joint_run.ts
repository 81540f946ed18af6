/** Measures a run of joint training as a whole: agent, index, and the gradient between them. @module */
import { bm25Retriever, indexRetriever, oracleRetriever } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import type { DocidSearcher } from "../retriever/mod.ts";
import type { BiasReport } from "../train/measure_bias.ts";
import { oracleOf } from "./agent_oracle.ts";
import { type AgentEvaluation, evaluateAgent, formatAgentEvaluation } from "./evaluate_agent.ts";
import { openForEvaluation } from "./evaluate_agent_run.ts";
import { evaluateIndex, formatEvaluation, type IndexEvaluation } from "./evaluate_index.ts";
import { evaluateSystems, formatSystems, type SystemComparison } from "./evaluate_system.ts";
import { openExecutor } from "./executor_of.ts";
import { beamRows, biasRows, measureJointBias } from "./joint_bias.ts";
import { JOINT_FILES } from "./joint_files.ts";
import { searcherOfModel } from "./open_index.ts";
import { evaluationOptions } from "./policy_training.ts";
import { configOf } from "./run_config.ts";
import type { RunFolder } from "./run_folder.ts";
import { textTable } from "./text_table.ts";

/** What a run of joint training is measured by. */
export interface JointEvaluation {
  /** Part whose questions were asked. */
  readonly part: string;
  /** The same policy with this index, the index before joint training, BM25, and right documents. */
  readonly systems: SystemComparison;
  /** The agent beside simpler ones. */
  readonly agent: AgentEvaluation;
  /** The index beside BM25; nothing where no question of the part has a right document. */
  readonly index?: IndexEvaluation;
  /**
   * Estimators beside the exact gradient, of the index before joint training and of this one, with the policy
   * as it is now; nothing where it was not asked for.
   */
  readonly bias?: { readonly before: BiasReport; readonly after: BiasReport };
}

/** Choices of {@linkcode evaluateJointRun}. */
export interface EvaluateJointRunOptions {
  /** Configuration of the run, with what was overridden. Default: that of the run. */
  readonly config?: ResolvedConfig;
  /** Part whose questions are asked. Default `"dev"`. */
  readonly part?: string;
  /**
   * Questions for which every document is read to compare estimators with the exact gradient; 0 for none.
   * Default 16.
   */
  readonly biasQuestions?: number;
  /** Told what is measured now. */
  readonly onNote?: (note: string) => void;
}

/** Names of the systems. */
const SYSTEMS = {
  own: "this index",
  before: "index before joint training",
  bm25: "BM25",
  oracle: "right documents",
} as const;

/**
 * Measure a run of joint training.
 *
 * @param run A run with a policy and an index
 * @param options Which part
 * @throws {DataError} If there is no such part, or none of its questions has an answer
 * @throws {CheckpointError} If the documents have changed since the training
 */
export async function evaluateJointRun(
  run: RunFolder,
  options: EvaluateJointRunOptions = {},
): Promise<JointEvaluation> {
  const { part = "dev", biasQuestions = 16, onNote } = options;
  const config = options.config ?? configOf(run);
  await using opened = await openForEvaluation(run, config, { part, top: 10 });
  const { agent, data, questions } = opened, { documents } = data;
  const executor = await openExecutor(config.device), { evaluation, seed } = config;
  const perfect = oracleRetriever(documents);
  const oracle = await oracleOf(questions, { config, data, base: perfect });
  const asked = { ...evaluationOptions(config, data, oracle), questions, part, onNote };
  const beam = Math.max(10, evaluation.beam);
  const searcherOf = (folder: string): Promise<DocidSearcher> =>
    searcherOfModel(run.file(folder), { beam, executor });
  const own = await searcherOf(JOINT_FILES.model), before = await searcherOf(JOINT_FILES.before);
  try {
    const systems = await evaluateSystems(agent.slots, agent.environment, [
      [SYSTEMS.own, indexRetriever(own)],
      [SYSTEMS.before, indexRetriever(before)],
      [SYSTEMS.bm25, bm25Retriever(documents, { titleWeight: config.agent.title_weight })],
      [SYSTEMS.oracle, perfect],
    ], {
      questions,
      part,
      documents,
      cost: config.agent.costs[0],
      reward: config.agent.reward,
      oracle,
      seed,
      resamples: evaluation.bootstrap_samples,
      onNote: (name) => onNote?.(`with ${name}`),
    });
    const index = questions.some(({ docIds }) => docIds.length)
      ? await evaluateIndex(own, data, {
        part,
        batchSize: evaluation.batch_size,
        resamples: evaluation.bootstrap_samples,
        seed,
      })
      : undefined;
    const agents = await evaluateAgent(agent.slots, agent.environment, asked);
    const answered = questions.filter(({ answers }) => answers.length).slice(0, biasQuestions);
    const biasOf = (folder: string, when: string): Promise<BiasReport> =>
      measureJointBias(agent, {
        config,
        data,
        folder,
        questions: answered,
        executor,
        onNote: (note) => onNote?.(`${when}: ${note}`),
      });
    const bias = answered.length && agent.environment.protocol.budget > 0
      ? {
        before: await biasOf(JOINT_FILES.before, "gradient before joint training"),
        after: await biasOf(JOINT_FILES.model, "gradient after joint training"),
      }
      : undefined;
    return { part, systems, agent: agents, index, bias };
  } finally {
    await own.dispose();
    await before.dispose();
  }
}

/** What the bias meter says, in words. */
export function biasCaption({ questions, documents }: BiasReport): string {
  return `Estimators beside the exact gradient of the index, over ${questions} questions and all ` +
    `${documents} documents. cosine: of one step's direction; of mean: of the mean over draws; norm: ‖mean‖ / ` +
    "‖exact‖; bias: ‖mean − exact‖ / ‖exact‖; variance in units of ‖exact‖²";
}

const biasLines = (when: string, report: BiasReport): string[] => [
  "",
  `${when}. ${biasCaption(report)}`,
  "",
  ...textTable(biasRows(report)),
  "",
  ...textTable(beamRows(report)),
];

/** The evaluation as text for a terminal. */
export function formatJointEvaluation(result: JointEvaluation): string {
  const { systems, agent, index, bias } = result;
  return [
    formatSystems(systems),
    ...(index ? ["", formatEvaluation(index)] : []),
    "",
    formatAgentEvaluation(agent),
    ...(bias ? biasLines("Before joint training", bias.before) : []),
    ...(bias ? biasLines("After joint training", bias.after) : []),
  ].join("\n");
}
