import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { assert, assertAlmostEquals, assertEquals, assertLess, assertThrows } from "@std/assert";
import { assignDocids } from "../../../src/docid/assign.ts";
import { type Slots, slotsOf } from "../../../src/docid/slots.ts";
import { buildTrie, type Trie, trieFromTokenSequences } from "../../../src/docid/trie.ts";
import { ShapeError } from "../../../src/errors.ts";
import { adamw } from "../../../src/optim/mod.ts";
import { openDocumentDistribution } from "../../../src/retriever/distribution.ts";
import { enumerateDocuments } from "../../../src/retriever/plain.ts";
import { searchProgram } from "../../../src/retriever/program.ts";
import { DocidSearcher, type Hit } from "../../../src/retriever/searcher.ts";
import { onnxExecutor } from "../../../src/runtime/onnx_executor.ts";
import { Optimizer } from "../../../src/runtime/optimizer.ts";
import { ParameterStore } from "../../../src/runtime/parameter_store.ts";
import { createTrainStep } from "../../../src/runtime/train_step.ts";
import { bm25Scores } from "../../../src/text/bm25.ts";
import type { IndexModel, JointExamples } from "../../../src/train/index_model.ts";
import {
  FIRST_STEM,
  lossOf,
  randomBm25,
  randomExamples,
  startOf,
  tinyIndex,
  VOCABULARY,
} from "./_lexical.ts";

/** The decomposition and float32 products of it, at scores of about 5. */
const SCORE = 1e-4;
/** Mean of sixteen float32 cross-entropies. */
const LOSS = 1e-5;

await tf.setBackend("cpu");

const ragged = trieFromTokenSequences([
  ...[[0], [1, 0, 0], [1, 0, 1], [1, 1], [2, 0], [2, 1], [2, 2], [3, 0], [3, 1], [4], [5], [6, 0]],
]);
const atomic = buildTrie(assignDocids(12, { scheme: "atomic" }), { slots: "compact" });

/** All documents for one question of stems, best first. */
async function rank(
  model: IndexModel,
  store: ParameterStore,
  stems: number[],
): Promise<readonly Hit[]> {
  const { scorer, trie, specs } = model;
  const program = searchProgram(scorer, trie, { params: specs, beam: trie.docCount });
  const searcher = new DocidSearcher({
    executable: await onnxExecutor({ threads: 1 }).compile(program),
    parameters: store.params,
    encode: (text) => text.split(" ").map(Number),
    padId: 0,
  });
  try {
    return (await searcher.search([stems.join(" ")]))[0].hits;
  } finally {
    await searcher.dispose();
  }
}

for (
  const [name, model] of Object.entries({
    "one vector a document, docids of any length": tinyIndex(ragged, { head: "leaf" }),
    "one vector a slot, atomic docids": tinyIndex(atomic, { head: "tree" }),
  })
) {
  Deno.test(`at step 0 search ranks as BM25 does: ${name}`, async () => {
    const store = startOf(model);
    for (const stems of [[4, 9, 17], [25, 25, 3], [11, 0, 1, 12, 13, 14]]) {
      const known = stems.filter((s) => s >= FIRST_STEM);
      const scores = bm25Scores(randomBm25(12), known);
      const hits = await rank(model, store, stems);
      assertEquals(hits.length, 12);
      // p(d|q) is the softmax of the scores, so log-probabilities differ as they do.
      const total = Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0));
      const falling = scores.toSorted((a, b) => b - a);
      hits.forEach(({ doc, logProb }, k) => {
        assertAlmostEquals(logProb, scores[doc] - total, SCORE);
        assertAlmostEquals(scores[doc], falling[k], SCORE); // documents without a match tie
      });
    }
  });
}

Deno.test("at step 0 a prefix scores as if it held the best of every word of its documents", () => {
  const slots = slotsOf(ragged), bm25 = randomBm25(12);
  const store = startOf(tinyIndex(ragged, { head: "tree", width: slots.slotCount }));
  const { "stem.embedding": { data: E, shape }, "slot.embedding": { data: U } } = store.params;
  const width = shape[1];
  const below: number[][] = Array.from({ length: slots.slotCount }, () => []);
  slots.path.forEach((slot, i) => slot >= 0 && below[slot].push(Math.floor(i / slots.depth)));
  assert(below.some((docs) => docs.length > 2));
  for (let stem = 0; stem < VOCABULARY; stem++) {
    const scores = bm25Scores(bm25, [stem]);
    below.forEach((docs, slot) => {
      let logit = 0;
      for (let j = 0; j < width; j++) logit += E[stem * width + j] * U[slot * width + j];
      assertAlmostEquals(logit, Math.max(...docs.map((d) => scores[d])), SCORE);
    });
  }
});

