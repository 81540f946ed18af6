/** What a policy makes of the documents that an index would give it. @module */
import {
  type AgentProtocol,
  closedText,
  gateText,
  isFirstMove,
  type PolicyText,
  readingText,
  type Situation,
} from "../agent/mod.ts";
import type { Document } from "../data/types.ts";
import {
  type CandidateSet,
  type DocumentDistribution,
  firstCandidates,
  unreadPosterior,
} from "../retriever/mod.ts";
import type { RandomKey } from "../tensor/random.ts";
import type { JudgedCandidates } from "./joint_objective.ts";

/** Who reads what. */
export interface CandidateReaderOptions {
  /** Token ids of a query, as the index reads it. */
  readonly encode: (query: string) => ArrayLike<number>;
  /** Chooses the documents that are read. */
  readonly distribution: DocumentDistribution;
  /** How documents are put to the policy. */
  readonly protocol: AgentProtocol;
  /** The documents. */
  readonly documents: readonly Document[];
  /** [T] log π of each choice of each text under the policy as it stands. */
  readonly judge: (texts: readonly PolicyText[]) => Promise<readonly ArrayLike<number>[]>;
  /**
   * Candidates are read best first, in growing rounds, until those unread can't hold more than 1 − this of
   * the posterior. Not where candidates are drawn. Default 1: all are read.
   */
  readonly mass?: number;
  /** τ of the posterior that `mass` is a share of, where it is annealed. Default 1. */
  readonly temperature?: number;
  /**
   * Most tokens of a text that the policy reads. A situation that could become longer is left out. Default:
   * no limit.
   */
  readonly maxLength?: number;
  /** Whether the decision to retrieve is judged, too. */
  readonly hasGate?: boolean;
}

/** Situations with their candidates, and what the reader says with each. */
export interface JudgedSituations {
  /** Situations whose query has words for the index, and which the policy can read. */
  readonly situations: readonly Situation[];
  /** Token ids of each query. */
  readonly queries: readonly ArrayLike<number>[];
  /** By situation. */
  readonly judged: readonly JudgedCandidates[];
}

/** Chooses candidates, and lets the policy judge them. */
export type CandidateReader = (
  situations: readonly Situation[],
  random: RandomKey,
) => Promise<JudgedSituations>;

/** Candidates of the first round; each further one doubles what was read. */
const FIRST_ROUND = 2;

const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);

/**
 * A reader of candidates: it asks the index for them, and then the policy how likely it would write what is right
 * with each, until what is unread can't matter any more.
 *
 * @param options Index, policy, documents
 */
export function candidateReader(options: CandidateReaderOptions): CandidateReader {
  const { encode, distribution, protocol, documents } = options;
  const { hasGate = false, mass = 1, temperature = 1, maxLength = Infinity } = options;
  /** Tokens at most of a situation with a document between its tags, the budget, and what is right then. */
  const longestText = ({ prefix, target }: Situation): number =>
    prefix.length + protocol.documentTokens + 3 + target.length;

  const read = async (
    all: readonly Situation[],
    random: RandomKey,
  ): Promise<JudgedSituations> => {
    const encoded = all.map((situation) => ({ situation, ids: encode(situation.query) }))
      .filter(({ situation, ids }) => ids.length > 0 && longestText(situation) <= maxLength);
    const situations = encoded.map(({ situation }) => situation);
    const queries = encoded.map(({ ids }) => ids);
    const sets = situations.length ? await distribution.candidates(queries, random) : [];
    const logs: number[][] = situations.map(() => []);
    const isOrdered = distribution.kind === "exact" || distribution.kind === "top_k";
    let open = situations.map((_, i) => i);
    for (let upTo = mass < 1 && isOrdered ? FIRST_ROUND : Infinity; open.length; upTo *= 2) {
      await readOn(open, upTo, { situations, sets, logs });
      open = open.filter((i) => unreadPosterior(sets[i], logs[i], temperature) > 1 - mass);
    }
    const gates = hasGate ? await judgeGates(situations) : [];
    return {
      situations,
      queries,
      judged: situations.map((_, i) => ({
        set: firstCandidates(sets[i], logs[i].length),
        logLikelihoods: logs[i],
        gate: gates[i],
      })),
    };
  };

  /** Read the candidates of these situations up to a number of them; one that was drawn twice is read once. */
  const readOn = async (
    chosen: readonly number[],
    upTo: number,
    { situations, sets, logs }: {
      situations: readonly Situation[];
      sets: readonly CandidateSet[];
      logs: number[][];
    },
  ): Promise<void> => {
    const texts: PolicyText[] = [], placeOf = new Map<string, number>();
    const places = chosen.map((i) =>
      Array.from(sets[i].docs.subarray(logs[i].length, upTo), (doc) => {
        const key = `${i}/${doc}`;
        if (!placeOf.has(key)) {
          placeOf.set(key, texts.length);
          texts.push(readingText(situations[i], documents[doc], protocol));
        }
        return placeOf.get(key)!;
      })
    );
    const said = (await options.judge(texts)).map(sum);
    chosen.forEach((i, n) => logs[i].push(...places[n].map((at) => said[at])));
  };

  /** What the policy says of the decision before each retrieval, where it was its first move. */
  const judgeGates = async (
    situations: readonly Situation[],
  ): Promise<(JudgedCandidates["gate"])[]> => {
    const first = situations.filter(isFirstMove);
    const said = (await options.judge(
      first.flatMap((one) => [gateText(one), closedText(one, protocol)]),
    )).map(sum);
    const gateOf = new Map(first.map((one, n) => [one, {
      logGate: said[2 * n],
      logClosed: said[2 * n + 1],
      cost: one.cost,
    }]));
    return situations.map((one) => gateOf.get(one));
  };

  return read;
}
