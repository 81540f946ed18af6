/** Measures a policy with several retrievers: what an answer needs from its index. @module */
import {
  type AgentEnvironment,
  type DocumentRetriever,
  episodeReturn,
  outcomeOf,
  type PolicySlots,
  type RewardWeights,
  rollout,
  type Trajectory,
} from "../agent/mod.ts";
import type { Document, Query } from "../data/mod.ts";
import { DataError } from "../errors.ts";
import {
  answerF1,
  bestRank,
  bootstrapMeanInterval,
  type Estimate,
  exactMatch,
  hotpotScores,
  mcnemarTest,
  normalizeAnswer,
  type PairedTest,
  type SupportingFact,
} from "../metric/mod.ts";
import type { WorldOracle } from "./agent_oracle.ts";
import { percentText, pValueText, textTable } from "./text_table.ts";

/** Figures of one system on the questions of a part, with 95 % intervals. */
export interface SystemFigures {
  /** Its retriever, in words. */
  readonly name: string;
  /** Share of exactly right answers. */
  readonly em: Estimate;
  /** Mean F1 of the answers. */
  readonly f1: Estimate;
  /** Mean F1 of the supporting facts. */
  readonly factsF1: Estimate;
  /** Share of the questions whose answer and supporting facts are all right. */
  readonly jointEm: Estimate;
  /** Mean joint F1. */
  readonly jointF1: Estimate;
  /** Share of the questions whose own words find a right document first, of those that have one. */
  readonly hitsAt1: Estimate;
  /** The same among the first ten. */
  readonly hitsAt10: Estimate;
  /** Retrievals per question. */
  readonly retrievals: Estimate;
  /** Mean return, reward. */
  readonly return: Estimate;
  /** (oracle − return) / oracle, where the best agent with perfect retrieval is known. */
  readonly regret?: Estimate;
  /** McNemar's test of the first system's right answers against this one's. */
  readonly firstAgainst?: PairedTest;
}

/** Result of {@linkcode evaluateSystems}. */
export interface SystemComparison {
  /** Part whose questions were asked. */
  readonly part: string;
  /** Questions with an answer. */
  readonly questions: number;
  /** Price of a retrieval. */
  readonly cost: number;
  /** What a supporting fact is: a sentence where sentences are known, else a document. */
  readonly factLevel: "sentence" | "document";
  /** The first is what the others are compared with. */
  readonly systems: readonly SystemFigures[];
}

/** Choices of {@linkcode evaluateSystems}. */
export interface EvaluateSystemsOptions {
  /** Questions. */
  readonly questions: readonly Query[];
  /** Name of their part. */
  readonly part: string;
  /** Documents with their sentences, where they have any, in the order of the corpus. */
  readonly documents: readonly Document[];
  /** Price of a retrieval. */
  readonly cost: number;
  /** What an answer earns. */
  readonly reward: Omit<RewardWeights, "cost">;
  /** Best agents with perfect retrieval, where they are known. */
  readonly oracle?: WorldOracle;
  /** Seed of resampling. */
  readonly seed: number;
  /** Resamplings behind each interval. */
  readonly resamples: number;
  /** Told what is measured now. */
  readonly onNote?: (note: string) => void;
}

const wordsOf = (text: string): Set<string> => new Set(normalizeAnswer(text).split(" "));

/**
 * The sentence of a document that an answer rests on: the first that holds the answer, else the one that
 * shares most words with the question.
 *
 * @returns Its number; 0 where the sentences are not known
 */
export function supportingSentence(
  document: Document,
  { answer, question }: { answer: string | undefined; question: string },
): number {
  const { sentences } = document;
  if (!sentences?.length) return 0;
  const wanted = answer === undefined ? "" : normalizeAnswer(answer);
  const holds = (sentence: string): boolean =>
    ` ${normalizeAnswer(sentence)} `.includes(` ${wanted} `);
  const at = wanted === "" ? -1 : sentences.findIndex(holds);
  if (at >= 0) return at;
  const asked = wordsOf(question);
  const shared = sentences.map((sentence) => wordsOf(sentence).intersection(asked).size);
  return shared.indexOf(Math.max(...shared));
}

/**
 * The same policy with each of several retrievers, on the same questions. It takes the likeliest token
 * everywhere.
 *
 * Supporting facts: a system says that its answer rests on what it read, one sentence of each document by
 * {@linkcode supportingSentence}. Where a question's sentences are not known, right documents are its facts.
 *
 * @param policy Where the policy writes
 * @param environment What it lives in; its retriever is exchanged
 * @param retrievers By name; the first one is what the others are compared with
 * @param options Questions and price
 * @throws {DataError} If no question has an answer
 */
