/** Names within a run of joint training. @module */
import { join } from "@std/path";
import { isThere } from "../data/mod.ts";
import { INDEX_FILES } from "./index_folder.ts";
import { RUN_FILES } from "./run_files.ts";
import type { RunLocation } from "./run_folder.ts";

/** Files of a run of joint training besides those of an agent's run. */
export const JOINT_FILES = {
  /** The index. */
  model: RUN_FILES.model,
  /** The index as it was before joint training, what a frozen one would be. */
  before: "index",
  indexCheckpoints: "checkpoints/index",
  jointCheckpoints: "checkpoints/joint_index",
} as const;

/** Whether a run of joint training has got as far as its first index. */
export function isJointRun(run: RunLocation): Promise<boolean> {
  return isThere(run.file(join(JOINT_FILES.before, INDEX_FILES.weights)));
}
