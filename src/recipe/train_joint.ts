/** The joint journey: an index, a warm start, then both learn from the agent's own episodes. @module */
import { createHash } from "node:crypto";
import { indexRetriever, oracleRetriever } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import { writeAtomically } from "../data/mod.ts";
import { formatBalance } from "../docid/mod.ts";
import { saveModel } from "../hub/mod.ts";
import { openDocumentDistribution } from "../retriever/mod.ts";
import { Optimizer } from "../runtime/mod.ts";
import { openJointObjective } from "../train/joint_objective.ts";
import { silentProgress } from "../train/progress.ts";
import type { EvaluationRecord } from "../train/train_model.ts";
import { trainPolicy, type TrainPolicyResult } from "../train/train_policy.ts";
import { AGENT_FILES } from "./agent_files.ts";
import { oracleOf } from "./agent_oracle.ts";
import { type AgentEvaluation, evaluateAgent, formatAgentEvaluation } from "./evaluate_agent.ts";
import { evaluateIndex, formatEvaluation, type IndexEvaluation } from "./evaluate_index.ts";
import { openExecutor } from "./executor_of.ts";
import { loadIndex, saveIndex } from "./index_folder.ts";
import { openJointCompanion } from "./joint_companion.ts";
import { isJointRun, JOINT_FILES } from "./joint_files.ts";
import { openRun } from "./open_run.ts";
import {
  agentFigures,
  briefly,
  evaluationOptions,
  measurePolicy,
  policyTraining,
} from "./policy_training.ts";
import { loadAgentData, prepareAgent } from "./prepare_agent.ts";
import { type MetricsLog, openRunFolder, type RunFolder } from "./run_folder.ts";
import { prepareJointIndex, startIndex, takeIndex, type TakenIndex } from "./start_index.ts";
import { agentIdentityOf, type TrainAgentOptions } from "./train_agent.ts";
import { devFigures, identityOf, searchWithStore } from "./train_index.ts";
import { takeWarmStart, warmStart } from "./warm_start.ts";

/** Who watches, and who may stop it. */
export type TrainJointOptions = TrainAgentOptions;

/** A whole system: an agent and its index. */
export interface JointFigures {
  /** The agent on the dev part. */
  readonly agent?: AgentEvaluation;
  /** Its index on the dev part: Hits@1, Hits@10, MRR@10. */
  readonly index?: EvaluationRecord;
}

/** What a run ended with. */
export interface TrainJointResult {
  /** Folder of the run. */
  readonly run: RunFolder;
  /** The phase it was interrupted in, or `"joint"`. */
  readonly phase: "index" | "warm start" | "joint";
  /** How it ended. */
  readonly ended: TrainPolicyResult["ended"];
  /** Iterations of joint training. */
  readonly iterations: number;
  /** Seconds of each phase. */
  readonly seconds: { readonly index: number; readonly warmStart: number; readonly joint: number };
  /** Before joint training. */
  readonly before?: JointFigures;
  /** After it. */
  readonly after?: JointFigures;
  /** The index beside BM25. */
  readonly evaluation?: IndexEvaluation;
}

/** Share of the reader's weights that its lessons hold. */
const LESSON_SHARE = 0.99;

/** The configuration with what joint training settles: the agent's retriever is the run's own index. */
function settled(config: ResolvedConfig, taken: TakenIndex | undefined): ResolvedConfig {
  const { resume } = config.joint;
  return {
    ...config,
    ...taken?.config,
    agent: { ...config.agent, retriever: "own", index: null, resume },
    training: { ...config.training, resume },
  };
}

/** What the parameters of both models mean. */
function jointIdentity(
  index: Parameters<typeof identityOf>[0],
  agent: Parameters<typeof agentIdentityOf>[0],
  config: ResolvedConfig,
): string {
  const { resume: _resume, index: _index, ...joint } = config.joint;
  return createHash("sha256")
    .update(JSON.stringify([identityOf(index), agentIdentityOf(agent, config), joint]))
    .digest("hex");
}

