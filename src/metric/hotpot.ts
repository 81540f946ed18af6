/** Answers and supporting facts as HotpotQA scores them. @module */
import { answerWords, commonWords, exactMatch, normalizeAnswer } from "./answers.ts";

/** A supporting fact: title of its document and number of its sentence, from 0. */
export type SupportingFact = readonly [title: string, sentence: number];

/** What is scored, and what it is compared with. */
export interface HotpotAnswer {
  /** The answer; undefined if none was given. */
  readonly answer: string | undefined;
  /** The facts it rests on, in any order. */
  readonly facts: readonly SupportingFact[];
}

/** Exact match, F1, precision and recall, each in [0, 1]. */
export interface HotpotScore {
  /** 1 if everything is right and nothing is missing. */
  readonly em: number;
  /** Harmonic mean of precision and recall. */
  readonly f1: number;
  /** Share of what was given that is right. */
  readonly precision: number;
  /** Share of what is right that was given. */
  readonly recall: number;
}

/** Scores of one question. */
export interface HotpotScores {
  /** Of the answer. */
  readonly answer: HotpotScore;
  /** Of the supporting facts. */
  readonly facts: HotpotScore;
  /** Of both together. */
  readonly joint: HotpotScore;
}

const NONE: HotpotScore = { em: 0, f1: 0, precision: 0, recall: 0 };
/** Answers that are right or wrong as a whole. */
const CLOSED = new Set(["yes", "no", "noanswer"]);

const harmonic = (precision: number, recall: number): number =>
  precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;

function scoreAnswer(predicted: string, right: string): HotpotScore {
  const em = exactMatch(predicted, [right]);
  const [given, wanted] = [predicted, right].map(normalizeAnswer);
  if (given !== wanted && (CLOSED.has(given) || CLOSED.has(wanted))) return { ...NONE, em };
  const own = answerWords(predicted), gold = answerWords(right);
  const common = commonWords(own, gold);
  if (common === 0) return { ...NONE, em };
  const precision = common / own.length, recall = common / gold.length;
  return { em, precision, recall, f1: harmonic(precision, recall) };
}

function scoreFacts(
  predicted: readonly SupportingFact[],
  right: readonly SupportingFact[],
): HotpotScore {
  const key = (fact: SupportingFact): string => JSON.stringify(fact);
  const own = new Set(predicted.map(key)), gold = new Set(right.map(key));
  const common = own.intersection(gold).size;
  const precision = own.size ? common / own.size : 0, recall = gold.size ? common / gold.size : 0;
  const em = Number(own.size === common && gold.size === common);
  return { em, precision, recall, f1: harmonic(precision, recall) };
}

/**
 * Scores of an answer with its supporting facts, as `hotpot_evaluate_v1.py` computes them (Yang et al. 2018,
 * §5.2):
 *
 *   joint precision = P_answer · P_facts    joint recall = R_answer · R_facts
 *   joint F1 = their harmonic mean          joint EM = EM_answer · EM_facts
 *
 * F1 of an answer is 0 where one side is "yes", "no" or "noanswer" and the other is not the same. Where
 * several answers are accepted, the one with the best F1 counts (the script knows one). Without an answer
 * everything but the facts is 0. Departure: none with one accepted answer.
 *
 * @param predicted What the system said
 * @param accepted Accepted answers; with none the answer's scores are 0
 * @param facts The right facts
 * @example The answer is right, one of two facts was found and a wrong one added
 * ```ts
 * import { hotpotScores } from "./hotpot.ts";
 * import { assertEquals } from "@std/assert";
 * const { answer, facts, joint } = hotpotScores(
 *   { answer: "Nick Park", facts: [["Nick Park", 0], ["Aardman", 0]] },
 *   ["Nick Park"],
 *   [["Nick Park", 0], ["Creature Comforts", 1]],
 * );
 * assertEquals([answer.em, facts.em, facts.f1, joint.em, joint.f1], [1, 0, 0.5, 0, 0.5]);
 * ```
 */
export function hotpotScores(
  predicted: HotpotAnswer,
  accepted: readonly string[],
  facts: readonly SupportingFact[],
): HotpotScores {
  const { answer } = predicted;
  const own = answer === undefined ? NONE : accepted.map((right) => scoreAnswer(answer, right))
    .reduce((best, one) => one.f1 > best.f1 || one.em > best.em ? one : best, NONE);
  const found = scoreFacts(predicted.facts, facts);
  const precision = own.precision * found.precision, recall = own.recall * found.recall;
  return {
    answer: own,
    facts: found,
    joint: { em: own.em * found.em, precision, recall, f1: harmonic(precision, recall) },
  };
}
