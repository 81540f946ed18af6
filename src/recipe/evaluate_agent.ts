/** Measures an agent beside agents that always or never retrieve, and beside the best possible one. @module */
import {
  type AgentEnvironment,
  bm25Retriever,
  emptyRetriever,
  episodeReturn,
  type GateState,
  type Oracle,
  oracleRetriever,
  outcomeOf,
  type PolicySlots,
  randomRetriever,
  type RewardWeights,
  rollout,
  searchErrors,
  type Trajectory,
} from "../agent/mod.ts";
import type { Query } from "../data/mod.ts";
import { DataError } from "../errors.ts";
import { answerF1, bootstrapMeanInterval, type Estimate, exactMatch } from "../metric/mod.ts";
import type { WorldOracle } from "./agent_oracle.ts";
import { percentText, textTable } from "./text_table.ts";

/** Figures of one agent on the questions of a part; shares and means with 95 % intervals. */
export interface AgentFigures {
  /** Who it is: `agent`, `never`, `always`, … */
  readonly name: string;
  /** Price of a retrieval. */
  readonly cost: number;
  /** Threshold of the gate, where one decides. */
  readonly threshold?: number;
  /** Mean return, reward. */
  readonly return: Estimate;
  /** Share of exactly right answers. */
  readonly accuracy: Estimate;
  /** Mean F1. */
  readonly f1: Estimate;
  /** Retrievals per question. */
  readonly retrievals: Estimate;
  /** Share of the episodes that were cut off. */
  readonly truncatedShare: number;
  /** Mean return of the best possible agent, where it is known. */
  readonly oracleReturn?: number;
  /** (oracle − return) / oracle. */
  readonly regret?: Estimate;
  /** Share of the episodes that retrieved where answering was better. */
  readonly overSearch?: Estimate;
  /** Share of the episodes that answered where retrieving was better. */
  readonly underSearch?: Estimate;
  /** Share of the questions with a retrieval, of those whose facts are all known. */
  readonly retrievesOnKnown?: Estimate;
  /** The same of those with an unknown fact. */
  readonly retrievesOnUnknown?: Estimate;
}

/** What an agent does with a retriever that brings nothing. */
export interface ProbeFigures {
  /** `empty` or `random`. */
  readonly retriever: string;
  /** Retrievals per question. */
  readonly retrievals: number;
  /** Share of the questions on which it retrieved again after it got nothing. */
  readonly paysAgain: number;
  /** Share of right answers. */
  readonly accuracy: number;
}

/** Results of {@linkcode evaluateAgent}. */
export interface AgentEvaluation {
  /** The part that was asked. */
  readonly part: string;
  /** Questions of it. */
  readonly questions: number;
  /** Name of the agent's retriever. */
  readonly retriever: string;
  /** The agent, then those it is compared with. */
  readonly agents: readonly AgentFigures[];
  /** The agent where other prices are shown to it or a threshold decides: what accuracy costs. */
  readonly frontier: readonly AgentFigures[];
  /** The agent with retrievers that bring nothing. */
  readonly probes: readonly ProbeFigures[];
  /** What a reader should know. */
  readonly warnings: readonly string[];
}

/** Choices of {@linkcode evaluateAgent}. */
export interface EvaluateAgentOptions {
  /** Questions. */
  readonly questions: readonly Query[];
  /** Name of their part. Default `"dev"`. */
  readonly part?: string;
  /** Prices of a retrieval that the policy was trained with; the first is the one that is reported. */
  readonly costs: readonly number[];
  /** What an answer earns. */
  readonly reward: Omit<RewardWeights, "cost">;
  /** Retrievals of an agent that always retrieves. Default 1. */
  readonly hops?: number;
  /** Optimal agents of the questions, where they are known. */
  readonly oracle?: WorldOracle;
  /**
   * Can a second try bring what the first did not, or was the policy taught so? Then paying again is no
   * mistake. Default `false`.
   */
  readonly isNoisy?: boolean;
  /** Seed of resampling and of random retrievers. Default 0. */
  readonly seed?: number;
  /** Resamplings behind each interval. Default 1000. */
  readonly resamples?: number;
  /** How much titles count for the BM25 it is compared with, see `bm25Retriever`. Default 1. */
  readonly titleWeight?: number;
  /** Only the agent itself, without those it is compared with. Default `false`. */
  readonly isBrief?: boolean;
  /** Told what is measured now. */
  readonly onNote?: (note: string) => void;
}

const mean = (values: readonly number[]): number =>
  values.length ? values.reduce((a, b) => a + b, 0) / values.length : NaN;

