/** Which documents stand for all of them when an answer's likelihood is taken over p(d|q). @module */
import type { Trie } from "../docid/trie.ts";
import { DataError, DeepragError } from "../errors.ts";
import type { Executor, HostTensors } from "../runtime/executor.ts";
import { type RandomKey, type RandomStream, randomStream } from "../tensor/random.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { padBatch } from "../text/pad_batch.ts";
import { gumbelTopK } from "./gumbel.ts";
import { exhaustiveProgram, searchProgram } from "./program.ts";
import type { DocidScorer } from "./scorer.ts";

const sumOfExp = (logs: Float64Array): number => logs.reduce((sum, x) => sum + Math.exp(x), 0);
const share = (x: number): number => Math.min(1, Math.max(0, x));

/** Names of the ways to choose candidates. */
export const DISTRIBUTION_KINDS = ["exact", "top_k", "gumbel_top_k", "draws"] as const;

/**
 * How candidates are chosen.
 *
 * - `exact`: every document, by enumeration, or the K most probable ones; best first.
 * - `top_k`: the best K that beam search finds. Their weights are renormalised.
 * - `gumbel_top_k`: K drawn without replacement; weighted by the inverse of their chance to be drawn.
 * - `draws`: K independent draws; one document may come several times.
 */
export type DistributionKind = typeof DISTRIBUTION_KINDS[number];

/** Candidates of one question. */
export interface CandidateSet {
  /** [K] documents; with `draws` one may stand there several times, else none does. */
  readonly docs: Int32Array;
  /** [K] log p(d|q), natural logarithm, over all documents. */
  readonly logProbs: Float64Array;
  /** [K] logarithm of the probability that each is a candidate; 0 where that is certain. */
  readonly logInclusion: Float64Array;
  /** Σ p(d|q) over the documents that are no candidates, in [0, 1]. */
  readonly droppedMass: number;
}

/** Chooses candidates from p(d|q). */
export interface DocumentDistribution {
  /** How. */
  readonly kind: DistributionKind;
  /** Whether weights of candidates are to be divided by their sum. */
  readonly isRenormalized: boolean;
  /**
   * Candidates of questions.
   *
   * @param questions Token ids of each
   * @param random Where chance comes from: the i-th question draws from a stream of its own
   * @throws {DataError} If a question has no token
   */
  candidates(
    questions: readonly ArrayLike<number>[],
    random: RandomKey,
  ): Promise<CandidateSet[]>;
  /** Free the program. */
  dispose(): Promise<void>;
}

/**
 * The most that documents which were not read can hold of the posterior p(d|q,y), whatever the reader would
 * say with them: their likelihoods are at most 1.
 *
 *   Σ_{d unread} p(d|q,y) ≤ U / (U + Σ_{d read} p(d|q) p(y|q,d)),   U = Σ_{d unread} p(d|q)
 *
 * With a temperature τ, p(d|q)^(1/τ) stands for p(d|q) throughout.
 *
 * @param set Candidates of one question; those beyond are not looked at
 * @param logLikelihoods [k] log p(y|q,d) of the first k, the others are unread
 * @param temperature τ of an annealed posterior; 1 is the posterior itself
 * @returns 0 where everything was read
 * @example Read is a document of probability ½ that makes the answer certain
 * ```ts
 * import { unreadPosterior } from "./distribution.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const set = {
 *   docs: Int32Array.of(3, 5),
 *   logProbs: Float64Array.of(Math.log(0.5), Math.log(0.5)),
 *   logInclusion: new Float64Array(2),
 *   droppedMass: 0,
 * };
 * assertAlmostEquals(unreadPosterior(set, [0]), 0.5);
 * ```
 */
export function unreadPosterior(
  set: CandidateSet,
  logLikelihoods: ArrayLike<number>,
  temperature = 1,
): number {
  const k = logLikelihoods.length;
  if (k >= set.docs.length) return 0;
  const unread = sumOfExp(set.logProbs.subarray(k).map((log) => log / temperature));
  let read = 0;
  for (let i = 0; i < k; i++) read += Math.exp(set.logProbs[i] / temperature + logLikelihoods[i]);
  return unread / (unread + read);
}

/** The first k candidates of a set. */
export function firstCandidates(set: CandidateSet, k: number): CandidateSet {
  if (k >= set.docs.length) return set;
  return {
    docs: set.docs.subarray(0, k),
    logProbs: set.logProbs.subarray(0, k),
    logInclusion: set.logInclusion.subarray(0, k),
    droppedMass: share(set.droppedMass + sumOfExp(set.logProbs.subarray(k))),
  };
}

/** What a distribution is made of. */
export interface DistributionOptions {
  /** How candidates are chosen. */
  readonly kind: DistributionKind;
  /** K. Default for `exact`: all documents. */
  readonly size?: number;
  /** How the model is asked. */
  readonly scorer: DocidScorer;
  /** Docids. */
  readonly trie: Trie;
  /** Parameters of the model. */
  readonly specs: ParamSpecs;
  /** Their values, read where they lie each time: they may be in training. */
  readonly parameters: HostTensors;
  /** Fills up short rows. */
  readonly padId: number;
  /** Tokens kept of a question. Default 256. */
  readonly maxTokens?: number;
  /** Questions of one run. Default 32. */
  readonly batchSize?: number;
}

