/** Optimisers over flat vectors, gradient clipping and learning-rate schedules. @module */
export { adafactor, type AdafactorOptions } from "./adafactor.ts";
export { adamw, type AdamwOptions } from "./adamw.ts";
export { clipFactor } from "./clip.ts";
export type { OptimizerRule, RuleUpdate } from "./rule.ts";
export { type ScheduleConfig, scheduleFactor, type ScheduleKind } from "./schedule.ts";
export { type Layout, layoutOf, type Segment } from "./segment.ts";
export { sgd } from "./sgd.ts";
export {
  type AdamwScalars,
  MAX_VECTOR_FLOATS,
  paddedLength,
  VectorMemory,
} from "./vector_memory.ts";