/**
 * Train an agent and the index it retrieves with. The run folder ends up with what a run of an agent and one
 * of an index have, and the index as it was before joint training in `index/`.
 *
 * In each iteration the agent plays episodes with the index as it stands; the index learns from the queries
 * that were asked, by the objective of the configuration, beside replayed labelled pairs; then the policy
 * learns from its returns, and from the objective where its gradient is not stopped.
 *
 * @param config A resolved configuration
 * @param options Who watches, and who may stop it
 * @throws {CheckpointError} If a run to resume, an index or a warm start does not exist or does not fit
 * @throws {DataError} If there is nothing to learn from
 */
export async function trainJoint(
  config: ResolvedConfig,
  options: TrainJointOptions = {},
): Promise<TrainJointResult> {
  const { signal } = options;
  const progressOf = options.progress ?? (() => silentProgress);
  const executor = await openExecutor(config.device);
  const preparing = progressOf("prepare");
  const onNote = (note: string): void => preparing.message(note);
  const data = await loadAgentData(config);
  const { resume } = config.joint;
  const old = resume === null ? undefined : await openRunFolder(resume);
  const isBegun = old !== undefined && await isJointRun(old);
  const taken = config.joint.index !== null && !isBegun
    ? await takeIndex(config.joint.index, data)
    : undefined;
  const c = settled(config, taken), { agent: choices, joint, seed } = c;
  const begun = isBegun
    ? { loaded: await loadIndex(old.file(JOINT_FILES.before)), from: old.path }
    : undefined;
  const index = await prepareJointIndex(data, c, { taken: begun ?? taken, onNote });
  onNote(formatBalance(index.balance));
  const { model, tokenizer } = index;
  const encode = (text: string): ArrayLike<number> => tokenizer.encode(text);
  const padId = tokenizer.padId ?? 0;

  const search = await searchWithStore(index, c, executor);
  const hasLabels = data.queries.dev?.some((q) => q.docIds.length) ?? false;
  // The store exists only after the first phase: the searcher is found when it is first asked.
  let searcher: ReturnType<typeof search.over> | undefined;
  const live = indexRetriever({ search: (texts) => searcher!.search(texts) });
  await using agent = await prepareAgent(c, data, { executor, retriever: live, onNote });
  const { from } = choices.warm_start;
  const warmTaken = from === null || resume !== null
    ? undefined
    : await takeWarmStart(from, agent.start);
  const run = await openRun(c, data.documents, { key: "joint.resume", run: resume });
  onNote(`run folder ${run.path}`);

  let log: MetricsLog | undefined;
  const openLog = async (phase: string, step: number): Promise<MetricsLog> => {
    log?.[Symbol.dispose]();
    return log = await run.openMetrics(step, phase);
  };
  const seconds = { index: 0, warmStart: 0, joint: 0 };
  const stopped = (phase: TrainJointResult["phase"]): TrainJointResult => ({
    run,
    phase,
    ended: "interrupted",
    iterations: 0,
    seconds,
  });
  const disposables: { dispose(): Promise<void> }[] = [search];
  try {
    const first = await startIndex(index, {
      config: c,
      data,
      run,
      executor,
      taken,
      search: hasLabels ? search : undefined,
      openLog,
      progress: progressOf("index"),
      signal,
    });
    seconds.index = first.seconds;
    if (!first.store) return stopped("index");
    const { store } = first;
    searcher = search.over(store.params);

    const identity = jointIdentity(index, agent, c);
    const warm = await warmStart(agent, c, run, {
      executor,
      progress: progressOf("warm start"),
      signal,
      identity,
      openLog,
      taken: warmTaken,
    });
    seconds.warmStart = warm.seconds;
    if (!warm.policy) return stopped("warm start");

    const progress = progressOf("joint");
    const dev = (data.queries.dev ?? []).filter(({ answers }) => answers.length);
    // The best agent is the one whose retriever is never wrong: what the index misses is regretted, too.
    const oracle = await oracleOf([...agent.lessons, ...dev], {
      config: c,
      data,
      base: oracleRetriever(data.documents),
    });
    const asked = evaluationOptions(c, data, oracle);
    const measured = { ...asked, executor, slots: choices.slots, temperature: choices.temperature };
    const indexFigures = async (): Promise<EvaluationRecord> =>
      hasLabels ? await devFigures(searcher!, data, c) : {};
    const before: JointFigures = {
      index: await indexFigures(),
      agent: dev.length
        ? await measurePolicy(warm.policy, agent, { ...measured, isBrief: true })
        : undefined,
    };
    progress.message(
      `before: ${briefly({ ...(before.agent && agentFigures(before.agent)), ...before.index })}`,
    );

    const distribution = await openDocumentDistribution(executor, {
      kind: joint.distribution,
      size: joint.candidates ?? data.documents.length,
      scorer: model.scorer,
      trie: model.trie,
      specs: model.specs,
      parameters: store.params,
      padId,
    });
    disposables.push(distribution);
    const objective = await openJointObjective(executor, {
      objective: joint.objective,
      isRenormalized: distribution.isRenormalized,
      temperature: joint.temperature,
      reward: choices.reward.em || 1,
      gateWeight: joint.gate_weight,
    });
    disposables.push(objective);
    const companion = await openJointCompanion({
      executor,
      model,
      optimizer: new Optimizer(store),
      encode,
      distribution,
      objective,
      protocol: agent.environment.protocol,
      documents: data.documents,
      hasGate: joint.gate_weight > 0,
      mass: joint.mass,
      temperature: joint.objective === "annealed" ? joint.temperature : 1,
      maxLength: agent.start.config.maxPositions,
      readerWeight: joint.reader_weight,
      lessonShare: LESSON_SHARE,
      clipNorm: joint.clip_norm,
      config: c,
      examples: index.examples,
      questions: agent.lessons,
      folder: run.file(JOINT_FILES.jointCheckpoints),
    });
    disposables.push(companion);

    const result = await trainPolicy({
      ...policyTraining(c, agent, { run, oracle, identity, resume: resume !== null }),
      model: warm.policy,
      executor,
      companion,
      evaluate: dev.length
        ? async (_policy, slots): Promise<EvaluationRecord> => ({
          ...agentFigures(
            await evaluateAgent(slots, agent.environment, { ...asked, isBrief: true }),
          ),
          ...await indexFigures(),
        })
        : undefined,
      onStart: async (step) => {
        await openLog("joint", step);
      },
      log: (record) => log!.append({ phase: "joint", ...record }),
      progress,
      signal,
    });
    seconds.joint = result.seconds;
    const outcome = {
      run,
      phase: "joint" as const,
      ended: result.ended,
      iterations: result.step,
      seconds,
      before,
    };
    if (result.ended === "interrupted") return outcome;
    await saveIndex(run.file(JOINT_FILES.model), { ...index, tensors: store.params });
    await saveModel(run.file(AGENT_FILES.policy), {
      ...agent.start,
      ...result.policy,
      valueHead: result.valueHead,
    });
    const evaluation = hasLabels
      ? await evaluateIndex(searcher, data, {
        batchSize: c.evaluation.batch_size,
        resamples: c.evaluation.bootstrap_samples,
        seed,
      })
      : undefined;
    const after: JointFigures = {
      index: await indexFigures(),
      agent: dev.length ? await measurePolicy(result.policy, agent, measured) : undefined,
    };
    await writeAtomically(
      run.file(AGENT_FILES.evaluation),
      `${JSON.stringify({ before, after, index: evaluation }, null, 2)}\n`,
    );
    if (evaluation) progress.message(formatEvaluation(evaluation));
    if (after.agent) progress.message(formatAgentEvaluation(after.agent));
    return { ...outcome, after, evaluation };
  } finally {
    log?.[Symbol.dispose]();
    await Promise.all(disposables.map((one) => one.dispose()));
  }
}
