import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { DocumentStore } from "../../../src/data/mod.ts";
import { CheckpointError, DataError, KernelError } from "../../../src/errors.ts";
import { exportIndex } from "../../../src/recipe/export_index.ts";
import { loadIndex } from "../../../src/recipe/index_folder.ts";
import {
  findTrainedRun,
  openIndex,
  type OpenIndexOptions,
  searcherOfExport,
} from "../../../src/recipe/open_index.ts";
import { prepareRetriever } from "../../../src/recipe/prepare_agent.ts";
import { createRunFolder, type RunFolder } from "../../../src/recipe/run_folder.ts";
import { eagerExecutor } from "../../../src/runtime/mod.ts";
import { withFolder } from "../../with_folder.ts";
import { testUnusable } from "../runtime/unusable_provider.ts";
import { DOCUMENTS, trainTiny } from "./_tiny_run.ts";

/** Who answers, and how many documents. */
async function answer(run: RunFolder, options?: OpenIndexOptions): Promise<[string, number]> {
  await using index = await openIndex(run, options);
  const { documents } = await index.search("Who was it?");
  return [index.source, documents.length];
}

Deno.test("the export answers, unless it is older, too small, or not wanted", () =>
  withFolder(async (root) => {
    const { run } = await trainTiny(root);
    assertEquals(await answer(run), ["model", 10]);
    assertEquals(await answer(run, { beam: 3, executor: eagerExecutor("cpu") }), ["model", 3]);
    const folder = run.file("export");
    await exportIndex(await loadIndex(run.file("model")), folder, { beam: 6, verify: false });
    assertEquals(await answer(run), ["export", 6]);
    assertEquals(await answer(run, { source: "model" }), ["model", 10]);
    assertEquals(await answer(run, { beam: 12, atLeast: 6 }), ["export", 6]);
    assertEquals(await answer(run, { beam: 12, atLeast: 7 }), ["model", 12]);
    // Trained further since.
    const soon = new Date(Date.now() + 5000);
    await Deno.utime(run.file(join("model", "model.safetensors")), soon, soon);
    assertEquals(await answer(run), ["model", 10]);
    await Deno.utime(join(folder, "search.onnx"), soon, soon);
    assertEquals(await answer(run), ["export", 6]);
    // All documents there are is enough.
    await exportIndex(await loadIndex(run.file("model")), folder, { beam: 200, verify: false });
    await Deno.utime(join(folder, "search.onnx"), soon, soon);
    assertEquals(await answer(run, { atLeast: 500 }), ["export", DOCUMENTS]);
  }));

testUnusable(
  "model and export are opened on the provider that is asked for, by a retriever too",
  (provider) =>
    withFolder(async (root) => {
      const { run, dataset } = await trainTiny(root);
      const onnx = { provider, providerFallback: "error" } as const;
      const config = { retriever: "index", index: run.path, noise: 0, title_weight: 1 } as const;
      const refused = async (): Promise<void> => {
        await assertRejects(() => openIndex(run, { onnx }), KernelError, `provider ${provider}`);
        await assertRejects(
          () => prepareRetriever(config, dataset.documents, { onnx }),
          KernelError,
          `provider ${provider}`,
        );
      };
      await refused();
      const index = await loadIndex(run.file("model"));
      await exportIndex(index, run.file("export"), { beam: 20, verify: false });
      await refused();
      await using opened = await openIndex(run);
      assertEquals([opened.source, opened.searcher.provider], ["export", "cpu"]);
    }),
);

Deno.test("answers are documents of the run with their probabilities, best first", () =>
  withFolder(async (root) => {
    const { run, dataset } = await trainTiny(root);
    await using index = await openIndex(run, { beam: DOCUMENTS });
    const { title, docId } = dataset.documents[7];
    const { documents, droppedMass } = await index.search(title);
    assertEquals(documents.length, DOCUMENTS);
    assertEquals(documents[0].docId, docId);
    documents.forEach(({ probability, logProb }, i) => {
      assertEquals(probability, Math.exp(logProb));
      assert(i === 0 || logProb <= documents[i - 1].logProb);
    });
    const total = documents.reduce((sum, { probability }) => sum + probability, 0);
    assert(Math.abs(total - 1) < 1e-4 && droppedMass < 1e-4);
    await assertRejects(() => index.search("  "), DataError, "blank");
  }));

Deno.test("a run whose documents are gone or others is refused, and nothing is left open", () =>
  withFolder(async (root) => {
    const { run, dataset } = await trainTiny(root);
    const path = run.file("documents.sqlite");
    await Deno.rename(path, `${path}.aside`);
    await assertRejects(() => openIndex(run), CheckpointError, "documents.sqlite is not there");
    assertEquals(await Deno.stat(path).then(() => true, () => false), false);
    {
      using store = DocumentStore.open(path);
      store.put(dataset.documents.slice(2));
    }
    await assertRejects(
      () => openIndex(run),
      CheckpointError,
      "over 24 documents, documents.sqlite holds 22",
    );
    await Deno.rename(`${path}.aside`, path);
    await Deno.remove(run.file(join("model", "tokenizer.json")));
    await assertRejects(() => openIndex(run), CheckpointError, "there is no tokenizer.json");
    if (Deno.build.os !== "linux") return;
    const open = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`);
      } catch {
        return ""; // the listing itself is one of them
      }
    });
    assertEquals(open.filter((file) => file.startsWith(Deno.realPathSync(root))), []);
  }));

Deno.test("an export that lacks a file says which, and what to do", () =>
  withFolder(async (root) => {
    const { run } = await trainTiny(root);
    const folder = run.file("export");
    for (const name of ["tokenizer.json", "tokenizer_config.json", "search.onnx"]) {
      await exportIndex(await loadIndex(run.file("model")), folder, { beam: 6, verify: false });
      await Deno.remove(join(folder, name));
      const { message } = await assertRejects(() => searcherOfExport(folder));
      assertStringIncludes(message, name);
    }
    await exportIndex(await loadIndex(run.file("model")), folder, { beam: 6, verify: false });
    await Deno.writeTextFile(join(folder, "config.json"), "{");
    await assertRejects(() => openIndex(run), CheckpointError, "Export it again");
  }));

Deno.test("a run that is not trained, or not there, is named with the remedy", () =>
  withFolder(async (root) => {
    const path = join(root, "run");
    await assertRejects(() => findTrainedRun(path), CheckpointError, "there is no such folder");
    await createRunFolder({ config: "seed: 1\n", dir: path });
    await assertRejects(
      () => findTrainedRun(path),
      CheckpointError,
      `Finish it with train-dsi training.resume=${path}`,
    );
    await Deno.mkdir(join(path, "model"));
    await Deno.writeTextFile(join(path, "model", "model.safetensors"), "");
    assertEquals((await findTrainedRun(path)).path, path);
  }));
