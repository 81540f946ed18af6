/**
 * Control: with labels shuffled across documents nothing can be learnt about the right ones, so what is
 * left is chance. An index that beats it would have read its answers somewhere else.
 */
import { assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { reach, type Reached, sharedCorpus, withFolder } from "./_journey.ts";

/** Chance is 0.003 on 300 documents and 0.01 on 100, which one lucky question lifts by 0.014. */
const CHANCE = 0.05;

/** What the same training reaches with the right labels: nothing but them tells it the documents. */
const LEARNT = 0.3;

const WITHOUT_HELP = ["model.init=random", "training.distill.weight=0"];

async function assertControlled(
  what: string,
  overrides: readonly string[],
  configName?: string,
): Promise<void> {
  await withFolder(async (folder) => {
    const run = (name: string, more: readonly string[] = []): Promise<Reached> =>
      reach(`${what}, ${name}`, {
        folder,
        configName,
        overrides: [...overrides, ...WITHOUT_HELP, ...more],
      });
    const right = await run("right labels");
    const shuffled = await run("shuffled labels", ["training.shuffle_labels=true"]);
    assertLessOrEqual(shuffled.hitsAt1, CHANCE);
    assertGreaterOrEqual(right.hitsAt1, LEARNT);
  });
}

Deno.test("300 generated documents: shuffled labels end at chance, right ones far above", () =>
  assertControlled("synthetic", [
    "data=synthetic",
    "data.documents=300",
    "model=dsi_tiny",
    "training.max_steps=150",
    "training.batch_size=256",
    "training.eval_every=0",
  ]));

const path = sharedCorpus("squad_dsi_100", "the control on 100 passages of SQuAD");

Deno.test({
  name: "100 passages of SQuAD: shuffled labels end at chance, right ones far above",
  ignore: path === undefined,
  fn: () =>
    assertControlled(
      "squad_dsi_100",
      [`data.path=${path}`, "training.eval_every=0"],
      "train/squad_dsi_100",
    ),
});
