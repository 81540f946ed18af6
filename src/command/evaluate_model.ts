/** `evaluate-model`: measure an index beside BM25, an agent beside simpler ones, or both as a whole. @module */
import { UsageError } from "../errors.ts";
import type { RunFolder } from "../recipe/run_folder.ts";
import type { Command } from "./command.ts";

/** The command. */
export const evaluateModel: Command = {
  name: "evaluate-model",
  summary: "measure a trained index, an agent, or both as a whole",
  details:
    "An index: Hits@1, Hits@10 and MRR@10 with 95 % intervals, for documents with and without training " +
    "questions, and a sign test against each baseline. An agent: return, regret against the best " +
    "possible agent where that is known, right answers and retrievals, beside agents that never or " +
    "always retrieve, what accuracy costs, and what it does when nothing is found. A run of train-joint: " +
    "both, the same agent with BM25, with the index before joint training and with right documents, and how " +
    "far estimators of the gradient are from the exact one; also as a page, report.<part>.html. Takes the " +
    "configuration of the run; overrides such as evaluation.beam=50 apply on top. Writes " +
    "evaluation.<part>.json into the run folder.",
  takesConfig: true,
  flags: [
    {
      name: "run",
      value: "folder",
      description: "Run to measure; by default the latest trained one.",
    },
    { name: "part", value: "name", description: "Part whose questions are asked; dev by default." },
    {
      name: "bias",
      value: "n",
      description:
        "Questions for which every document is read to find the exact gradient (runs of " +
        "train-joint); 16 by default, 0 for none.",
    },
    { name: "json", description: "Write the result as JSON instead of a table." },
  ],
  examples: [
    { text: "The latest run", line: "evaluate-model" },
    { text: "A wider beam", line: "evaluate-model evaluation.beam=50" },
    { text: "How well it knows what it was trained on", line: "evaluate-model --part=train" },
  ],
  async run({ flags, io, config }): Promise<void> {
    const { openIndex } = await import("../recipe/open_index.ts");
    const { hasPolicy } = await import("../recipe/open_agent.ts");
    const { loadDataset } = await import("../recipe/load_dataset.ts");
    const { evaluateIndex, formatEvaluation } = await import("../recipe/evaluate_index.ts");
    const { openExecutor } = await import("../recipe/executor_of.ts");
    const { corpusFingerprint, writeAtomically } = await import("../data/mod.ts");
    const { CheckpointError } = await import("../errors.ts");

    const part = flags.part === undefined ? "dev" : String(flags.part);
    if (!/^[\w.-]+$/.test(part)) {
      throw new UsageError(`Cannot evaluate on part "${part}": that is no name of a part`);
    }
    const run = await findRun(flags.run as string | undefined);
    const save = async (result: unknown, text: string): Promise<void> => {
      const json = JSON.stringify(result, null, 2);
      await writeAtomically(run.file(`evaluation.${part}.json`), `${json}\n`);
      io.out(flags.json ? json : text);
      io.err(`Written to ${run.file(`evaluation.${part}.json`)}`);
    };
    const { isJointRun } = await import("../recipe/joint_files.ts");
    const isJoint = await hasPolicy(run) && await isJointRun(run);
    const bias = flags.bias === undefined ? 16 : flags.bias === "" ? NaN : Number(flags.bias);
    if (!Number.isInteger(bias) || bias < 0 || bias > 100_000) {
      throw new UsageError(`Cannot use --bias=${flags.bias}: it takes a whole number, 0 or more`);
    }
    if (flags.bias !== undefined && !isJoint) {
      throw new UsageError(
        `Cannot use --bias: ${run.path} was not trained by train-joint, so no gradient passes through it`,
      );
    }
    if (isJoint) {
      const { evaluateJointRun, formatJointEvaluation } = await import(
        "../recipe/evaluate_joint_run.ts"
      );
      const { jointReport } = await import("../serve/report.ts");
      const resolved = config({ text: run.config, origin: run.file("config.yaml") });
      const evaluation = await evaluateJointRun(run, {
        config: resolved,
        part,
        biasQuestions: bias,
        onNote: (note) => io.err(`measuring: ${note}`),
      });
      await save(evaluation, formatJointEvaluation(evaluation));
      const page = run.file(`report.${part}.html`);
      const metrics = await run.readMetrics();
      await writeAtomically(page, jointReport({ run: run.path, evaluation, metrics }));
      io.err(`Written to ${page}`);
      return;
    }
    if (await hasPolicy(run)) {
      const { evaluateAgentRun } = await import("../recipe/evaluate_agent_run.ts");
      const { formatAgentEvaluation } = await import("../recipe/evaluate_agent.ts");
      const resolved = config({ text: run.config, origin: run.file("config.yaml") });
      const result = await evaluateAgentRun(run, resolved, {
        part,
        onNote: (note) => io.err(`measuring: ${note}`),
      });
      return await save(result, formatAgentEvaluation(result));
    }
    const { data, evaluation, device, seed } = config({
      text: run.config,
      origin: run.file("config.yaml"),
    });
    const dataset = await loadDataset(data, seed);
    await using index = await openIndex(run, {
      source: "model",
      beam: evaluation.beam,
      executor: await openExecutor(device),
    });
    if (corpusFingerprint(dataset.documents) !== index.documents.fingerprint) {
      throw new CheckpointError(
        `Cannot evaluate the run ${run.path}: the documents of its dataset have changed since it was ` +
          "trained. Train again, or restore them",
      );
    }
    const result = await evaluateIndex(index.searcher, dataset, {
      part,
      batchSize: evaluation.batch_size,
      resamples: evaluation.bootstrap_samples,
      seed,
    });
    await save(result, formatEvaluation(result));
  },
};

/** The run that is named, or the latest one with a trained index or a trained agent. */
async function findRun(path: string | undefined): Promise<RunFolder> {
  const { findTrainedRun, hasIndex } = await import("../recipe/open_index.ts");
  const { hasPolicy } = await import("../recipe/open_agent.ts");
  const { latestRun, openRunFolder } = await import("../recipe/run_folder.ts");
  if (path !== undefined) {
    const run = await openRunFolder(path);
    return await hasPolicy(run) ? run : await findTrainedRun(path);
  }
  const latest = await latestRun(async (run) => await hasPolicy(run) || await hasIndex(run));
  return latest ?? await findTrainedRun(); // says what to do
}
