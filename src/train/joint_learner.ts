/** An index that learns from what a reader makes of its documents. @module */
import { closedText, gateText, readingText, type Situation } from "../agent/mod.ts";
import { createTrainStep, type Executor, type Optimizer } from "../runtime/mod.ts";
import type { RandomKey } from "../tensor/random.ts";
import {
  type CandidateReader,
  candidateReader,
  type CandidateReaderOptions,
  type JudgedSituations,
} from "./candidate_reader.ts";
import type { Demonstration } from "./demonstration_model.ts";
import type { IndexExample, IndexModel, WeighedExample } from "./index_model.ts";
import type { JointGradients, JointObjective, JudgedCandidates } from "./joint_objective.ts";

/** What an index learns in joint training, and from whom. */
export interface JointLearnerOptions extends CandidateReaderOptions {
  /** What runs the programs. */
  readonly executor: Executor;
  /** The index. */
  readonly model: IndexModel;
  /** Its parameters, and what moves them. */
  readonly optimizer: Optimizer;
  /** What the answers say about them. */
  readonly objective: JointObjective;
  /** The reader's gradient is multiplied by this: 0 stops it. Default 0. */
  readonly readerWeight?: number;
  /**
   * The reader learns from the texts with the largest weights, until they hold this share of all weight: the
   * rest would cost most and change little. Default 1: from all.
   */
  readonly lessonShare?: number;
  /** Largest norm of the index's gradient. Default 1. */
  readonly clipNorm?: number;
}

/** What a step of joint training did. */
export interface JointStepResult {
  /** Mean loss of the objective. */
  readonly loss: number;
  /** Norm of the index's gradient before clipping. */
  readonly gradNorm: number;
  /** Whether the step was taken; not where the gradient is not finite. */
  readonly isApplied: boolean;
  /** Situations that were learned from. */
  readonly situations: number;
  /** Documents that were read. */
  readonly documentsRead: number;
  /** Mean of Σ p(d|q) over the documents that were not read. */
  readonly droppedMass: number;
  /** Mean probability of the right answer over the documents that were read, by the index's weights. */
  readonly answerProb: number;
  /** What the reader is to learn, weighted; nothing where its gradient is stopped. */
  readonly lessons: readonly Demonstration[];
}

/** Choices of {@linkcode JointLearner.step}. */
export interface JointStepOptions {
  /** Learning rate of the index; at 0 it stays as it is. */
  readonly learningRate: number;
  /** Supervised pairs that are replayed. */
  readonly replay: readonly IndexExample[];
  /** Weight of their mean loss. */
  readonly replayWeight: number;
  /** Where the choice of candidates comes from. */
  readonly random: RandomKey;
}

/** Teaches an index. */
export interface JointLearner {
  /** Choose candidates, and let the reader judge them. */
  readonly judge: CandidateReader;
  /**
   * The gradient of the index's parameters, left in its store.
   *
   * @param of What the reader said
   * @param options Pairs to be replayed, and another objective than the learner's own
   * @returns The loss's derivatives, and the rows of row-sparse parameters that take part
   */
  differentiate(
    of: JudgedSituations,
    options: Pick<JointStepOptions, "replay" | "replayWeight"> & { objective?: JointObjective },
  ): Promise<{ gradients: JointGradients; rows: Readonly<Record<string, Int32Array>> }>;
  /**
   * One step of the index on these situations. Those whose query is blank to the index, or which the policy
   * could not read to the end, are left out.
   *
   * @returns Nothing where no situation is left and nothing is replayed
   */
  step(
    situations: readonly Situation[],
    options: JointStepOptions,
  ): Promise<JointStepResult | undefined>;
  /** Free the program. What was given stays the giver's to dispose of. */
  dispose(): Promise<void>;
}

const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);
const NOTHING: JointGradients = { loss: 0, questions: [] };

