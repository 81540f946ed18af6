import * as tf from "@tensorflow/tfjs-core";
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { DataError, TraceError } from "../../../src/errors.ts";
import { EXPORT_FILES, exportIndex } from "../../../src/recipe/export_index.ts";
import { type LoadedIndex, loadIndex } from "../../../src/recipe/index_folder.ts";
import { searcherOfExport } from "../../../src/recipe/open_index.ts";
import { verifyExport } from "../../../src/recipe/verify_export.ts";
import { searchProgram } from "../../../src/retriever/program.ts";
import { DocidSearcher } from "../../../src/retriever/searcher.ts";
import { onnxExecutor } from "../../../src/runtime/onnx_executor.ts";
import type { HostTensor } from "../../../src/tensor/host_tensor.ts";
import { withFolder } from "../../with_folder.ts";
import { tinyT5, trainTiny } from "./_tiny_run.ts";

/** The same float32 program, recorded with vendor operators and without. */
const LOG_PROB = 1e-5;

function parametersOf({ specs, tensors }: LoadedIndex): Record<string, HostTensor> {
  return Object.fromEntries(Object.keys(specs).map((name) => [name, tensors[name]]));
}

/** A searcher that records the loaded model in this process. */
async function inMemory(index: LoadedIndex, beam: number): Promise<DocidSearcher> {
  const { scorer, trie, specs, tokenizer } = index;
  const program = searchProgram(scorer, trie, { params: specs, beam });
  return new DocidSearcher({
    executable: await onnxExecutor({ threads: 1 }).compile(program, {
      constants: parametersOf(index),
    }),
    encode: (text) => tokenizer.encode(text),
    padId: tokenizer.padId ?? 0,
  });
}

for (
  const [name, overrides] of Object.entries({
    "leaf": ["model.head=leaf"],
    "tree": ["model.head=tree", "docid=naive"],
    "T5": [...tinyT5, "training.max_steps=1", "docid.base=8"],
  })
) {
  Deno.test(`an export answers as the model in memory does, with standard operators: ${name}`, () =>
    withFolder(async (root) => {
      const { run, dataset } = await trainTiny(root, overrides);
      const index = await loadIndex(run.file("model"));
      const folder = join(root, "export");
      const { files, verification } = await exportIndex(index, folder, {
        beam: 7,
        documents: dataset.documents,
      });
      assertEquals(verification!.map(({ output }) => output), ["doc", "logProb", "droppedMass"]);
      assert(verification!.every(({ relativeError }) => relativeError < LOG_PROB));
      const written = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
      assertEquals(files.map(({ name }) => name).sort(), written);
      assertEquals(written, [
        "config.json",
        "docids.json",
        "documents.json",
        "search.onnx",
        "tokenizer.json",
        "tokenizer_config.json",
      ]);
      for (const { name, sizeBytes } of files) {
        assertEquals((await Deno.stat(join(folder, name))).size, sizeBytes);
      }
      const graph = await Deno.readFile(join(folder, EXPORT_FILES.search));
      assert(!new TextDecoder("latin1").decode(graph).includes("com.microsoft"));
      const names = JSON.parse(await Deno.readTextFile(join(folder, "documents.json")));
      assertEquals(names[5], {
        doc_id: dataset.documents[5].docId,
        title: dataset.documents[5].title,
      });
      const config = JSON.parse(await Deno.readTextFile(join(folder, "config.json")));
      assertEquals(config, { ...index.modelConfig, search_beam: 7 });

      const questions = dataset.queries.dev.map(({ query }) => query);
      const [exported, memory] = [await searcherOfExport(folder), await inMemory(index, 7)];
      const expected = await memory.search(questions);
      (await exported.search(questions)).forEach(({ hits, droppedMass }, q) => {
        assertEquals(hits.map(({ doc }) => doc), expected[q].hits.map(({ doc }) => doc));
        hits.forEach(({ logProb }, k) =>
          assertAlmostEquals(logProb, expected[q].hits[k].logProb, LOG_PROB)
        );
        assertAlmostEquals(droppedMass, expected[q].droppedMass, LOG_PROB);
      });
      await exported.dispose();
      await memory.dispose();
    }));
}

