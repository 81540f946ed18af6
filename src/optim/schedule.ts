/** Learning-rate schedules as pure functions of the step. @module */
import { ConfigError, type ConfigProblem } from "../errors.ts";

/** Shape of a learning-rate curve after its warm-up. */
export type ScheduleKind = "linear" | "cosine" | "constant" | "inverseSqrt";

/** A learning-rate schedule: what the learning rate is multiplied with at each step. */
export interface ScheduleConfig {
  /** Shape of the curve after the warm-up. */
  kind: ScheduleKind;
  /** Steps over which the factor rises linearly from 0 to 1. Default 0. */
  warmupSteps?: number;
  /** Step at which `linear` and `cosine` reach `minFactor`, warm-up included. Required for them. */
  totalSteps?: number;
  /** Value that `linear` and `cosine` fall to, and that `inverseSqrt` never falls below. Default 0. */
  minFactor?: number;
  /** Steps after which `inverseSqrt` starts to fall noticeably. Default: the warm-up, else 10 000. */
  timescale?: number;
}

const isCount = (x: number): boolean => Number.isSafeInteger(x) && x >= 0;

function problemsOf(config: ScheduleConfig): ConfigProblem[] {
  const { kind, warmupSteps = 0, totalSteps, minFactor = 0, timescale } = config;
  const problems: ConfigProblem[] = [];
  const report = (key: string, message: string): unknown => problems.push({ key, message });
  if (!["linear", "cosine", "constant", "inverseSqrt"].includes(kind)) {
    report("kind", `"${kind}" is not one of linear, cosine, constant, inverseSqrt`);
  }
  if (!isCount(warmupSteps)) report("warmupSteps", `${warmupSteps} is not a whole number ≥ 0`);
  if (kind === "linear" || kind === "cosine") {
    if (totalSteps === undefined) report("totalSteps", `a ${kind} schedule needs its last step`);
    else if (!isCount(totalSteps) || totalSteps < warmupSteps) {
      report("totalSteps", `${totalSteps} is not a whole number ≥ warmupSteps (${warmupSteps})`);
    }
  }
  if (!(minFactor >= 0 && minFactor <= 1)) report("minFactor", `${minFactor} is not in [0, 1]`);
  if (timescale !== undefined && !(timescale > 0)) report("timescale", `${timescale} is not > 0`);
  return problems;
}

/**
 * What to multiply the learning rate with at `step`, counted from 0.
 *
 *   warm-up       w = step / warmupSteps
 *   linear        f = (total − step) / (total − warmup)
 *   cosine        f = ½ (1 + cos(π (step − warmup) / (total − warmup)))
 *   constant      f = 1
 *   inverseSqrt   f = √(timescale / (step − warmup + timescale))
 *
 * and for linear and cosine minFactor + (1 − minFactor) f.
 *
 * Source: `get_*_schedule_with_warmup` of transformers. Departures: after `totalSteps` the cosine
 * stays at its floor instead of rising again; `minFactor` is also understood by linear (scaled) and
 * inverseSqrt (a floor).
 *
 * @param config Which curve
 * @param step Steps already taken; the first update uses step 0
 * @throws {ConfigError} If the schedule contradicts itself; every problem at once
 * @example A tenth of the warm-up, its end, and the end of the cosine
 * ```ts
 * import { scheduleFactor } from "./schedule.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const cosine = { kind: "cosine", warmupSteps: 10, totalSteps: 100, minFactor: 0.02 } as const;
 * assertEquals(scheduleFactor(cosine, 1), 0.1);
 * assertEquals(scheduleFactor(cosine, 10), 1);
 * assertAlmostEquals(scheduleFactor(cosine, 100), 0.02);
 * ```
 */
export function scheduleFactor(config: ScheduleConfig, step: number): number {
  const problems = problemsOf(config);
  if (problems.length) throw new ConfigError(problems);
  const { kind, warmupSteps = 0, totalSteps = 0, minFactor = 0 } = config;
  if (step < warmupSteps) return step / warmupSteps;
  if (kind === "constant") return 1;
  if (kind === "inverseSqrt") {
    const timescale = config.timescale ?? (warmupSteps || 10_000);
    return Math.max(minFactor, 1 / Math.sqrt((step - warmupSteps + timescale) / timescale));
  }
  const left = Math.max(0, totalSteps - step) / Math.max(1, totalSteps - warmupSteps);
  const factor = kind === "linear" ? left : 0.5 * (1 + Math.cos(Math.PI * (1 - left)));
  return minFactor + (1 - minFactor) * factor;
}
