import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Dataset, Query } from "../../../src/data/mod.ts";
import { DataError } from "../../../src/errors.ts";
import {
  BASELINES,
  evaluateIndex,
  formatEvaluation,
  rankWithBm25,
  rankWithIndex,
} from "../../../src/recipe/evaluate_index.ts";
import { DocidSearcher } from "../../../src/retriever/searcher.ts";
import type { HostTensors } from "../../../src/runtime/executor.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";

const ask = (query: string, ...docIds: string[]): Query => ({
  queryId: query,
  query,
  docIds,
  answers: [],
});

const dataset: Dataset = {
  documents: [
    { docId: "cat", title: "Cats", text: "They purr and they chase mice." },
    { docId: "dog", title: "Dogs", text: "They bark and they chase cats." },
    { docId: "owl", title: "Owls", text: "They hunt mice by night." },
    { docId: "eel", title: "", text: "Slippery." },
  ],
  queries: {
    train: [ask("Which feline is it?", "cat"), ask("What hoots?", "owl")],
    dev: [
      ask("feline", "cat"),
      ask("chases", "cat", "dog"),
      ask("slippery", "eel"),
      ask("unicorn"),
      ask("night", "dog"),
    ],
    odd: [ask("unicorn")],
  },
};

/** Documents that the searcher answers each question with. */
const ANSWERS: Record<string, number[]> = {
  feline: [2, 0, 1],
  chases: [3, 1, 0],
  slippery: [3, 0, 1],
  unicorn: [0, 1, 2],
  night: [2, 3, 0],
};

const searcher = (): DocidSearcher =>
  new DocidSearcher({
    executable: {
      inputs: { inputIds: "int32", isToken: "float32" },
      outputs: ["doc", "logProb", "droppedMass"],
      run({ inputIds }): Promise<HostTensors> {
        const questions = [...inputIds.data] as number[], B = questions.length;
        const docs = questions.flatMap((q) => Object.values(ANSWERS)[q]);
        return Promise.resolve({
          doc: hostTensor("int32", Int32Array.from(docs), [B, 3]),
          logProb: hostTensor("float32", new Float32Array(3 * B), [B, 3]),
          droppedMass: hostTensor("float32", Float32Array.from(questions, (q) => q / 10), [B]),
        });
      },
      dispose: () => Promise.resolve(),
    },
    encode: (text) => [Object.keys(ANSWERS).indexOf(text)],
    padId: 0,
  });

Deno.test("ranks of an index: the best right document counts, a question without one does not", async () => {
  const { ranks, droppedMass } = await rankWithIndex(searcher(), dataset, {
    part: "dev",
    batchSize: 2,
  });
  assertEquals(ranks, [2, 2, 1, undefined, Infinity]);
  assert(Math.abs(droppedMass - 0.2) < 1e-6);
});

Deno.test("BM25 by words, by stems, and over documents with their training questions", () => {
  const ranks = rankWithBm25(dataset, "dev");
  // "chases" is a word of no document; its stem stands in cat and dog, and dog is no longer.
  assertEquals(ranks[BASELINES.words], [Infinity, Infinity, 1, undefined, Infinity]);
  assertEquals(ranks[BASELINES.stems], [Infinity, 1, 1, undefined, Infinity]);
  assertEquals(ranks[BASELINES.expanded], [1, 1, 1, undefined, Infinity]);
  const { dev } = dataset.queries;
  assertEquals(Object.keys(rankWithBm25({ ...dataset, queries: { dev } }, "dev")), [
    BASELINES.words,
    BASELINES.stems,
  ]);
});

Deno.test("an evaluation: rows by coverage, a sign test against each baseline", async () => {
  const options = { seed: 1, resamples: 50 };
  const evaluation = await evaluateIndex(searcher(), dataset, options);
  assertEquals([evaluation.part, evaluation.documents], ["dev", 4]);
  const figures = evaluation.systems[0].rows.map((row) => [
    row.group,
    row.questions,
    row.excluded,
    row.hitsAt1.value,
    row.hitsAt10.value,
    row.mrrAt10.value,
  ]);
  assertEquals(figures, [
    ["all", 4, 1, 0.25, 0.75, 0.5],
    ["with training questions", 2, 0, 0, 1, 0.5],
    ["without training questions", 2, 0, 0.5, 0.5, 0.5],
  ]);
  assertEquals(evaluation.systems.map(({ system }) => system), [
    "this index",
    ...Object.values(BASELINES),
  ]);
  const against = evaluation.systems.slice(1).map(({ indexAgainst: t }) => [t!.wins, t!.losses]);
  // Words: better at "feline" and "chases". Stems: better at the first, worse at the second.
  assertEquals(against, [[2, 0], [1, 1], [0, 2]]);
  assertEquals(evaluation.systems[0].indexAgainst, undefined);

  const table = formatEvaluation(evaluation).split("\n");
  assertStringIncludes(table[0], "Hits@1");
  assertStringIncludes(table[2], "this index");
  assertStringIncludes(table[2], ".250 [");
  assertStringIncludes(table.join("\n"), "against BM25, words: 2 better, 0 worse, p = 0.5000");
  assertStringIncludes(table.at(-1)!, "leaves 20.0 % of its probability");
});

Deno.test("a part without a question that could be right is refused, and the others are named", async () => {
  for (const part of ["odd", "test"]) {
    const error = await assertRejects(
      () => evaluateIndex(searcher(), dataset, { part, seed: 1 }),
      DataError,
      `Cannot evaluate on part "${part}"`,
    );
    assertStringIncludes(error.message, "train, dev, odd");
  }
});
