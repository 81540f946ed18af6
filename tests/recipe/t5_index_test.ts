/** A transformer trained from scratch to generate docids digit by digit. */
import { assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { exportIndex } from "../../src/recipe/export_index.ts";
import { loadIndex } from "../../src/recipe/index_folder.ts";
import { openIndex } from "../../src/recipe/open_index.ts";
import { loadDataset } from "../../src/recipe/load_dataset.ts";
import { composeConfig } from "../../src/config/mod.ts";
import { reach, withFolder } from "./_journey.ts";

/** 80 questions about 40 documents: chance is 0.025. */
const FLOOR = 0.4, CONTROL = 0.15;

const TRAIN = [
  "data=synthetic",
  "data.documents=40",
  "data.train_questions=12",
  "data.dev_questions=2",
  "data.without_training=0",
  "model=t5_tiny",
  "docid=semantic",
  "docid.base=8",
  "training.max_steps=300",
  "training.batch_size=64",
  "training.learning_rate=3e-3",
  "training.eval_every=0",
  "training.checkpoint_every=0",
];

Deno.test("a tiny T5 learns 40 documents; with shuffled labels it learns none of them", () =>
  withFolder(async (folder) => {
    const right = await reach("T5 over 40 documents, right labels", { folder, overrides: TRAIN });
    const shuffled = await reach("T5 over 40 documents, shuffled labels", {
      folder,
      overrides: [...TRAIN, "training.shuffle_labels=true"],
    });
    assertGreaterOrEqual(right.hitsAt1, FLOOR);
    assertLessOrEqual(shuffled.hitsAt1, CONTROL);

    // Its export answers every question as the trained model does.
    const { run } = right;
    await exportIndex(await loadIndex(run.file("model")), run.file("export"), { beam: 10 });
    await using exported = await openIndex(run);
    await using model = await openIndex(run, { source: "model" });
    assertEquals([exported.source, model.source], ["export", "model"]);
    const { data, seed } = composeConfig({ resolved: { text: run.config, origin: "run" } });
    const { queries } = await loadDataset(data, seed);
    const questions = queries.dev.map(({ query }) => query);
    const [ours, theirs] = [
      await exported.searcher.search(questions),
      await model.searcher.search(questions),
    ];
    const first = (results: typeof ours): number[] => results.map(({ hits }) => hits[0].doc);
    assertEquals(first(ours), first(theirs));
  }));
