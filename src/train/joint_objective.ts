/** What a reader's answers say about documents: the losses by name, as a small program of their own. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type Program, type ProgramInput, withGradients } from "../graph/mod.ts";
import {
  annealedMarginalLoss,
  drawnUtilityLoss,
  emdr2Loss,
  expectedUtilityLoss,
  gateLoss,
  marginalLoss,
  mixtureLogWeights,
  perplexityDistillationLoss,
} from "../rl/mod.ts";
import type { Executor } from "../runtime/mod.ts";
import { type F32, named } from "../tensor/axes.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { CandidateSet } from "../retriever/mod.ts";

/** Names of the objectives. */
export const JOINT_OBJECTIVES = [
  "marginal",
  "annealed",
  "emdr2",
  "pdist",
  "expected_utility",
  "drawn_utility",
] as const;

/** An objective by name; docs/joint.md compares them. */
export type JointObjectiveName = typeof JOINT_OBJECTIVES[number];

/** Choices of {@linkcode openJointObjective}. */
export interface JointObjectiveOptions {
  /** Which loss. */
  readonly objective: JointObjectiveName;
  /** Whether weights of candidates are divided by their sum. */
  readonly isRenormalized: boolean;
  /** τ: divides log p(d|q) in the posterior of `annealed`, the log-likelihoods of `pdist`. Default 1. */
  readonly temperature?: number;
  /** ρ, reward of a right answer: utilities and the gate are in its unit. Default 1. */
  readonly reward?: number;
  /** Weight of the one-step gate's loss; 0 leaves it out. Default 0. */
  readonly gateWeight?: number;
}

/** One question: its candidates, and what the reader says with each. */
export interface JudgedCandidates {
  /** The candidates. */
  readonly set: CandidateSet;
  /** [K] log p(y | q, d) of the right answer, nats. */
  readonly logLikelihoods: ArrayLike<number>;
  /** The decision before: log g and log((1 − g)·p(y|q)), nats, and the price. Without it there is no gate. */
  readonly gate?: { readonly logGate: number; readonly logClosed: number; readonly cost: number };
}

/** A loss, and its derivatives where the graph was cut. */
export interface JointGradients {
  /** Mean loss over the questions. */
  readonly loss: number;
  /** Derivatives of the mean loss by question. */
  readonly questions: readonly {
    /** Loss of this question. */
    readonly loss: number;
    /** [K] ∂L/∂log p(d|q). */
    readonly logProbs: Float32Array;
    /** [K] ∂L/∂log p(y|q,d). */
    readonly logLikelihoods: Float32Array;
    /** ∂L/∂log g; 0 without a gate. */
    readonly logGate: number;
    /** ∂L/∂log((1 − g)·p(y|q)); 0 without a gate. */
    readonly logClosed: number;
  }[];
}

/** An objective, ready to be asked. */
export interface JointObjective {
  /** Loss and derivatives of a batch of questions. */
  differentiate(questions: readonly JudgedCandidates[]): Promise<JointGradients>;
  /** Free the program. */
  dispose(): Promise<void>;
}

/** [B] the loss of each question. */
function lossOf(
  x: Readonly<Record<string, Tensor>>,
  { objective, isRenormalized, temperature, reward = 1 }: JointObjectiveOptions,
): { loss: F32<"B">; openValue: () => F32<"B"> } {
  const table = (name: string): F32<"B K"> => named(x[name], "B K", {});
  const logProbs = table("logProbs"), isCandidate = table("isCandidate");
  const logLikelihoods = table("logLikelihoods");
  const logWeights = mixtureLogWeights(
    { logProbs, isCandidate, logInclusion: table("logInclusion") },
    { isRenormalized },
  );
  const utilities = named(tf.mul(tf.exp(logLikelihoods as Tensor), reward), "B K", {});
  const terms = { logWeights, logLikelihoods };
  const loss = (): F32<"B"> => {
    switch (objective) {
      case "marginal":
        return marginalLoss(terms);
      case "annealed":
        return annealedMarginalLoss(terms, { temperature });
      case "emdr2":
        return emdr2Loss(terms);
      case "pdist":
        return perplexityDistillationLoss({ ...terms, isCandidate }, { temperature });
      case "expected_utility":
        return expectedUtilityLoss({ logWeights, utilities });
      case "drawn_utility":
        return drawnUtilityLoss({ logProbs, utilities });
    }
  };
  return {
    loss: loss(),
    openValue: () =>
      named(tf.neg(expectedUtilityLoss({ logWeights, utilities }) as Tensor), "B", {}),
  };
}

