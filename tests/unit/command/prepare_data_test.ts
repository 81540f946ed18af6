import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { loadDataset } from "../../../src/recipe/load_dataset.ts";
import { runCli } from "../../../src/command/run_cli.ts";
import { composeConfig } from "../../../src/config/mod.ts";
import { type Dataset, DocumentStore, readDataset, writeDataset } from "../../../src/data/mod.ts";
import { withFolder } from "../../with_folder.ts";
import { fakeIo } from "./fake_io.ts";

async function prepare(
  ...overrides: string[]
): Promise<{ code: number; out: string; err: string }> {
  const io = fakeIo();
  const code = await runCli(["prepare-data", ...overrides], { io });
  return { code, out: io.outLines.join("\n"), err: io.errLines.join("\n") };
}

const ask = (queryId: string, ...docIds: string[]): Dataset["queries"][string][number] => ({
  queryId,
  query: `Question ${queryId}?`,
  docIds,
  answers: [],
});

const small: Dataset = {
  documents: ["a", "b", "c"].map((docId) => ({ docId, title: "", text: `Text of ${docId}.` })),
  queries: {
    train: [ask("1", "a"), ask("2", "c"), ask("3")],
    dev: [ask("4", "b", "c")],
    test: [ask("5", "c"), ask("6", "a")],
  },
};

Deno.test("a synthetic dataset is written, stored, described and read back", () =>
  withFolder(async (root) => {
    const folder = join(root, "out");
    const run = await prepare("data.documents=40", `output.dir=${folder}`);
    assertEquals([run.code, run.err], [0, ""]);
    assertStringIncludes(run.out, "40 documents");
    assertStringIncludes(run.out, `data.path=${folder}`);
    const { documents, queries } = await readDataset(folder);
    assertEquals(documents.length, 40);
    assertEquals(Object.keys(queries).sort(), ["dev", "train"]);
    using store = DocumentStore.open(join(folder, "documents.sqlite"));
    assertEquals(store.count, 40);
    assertEquals(store.get(7)?.docId, documents[7].docId);
    const statistics = JSON.parse(await Deno.readTextFile(join(folder, "statistics.json")));
    assertEquals(statistics.documents, 40);
    assertEquals(statistics.fingerprint, store.fingerprint);
  }));

Deno.test("the same again is fine; other documents need --force", () =>
  withFolder(async (folder) => {
    const args = ["data.documents=20", `output.dir=${folder}`];
    assertEquals((await prepare(...args)).code, 0);
    assertEquals((await prepare(...args)).code, 0);
    const refused = await prepare(...args, "seed=2");
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.err, "--force");
    const before = await readDataset(folder);
    assertEquals((await prepare(...args, "seed=2", "--force")).code, 0);
    assert((await readDataset(folder)).documents[0].text !== before.documents[0].text);
    using store = DocumentStore.open(join(folder, "documents.sqlite"));
    assertEquals(store.count, 20);
  }));

Deno.test("bad data is reported with file and line, and nothing is written", () =>
  withFolder(async (root) => {
    const bad = join(root, "bad"), out = join(root, "out");
    await Deno.mkdir(bad);
    await Deno.writeTextFile(join(bad, "docs.jsonl"), '{"doc_id": 5, "title": "", "text": "x"}\n');
    const run = await prepare("data=jsonl", `data.path=${bad}`, `output.dir=${out}`);
    assertEquals([run.code, run.out], [2, ""]);
    assertStringIncludes(run.err, "docs.jsonl:1");
    assert(await Deno.stat(out).then(() => false, () => true), "no output folder");
  }));

Deno.test("parts are named by the configuration, limits keep questions that still have a document", () =>
  withFolder(async (folder) => {
    await writeDataset(folder, small);
    const load = (...overrides: string[]): Promise<Dataset> => {
      const all = ["data=jsonl", `data.path=${folder}`, ...overrides];
      return loadDataset(composeConfig({ overrides: all }).data, 1);
    };
    const ids = ({ queries }: Dataset): Record<string, string[]> =>
      Object.fromEntries(
        Object.entries(queries).map(([part, all]) => [part, all.map((q) => q.queryId)]),
      );
    assertEquals(ids(await load()), { train: ["1", "2", "3"], dev: ["4"], test: ["5", "6"] });
    assertEquals(ids(await load("data.dev_part=test")), {
      train: ["1", "2", "3"],
      dev: ["5", "6"],
    });
    const cut = await load("data.max_documents=2");
    assertEquals(cut.documents.map(({ docId }) => docId), ["a", "b"]);
    assertEquals(ids(cut), { train: ["1", "3"], dev: ["4"], test: ["6"] });
    assertEquals(cut.queries.dev[0].docIds, ["b"]);
    assertEquals(ids(await load("data.max_queries=1")), { train: ["1"], dev: ["4"], test: ["5"] });
    const missing = await prepare(
      "data=jsonl",
      `data.path=${folder}`,
      "data.dev_part=vald",
      `output.dir=${folder}/x`,
    );
    assertEquals(missing.code, 2);
    assertStringIncludes(missing.err, 'Cannot use part "vald"');
  }));

const squad = new URL("../../../../shared/data/squad_dsi_100/", import.meta.url);
const hasSquad = await Deno.stat(squad).then(() => true, () => false);
if (!hasSquad) {
  console.log("skipped: prepare-data on squad_dsi_100, which is not in ../shared/data");
}

Deno.test({
  name: "real documents are prepared with the counts of their README",
  ignore: !hasSquad,
  fn: () =>
    withFolder(async (root) => {
      const run = await prepare(
        "data=jsonl",
        `data.path=${squad.pathname}`,
        `output.dir=${root}/out`,
        "--json",
      );
      const { documents, parts } = JSON.parse(run.out);
      assertEquals([documents, parts.train.questions, parts.dev.questions], [100, 347, 69]);
    }),
});