/** Thresholds of the gate's probability at which the frontier is measured. */
const THRESHOLDS = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98];
/** A policy that pays again this often after it got nothing is worth a warning. */
const PAYS_AGAIN = 0.5;

/** The document that each retrieval of an episode read. */
const readDocuments = ({ retrievals }: Trajectory): (number | undefined)[] =>
  retrievals.map(({ documents }) => documents.at(0)?.doc);

/** Whether an optimal agent knows everything that a question is about. */
const knowsAll = (oracle: Oracle, hops: number): boolean => oracle.start === 2 ** hops - 1;

/**
 * Measure a policy. It takes the likeliest token everywhere, so that the figures are the policy's and
 * not chance's.
 *
 * @param policy Where it writes
 * @param environment What it lives in
 * @param options Questions and prices
 * @throws {DataError} If there is no question with an answer
 */
export async function evaluateAgent(
  policy: PolicySlots,
  environment: AgentEnvironment,
  options: EvaluateAgentOptions,
): Promise<AgentEvaluation> {
  const { part = "dev", costs, reward, hops = 1, oracle, seed = 0, resamples = 1000 } = options;
  const { isBrief = false, titleWeight, onNote } = options;
  const questions = options.questions.filter(({ answers }) => answers.length);
  if (!questions.length) {
    throw new DataError(
      `Cannot evaluate an agent: no question of the part ${part} has an answer`,
    );
  }
  const { protocol: { budget }, documents } = environment;
  const estimate = (values: readonly number[]): Estimate =>
    bootstrapMeanInterval(values, { seed, resamples });

  const play = (
    cost: number,
    where: AgentEnvironment,
    gate?: (state: GateState) => boolean,
  ): Promise<Trajectory[]> =>
    rollout(
      policy,
      where,
      questions.map((question, episode) => ({ question, cost, episode })),
      { seed, isGreedy: true, gate },
    );

  const figuresOf = (
    name: string,
    cost: number,
    played: readonly Trajectory[],
    threshold?: number,
  ): AgentFigures => {
    const outcomes = played.map(outcomeOf);
    const returns = outcomes.map((outcome) => episodeReturn(outcome, { ...reward, cost }));
    const answered = (metric: (prediction: string, accepted: readonly string[]) => number) =>
      estimate(
        outcomes.map(({ answer, accepted }) => answer === undefined ? 0 : metric(answer, accepted)),
      );
    const common = {
      name,
      cost,
      ...(threshold === undefined ? {} : { threshold }),
      return: estimate(returns),
      accuracy: answered(exactMatch),
      f1: answered(answerF1),
      retrievals: estimate(outcomes.map(({ retrievals }) => retrievals)),
      truncatedShare: mean(played.map(({ isTruncated }) => Number(isTruncated))),
    };
    if (!oracle) return common;
    const optimal = questions.map((question) => oracle(question, cost));
    const best = mean(optimal.map(({ value }) => value));
    const errors = played.map((trajectory, i) =>
      searchErrors(optimal[i], readDocuments(trajectory), budget)
    );
    const retrieves = (isKnown: boolean): Estimate =>
      estimate(
        played.flatMap(({ retrievals }, i) =>
          knowsAll(optimal[i], hops) === isKnown ? [Number(retrievals.length > 0)] : []
        ),
      );
    return {
      ...common,
      oracleReturn: best,
      regret: estimate(optimal.map(({ value }, i) => (value - returns[i]) / best)),
      overSearch: estimate(errors.map(({ isOverSearch }) => Number(isOverSearch))),
      underSearch: estimate(errors.map(({ isUnderSearch }) => Number(isUnderSearch))),
      retrievesOnKnown: retrieves(true),
      retrievesOnUnknown: retrieves(false),
    };
  };

  const [cost] = costs;
  const agents = [figuresOf("agent", cost, await play(cost, environment))];
  const frontier: AgentFigures[] = [];
  const probes: ProbeFigures[] = [];
  const warnings: string[] = [];
  const done = (): AgentEvaluation => ({
    part,
    questions: questions.length,
    retriever: environment.retriever.name,
    agents,
    frontier,
    probes,
    warnings,
  });
  if (isBrief) return done();

  const always = ({ retrievals }: GateState): boolean => retrievals < Math.min(hops, budget);
  const compared: [string, AgentEnvironment, (state: GateState) => boolean][] = [
    ["never", environment, () => false],
    ["always", environment, always],
    [
      "always, bm25",
      { ...environment, retriever: bm25Retriever(documents, { titleWeight }) },
      always,
    ],
    ["always, oracle", { ...environment, retriever: oracleRetriever(documents) }, always],
  ];
  for (const [name, where, gate] of compared) {
    onNote?.(name);
    agents.push(figuresOf(name, cost, await play(cost, where, gate)));
  }
  for (const price of costs.toSorted((a, b) => a - b)) {
    onNote?.(`λ = ${price}`);
    frontier.push(
      price === cost ? agents[0] : figuresOf("agent", price, await play(price, environment)),
    );
  }
  for (const threshold of THRESHOLDS) {
    onNote?.(`threshold ${threshold}`);
    const gate = ({ retrieveProb }: GateState): boolean => retrieveProb >= threshold;
    frontier.push(figuresOf("threshold", cost, await play(cost, environment, gate), threshold));
  }
  for (const retriever of [emptyRetriever(), randomRetriever(documents.length)]) {
    onNote?.(`${retriever.name} retriever`);
    const played = await play(cost, { ...environment, retriever });
    const { accuracy, retrievals } = figuresOf(retriever.name, cost, played);
    const paid = played.filter((t) => t.retrievals.length > 0);
    probes.push({
      retriever: retriever.name,
      retrievals: retrievals.value,
      paysAgain: paid.length ? mean(paid.map((t) => Number(t.retrievals.length > 1))) : 0,
      accuracy: accuracy.value,
    });
  }
  for (const { retriever, paysAgain } of probes) {
    if (options.isNoisy || hops > 1 || budget < 2 || paysAgain <= PAYS_AGAIN) continue;
    warnings.push(
      `With the ${retriever} retriever the agent pays again on ${
        (100 * paysAgain).toFixed(0)
      } % of ` +
        "the questions on which it got nothing: it does not notice that it pays for nothing",
    );
  }
  const [agent, ...others] = agents;
  for (const other of others.slice(0, 2)) {
    if (other.return.value <= agent.return.high) continue;
    warnings.push(
      `To ${other.name} retrieve earns more (${
        other.return.value.toFixed(3)
      }) than this agent does ` +
        `(${agent.return.value.toFixed(3)})`,
    );
  }
  return done();
}

