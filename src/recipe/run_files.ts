/** What else a run holds. @module */

/** Files of a run besides those of `RunFolder`. */
export const RUN_FILES = {
  model: "model",
  checkpoints: "checkpoints",
  documents: "documents.sqlite",
  evaluation: "evaluation.json",
} as const;