/** Chooses the candidates of one question from log p(d|q) [N] of all documents. */
type Choose = (logProbs: ArrayLike<number>, random: RandomStream) => CandidateSet;

function candidatesAt(
  logProbs: ArrayLike<number>,
  docs: Int32Array,
  logInclusion: Float64Array = new Float64Array(docs.length),
): CandidateSet {
  const own = Float64Array.from(docs, (d) => logProbs[d]);
  const different = new Set(docs);
  const isAll = different.size === logProbs.length;
  const kept = isAll ? 1 : sumOfExp(Float64Array.from(different, (d) => logProbs[d]));
  return { docs, logProbs: own, logInclusion, droppedMass: share(1 - kept) };
}

/** The K most probable documents, best first. */
function mostProbable(size: number): Choose {
  return (logProbs) => {
    const order = Array.from(logProbs, (_, d) => d)
      .sort((a, b) => logProbs[b] - logProbs[a] || a - b);
    return candidatesAt(logProbs, Int32Array.from(order.slice(0, size)));
  };
}

function drawn(size: number): Choose {
  return (logProbs, random) => {
    const probs = Array.from(logProbs, Math.exp);
    return candidatesAt(logProbs, Int32Array.from({ length: size }, () => random.choose(probs)));
  };
}

const withoutReplacement = (size: number): Choose => (logProbs, random) => {
  const { indices, logInclusion } = gumbelTopK(logProbs, size, random);
  return candidatesAt(logProbs, indices, logInclusion);
};

/**
 * A way to choose candidates where p(d|q) of every document is known.
 *
 * @param kind How
 * @param size K
 * @returns Candidates from [N] log p(d|q), with the key of chance and the number of the question, from which its
 *   own stream follows
 */
export function candidateChooser(
  kind: Exclude<DistributionKind, "top_k">,
  size: number,
): (logProbs: ArrayLike<number>, random: RandomKey, question: number) => CandidateSet {
  const choose = kind === "exact"
    ? mostProbable(size)
    : kind === "draws"
    ? drawn(size)
    : withoutReplacement(size);
  return (logProbs, random, question) =>
    choose(logProbs, randomStream({ ...random, stream: `${random.stream}/${question}` }));
}

/**
 * Open a distribution over the documents of an index.
 *
 * `exact`, `gumbel_top_k` and `draws` enumerate p(d|q) in one batched pass over the trie's inner nodes
 * (`exhaustiveLogProbs`); `top_k` searches as retrieval does.
 *
 * @param executor What runs it
 * @param options The model, and how candidates are chosen
 * @throws {DeepragError} If a size is out of range or missing
 */
export async function openDocumentDistribution(
  executor: Executor,
  options: DistributionOptions,
): Promise<DocumentDistribution> {
  const { kind, scorer, trie, specs, parameters, padId } = options;
  const { maxTokens = 256, batchSize = 32 } = options;
  const size = options.size ?? (kind === "exact" ? trie.docCount : undefined);
  if (size === undefined || !Number.isSafeInteger(size) || size < 1) {
    throw new DeepragError(
      `Cannot choose ${size} candidates by ${kind}: give a positive whole number`,
    );
  }
  const choose = kind === "top_k" ? undefined : candidateChooser(kind, size);
  const executable = await executor.compile(
    choose
      ? exhaustiveProgram(scorer, trie, { params: specs, name: "distribution" })
      : searchProgram(scorer, trie, {
        params: specs,
        beam: Math.min(size, trie.docCount),
        name: "candidates",
      }),
  );
  /** Found by the search: the log-probabilities of those that came back. */
  const searched = (doc: ArrayLike<number>, logProb: ArrayLike<number>): CandidateSet => {
    const found = Array.from(doc).map((d, k) => ({ d, log: logProb[k] })).filter(({ d }) => d >= 0);
    const logProbs = Float64Array.from(found, ({ log }) => log);
    return {
      docs: Int32Array.from(found, ({ d }) => d),
      logProbs,
      logInclusion: new Float64Array(found.length),
      droppedMass: share(1 - sumOfExp(logProbs)),
    };
  };
  return {
    kind,
    isRenormalized: kind === "top_k",
    async candidates(questions, random): Promise<CandidateSet[]> {
      const texts = questions.map((ids, i) => {
        if (ids.length) return Array.from(ids).slice(0, maxTokens);
        throw new DataError(
          `Cannot find documents for question ${
            i + 1
          } of ${questions.length}: no token is left of it`,
        );
      });
      const sets: CandidateSet[] = [];
      for (let from = 0; from < texts.length; from += batchSize) {
        const part = texts.slice(from, from + batchSize);
        const result = await executable.run({ ...parameters, ...padBatch(part, { padId }) });
        const { logProb } = result, [, width] = logProb.shape;
        part.forEach((_, b) => {
          const row = (logProb.data as Float32Array).subarray(b * width, (b + 1) * width);
          sets.push(
            choose
              ? choose(row, random, from + b)
              : searched(result.doc.data.subarray(b * width, (b + 1) * width), row),
          );
        });
      }
      return sets;
    },
    dispose: () => executable.dispose(),
  };
}
