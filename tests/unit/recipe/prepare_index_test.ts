import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { loadModel, saveModel } from "../../../src/hub/mod.ts";
import { type ModelConfig, modelParamSpecs, parseModelConfig } from "../../../src/model/mod.ts";
import { sgd } from "../../../src/optim/mod.ts";
import { ParameterStore } from "../../../src/runtime/mod.ts";
import { digitTokens } from "../../../src/train/mod.ts";
import { withFolder } from "../../with_folder.ts";
import { loadDataset } from "../../../src/recipe/load_dataset.ts";
import { documentText } from "../../../src/data/mod.ts";
import { prepareIndex } from "../../../src/recipe/prepare_index.ts";
import { buildTrie, slotsOf } from "../../../src/docid/mod.ts";
import type { PseudoQuery } from "../../../src/train/pseudo_queries/mod.ts";
import { DOCUMENTS, tinyConfig, tinyT5 } from "./_tiny_run.ts";

const base = tinyConfig("unused");
const dataset = await loadDataset(base.data, base.seed);
const prepare = (...overrides: string[]) => prepareIndex(dataset, tinyConfig("unused", overrides));

Deno.test("preparing is a pure function of dataset and configuration", () => {
  const [a, b] = [prepare(), prepare()];
  assertEquals(a.tokenizerJson, b.tokenizerJson);
  assertEquals(a.docids, b.docids);
  assertEquals(a.modelConfig, b.modelConfig);
  assertEquals(a.examples.batch(3, 20), b.examples.batch(3, 20));
  const other = prepare("seed=2");
  assertNotEquals(a.examples.batch(3, 20), other.examples.batch(3, 20));
});

Deno.test("every scheme gives every document a docid of its own", () => {
  for (const scheme of ["atomic", "naive", "semantic"]) {
    const { docids, model, modelConfig } = prepare(`docid.scheme=${scheme}`, "model.head=tree");
    assertEquals([docids.scheme, docids.digits.length], [scheme, DOCUMENTS]);
    assertEquals(buildTrie(docids).docCount, DOCUMENTS); // throws where two are one
    assertEquals(model.specs["slot.embedding"].shape[0], slotsOf(model.trie).slotCount);
    assertEquals(modelConfig.slot_count, slotsOf(model.trie).slotCount);
    assertEquals(modelConfig.width, model.specs["stem.embedding"].shape[1]);
    assertEquals(docids.base, scheme === "atomic" ? DOCUMENTS : 4);
  }
});

Deno.test("shuffled labels: the same texts, each document's always for one other", () => {
  const plain = prepare(),
    shuffled = prepare(
      "training.shuffle_labels=true",
      "model.init=random",
      "training.distill.weight=0",
    );
  const to = new Map<number, number>();
  for (const step of [0, 1, 7]) {
    const [right, wrong] = [plain, shuffled].map(({ examples }) => examples.batch(step, 60));
    right.forEach((example, i) => {
      assertEquals({ ...wrong[i], doc: 0 }, { ...example, doc: 0 });
      const known = to.get(example.doc) ?? wrong[i].doc;
      assertEquals(wrong[i].doc, known);
      to.set(example.doc, known);
    });
  }
  assertEquals(new Set(to.values()).size, to.size);
  const moved = [...to].filter(([a, b]) => a !== b).length;
  assert(moved > 0.7 * to.size);
});

Deno.test("documents without questions are left out of the softmax of real ones, unless not wanted", () => {
  const massOnUnseen = (...overrides: string[]): number => {
    const { model, examples } = prepare(
      "docid=atomic",
      "training.distill.weight=1",
      "training.mix.template=0",
      ...overrides,
    );
    const asked = new Set(dataset.queries.train.flatMap(({ docIds }) => docIds));
    const { teacher } = model.batch(examples.batch(0, 30)).inputs;
    return [...teacher.data].reduce<number>(
      (sum, mass, i) =>
        asked.has(dataset.documents[i % DOCUMENTS].docId) ? sum : sum + Number(mass),
      0,
    );
  };
  assertEquals(massOnUnseen(), 0);
  assert(massOnUnseen("training.mask_unseen_negatives=false") > 0.01);
});

Deno.test("a T5 reads training texts as search will read questions", () => {
  const { examples, tokenizer, model, modelConfig } = prepare(...tinyT5);
  const end = tokenizer.tokenToId("</s>");
  for (const example of examples.batch(0, 10)) {
    const { tokenIds, text } = example as PseudoQuery;
    assertEquals([...tokenIds], [...tokenizer.encode(text)]);
    assertEquals(tokenIds.at(-1), end);
  }
  assertEquals(
    modelConfig.vocab_size,
    tokenizer.vocabSize + model.trie.depth * model.trie.branching,
  );
});

Deno.test("one document is no corpus, and a title stands before its text", () => {
  assertThrows(
    () => prepareIndex({ ...dataset, documents: dataset.documents.slice(0, 1) }, base),
    DataError,
    "it needs at least 2",
  );
  assertEquals(documentText({ title: "Eels", text: "Slippery." }), "Eels Slippery.");
  assertEquals(documentText({ title: "", text: "Slippery." }), "Slippery.");
});

/** A folder with a model of random numbers and the tokenizer of a tiny T5 index. */
async function savePretrained(folder: string, config: ModelConfig): Promise<void> {
  const store = new ParameterStore(modelParamSpecs(config));
  store.initialise(5);
  const { tokenizerJson } = prepare(...tinyT5);
  await saveModel(folder, { config, tensors: { ...store.params }, tokenizerJson });
}

Deno.test("a pretrained T5 brings tokenizer, sizes and weights, and gets rows for the digits", () =>
  withFolder(async (folder) => {
    const { tokenizer } = prepare(...tinyT5);
    const config = parseModelConfig({
      model_type: "t5",
      vocab_size: tokenizer.vocabSize,
      d_model: 24,
      d_kv: 4,
      d_ff: 20,
      num_layers: 1,
      num_heads: 3,
    });
    await savePretrained(folder, config);
    const pretrained = await loadModel(folder);
    const over = tinyConfig("unused", [...tinyT5, `model.pretrained=${folder}`]);
    const { model, tokenizer: taken } = prepareIndex(dataset, over, { pretrained });
    assertEquals(taken.vocabSize, tokenizer.vocabSize);
    const [rows, width] = model.specs["shared.weight"].shape;
    assertEquals([rows, width], [tokenizer.vocabSize + digitTokens(model.trie), 24]);
    const store = new ParameterStore(model.specs, { rule: sgd() });
    model.start(store);
    const known = pretrained.tensors["shared.weight"].data;
    assertEquals(store.params["shared.weight"].data.subarray(0, known.length), known);
    const other = "encoder.block.0.layer.0.SelfAttention.q.weight";
    assertEquals(store.params[other].data, pretrained.tensors[other].data);
    assertThrows(() => prepareIndex(dataset, over), DataError, "it was not loaded");
  }));

Deno.test("what is pretrained must be a T5", () =>
  withFolder(async (folder) => {
    const { tokenizer } = prepare(...tinyT5);
    await savePretrained(
      folder,
      parseModelConfig({
        model_type: "llama",
        vocab_size: tokenizer.vocabSize,
        hidden_size: 8,
        intermediate_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 2,
      }),
    );
    const pretrained = await loadModel(folder);
    const over = tinyConfig("unused", [...tinyT5, `model.pretrained=${folder}`]);
    assertThrows(
      () => prepareIndex(dataset, over, { pretrained }),
      DataError,
      "it is a llama, not a T5",
    );
    await assertRejects(() => loadModel(`${folder}/nowhere`), DataError, "nowhere");
  }));