Deno.test("fewer columns than documents still hold BM25 if it has no higher rank", () => {
  // 28 stems: no matrix over 40 documents has more than 28 dimensions.
  const trie = buildTrie(assignDocids(40, { scheme: "atomic" }), { slots: "compact" });
  const store = startOf(tinyIndex(trie, { width: 28 })), bm25 = randomBm25(40);
  for (const stems of [[4, 9, 17], [25, 25, 3]]) {
    slotLogitsOf(store, stems).forEach((logit, d) =>
      assertAlmostEquals(logit, bm25Scores(bm25, stems)[d], SCORE)
    );
  }
});

Deno.test("a random projection gives each weight on average, off by as much as it should", () => {
  const docs = 60, width = 32, seeds = 400;
  const trie = buildTrie(assignDocids(docs, { scheme: "atomic" }), { slots: "compact" });
  // Words of very different weights, so that their scale matters.
  const bm25 = randomBm25(docs), values = bm25.values.slice();
  for (let t = 0; t < VOCABULARY; t++) {
    for (let i = bm25.offsets[t]; i < bm25.offsets[t + 1]; i++) values[i] *= 1 + t % 5;
  }
  const weights = Array.from({ length: VOCABULARY }, () => Array<number>(docs).fill(0));
  weights.forEach((row, t) => {
    for (let i = bm25.offsets[t]; i < bm25.offsets[t + 1]; i++) row[bm25.indices[i]] = values[i];
  });
  const largest = weights.map((row) => Math.max(...row));
  const stems = [4, 9, 17, 25, 25, 3];
  const x = largest.map((m, stem) => m * stems.filter((s) => s === stem).length);
  const scores = weights[0].map((_, d) => stems.reduce((sum, stem) => sum + weights[stem][d], 0));
  // Variance of Σ x[t]·y[u]·R[t]·R[u]/D over random signs R, the terms t = u left out.
  const deviations = scores.map((_, d) => {
    const y = weights.map((row, stem) => largest[stem] > 0 ? row[d] / largest[stem] : 0);
    const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0);
    const squares = (a: number[]) => a.map((v) => v * v);
    const both = dot(squares(x), squares(y));
    return Math.sqrt((dot(x, x) * dot(y, y) + dot(x, y) ** 2 - 2 * both) / width);
  });
  const errors: number[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const options = { init: "projection", width, seed, bm25: { ...bm25, values } } as const;
    slotLogitsOf(startOf(tinyIndex(trie, options)), stems)
      .forEach((logit, d) => errors.push((logit - scores[d]) / deviations[d]));
  }
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  assertAlmostEquals(mean(errors), 0, 0.1);
  assertAlmostEquals(Math.sqrt(mean(errors.map((e) => e * e))), 1, 0.05);
});

Deno.test("special tokens have no vector, however the model starts", () => {
  for (const init of ["svd", "projection", "random"] as const) {
    const { data, shape } = startOf(tinyIndex(atomic, { init })).params["stem.embedding"];
    assertEquals(data.findIndex((x) => x !== 0), FIRST_STEM * shape[1]);
  }
});

/** Logits of all slots for a text by the model's formula, in float64. */
function slotLogitsOf(store: ParameterStore, tokenIds: readonly number[]): number[] {
  const { "stem.embedding": E, "stem.weight": w, "slot.embedding": U, "slot.bias": b } =
    store.params;
  const width = E.shape[1];
  const query = Array.from({ length: width }, (_, j) =>
    tokenIds.filter((s) => s >= FIRST_STEM)
      .reduce((sum, s) => sum + w.data[s] * E.data[s * width + j], 0));
  return Array.from(
    b.data,
    (bias, slot) => query.reduce((sum, x, j) => sum + x * U.data[slot * width + j], bias),
  );
}

/** log p(d|q) over the documents that are allowed. */
function logProbsOf(
  trie: Trie,
  slots: Slots,
  { logits, isOut }: { logits: number[]; isOut: (slot: number) => boolean },
): Float64Array {
  return enumerateDocuments(trie, (node) => {
    const z = Array.from({ length: trie.branching }, (_, c) => {
      const slot = slots.padded[node * trie.branching + c];
      return slot === slots.slotCount || isOut(slot) ? -Infinity : logits[slot];
    });
    const total = Math.log(z.reduce((sum, x) => sum + Math.exp(x), 0));
    return z.map((x) => x - total);
  });
}

