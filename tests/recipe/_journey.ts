/** Whole trainings, and what they reach. */
import { fromFileUrl, join } from "@std/path";
import { composeConfig } from "../../src/config/mod.ts";
import { loadDataset } from "../../src/recipe/load_dataset.ts";
import { trainDsi, type TrainDsiResult } from "../../src/recipe/train_dsi.ts";
import type { RetrievalRow } from "../../src/metric/mod.ts";

export { withFolder } from "../with_folder.ts";

/** The path of a shared corpus; `undefined`, with a line that says so, where it is not there. */
export function sharedCorpus(name: string, neededFor: string): string | undefined {
  const path = fromFileUrl(new URL(`../../../shared/data/${name}`, import.meta.url));
  try {
    if (Deno.statSync(join(path, "docs.jsonl")).isFile) return path;
  } catch {
    // Said below.
  }
  console.log(`skipped: ${neededFor} (no shared/data/${name})`);
  return undefined;
}

/** What a training reached on the questions that were held back. */
export interface Reached extends TrainDsiResult {
  readonly hitsAt1: number;
  readonly hitsAt10: number;
  /** All questions, for every system. */
  readonly rows: Readonly<Record<string, RetrievalRow>>;
  /** Wall clock, evaluation included. */
  readonly seconds: number;
}

/** Train and measure, in this process; prints one line of figures. */
export async function reach(
  what: string,
  options: { folder: string; configName?: string; overrides: readonly string[] },
): Promise<Reached> {
  const { folder, configName, overrides } = options;
  const dir = await Deno.makeTempDir({ dir: folder });
  const config = composeConfig({ configName, overrides: [...overrides, `output.dir=${dir}`] });
  const began = performance.now();
  const result = await trainDsi(await loadDataset(config.data, config.seed), config);
  const seconds = (performance.now() - began) / 1000;
  const systems = result.evaluation!.systems;
  const rows = Object.fromEntries(systems.map(({ system, rows }) => [system, rows[0]]));
  const { hitsAt1, hitsAt10, mrrAt10 } = systems[0].rows[0];
  const figures = [hitsAt1, hitsAt10, mrrAt10].map(({ value }) => value.toFixed(3)).join(" / ");
  console.log(`${what}: Hits@1 / @10 / MRR@10 ${figures} in ${seconds.toFixed(1)} s`);
  return { ...result, rows, seconds, hitsAt1: hitsAt1.value, hitsAt10: hitsAt10.value };
}