export async function evaluateSystems(
  policy: PolicySlots,
  environment: AgentEnvironment,
  retrievers: readonly (readonly [name: string, retriever: DocumentRetriever])[],
  options: EvaluateSystemsOptions,
): Promise<SystemComparison> {
  const { part, documents, cost, reward, oracle, seed, resamples, onNote } = options;
  const questions = options.questions.filter(({ answers }) => answers.length);
  if (!questions.length) {
    throw new DataError(`Cannot evaluate a system: no question of the part ${part} has an answer`);
  }
  const hasSentences = questions.some(({ supportingFacts }) => supportingFacts) &&
    documents.some(({ sentences }) => sentences);
  const scored = hasSentences
    ? questions.filter(({ supportingFacts }) => supportingFacts)
    : questions.filter(({ docIds }) => docIds.length);
  const indexOf = new Map(documents.map(({ docId }, i) => [docId, i]));
  const estimate = (values: readonly number[]): Estimate =>
    bootstrapMeanInterval(values, { seed, resamples });

  const rightFacts = ({ supportingFacts, docIds }: Query): readonly SupportingFact[] =>
    hasSentences ? supportingFacts! : docIds.map((id): SupportingFact => [id, 0]);
  const saidFacts = ({ question, answer, retrievals }: Trajectory): SupportingFact[] =>
    retrievals.flatMap(({ documents: found }): SupportingFact[] => {
      const document = found.length ? documents[found[0].doc] : undefined;
      if (!document) return [];
      return [
        hasSentences
          ? [document.title, supportingSentence(document, { answer, question: question.query })]
          : [document.docId, 0],
      ];
    });

  const figuresOf = async (
    name: string,
    retriever: DocumentRetriever,
  ): Promise<{ figures: SystemFigures; isRight: boolean[] }> => {
    onNote?.(name);
    const played = await rollout(
      policy,
      { ...environment, retriever },
      questions.map((question, episode) => ({ question, cost, episode })),
      { seed, isGreedy: true },
    );
    const byQuestion = new Map(played.map((trajectory) => [trajectory.question, trajectory]));
    const hotpot = scored.map((question) => {
      const trajectory = byQuestion.get(question)!;
      return hotpotScores(
        { answer: trajectory.answer, facts: saidFacts(trajectory) },
        question.answers,
        rightFacts(question),
      );
    });
    const labelled = questions.filter(({ docIds }) => docIds.length);
    const found = await retriever.retrieve(
      labelled.map((question, step) => ({
        query: question.query,
        question,
        seen: [],
        random: { seed, stream: "hits", step },
      })),
      10,
    );
    const ranks = labelled.map(({ docIds }, i) =>
      bestRank(found[i].map(({ doc }) => doc), docIds.map((id) => indexOf.get(id)!)) ?? Infinity
    );
    const outcomes = played.map(outcomeOf);
    const returns = outcomes.map((outcome) => episodeReturn(outcome, { ...reward, cost }));
    const of = (metric: (said: string, accepted: readonly string[]) => number): number[] =>
      outcomes.map(({ answer, accepted }) => answer === undefined ? 0 : metric(answer, accepted));
    const right = of(exactMatch);
    const best = oracle && questions.map((question) => oracle(question, cost).value);
    const meanBest = best && best.reduce((a, b) => a + b, 0) / best.length;
    return {
      isRight: right.map((x) => x === 1),
      figures: {
        name,
        em: estimate(right),
        f1: estimate(of(answerF1)),
        factsF1: estimate(hotpot.map(({ facts }) => facts.f1)),
        jointEm: estimate(hotpot.map(({ joint }) => joint.em)),
        jointF1: estimate(hotpot.map(({ joint }) => joint.f1)),
        hitsAt1: estimate(ranks.map((rank) => Number(rank <= 1))),
        hitsAt10: estimate(ranks.map((rank) => Number(rank <= 10))),
        retrievals: estimate(outcomes.map(({ retrievals }) => retrievals)),
        return: estimate(returns),
        ...(best && {
          regret: estimate(returns.map((x, i) => (best[i] - x) / meanBest!)),
        }),
      },
    };
  };

  const all: Awaited<ReturnType<typeof figuresOf>>[] = [];
  for (const [name, retriever] of retrievers) all.push(await figuresOf(name, retriever));
  return {
    part,
    questions: questions.length,
    cost,
    factLevel: hasSentences ? "sentence" : "document",
    systems: all.map(({ figures, isRight }, i) => ({
      ...figures,
      ...(i > 0 && { firstAgainst: mcnemarTest(all[0].isRight, isRight) }),
    })),
  };
}

/** A figure a row and a system a column, header first: for a terminal or a page. */
export function systemRows({ systems }: SystemComparison): string[][] {
  const hasRegret = systems.some(({ regret }) => regret);
  const rows = [
    [
      "retriever",
      "EM %",
      "F1 %",
      "facts F1 %",
      "joint EM %",
      "joint F1 %",
      "Hits@1 %",
      "Hits@10 %",
      "retrievals",
      ...(hasRegret ? ["regret %"] : []),
      "p (EM)",
    ],
    ...systems.map((s) => [
      s.name,
      percentText(s.em),
      percentText(s.f1),
      percentText(s.factsF1),
      percentText(s.jointEm),
      percentText(s.jointF1),
      percentText(s.hitsAt1),
      percentText(s.hitsAt10),
      s.retrievals.value.toFixed(3),
      ...(hasRegret ? [s.regret ? percentText(s.regret) : "–"] : []),
      s.firstAgainst ? pValueText(s.firstAgainst.pValue) : "",
    ]),
  ];
  return rows[0].map((_, c) => rows.map((row) => row[c]));
}

/** The comparison as text for a terminal. */
export function formatSystems(comparison: SystemComparison): string {
  const { part, questions, cost, factLevel } = comparison;
  return [
    `${questions} questions of part ${part}, the same policy with each retriever, λ = ${cost}; ` +
    `95 % intervals in brackets; a supporting fact is a ${factLevel}`,
    "",
    ...textTable(systemRows(comparison)),
  ].join("\n");
}