for (const head of ["leaf", "tree"] as const) {
  Deno.test(`without a teacher the loss is −log p(d|q), over the documents that count (${head})`, async () => {
    // All of the first digit 2 and part of the first digit 3 are unseen.
    const isUnseen = Uint8Array.from({ length: 12 }, (_, d) => [4, 5, 6, 7].includes(d) ? 1 : 0);
    const distill = { weight: 0, temperature: 1 };
    const model = tinyIndex(ragged, { head, distill, isUnseen, init: "random" });
    const store = startOf(model);
    store.params["slot.bias"].data.forEach((_, s, bias) => bias[s] = Math.sin(s));
    store.params["stem.weight"].data.forEach((_, s, weight) => weight[s] = 1 + Math.cos(s) / 2);
    const trie = head === "tree" ? ragged : buildTrie(assignDocids(12, { scheme: "atomic" }));
    const slots = slotsOf(trie);
    const isWithin = Array.from(
      { length: slots.slotCount },
      (_, slot) =>
        [...slots.path.keys()].every((i) =>
          slots.path[i] !== slot || isUnseen[Math.floor(i / slots.depth)]
        ),
    );
    const examples = randomExamples(12, 16).map((e) =>
      e.isReal && isUnseen[e.doc] ? { ...e, doc: 0 } : e
    );
    const expected = examples.map(({ tokenIds, doc, isReal }) =>
      -logProbsOf(trie, slots, {
        logits: slotLogitsOf(store, Array.from(tokenIds)),
        isOut: (slot) => isReal && isWithin[slot],
      })[doc]
    );
    const { loss } = await lossOf(model, store, examples);
    assertAlmostEquals(loss, expected.reduce((a, x) => a + x, 0) / 16, LOSS);
  });
}

Deno.test("a model that starts as its teacher has nothing to learn from it", async () => {
  const distill = { weight: 1, temperature: 3 };
  const examples = randomExamples(12, 16);
  const normOf = async (init: "svd" | "random"): Promise<number> => {
    const model = tinyIndex(ragged, { distill, init });
    const store = startOf(model);
    await lossOf(model, store, examples);
    const used = model.batch(examples).rows["stem.embedding"].length;
    const width = model.specs["stem.embedding"].shape[1];
    return Math.hypot(
      ...store.gradients["stem.embedding"].data.subarray(0, used * width),
      ...store.gradients["slot.embedding"].data,
      ...store.gradients["slot.bias"].data,
    );
  };
  assertLess(await normOf("svd"), SCORE);
  assertLess(100 * SCORE, await normOf("random"));
});

Deno.test("steps over single rows equal steps over the whole embedding", async () => {
  const model = tinyIndex(ragged, { head: "tree", init: "random" });
  const specs = Object.fromEntries(
    Object.entries(model.specs).map(([name, spec]) => [name, { ...spec, isRowSparse: false }]),
  );
  const { trainingProgram } = model;
  const dense = {
    ...trainingProgram,
    inputs: {
      ...trainingProgram.inputs,
      "stem.embedding": { dtype: "float32", shape: specs["stem.embedding"].shape },
    },
    run: (x: Record<string, tf.Tensor>) =>
      trainingProgram.run({
        ...x,
        "stem.embedding": tf.gather(x["stem.embedding"], x.rows as tf.Tensor1D),
      }),
  } as const;
  const rule = adamw({ weightDecay: 0 });
  const stores = [model.specs, specs].map((s) => new ParameterStore(s, { rule }));
  for (const store of stores) store.initialise(3);
  const optimizers = stores.map((store) => new Optimizer(store));
  const executor = onnxExecutor({ threads: 1 });
  const programs = [trainingProgram, dense];
  const trains = await Promise.all(
    programs.map((program, i) => createTrainStep(executor, program, stores[i])),
  );
  const before = stores[0].params["stem.embedding"].data.slice();
  const { inputs, rows } = model.batch(randomExamples(12, 8));
  const used = rows["stem.embedding"], width = specs["stem.embedding"].shape[1];
  // The same rows twice: Adam over whole matrices moves a row on when its gradient is 0 again.
  for (let step = 0; step < 2; step++) {
    const losses = await Promise.all(trains.map((t, i) => t.step(inputs, i === 0 ? { rows } : {})));
    assertAlmostEquals(losses[0].loss, losses[1].loss, LOSS);
    const [sparse, whole] = stores.map((s) => s.gradients["stem.embedding"].data);
    used.forEach((row, u) => {
      for (let j = 0; j < width; j++) {
        assertAlmostEquals(sparse[u * width + j], whole[row * width + j], LOSS);
      }
    });
    const norms = optimizers.map((o, i) =>
      o.step(0.05, { clipNorm: 0.1, rows: i === 0 ? rows : undefined }).gradNorm
    );
    assertAlmostEquals(norms[0], norms[1], LOSS);
    for (const name of Object.keys(specs)) {
      const [a, b] = stores.map((s) => s.params[name].data);
      a.forEach((x, i) => assertAlmostEquals(x, b[i], LOSS, `${name}[${i}] after ${step + 1}`));
    }
  }
  const after = stores[0].params["stem.embedding"].data;
  after.forEach((x, i) => {
    const isUsed = used.includes(Math.floor(i / width));
    if (!isUsed) assertEquals(x, before[i]);
  });
  assert(after.some((x, i) => x !== before[i]));
  // Gradients of rows that no longer take part still stand behind the new ones: they don't count.
  const small = model.batch(randomExamples(12, 1, { step: 1 }));
  await Promise.all(trains.map((t, i) => t.step(small.inputs, i === 0 ? small : {})));
  const [norm, wholeNorm] = optimizers.map((o, i) => o.step(0, i === 0 ? small : {}).gradNorm);
  assertAlmostEquals(norm, wholeNorm, LOSS);
  for (const train of trains) await train.dispose();
});

