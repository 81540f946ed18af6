import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { buildTrie, type Trie, trieFromTokenSequences } from "../../../src/docid/trie.ts";
import { ShapeError } from "../../../src/errors.ts";
import { adamw } from "../../../src/optim/mod.ts";
import { exhaustiveLogProbs } from "../../../src/retriever/exhaustive.ts";
import { onnxExecutor } from "../../../src/runtime/onnx_executor.ts";
import { ParameterStore } from "../../../src/runtime/parameter_store.ts";
import { createTrainStep } from "../../../src/runtime/train_step.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import type { IndexExample, IndexModel } from "../../../src/train/index_model.ts";
import { digitTokens, t5Index } from "../../../src/train/t5_index.ts";
import { padBatch } from "../../../src/text/pad_batch.ts";
import { tinyConfig } from "../model/_tiny_t5.ts";

/** Two layers of float32, then three digits, at log-probabilities of about −10. */
const LOG_PROB = 1e-4;
const TEXT_TOKENS = 9;

await tf.setBackend("cpu");

/** Docids of one, two and three digits. */
const digits = [[0, 0], [0, 1], [1, 0, 2], [1, 0, 0], [2], [1, 2], [0, 2]];
const ragged = buildTrie({
  scheme: "naive",
  base: 3,
  digits: digits.map((docid) => Int32Array.from(docid)),
  collisions: 0,
});

function indexOver(trie: Trie, over: Record<string, unknown> = {}): IndexModel {
  const config = tinyConfig({
    vocab_size: TEXT_TOKENS + digitTokens(trie),
    dropout_rate: 0,
    ...over,
  });
  return t5Index({ config, trie, firstDigit: TEXT_TOKENS, maxTokens: 4, seed: 2 });
}

function startOf(model: IndexModel): ParameterStore {
  const store = new ParameterStore(model.specs, { rule: adamw() });
  model.start(store);
  // Larger than at the start of a training, so that documents differ in probability.
  for (const { data } of Object.values(store.params)) data.forEach((x, i) => data[i] = 2 * x);
  return store;
}

/** log p(d|q) of all documents for every text, one text at a time: nothing is padded. */
function exact(
  model: IndexModel,
  store: ParameterStore,
  texts: readonly (readonly number[])[],
): number[][] {
  const { scorer, trie } = model;
  return tf.tidy(() => {
    const params = Object.fromEntries(
      Object.entries(store.params).map(([name, t]) => [name, tf.tensor(t.data, [...t.shape])]),
    );
    return texts.map((ids) => {
      const padded = padBatch([ids], { padId: 0 });
      const inputs = {
        inputIds: tf.tensor(padded.inputIds.data, [...padded.inputIds.shape], "int32"),
        isToken: tf.tensor(padded.isToken.data, [...padded.isToken.shape]),
      };
      return [...exhaustiveLogProbs(scorer, trie, { params, inputs }).dataSync()];
    });
  });
}

/** Losses of batches, one after the other; the gradients of the last one stay in the store. */
async function lossesOf(
  model: IndexModel,
  store: ParameterStore,
  batches: readonly (readonly IndexExample[])[],
): Promise<number[]> {
  const train = await createTrainStep(onnxExecutor({ threads: 1 }), model.trainingProgram, store);
  try {
    const losses: number[] = [];
    for (const examples of batches) {
      const { inputs, rows } = model.batch(examples);
      losses.push((await train.step(inputs, { rows })).loss);
    }
    return losses;
  } finally {
    await train.dispose();
  }
}

const example = (tokenIds: number[], doc: number): IndexExample => ({
  tokenIds,
  doc,
  isReal: true,
});

Deno.test("the loss is −log p(d|q) of what search ranks by, for docids of every length", async () => {
  const model = indexOver(ragged), store = startOf(model);
  const texts = [[3, 4, 5], [6], [2, 2], [8, 7, 6, 5]];
  const rows = exact(model, store, texts);
  rows.forEach((row) => {
    assertAlmostEquals(row.reduce((sum, x) => sum + Math.exp(x), 0), 1, LOG_PROB);
  });
  assert(Math.abs(rows[0][0] - rows[1][0]) > 0.01); // the question matters
  // Together texts are padded, which changes nothing: the loss is the mean.
  const docs = [2, 4, 0, 3];
  const losses = await lossesOf(model, store, [
    ...rows[0].map((_, doc) => [example(texts[0], doc)]),
    texts.map((ids, b) => example(ids, docs[b])),
  ]);
  rows[0].forEach((logProb, doc) => assertAlmostEquals(losses[doc], -logProb, LOG_PROB));
  const mean = docs.reduce((sum, doc, b) => sum - rows[b][doc] / docs.length, 0);
  assertAlmostEquals(losses.at(-1)!, mean, LOG_PROB);
});

