/** Whole runs over a few generated documents, done in a moment. */
import { join } from "@std/path";
import { composeConfig, type ResolvedConfig } from "../../../src/config/mod.ts";
import type { Dataset } from "../../../src/data/mod.ts";
import { loadDataset } from "../../../src/recipe/load_dataset.ts";
import {
  trainDsi,
  type TrainDsiOptions,
  type TrainDsiResult,
} from "../../../src/recipe/train_dsi.ts";

/** Documents of a tiny run. */
export const DOCUMENTS = 24;

/** Overrides that make a run tiny. */
export const tinyOverrides: readonly string[] = [
  "data=synthetic",
  `data.documents=${DOCUMENTS}`,
  "data.train_questions=3",
  "data.dev_questions=1",
  "model=dsi_tiny",
  "docid.base=4",
  "docid.lsa_dimensions=8",
  "training.max_steps=4",
  "training.batch_size=16",
  "training.log_every=2",
  "training.checkpoint_every=2",
  "training.eval_every=0",
  "evaluation.bootstrap_samples=20",
  "device.threads=1",
];

/** A tiny T5 besides. */
export const tinyT5: readonly string[] = [
  "model=t5_tiny",
  "model.vocab_size=400",
  "model.d_model=16",
  "model.d_ff=16",
  "model.d_kv=8",
  "model.num_heads=2",
  "model.num_layers=1",
  "model.num_decoder_layers=1",
  "training.batch_size=4",
];

/** The configuration of a tiny run in a folder. */
export function tinyConfig(dir: string, overrides: readonly string[] = []): ResolvedConfig {
  return composeConfig({
    overrides: [...tinyOverrides, `output.dir=${dir}`, ...overrides],
  });
}

/** A tiny run, trained into `<folder>/run`. */
export async function trainTiny(
  folder: string,
  overrides: readonly string[] = [],
  options: TrainDsiOptions & { dataset?: Dataset } = {},
): Promise<TrainDsiResult & { dataset: Dataset; config: ResolvedConfig }> {
  const config = tinyConfig(join(folder, "run"), overrides);
  const dataset = options.dataset ?? await loadDataset(config.data, config.seed);
  return { ...await trainDsi(dataset, config, options), dataset, config };
}
