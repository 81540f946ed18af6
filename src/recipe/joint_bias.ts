/** The bias meter over a run of joint training. @module */
import { askingSituation, policyRules } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import type { Query } from "../data/mod.ts";
import { CheckpointError } from "../errors.ts";
import { type DocumentDistribution, openDocumentDistribution } from "../retriever/mod.ts";
import { type Executor, Optimizer, ParameterStore } from "../runtime/mod.ts";
import {
  type JointObjective,
  type JointObjectiveName,
  openJointObjective,
} from "../train/joint_objective.ts";
import { openJointLearner } from "../train/joint_learner.ts";
import { type BiasReport, type Estimator, measureBias } from "../train/measure_bias.ts";
import { policyParamSpecs } from "../train/policy_program.ts";
import { openPolicyJudge } from "../train/score_trajectories.ts";
import { loadIndex, parametersOf } from "./index_folder.ts";
import type { OpenedAgent } from "./open_agent.ts";
import type { AgentData } from "./prepare_agent.ts";
import { prepareJointIndex } from "./start_index.ts";
import { ruleOf } from "./train_index.ts";

/** Sizes of candidate sets that are compared; larger than the corpus are left out. */
const SIZES = [4, 16, 64];
/** Shares of the posterior up to which documents are read, best first. */
const MASSES = [0.99, 0.9];
/** Widths of beam search that are followed. */
const BEAMS = [1, 2, 4, 10];
/** Draws of an estimator that draws. */
const SEEDS = 8;

/** Choices of {@linkcode measureJointBias}. */
export interface JointBiasOptions {
  /** Configuration of the run. */
  readonly config: ResolvedConfig;
  /** Its data. */
  readonly data: AgentData;
  /** Folder of the index within the run. */
  readonly folder: string;
  /** Questions of the batch: every document is read for each of them. */
  readonly questions: readonly Query[];
  /** What runs the programs. */
  readonly executor: Executor;
  /** Told what is measured now. */
  readonly onNote?: (note: string) => void;
}

/** An estimator before its objective is opened. */
type Planned = Omit<Estimator, "objective" | "search"> & { readonly objective: JointObjectiveName };

function plan(documents: number): Planned[] {
  const sizes = SIZES.filter((size) => size < documents);
  const cut = (target: Estimator["target"]): Planned[] =>
    MASSES.map((mass) => ({
      name: `exact to ${mass}`,
      kind: "exact",
      mass,
      objective: target,
      target,
    }));
  const sized = (kind: "top_k" | "gumbel_top_k", target: Estimator["target"]): Planned[] =>
    sizes.map((size) => ({ name: `${kind} ${size}`, kind, size, objective: target, target }));
  return [
    ...cut("marginal"),
    ...sized("top_k", "marginal"),
    ...sized("gumbel_top_k", "marginal"),
    { name: "pdist, all", kind: "exact", objective: "pdist", target: "marginal" },
    ...cut("expected_utility"),
    ...sized("top_k", "expected_utility"),
    ...sized("gumbel_top_k", "expected_utility"),
    ...sizes.map((size): Planned => ({
      name: `draws ${size}`,
      kind: "draws",
      size,
      objective: "drawn_utility",
      target: "expected_utility",
    })),
  ];
}

/**
 * Compare estimators with the exact gradient, for the index and the policy of a run.
 *
 * @param agent The agent of the run
 * @param options Questions and data
 */
