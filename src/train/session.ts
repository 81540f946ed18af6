/** What training loops have in common: where they go on from, and why they end. @module */
import { CheckpointError } from "../errors.ts";
import { latestCheckpoint, type Optimizer } from "../runtime/mod.ts";
import type { ProgressReporter } from "./progress.ts";

/** Where checkpoints go. */
export interface CheckpointPlan {
  /** Their folder. */
  readonly folder: string;
  /** Steps between them; 0 for one at the end only. */
  readonly every: number;
  /** How many of the latest to keep besides the best. */
  readonly keepLast: number;
  /** Start from the latest one. */
  readonly resume?: boolean;
  /** What the parameters mean, such as a checksum of tokenizer and docids: resuming needs the same. */
  readonly identity?: string;
}

/** How training ended: all steps were done, the time was up, or the signal came. */
export type Ending = "finished" | "time" | "interrupted";

/** What {@linkcode endingOf} looks at. */
export interface SessionClock {
  /** Steps done. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Seconds of training over all sessions. */
  readonly seconds: number;
  /** End after this much time even if steps are left. */
  readonly maxMinutes?: number;
  /** Ends the training when it is aborted. */
  readonly signal?: AbortSignal;
}

/** Why training ends now; undefined if it goes on. */
export function endingOf(clock: SessionClock): Ending | undefined {
  const { step, steps, seconds, maxMinutes, signal } = clock;
  if (step >= steps) return "finished";
  if (signal?.aborted) return "interrupted";
  return maxMinutes !== undefined && seconds > maxMinutes * 60 ? "time" : undefined;
}

/** What {@linkcode resumeFrom} needs to know of a loop. */
export interface ResumeOptions<State> {
  /** Receives parameters and optimiser state. */
  readonly optimizer: Optimizer;
  /** Seed of the run. */
  readonly seed: number;
  /** What a step is called. */
  readonly unit: "step" | "iteration";
  /** Who writes such checkpoints, as in "it was not written by …". */
  readonly writer: string;
  /** What has to be the same, as in "it belongs to other …". */
  readonly belongings: string;
  /** Whether a saved state is one of this loop. */
  isOwn(state: Partial<State>): boolean;
  /** Is told what was found. */
  readonly progress: ProgressReporter;
}

/**
 * Go on from the latest checkpoint.
 *
 * @returns The step and what the loop saved; undefined if there is no checkpoint yet
 * @throws {CheckpointError} If none of them is complete, or the latest belongs to another run
 */
export async function resumeFrom<State extends { readonly identity?: string }>(
  { folder, identity }: CheckpointPlan,
  options: ResumeOptions<State>,
): Promise<{ step: number; state: State } | undefined> {
  const { optimizer, seed, unit, writer, belongings, isOwn, progress } = options;
  const { checkpoint, skipped } = await latestCheckpoint(folder);
  for (const { path, reason } of skipped) progress.message(`left aside ${path}: ${reason}`);
  if (!checkpoint) {
    // Killed before the first checkpoint: the beginning is where it stood.
    progress.message(`no checkpoint in ${folder} yet: starting at ${unit} 0`);
    return undefined;
  }
  const { manifest, path } = checkpoint, state = manifest.state as unknown as State | undefined;
  const problem = !state || !isOwn(state)
    ? `it was not written by ${writer}`
    : manifest.seed !== seed
    ? `its run has seed=${manifest.seed}, not ${seed}`
    : state.identity !== identity
    ? `it belongs to other ${belongings}. Resume with those that the run was started with`
    : undefined;
  if (problem) throw new CheckpointError(`Cannot resume from ${path}: ${problem}`);
  await checkpoint.restore(optimizer);
  progress.message(`resumed at ${unit} ${manifest.step} from ${path}`);
  return { step: manifest.step, state: state! };
}