Deno.test("a v1.1 model trains on its own output layer", async () => {
  const model = indexOver(ragged, { feed_forward_proj: "gated-gelu", tie_word_embeddings: false });
  const store = startOf(model);
  const [row] = exact(model, store, [[3, 4]]);
  const [loss] = await lossesOf(model, store, [[example([3, 4], 2)]]);
  assertAlmostEquals(loss, -row[2], LOG_PROB);
  const head = Object.keys(model.specs).find((name) => name.includes("lm_head"))!;
  const width = model.specs[head].shape[1];
  const touched = new Set<number>();
  store.gradients[head].data.forEach((x, i) => x && touched.add(Math.floor(i / width)));
  assert([...touched].every((token) => token >= TEXT_TOKENS)); // other tokens are never scored
  assert(touched.size > 0);
});

Deno.test("a batch: texts cut and padded, digits fed one place later, padding counted", () => {
  const model = indexOver(ragged);
  const { inputs, rows, tokens, positions } = model.batch([
    example([3, 4, 5, 6, 7, 8], 2),
    example([7], 4),
  ]);
  assertEquals([...inputs.inputIds.data], [3, 4, 5, 6, 7, 0, 0, 0]);
  assertEquals([...inputs.isToken.data], [1, 1, 1, 1, 1, 0, 0, 0]);
  // Document 2 is 1-0-2, document 4 is 2; C is 3. The last digit is never fed.
  const code1 = TEXT_TOKENS + 1, code0 = TEXT_TOKENS + 3, code2 = TEXT_TOKENS + 2;
  assertEquals([...inputs.decoderIds.data], [0, code1, code0, 0, code2, 0]);
  assertEquals([...inputs.isDigit.data], [1, 1, 1, 1, 0, 0]);
  assertEquals([tokens, positions], [5, 8]);
  assertEquals(rows, {});
});

Deno.test("weights can be given instead of drawn", () => {
  const drawn = indexOver(ragged), store = new ParameterStore(drawn.specs);
  drawn.start(store);
  const weights = Object.fromEntries(
    Object.entries(store.params).map(([name, { data, shape }]) => [
      name,
      hostTensor("float32", data.map((x) => x + 1), shape),
    ]),
  );
  const config = tinyConfig({ vocab_size: TEXT_TOKENS + digitTokens(ragged), dropout_rate: 0 });
  const given = new ParameterStore(drawn.specs);
  t5Index({ config, trie: ragged, firstDigit: TEXT_TOKENS, maxTokens: 4, seed: 2, weights })
    .start(given);
  assertEquals(given.params, weights);
});

Deno.test("a vocabulary without room for the digits is refused, and a trie whose slots are no codes", () => {
  assertThrows(
    () => indexOver(ragged, { vocab_size: TEXT_TOKENS + digitTokens(ragged) - 1 }),
    ShapeError,
    "9 digit tokens from 9 on do not fit",
  );
  assertThrows(
    () => indexOver(trieFromTokenSequences([[0, 1], [2, 0]])),
    ShapeError,
    'build it with slots "code"',
  );
});

Deno.test("joint: weights of any sign over documents, and replayed pairs, against the enumeration", async () => {
  const model = indexOver(ragged), store = startOf(model);
  const texts = [[3, 4, 5], [6], [2, 2]];
  const rows = exact(model, store, texts);
  const { inputs } = model.jointBatch({
    // The fifth document stands there twice.
    weighed: [{ tokenIds: texts[0], docs: [4, 1, 4], weights: [0.5, -2, 0.25] }],
    replay: [example(texts[1], 6), example(texts[2], 0)],
    replayWeight: 3,
  });
  const train = await createTrainStep(onnxExecutor(), model.jointProgram, store);
  const { loss } = await train.step(inputs);
  await train.dispose();
  const weighed = -(0.75 * rows[0][4] - 2 * rows[0][1]);
  const replayed = -3 * (rows[1][6] + rows[2][0]) / 2;
  assertAlmostEquals(loss, weighed + replayed, 10 * LOG_PROB);
  assertThrows(
    () => model.jointBatch({ weighed: [], replay: [], replayWeight: 1 }),
    ShapeError,
    "no examples",
  );
});