export async function measureJointBias(
  agent: OpenedAgent,
  options: JointBiasOptions,
): Promise<BiasReport> {
  const { config, data, questions, executor, onNote } = options, { protocol } = agent.environment;
  const folder = agent.run.file(options.folder);
  const loaded = await loadIndex(folder);
  const index = await prepareJointIndex(data, config, {
    taken: { loaded, from: folder },
    onNote: (note) => onNote?.(note),
  });
  const { model, tokenizer } = index;
  const store = new ParameterStore(model.specs, { rule: ruleOf(config) });
  store.load(parametersOf(loaded));
  const padId = tokenizer.padId ?? 0;
  const { config: decoder, tensors } = agent.model;
  if (decoder.family === "t5") {
    throw new CheckpointError(
      `Cannot measure ${agent.run.path}: its policy is no decoder. Train again`,
    );
  }
  const specs = policyParamSpecs(decoder, false);
  const open: { dispose(): Promise<void> }[] = [];
  const opened = <T extends { dispose(): Promise<void> }>(one: T): T => {
    open.push(one);
    return one;
  };
  try {
    const distributionOf = async (
      kind: "exact" | "top_k",
      size?: number,
    ): Promise<DocumentDistribution> =>
      opened(
        await openDocumentDistribution(executor, {
          kind,
          size,
          scorer: model.scorer,
          trie: model.trie,
          specs: model.specs,
          parameters: store.params,
          padId,
        }),
      );
    const objectives = new Map<string, JointObjective>();
    const objectiveOf = async (
      objective: JointObjectiveName,
      isRenormalized: boolean,
    ): Promise<JointObjective> => {
      const key = `${objective}/${isRenormalized}`;
      if (!objectives.has(key)) {
        const reward = config.agent.reward.em || 1;
        objectives.set(
          key,
          opened(await openJointObjective(executor, { objective, isRenormalized, reward })),
        );
      }
      return objectives.get(key)!;
    };
    const scorer = opened(
      await openPolicyJudge({
        executor,
        config: decoder,
        specs,
        rules: policyRules(protocol, config.agent.temperature),
        rows: 128,
      }),
    );
    const learner = opened(
      await openJointLearner({
        executor,
        model,
        optimizer: new Optimizer(store),
        encode: (text) => tokenizer.encode(text),
        distribution: await distributionOf("exact"),
        objective: await objectiveOf("marginal", false),
        protocol,
        documents: data.documents,
        judge: async (texts) => (await scorer.judge(tensors, texts)).map((one) => one.logProbs),
      }),
    );
    const searches = new Map<number, DocumentDistribution>();
    const estimators: Estimator[] = [];
    for (const { objective, ...one } of plan(data.documents.length)) {
      const isSearched = one.kind === "top_k";
      if (isSearched && !searches.has(one.size!)) {
        searches.set(one.size!, await distributionOf("top_k", one.size));
      }
      estimators.push({
        ...one,
        search: isSearched ? searches.get(one.size!) : undefined,
        objective: await objectiveOf(objective, isSearched),
      });
    }
    const indexOf = new Map(data.documents.map(({ docId }, i) => [docId, i]));
    return await measureBias(
      questions.map((question) => askingSituation(question, config.agent.costs[0], protocol)),
      {
        learner,
        store,
        trie: model.trie,
        exact: {
          marginal: await objectiveOf("marginal", false),
          expected_utility: await objectiveOf("expected_utility", false),
        },
        estimators,
        beams: BEAMS,
        rightDoc: ({ docIds: [docId] }) => docId === undefined ? undefined : indexOf.get(docId),
        seeds: SEEDS,
        seed: config.seed,
        onNote,
      },
    );
  } finally {
    await Promise.all(open.map((one) => one.dispose()));
  }
}

/** The estimators as rows, header first: for a terminal or a page. */
export function biasRows({ estimators }: BiasReport): string[][] {
  return [
    [
      "gradient of",
      "estimator",
      "read",
      "dropped",
      "cosine",
      "of mean",
      "norm",
      "bias",
      "variance",
    ],
    ...estimators.map((e) => [
      e.target === "marginal" ? "marginal likelihood" : "expected utility",
      e.name,
      e.documentsRead.toFixed(1),
      e.droppedMass.toFixed(3),
      e.cosine.toFixed(3),
      e.meanCosine.toFixed(3),
      e.normRatio.toFixed(3),
      e.bias.toFixed(3),
      e.seeds > 1 ? e.variance.toFixed(3) : "–",
    ]),
  ];
}

/** What beam search loses, as rows, header first. */
export function beamRows({ beams }: BiasReport): string[][] {
  const digits = beams[0]?.survival.length ?? 0;
  return [
    [
      "beam",
      "finds the best %",
      "regret, nats",
      ...Array.from({ length: digits }, (_, l) => `right prefix kept, digit ${l + 1} %`),
    ],
    ...beams.map(({ beam, foundBest, regret, survival }) => [
      String(beam),
      (100 * foundBest).toFixed(1),
      regret.toFixed(4),
      ...survival.map((x) => Number.isFinite(x) ? (100 * x).toFixed(1) : "–"),
    ]),
  ];
}
