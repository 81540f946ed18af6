/** How far the estimators of joint training are from the exact gradient. @module */
import type { Situation } from "../agent/mod.ts";
import type { Query } from "../data/types.ts";
import type { Trie } from "../docid/trie.ts";
import { ShapeError } from "../errors.ts";
import {
  beamSurvival,
  candidateChooser,
  type CandidateSet,
  type DistributionKind,
  type DocumentDistribution,
  firstCandidates,
  unreadPosterior,
} from "../retriever/mod.ts";
import type { ParameterStore } from "../runtime/mod.ts";
import type { RandomKey } from "../tensor/random.ts";
import type { JudgedSituations } from "./candidate_reader.ts";
import type { JointLearner } from "./joint_learner.ts";
import type { JointObjective, JudgedCandidates } from "./joint_objective.ts";

/** One way to estimate the gradient. */
export interface Estimator {
  /** Its name in tables, such as `"top_k 16"`. */
  readonly name: string;
  /** How the documents that are read are chosen, and how many. */
  readonly kind: DistributionKind;
  /** See `kind`. Default: all. */
  readonly size?: number;
  /** Finds them where `kind` is `top_k`; the others choose from what is known of all documents. */
  readonly search?: Pick<DocumentDistribution, "candidates">;
  /** Read no more of them than can hold this share of the posterior, see {@linkcode unreadPosterior}. */
  readonly mass?: number;
  /** What is made of them. */
  readonly objective: JointObjective;
  /** The exact gradient that it is compared with: that of this objective over all documents. */
  readonly target: "marginal" | "expected_utility";
}

/** How far an estimator is from the exact gradient g, over seeds. */
export interface EstimatorBias {
  /** Name of the estimator. */
  readonly name: string;
  /** What it estimates. */
  readonly target: Estimator["target"];
  /** Mean number of documents read for a question. */
  readonly documentsRead: number;
  /** Mean of Σ p(d|q) over the documents that were not read. */
  readonly droppedMass: number;
  /** Seeds: 1 where nothing is drawn. */
  readonly seeds: number;
  /** cos(ĝ, g), mean over seeds: how right one step's direction is. */
  readonly cosine: number;
  /** cos(mean ĝ, g): how right the direction is on average. */
  readonly meanCosine: number;
  /** ‖mean ĝ‖ / ‖g‖. */
  readonly normRatio: number;
  /**
   * ‖mean ĝ − g‖ / ‖g‖. From S seeds it has an error of its own, about √(variance / S).
   */
  readonly bias: number;
  /** mean ‖ĝ − mean ĝ‖² / ‖g‖², unbiased over seeds; 0 where nothing is drawn. */
  readonly variance: number;
}

/** What a beam search loses, mean over questions. */
export interface BeamLoss {
  /** Prefixes kept. */
  readonly beam: number;
  /** Share of the questions whose most probable document is found. */
  readonly foundBest: number;
  /** Mean log p of the most probable document less that of the best found, nats. */
  readonly regret: number;
  /** Share of the questions whose right document's prefix is still in the beam after each digit. */
  readonly survival: readonly number[];
}

/** Result of {@linkcode measureBias}. */
export interface BiasReport {
  /** Questions of the batch. */
  readonly questions: number;
  /** Documents of the corpus. */
  readonly documents: number;
  /** Norm of each exact gradient. */
  readonly norms: Readonly<Record<Estimator["target"], number>>;
  /** In the order of the estimators. */
  readonly estimators: readonly EstimatorBias[];
  /** In the order of the beams. */
  readonly beams: readonly BeamLoss[];
}

/** Choices of {@linkcode measureBias}. */
export interface MeasureBiasOptions {
  /** Reads and goes on backwards; its distribution is exact, over all documents. */
  readonly learner: JointLearner;
  /** Where it leaves gradients. */
  readonly store: ParameterStore;
  /** Docids. */
  readonly trie: Trie;
  /** The exact objectives. */
  readonly exact: Readonly<Record<Estimator["target"], JointObjective>>;
  /** What to compare. */
  readonly estimators: readonly Estimator[];
  /** Widths of beam search to follow. */
  readonly beams: readonly number[];
  /** A right document of a question, where one is known. */
  readonly rightDoc: (question: Query) => number | undefined;
  /** S ≥ 2, draws of estimators that draw. */
  readonly seeds: number;
  /** Seed of the draws. */
  readonly seed: number;
  /** Told what is measured now. */
  readonly onNote?: (note: string) => void;
}

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};
const norm = (a: Float64Array): number => Math.sqrt(dot(a, a));
/** 0 where one of them is 0: it has no direction. */
const cosine = (a: Float64Array, b: Float64Array): number =>
  dot(a, b) / (norm(a) * norm(b) || Infinity);
const mean = (values: readonly number[]): number =>
  values.length ? values.reduce((a, b) => a + b, 0) / values.length : NaN;

