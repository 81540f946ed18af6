/** Whole runs of an agent in a world of thirty entities, done in seconds. */
import { join } from "@std/path";
import { composeConfig, type ResolvedConfig } from "../../../src/config/mod.ts";
import { type Dataset, writeDataset } from "../../../src/data/mod.ts";
import {
  trainAgent,
  type TrainAgentOptions,
  type TrainAgentResult,
} from "../../../src/recipe/train_agent.ts";
import { DOCUMENTS, QUESTIONS } from "../agent/_tiny_agent.ts";

/** Overrides that make an agent's run tiny. */
export const tinyAgentOverrides: readonly string[] = [
  "data=world",
  "data.world.entities=30",
  "data.world.dev_questions=12",
  "agent.policy.vocab_size=400",
  "agent.policy.width=16",
  "agent.policy.inner_width=16",
  "agent.policy.layers=1",
  "agent.policy.heads=2",
  "agent.warm_start.steps=60",
  "agent.warm_start.batch_size=8",
  "agent.warm_start.learning_rate=0.02",
  "agent.iterations=4",
  "agent.questions=4",
  "agent.group_size=2",
  "agent.slots=8",
  "agent.eval_every=2",
  "agent.checkpoint_every=1",
  "agent.trajectories_every=2",
  "evaluation.bootstrap_samples=20",
  "device.threads=1",
];

/** Overrides for data in a folder and a policy that reads a few words. */
export const folderOverrides = (data: string): string[] => [
  "data=jsonl",
  `data.path=${data}`,
  "agent.warm_start.steps=2",
  "agent.warm_start.batch_size=4",
  "agent.iterations=1",
  "agent.questions=2",
];

/** Documents about otters and herons with questions, in a folder. */
export async function writeTinyDataset(
  folder: string,
  over: Partial<Dataset> = {},
): Promise<string> {
  await writeDataset(folder, {
    documents: DOCUMENTS,
    queries: { train: QUESTIONS, dev: QUESTIONS.slice(1, 4) },
    ...over,
  });
  return folder;
}

/** The configuration of a tiny run in `<folder>/agent`. */
export function tinyAgentConfig(
  folder: string,
  overrides: readonly string[] = [],
): ResolvedConfig {
  return composeConfig({
    configName: "train/agent_grpo",
    overrides: [...tinyAgentOverrides, `output.dir=${join(folder, "agent")}`, ...overrides],
  });
}

/** A tiny run, trained into `<folder>/agent`. */
export async function trainTinyAgent(
  folder: string,
  overrides: readonly string[] = [],
  options: TrainAgentOptions = {},
): Promise<TrainAgentResult & { config: ResolvedConfig }> {
  const config = tinyAgentConfig(folder, overrides);
  return { ...await trainAgent(config, options), config };
}