/** Where `part` stands in `bytes`. */
function placeOf(bytes: Uint8Array, part: Uint8Array): number {
  const found = bytes.findIndex((_, at) => part.every((byte, i) => bytes[at + i] === byte));
  assert(found >= 0);
  return found;
}

Deno.test("a weight that changes in the file, or two documents that change places, are found out", () =>
  withFolder(async (root) => {
    const { run } = await trainTiny(root, ["docid=atomic", "model.head=tree"]);
    const index = await loadIndex(run.file("model"));
    const folder = join(root, "export"), path = join(folder, EXPORT_FILES.search);
    // Documents 4 and 5 are always equally probable.
    for (const name of ["slot.embedding", "slot.bias"]) {
      const { data, shape } = index.tensors[name];
      (data as Float32Array).copyWithin(5 * shape[1], 4 * shape[1], 5 * shape[1]);
    }
    await exportIndex(index, folder, { beam: 24, verify: false });
    const program = searchProgram(index.scorer, index.trie, { params: index.specs, beam: 24 });
    const constants = parametersOf(index);
    const tokens = { first: 2, end: index.tokenizer.vocabSize };
    const verify = (): Promise<unknown> => verifyExport(path, program, { constants, tokens });
    await verify();
    const graph = await Deno.readFile(path);

    const bias = constants["slot.bias"].data as Float32Array<ArrayBuffer>;
    const weights = placeOf(graph, new Uint8Array(bias.buffer, bias.byteOffset, bias.byteLength));
    const spoiled = graph.slice();
    new DataView(spoiled.buffer).setFloat32(weights + 12, 5, true);
    await Deno.writeFile(path, spoiled);
    await assertRejects(verify, TraceError, "differs between");

    // With atomic docids the table of documents counts up.
    const count = Int32Array.from(bias, (_, doc) => doc);
    const table = placeOf(graph, new Uint8Array(count.buffer));
    const withTable = (docs: Int32Array<ArrayBuffer>): Promise<void> => {
      const changed = graph.slice();
      changed.set(new Uint8Array(docs.buffer), table);
      return Deno.writeFile(path, changed);
    };
    await withTable(count.with(4, 5).with(5, 4));
    await verify();
    await withTable(count.with(6, 7).with(7, 6));
    await assertRejects(verify, TraceError, "output doc differs");
  }));

Deno.test("an export that fails its check is not there, and leaves the one before it alone", () =>
  withFolder(async (root) => {
    const { run } = await trainTiny(root);
    const index = await loadIndex(run.file("model"));
    // One question is answered otherwise than two: no recording sees that.
    const broken: LoadedIndex = {
      ...index,
      scorer: {
        ...index.scorer,
        start: (params, inputs) => {
          const state = index.scorer.start(params, inputs);
          if (inputs.inputIds.shape[0] > 1) return state;
          return { ...state, shared: { all: tf.mul(state.shared.all, 2) } };
        },
      },
    };
    const folder = join(root, "export"), graph = join(folder, EXPORT_FILES.search);
    await assertRejects(() => exportIndex(broken, folder, { beam: 5 }), TraceError, "B=1");
    const graphs = (): string[] =>
      [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.includes("onnx"));
    assertEquals(graphs(), []);
    await exportIndex(index, folder, { beam: 5 });
    const before = await Deno.readFile(graph);
    await assertRejects(() => exportIndex(broken, folder, { beam: 5 }), TraceError);
    assertEquals(graphs(), [EXPORT_FILES.search]);
    assertEquals(await Deno.readFile(graph), before);
    await exportIndex(broken, folder, { beam: 5, verify: false });
  }));

Deno.test("names of too few documents are refused", () =>
  withFolder(async (root) => {
    const { run, dataset } = await trainTiny(root);
    const index = await loadIndex(run.file("model"));
    const documents = dataset.documents.slice(1);
    await assertRejects(
      () => exportIndex(index, join(root, "export"), { beam: 5, documents }),
      DataError,
      "24 documents with the names of 23",
    );
  }));