/** The fewest candidates, best first, beyond which what is unread can't hold more than 1 − mass. */
function fewestToRead(set: CandidateSet, said: readonly number[], mass: number): number {
  // What is unread only ever holds less: the first number that is enough is found by halving.
  let low = 1, high = said.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (unreadPosterior(set, said.slice(0, middle)) > 1 - mass) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Compare estimators of the index's gradient with the exact one, for parameters as they stand, on one batch
 * of questions: the exact gradient reads every document for every question. The reader is asked once; an
 * estimator then chooses among what it said.
 *
 * @param situations Moments of a retrieval, one for each question
 * @param options Learner, objectives and estimators
 * @throws {ShapeError} If the learner did not read all documents
 */
export async function measureBias(
  situations: readonly Situation[],
  options: MeasureBiasOptions,
): Promise<BiasReport> {
  const { learner, store, trie, seed, seeds, onNote } = options;
  const N = trie.docCount;
  onNote?.(`reading ${situations.length * N} documents`);
  const all = await learner.judge(situations, { seed, stream: "bias/exact", step: 0 });
  if (all.judged.some(({ set }) => set.docs.length !== N)) {
    throw new ShapeError("Cannot measure bias: the exact distribution has to hold every document");
  }
  const nothing = { replay: [], replayWeight: 0 };
  /** The gradient as one vector: of row-sparse parameters the rows that take part, the same for every estimator. */
  const flat = (rows: Readonly<Record<string, Int32Array>>): Float64Array => {
    const parts = store.layout.segments.map(({ name, shape }) =>
      store.gradients[name].data.subarray(0, rows[name] ? rows[name].length * shape[1] : undefined)
    );
    const vector = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      vector.set(part, at);
      at += part.length;
    }
    return vector;
  };
  const gradient = async (of: JudgedSituations, objective: JointObjective): Promise<Float64Array> =>
    flat((await learner.differentiate(of, { ...nothing, objective })).rows);

  const exact = {
    marginal: await gradient(all, options.exact.marginal),
    expected_utility: await gradient(all, options.exact.expected_utility),
  };
  /** [N] by document, of each question. */
  const byDoc = (of: (one: JudgedCandidates) => ArrayLike<number>): Float64Array[] =>
    all.judged.map((one) => {
      const values = new Float64Array(N), sorted = of(one);
      one.set.docs.forEach((doc, k) => values[doc] = sorted[k]);
      return values;
    });
  const logProbs = byDoc(({ set }) => set.logProbs);
  const saidOf = byDoc(({ logLikelihoods }) => logLikelihoods);
  /** What the reader said of some documents. */
  const chosen = (sets: readonly CandidateSet[], mass = 1): JudgedSituations => ({
    ...all,
    judged: sets.map((set, i) => {
      const said = Array.from(set.docs, (doc) => saidOf[i][doc]);
      const k = mass < 1 ? fewestToRead(set, said, mass) : said.length;
      return { set: firstCandidates(set, k), logLikelihoods: said.slice(0, k) };
    }),
  });
  const candidatesOf = (
    { kind, size = N, search }: Estimator,
    random: RandomKey,
  ): CandidateSet[] | Promise<CandidateSet[]> => {
    if (kind === "top_k") return search!.candidates(all.queries, random);
    const choose = candidateChooser(kind, size);
    return logProbs.map((logs, i) => choose(logs, random, i));
  };
  const estimators: EstimatorBias[] = [];
  for (const estimator of options.estimators) {
    const { name, kind, mass, objective, target } = estimator;
    onNote?.(name);
    const isDrawn = kind === "gumbel_top_k" || kind === "draws";
    const S = isDrawn ? seeds : 1, g = exact[target];
    const total = new Float64Array(g.length), cosines: number[] = [];
    let squares = 0;
    const read: number[] = [], dropped: number[] = [];
    for (let s = 0; s < S; s++) {
      const sets = await candidatesOf(estimator, { seed, stream: `bias/${name}`, step: s });
      const of = chosen(sets, mass);
      const estimate = await gradient(of, objective);
      for (let i = 0; i < g.length; i++) total[i] += estimate[i];
      squares += dot(estimate, estimate);
      cosines.push(cosine(estimate, g));
      read.push(...of.judged.map(({ set }) => new Set(set.docs).size));
      dropped.push(...of.judged.map(({ set }) => set.droppedMass));
    }
    const average = total.map((x) => x / S), own = norm(g);
    const gap = average.map((x, i) => x - g[i]);
    estimators.push({
      name,
      target,
      documentsRead: mean(read),
      droppedMass: mean(dropped),
      seeds: S,
      cosine: mean(cosines),
      meanCosine: cosine(average, g),
      normRatio: norm(average) / own,
      bias: norm(gap) / own,
      variance: S > 1 ? Math.max(0, squares - S * dot(average, average)) / (S - 1) / own ** 2 : 0,
    });
  }
  const beams = options.beams.map((beam): BeamLoss => {
    const followed = logProbs.map((logs) => beamSurvival(logs, trie, beam));
    const lost = followed.flatMap(({ lostAt }, i) => {
      const doc = options.rightDoc(all.situations[i].question);
      return doc === undefined ? [] : [lostAt[doc]];
    });
    return {
      beam,
      foundBest: mean(followed.map(({ regret }) => Number(regret === 0))),
      regret: mean(followed.map(({ regret }) => regret)),
      survival: Array.from(
        { length: trie.depth },
        (_, digit) => mean(lost.map((at) => Number(at < 0 || at > digit))),
      ),
    };
  });
  return {
    questions: all.situations.length,
    documents: N,
    norms: { marginal: norm(exact.marginal), expected_utility: norm(exact.expected_utility) },
    estimators,
    beams,
  };
}