/**
 * Open a learner. Each step
 *
 * 1. asks the index for candidates K of each query, and their log p(d|q);
 * 2. lets the policy say how likely it would write what is right, log p(y|q,d), with each of them, until what is
 *    unread can't matter any more;
 * 3. has the objective differentiated with respect to both;
 * 4. goes on backwards into the index, by the loss −Σ c log p(d|q) with those derivatives as weights c, beside
 *    replayed supervised pairs, and takes a step;
 * 5. hands the derivatives of the reader over as weighted lessons, for its own next step.
 *
 * @param options Index, reader, objective
 */
export async function openJointLearner(options: JointLearnerOptions): Promise<JointLearner> {
  const { executor, model, optimizer, distribution, protocol, documents } = options;
  const { readerWeight = 0, lessonShare = 1, clipNorm = 1 } = options;
  const judge = candidateReader(options);
  const train = await createTrainStep(executor, model.jointProgram, optimizer.store);

  const differentiate: JointLearner["differentiate"] = async (
    { queries, judged },
    { replay, replayWeight, objective = options.objective },
  ) => {
    const gradients = judged.length ? await objective.differentiate(judged) : NOTHING;
    const weighed = gradients.questions.map(({ logProbs }, i): WeighedExample => ({
      tokenIds: queries[i],
      docs: judged[i].set.docs,
      weights: logProbs.map((x) => -x),
    }));
    const { inputs, rows } = model.jointBatch({ weighed, replay, replayWeight });
    await train.step(inputs, { rows });
    return { gradients, rows };
  };

  /** Probability of the right answer over the documents that were read, by their weights. */
  const answerProbOf = ({ set, logLikelihoods }: JudgedCandidates): number => {
    const said = Array.from(logLikelihoods, Math.exp);
    if (distribution.kind === "draws") return sum(said) / said.length;
    const weights = set.logProbs.map((log, k) => Math.exp(log - set.logInclusion[k]));
    const all = sum(said.map((r, k) => weights[k] * r));
    return distribution.isRenormalized ? all / sum(weights) : all;
  };

  /** The reader's derivatives as lessons: their loss is −Σ w log π, so the weight is the derivative, negated. */
  const lessonsOf = (
    { situations, judged }: JudgedSituations,
    { questions }: JointGradients,
  ): Demonstration[] => {
    const weighed = questions.flatMap((question, i) => {
      const situation = situations[i], { set, gate } = judged[i];
      const lessons = Array.from(set.docs, (doc, k) => ({
        weight: -question.logLikelihoods[k] * readerWeight,
        text: () => readingText(situation, documents[doc], protocol),
      }));
      if (gate) {
        lessons.push(
          { weight: -question.logGate, text: () => gateText(situation) },
          { weight: -question.logClosed, text: () => closedText(situation, protocol) },
        );
      }
      return lessons;
    });
    const order = weighed.filter(({ weight }) => weight !== 0)
      .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
    let left = lessonShare * order.reduce((total, { weight }) => total + Math.abs(weight), 0);
    const lessons: Demonstration[] = [];
    for (const { weight, text } of order) {
      if (lessonShare < 1 && left <= 0) break;
      lessons.push({ ...text(), weight });
      left -= Math.abs(weight);
    }
    return lessons;
  };

  return {
    judge,
    differentiate,
    async step(situations, { learningRate, random, ...replayed }): Promise<
      JointStepResult | undefined
    > {
      const of = await judge(situations, random), { judged } = of;
      if (!judged.length && !replayed.replay.length) return undefined;
      const { gradients, rows } = await differentiate(of, replayed);
      const { gradNorm, isApplied } = optimizer.step(learningRate, { clipNorm, rows });
      const count = Math.max(1, judged.length);
      return {
        loss: gradients.loss,
        gradNorm,
        isApplied,
        situations: judged.length,
        documentsRead: judged.reduce((n, { set }) => n + set.docs.length, 0),
        droppedMass: judged.reduce((total, { set }) => total + set.droppedMass, 0) / count,
        answerProb: judged.reduce((total, one) => total + answerProbOf(one), 0) / count,
        lessons: lessonsOf(of, gradients),
      };
    },
    dispose: () => train.dispose(),
  };
}
