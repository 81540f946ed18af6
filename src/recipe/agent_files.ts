/** Names within an agent's run. @module */
import { RUN_FILES } from "./run_files.ts";

/** Files of an agent's run besides those of `RunFolder`. */
export const AGENT_FILES = {
  /** The policy in Hugging Face layout. */
  policy: "policy",
  /** The policy after the warm start. */
  warmStart: "warm_start",
  warmCheckpoints: "checkpoints/warm_start",
  checkpoints: "checkpoints/policy",
  trajectories: "trajectories",
  documents: RUN_FILES.documents,
  evaluation: RUN_FILES.evaluation,
} as const;
