/** The index as the policy's companion: what it learns from each iteration of joint training. @module */
import { type AgentProtocol, askingSituation, type Situation, situationsOf } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import type { Query } from "../data/mod.ts";
import { randomStream } from "../tensor/random.ts";
import type { ExampleSource } from "../train/bucketed.ts";
import type { Demonstration } from "../train/demonstration_model.ts";
import {
  type JointLearnerOptions,
  type JointStepResult,
  openJointLearner,
} from "../train/joint_learner.ts";
import type { ScoredTrajectory } from "../train/score_trajectories.ts";
import { shuffledEpochs } from "../train/shuffled_epochs.ts";
import type { CompanionReport, CompanionTurn, PolicyCompanion } from "../train/policy_companion.ts";

/** What a companion is made of. */
export interface JointCompanionOptions extends Omit<JointLearnerOptions, "judge"> {
  /** The configuration. */
  readonly config: ResolvedConfig;
  /** Labelled pairs that are replayed. */
  readonly examples: ExampleSource;
  /** Questions to learn from besides those of the episodes. */
  readonly questions: readonly Query[];
  /** Folder of the companion's checkpoints. */
  readonly folder: string;
}

/** A companion that can be closed. */
export interface JointCompanion extends PolicyCompanion {
  /** Free its program. */
  dispose(): Promise<void>;
}

/** What an index learns from the episodes of an iteration: each situation once. */
export function situationsToLearn(
  scored: readonly ScoredTrajectory[],
  protocol: AgentProtocol,
  queries: "asked" | "all",
): Situation[] {
  const found = new Map<string, Situation>();
  const add = (situation: Situation): void => {
    found.set(`${situation.prefix} ${situation.target}`, situation);
  };
  for (const { trajectory } of scored) {
    if (!trajectory.question.answers.length) continue;
    if (trajectory.retrievals.length) situationsOf(trajectory, protocol).forEach(add);
    else if (queries === "all" && protocol.budget > 0) {
      add(askingSituation(trajectory.question, trajectory.cost, protocol));
    }
  }
  return [...found.values()];
}

const mean = (values: readonly number[]): number =>
  values.length ? values.reduce((a, b) => a + b, 0) / values.length : 0;

/** Whether anything is learned at all: a frozen index beside a reader that learns nothing more is left alone. */
function isIdle({ joint }: ResolvedConfig): boolean {
  return joint.dsi_learning_rate === 0 && joint.reader_weight === 0 && joint.gate_weight === 0;
}

/**
 * Open a companion.
 *
 * @param options Index, objective and configuration
 */
export async function openJointCompanion(options: JointCompanionOptions): Promise<JointCompanion> {
  const { config, optimizer, examples, questions, folder, protocol } = options;
  const { joint, agent, training, seed } = config;
  let judge: CompanionTurn["judge"] | undefined;
  const learner = await openJointLearner({
    ...options,
    judge: async (texts) => (await judge!(texts)).map(({ logProbs }) => logProbs),
  });
  const extraAt = shuffledEpochs(questions, { seed, stream: "joint/questions" });
  const extras = (step: number): Situation[] => {
    const random = randomStream({ seed, stream: "joint/costs", step });
    const count = protocol.budget > 0 ? joint.extra_questions : 0;
    return Array.from({ length: count }, (_, i) => {
      const cost = agent.costs[random.int(agent.costs.length)];
      return askingSituation(extraAt(step * count + i), cost, protocol);
    });
  };
  return {
    optimizer,
    folder,
    dispose: () => learner.dispose(),
    async learn(turn): Promise<CompanionReport> {
      if (isIdle(config)) return { figures: {}, lessons: [] };
      const began = performance.now();
      ({ judge } = turn);
      const { step, scored, updates, rateFactor } = turn;
      const situations = randomStream({ seed, stream: "joint/situations", step }).shuffle([
        ...situationsToLearn(scored, protocol, joint.queries),
        ...extras(step),
      ]);
      const parts: Situation[][] = [];
      for (let from = 0; from < situations.length; from += joint.batch_size) {
        parts.push(situations.slice(from, from + joint.batch_size));
      }
      const results: JointStepResult[] = [];
      for (const part of parts) {
        const at = optimizer.updates;
        const result = await learner.step(part, {
          learningRate: joint.dsi_learning_rate * rateFactor,
          // Other pairs than those of the training before.
          replay: joint.supervised_weight > 0 && joint.replay > 0
            ? examples.batch(training.max_steps + at, joint.replay)
            : [],
          replayWeight: joint.supervised_weight,
          random: { seed, stream: "joint/candidates", step: at },
        });
        if (result) results.push(result);
      }
      // Steps of the policy share the lessons: each is the mean of some parts.
      const lessons: Demonstration[][] = Array.from({ length: updates }, () => []);
      const partsOf = (u: number): number => Math.ceil((results.length - u) / updates);
      results.forEach((result, i) => {
        const u = i % updates;
        lessons[u].push(
          ...result.lessons.map((one) => ({ ...one, weight: one.weight! / partsOf(u) })),
        );
      });
      const figure = (of: (result: JointStepResult) => number): number => mean(results.map(of));
      return {
        figures: {
          joint_loss: figure(({ loss }) => loss),
          answer_prob: figure(({ answerProb }) => answerProb),
          dropped_mass: figure(({ droppedMass }) => droppedMass),
          index_grad_norm: figure(({ gradNorm }) => gradNorm),
          index_queries: results.reduce((n, r) => n + r.situations, 0),
          documents_read: results.reduce((n, r) => n + r.documentsRead, 0),
          joint_seconds: (performance.now() - began) / 1000,
        },
        lessons,
      };
    },
  };
}
