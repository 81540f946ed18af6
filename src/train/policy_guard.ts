/** Watches a policy in training, and says when it should go back. @module */
import type { JsonValue } from "../runtime/mod.ts";

/** What the guard looks at after each iteration. */
export interface GuardedFigures {
  /** Mean return of the episodes, reward. */
  readonly return: number;
  /** Mean change of log π of right episodes by this iteration's steps, nats per action. */
  readonly correctLogProbChange: number;
  /** Divergence from the reference, nats per action. */
  readonly kl: number;
  /** Share of the episodes that were cut off. */
  readonly truncatedShare: number;
  /** Share of the episodes whose text repeats itself. */
  readonly degenerateShare: number;
  /** Were all gradients finite? */
  readonly isFinite: boolean;
}

/** Limits of {@linkcode PolicyGuard}. */
export interface GuardLimits {
  /** Iterations in a row that must be over a limit. Default 3. */
  readonly patience?: number;
  /** Largest fall of the return below the best so far (both averaged), reward. Default 0.3. */
  readonly returnDrop?: number;
  /** Largest fall of the log-probability of right episodes in one iteration, nats per action. Default 0.3. */
  readonly displacement?: number;
  /** Largest divergence from the reference, nats per action. Default 10. */
  readonly kl?: number;
  /** Largest share of episodes that are cut off or repeat themselves. Default 0.5. */
  readonly brokenShare?: number;
}

/** An alarm. */
export interface GuardAlarm {
  /** What is wrong, with numbers. */
  readonly reason: string;
}

/** Weight of the newest return in its running average. */
const RATE = 0.3;

/**
 * Looks for what policy optimisation is known to do when it goes wrong: the likelihood of right episodes
 * falls although they are rewarded (likelihood displacement; Razin et al. 2025), the return collapses,
 * the policy drifts off, or it writes without end. One bad iteration is noise; several in a row are an
 * alarm.
 *
 * @example
 * ```ts
 * import { PolicyGuard } from "./policy_guard.ts";
 * import { assertEquals } from "@std/assert";
 * const guard = new PolicyGuard({ patience: 2, returnDrop: 0.1 });
 * const figures = { correctLogProbChange: 0, kl: 0, truncatedShare: 0, degenerateShare: 0,
 *   isFinite: true };
 * assertEquals(guard.observe({ ...figures, return: 0.9 }), undefined);
 * assertEquals(guard.observe({ ...figures, return: 0 }), undefined);
 * assertEquals(guard.isHealthy, false);
 * assertEquals(guard.observe({ ...figures, return: 0 })?.reason.includes("return"), true);
 * ```
 */
export class PolicyGuard {
  readonly #limits: Required<GuardLimits>;
  #average: number | undefined;
  #best = -Infinity;
  #streak = 0;

  /** A guard that has seen nothing. */
  constructor(limits: GuardLimits = {}) {
    this.#limits = {
      patience: 3,
      returnDrop: 0.3,
      displacement: 0.3,
      kl: 10,
      brokenShare: 0.5,
      ...limits,
    };
  }

  /** Whether the last iteration was within all limits: only then a state is worth keeping. */
  get isHealthy(): boolean {
    return this.#streak === 0;
  }

  /**
   * Look at an iteration.
   *
   * @returns An alarm, after which the guard starts to look anew; undefined if there is none
   */
  observe(figures: GuardedFigures): GuardAlarm | undefined {
    const { patience } = this.#limits;
    this.#average = this.#average === undefined
      ? figures.return
      : (1 - RATE) * this.#average + RATE * figures.return;
    const problem = this.#problemOf(figures, this.#average);
    this.#best = Math.max(this.#best, this.#average);
    this.#streak = problem ? this.#streak + 1 : 0;
    if (!problem || (this.#streak < patience && figures.isFinite)) return undefined;
    this.#streak = 0;
    this.#average = undefined;
    this.#best = -Infinity;
    return { reason: problem };
  }

  #problemOf(figures: GuardedFigures, average: number): string | undefined {
    const { returnDrop, displacement, kl, brokenShare } = this.#limits;
    const show = (x: number): string => x.toPrecision(3);
    if (!figures.isFinite) return "a gradient is not finite";
    if (average < this.#best - returnDrop) {
      return `the return fell from ${show(this.#best)} to ${show(average)}`;
    }
    if (figures.correctLogProbChange < -displacement) {
      return `right episodes become less likely: log π changed by ` +
        `${show(figures.correctLogProbChange)} nats per action in one iteration`;
    }
    if (figures.kl > kl) {
      return `the policy is ${show(figures.kl)} nats per action away from its reference`;
    }
    if (figures.truncatedShare > brokenShare) {
      return `${show(figures.truncatedShare)} of the episodes were cut off`;
    }
    if (figures.degenerateShare > brokenShare) {
      return `${show(figures.degenerateShare)} of the episodes repeat themselves`;
    }
    return undefined;
  }

  /** What a checkpoint has to hold. */
  get state(): JsonValue {
    return {
      average: this.#average ?? null,
      best: Number.isFinite(this.#best) ? this.#best : null,
      streak: this.#streak,
    };
  }

  /** Go on from a checkpoint's state. */
  restore(state: JsonValue): void {
    const { average, best, streak } = state as Record<string, number | null>;
    this.#average = average ?? undefined;
    this.#best = best ?? -Infinity;
    this.#streak = streak ?? 0;
  }
}
