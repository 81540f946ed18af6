/** Names within a run of joint training. @module */
import { RUN_FILES } from "./run_files.ts";

/** Files of a run of joint training besides those of an agent's run. */
export const JOINT_FILES = {
  /** The index. */
  model: RUN_FILES.model,
  /** The index as it was before joint training, what a frozen one would be. */
  before: "index",
  indexCheckpoints: "checkpoints/index",
  jointCheckpoints: "checkpoints/joint_index",
} as const;
