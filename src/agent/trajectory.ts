/** What happened in an episode. @module */
import type { Query } from "../data/types.ts";
import type { PolicyText } from "./policy_text.ts";
import type { RetrievedDocument } from "./retriever.ts";
import type { EpisodeOutcome } from "./reward.ts";

/** One retrieval of an episode. */
export interface TrajectoryRetrieval {
  /** Which of the choices it was: index into `actions`. */
  readonly action: number;
  /** What was looked for. */
  readonly query: string;
  /** Whether the policy wrote the query; otherwise it is the question. */
  readonly isWritten: boolean;
  /** What was found, best first; the first one was read. */
  readonly documents: readonly RetrievedDocument[];
}

/** An episode from its question to its end. */
export interface Trajectory extends PolicyText {
  /** The question. */
  readonly question: Query;
  /** Price of one retrieval, as shown to the policy. */
  readonly cost: number;
  /** Number of the episode, from which its random choices follow. */
  readonly episode: number;
  /** Everything that was read and written. */
  readonly tokens: Int32Array;
  /** Tokens of the prompt. */
  readonly promptLength: number;
  /** [T] positions of the chosen tokens. */
  readonly actions: Int32Array;
  /** [T] 1 where a retrieval could be chosen. */
  readonly mayRetrieve: Uint8Array;
  /** [T] log-probability of each choice under the policy that made it, in nats. */
  readonly behaviorLogProbs: Float32Array;
  /** [T] probability of a retrieval at each choice: the gate. */
  readonly retrieveProbs: Float32Array;
  /** In order. */
  readonly retrievals: readonly TrajectoryRetrieval[];
  /** The answer; undefined if none was given. */
  readonly answer: string | undefined;
  /** Whether it was cut off because it became too long. */
  readonly isTruncated: boolean;
  /** Whether it has one answer, nothing after it, and no blank answer. */
  readonly isWellFormed: boolean;
}

/** A trajectory as rewards see it. */
export function outcomeOf(trajectory: Trajectory): EpisodeOutcome {
  const { answer, question, retrievals, isWellFormed } = trajectory;
  return { answer, accepted: question.answers, retrievals: retrievals.length, isWellFormed };
}
