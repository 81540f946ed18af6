/** What learns beside a policy from the same episodes. @module */
import type { PolicyText } from "../agent/mod.ts";
import type { Optimizer } from "../runtime/mod.ts";
import type { Demonstration } from "./demonstration_model.ts";
import type { JudgedText, ScoredTrajectory } from "./score_trajectories.ts";

/** What a {@linkcode PolicyCompanion} is given of an iteration. */
export interface CompanionTurn {
  /** Iterations done before this one. */
  readonly step: number;
  /** The episodes of this iteration, before the policy learns from them. */
  readonly scored: readonly ScoredTrajectory[];
  /** What the policy says about texts, as it stands. */
  readonly judge: (texts: readonly PolicyText[]) => Promise<JudgedText[]>;
  /** Steps that the policy takes in this iteration. */
  readonly updates: number;
  /** What the schedule, a step ahead of the policy's, and the guard multiply a rate with, from 0 to 1. */
  readonly rateFactor: number;
}

/** What a {@linkcode PolicyCompanion} has to say about an iteration. */
export interface CompanionReport {
  /** Figures for the log. */
  readonly figures: Readonly<Record<string, number>>;
  /** Weighted lessons for each of the policy's steps, in their order. */
  readonly lessons: readonly (readonly Demonstration[])[];
}

/**
 * A model that learns beside the policy from the same episodes, such as the index it retrieves with. It is
 * saved, resumed and taken back with the policy.
 */
export interface PolicyCompanion {
  /** Its parameters and their optimiser. */
  readonly optimizer: Optimizer;
  /** Folder of its checkpoints. */
  readonly folder: string;
  /** Learn from an iteration. A pure function of its parameters and what it is given. */
  learn(turn: CompanionTurn): Promise<CompanionReport>;
}