/** Numbers per question and candidate in, the mean loss and that of each question out. */
export function jointObjectiveProgram(options: JointObjectiveOptions): Program {
  const { gateWeight = 0, reward = 1, objective } = options;
  const inputs = (shape: string[], ...names: string[]): Record<string, ProgramInput> =>
    Object.fromEntries(names.map((name) => [name, { dtype: "float32", shape }]));
  return {
    name: `joint_${objective}`,
    inputs: {
      ...inputs(["B", "K"], "logProbs", "isCandidate", "logInclusion", "logLikelihoods"),
      ...(gateWeight ? inputs(["B"], "logGate", "logClosed", "cost", "hasGate") : {}),
    },
    run: (x) => {
      const { loss, openValue } = lossOf(x, options);
      let each: Tensor = loss;
      if (gateWeight) {
        const column = (name: string): F32<"B"> => named(x[name], "B", {});
        const gate = gateLoss({
          logGate: column("logGate"),
          logClosed: column("logClosed"),
          openValue: openValue(),
          cost: column("cost"),
        }, reward);
        each = tf.add(each, tf.mul(tf.mul(gate as Tensor, x.hasGate), gateWeight));
      }
      return { loss: tf.mean(each), each };
    },
  };
}

/**
 * Open an objective. The end-to-end graph is cut where index and reader meet: at log p(d|q) and
 * log p(y|q,d). This program holds the formula between them and gives the derivatives at the cuts, from which
 * index and reader go on backwards by themselves:
 *
 *   ∂L/∂θ = Σ ∂L/∂log p(d|q) · ∂log p(d|q)/∂θ        ∂L/∂φ = Σ ∂L/∂log p(y|q,d) · ∂log p(y|q,d)/∂φ
 *
 * It is the gradient of the whole graph, computed in parts, so that memory does not grow with the number of
 * documents that are read (as in Gao et al. 2021, gradient caching).
 *
 * @param executor What runs it
 * @param options Which loss
 */
export async function openJointObjective(
  executor: Executor,
  options: JointObjectiveOptions,
): Promise<JointObjective> {
  const hasGate = Boolean(options.gateWeight);
  const parameters = ["logProbs", "logLikelihoods", ...(hasGate ? ["logGate", "logClosed"] : [])];
  const executable = await executor.compile(
    withGradients(jointObjectiveProgram(options), { loss: "loss", parameters }),
  );
  return {
    async differentiate(questions): Promise<JointGradients> {
      const B = questions.length;
      const K = Math.max(...questions.map(({ set }) => set.docs.length));
      const table = (of: (q: JudgedCandidates) => ArrayLike<number>): HostTensor<"float32"> => {
        const data = new Float32Array(B * K);
        questions.forEach((q, b) => data.set(Array.from(of(q)), b * K));
        return hostTensor("float32", data, [B, K]);
      };
      const column = (of: (q: JudgedCandidates) => number): HostTensor<"float32"> =>
        hostTensor("float32", Float32Array.from(questions, of), [B]);
      const result = await executable.run({
        logProbs: table(({ set }) => set.logProbs),
        isCandidate: table(({ set }) => new Float32Array(set.docs.length).fill(1)),
        logInclusion: table(({ set }) => set.logInclusion),
        logLikelihoods: table(({ logLikelihoods }) => logLikelihoods),
        ...(hasGate && {
          logGate: column(({ gate }) => gate?.logGate ?? 0),
          logClosed: column(({ gate }) => gate?.logClosed ?? 0),
          cost: column(({ gate }) => gate?.cost ?? 0),
          hasGate: column(({ gate }) => Number(gate !== undefined)),
        }),
      });
      const numbers = (name: string): Float32Array => result[name].data as Float32Array;
      const logProbs = numbers("grad:logProbs");
      const logLikelihoods = numbers("grad:logLikelihoods");
      return {
        loss: numbers("loss")[0],
        questions: questions.map(({ set: { docs } }, b) => ({
          loss: numbers("each")[b],
          logProbs: logProbs.slice(b * K, b * K + docs.length),
          logLikelihoods: logLikelihoods.slice(b * K, b * K + docs.length),
          logGate: hasGate ? numbers("grad:logGate")[b] : 0,
          logClosed: hasGate ? numbers("grad:logClosed")[b] : 0,
        })),
      };
    },
    dispose: () => executable.dispose(),
  };
}
