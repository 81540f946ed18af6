/** The index over 100 real passages with people's questions: figures of three seeds, and their floor. */
import { assertGreater, assertGreaterOrEqual } from "@std/assert";
import { BASELINES } from "../../src/recipe/evaluate_index.ts";
import { reach, sharedCorpus, withFolder } from "./_journey.ts";

/** What three seeds must reach, each; docs/results.md has what they do reach. */
const FLOOR = 0.78;
const SEEDS = [1, 2, 3];

const path = sharedCorpus("squad_dsi_100", "an index over 100 passages of SQuAD");

const variants: Record<string, readonly string[]> = {
  "semantic docids": ["docid=semantic", "docid.base=16"],
  "atomic docids": ["docid=atomic"],
  "semantic docids, one vector a slot": ["docid=semantic", "docid.base=16", "model.head=tree"],
};

for (const [name, overrides] of Object.entries(variants)) {
  Deno.test({
    name: `squad_dsi_100, ${name}: Hits@1 of each seed is at least ${FLOOR}`,
    ignore: path === undefined,
    fn: () =>
      withFolder(async (folder) => {
        const reached = [];
        for (const seed of SEEDS) {
          reached.push(
            await reach(`squad_dsi_100, ${name}, seed ${seed}`, {
              folder,
              configName: "train/squad_dsi_100",
              overrides: [`data.path=${path}`, `seed=${seed}`, ...overrides],
            }),
          );
        }
        const bm25 = Object.entries(reached[0].rows).slice(1)
          .map(([system, { hitsAt1 }]) => `${system} ${hitsAt1.value.toFixed(3)}`);
        const mean = reached.reduce((sum, { hitsAt1 }) => sum + hitsAt1, 0) / SEEDS.length;
        console.log(`mean Hits@1 ${mean.toFixed(3)}; ${bm25.join(", ")}`);
        for (const { hitsAt1 } of reached) assertGreaterOrEqual(hitsAt1, FLOOR);
        // The floor lies below keyword search, from which the index starts: training must add to it.
        const start = reached[0].rows[BASELINES.stems].hitsAt1.value;
        if (!overrides.includes("model.head=tree")) assertGreater(mean, start);
      }),
  });
}