Deno.test("parts of different corpora don't make an index", () => {
  assertThrows(() => tinyIndex(atomic, { bm25: randomBm25(11) }), ShapeError, "11 documents");
  assertThrows(() => tinyIndex(atomic, { isUnseen: new Uint8Array(5) }), ShapeError, "the marks 5");
});

Deno.test("the width is rounded up to what single rows need, the factor reaches the slots", () => {
  const { specs } = tinyIndex(atomic, { width: 5, slotRateFactor: 0.25 });
  assertEquals(specs["stem.embedding"].shape[1], 8);
  assertEquals([specs["slot.embedding"].rateFactor, specs["slot.bias"].rateFactor], [0.25, 0.25]);
  assertEquals(specs["stem.embedding"].isRowSparse, true);
});

Deno.test("joint: weighed documents and replayed pairs give the sum of their losses, nothing masked", async () => {
  const trie = buildTrie(assignDocids(12, { scheme: "naive", base: 3 }), { slots: "compact" });
  for (const head of ["tree", "leaf"] as const) {
    const isUnseen = new Uint8Array(12).fill(1, 8);
    const model = tinyIndex(trie, { head, isUnseen, init: "random" });
    const store = startOf(model);
    const weighed = [
      { tokenIds: [3, 4, 1], docs: [9, 2, 9], weights: [0.5, -1.5, 0.25] },
      { tokenIds: [5], docs: [0], weights: [1] },
    ];
    const replay = randomExamples(12, 6, { isReal: false });
    const distribution = await openDocumentDistribution(onnxExecutor(), {
      kind: "exact",
      scorer: model.scorer,
      trie,
      specs: model.specs,
      parameters: store.params,
      padId: 0,
    });
    // Special tokens say nothing: their vectors are 0.
    const sets = await distribution.candidates(
      weighed.map(({ tokenIds }) => tokenIds),
      { seed: 1, stream: "test", step: 0 },
    );
    await distribution.dispose();
    const logProb = (q: number, doc: number): number => sets[q].logProbs[sets[q].docs.indexOf(doc)];
    const expected = weighed.reduce(
      (sum, { docs, weights }, q) =>
        sum - docs.reduce((all, doc, k) => all + weights[k] * logProb(q, doc), 0),
      0,
    );
    const train = await createTrainStep(onnxExecutor(), model.jointProgram, store);
    const jointLoss = async (examples: JointExamples): Promise<number> => {
      const { inputs, rows } = model.jointBatch(examples);
      return (await train.step(inputs, { rows })).loss;
    };
    const alone = await jointLoss({ weighed, replay: [], replayWeight: 0 });
    assertAlmostEquals(alone, expected, 1e-4);
    const { inputs, rows } = model.batch(replay);
    const supervised = (await train.step(inputs, { rows })).loss;
    const both = await jointLoss({ weighed, replay, replayWeight: 2 });
    assertAlmostEquals(both, expected + 2 * supervised, 1e-4);
    await train.dispose();
  }
});