const number = ({ value, low, high }: Estimate): string =>
  `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;

/** The evaluation as text for a terminal. */
export function formatAgentEvaluation(evaluation: AgentEvaluation): string {
  const { agents, frontier, probes, warnings, part, questions, retriever } = evaluation;
  const [agent] = agents, hasOracle = agent.oracleReturn !== undefined;
  const lines = [
    `${questions} questions of part ${part}, retriever ${retriever}, λ = ${agent.cost}; ` +
    "95 % intervals in brackets",
    "",
    ...textTable([
      ["agent", "return", ...(hasOracle ? ["regret %"] : []), "right %", "retrievals"],
      ...agents.map((a) => [
        a.name,
        number(a.return),
        ...(a.regret ? [percentText(a.regret)] : []),
        percentText(a.accuracy),
        number(a.retrievals),
      ]),
    ]),
  ];
  if (hasOracle) {
    lines.push(
      "",
      `Best possible return: ${agent.oracleReturn!.toFixed(3)}. The agent retrieves on ` +
        `${percentText(agent.retrievesOnUnknown!)} % of what it can't know, on ` +
        `${percentText(agent.retrievesOnKnown!)} % of what it knows;`,
      `it retrieved needlessly in ${
        percentText(agent.overSearch!)
      } % of the episodes, and answered where ` +
        `it should have retrieved in ${percentText(agent.underSearch!)} %.`,
    );
  }
  if (frontier.length) {
    lines.push(
      "",
      "What accuracy costs",
      ...textTable([
        ["", "retrievals", "right %", ...(hasOracle ? ["best return"] : []), "return"],
        ...frontier.map((f) => [
          f.threshold === undefined ? `λ = ${f.cost}` : `gate ≥ ${f.threshold}, λ = ${f.cost}`,
          f.retrievals.value.toFixed(3),
          (100 * f.accuracy.value).toFixed(1),
          ...(hasOracle ? [f.oracleReturn!.toFixed(3)] : []),
          f.return.value.toFixed(3),
        ]),
      ]),
    );
  }
  if (probes.length) {
    lines.push(
      "",
      "With a retriever that brings nothing",
      ...textTable([
        ["", "retrievals", "pays again %", "right %"],
        ...probes.map((p) => [
          p.retriever,
          p.retrievals.toFixed(3),
          (100 * p.paysAgain).toFixed(1),
          (100 * p.accuracy).toFixed(1),
        ]),
      ]),
    );
  }
  for (const warning of warnings) lines.push("", `Warning: ${warning}.`);
  return lines.join("\n");
}
