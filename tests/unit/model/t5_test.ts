import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import {
  t5CrossKeysValues,
  t5Decode,
  t5DecodeStep,
  t5Encode,
  t5Logits,
  t5Loss,
  t5ShiftRight,
} from "../../../src/model/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { sizeOf } from "../../../src/tensor/host_tensor.ts";
import { fillKeepMask, KEEP_MASK, type KeepMaskAttrs } from "../../../src/tensor/keep_mask.ts";
import { batchOf, tinyConfig, tinyParams } from "./_tiny_t5.ts";

/** Sums of the same numbers in another order or at another batch size. */
const FLOAT32_TOLERANCE = 1e-5;
const config = tinyConfig(), params = tinyParams(config);
const lossOf = (...batch: Parameters<typeof batchOf>) =>
  t5Loss(params, config, batchOf(...batch)).dataSync()[0];

Deno.test("t5ShiftRight starts with the start token and pads what does not count", () => {
  const labels = namedInts(tf.tensor2d([[5, 6, 1], [7, -100, -100]], [2, 3], "int32"), "B T", {});
  const shifted = t5ShiftRight(tinyConfig({ decoder_start_token_id: 3, pad_token_id: 2 }), labels);
  assertEquals(shifted.arraySync(), [[3, 5, 6], [3, 7, 2]]);
  const single = namedInts(tf.tensor2d([[5], [6]], [2, 1], "int32"), "B T", {});
  assertEquals(t5ShiftRight(config, single).arraySync(), [[0], [0]]);
});

Deno.test("padding changes nothing: of the source, of the target, of the batch", () => {
  const alone = lossOf([[3, 4, 5]], [[7, 8, 1]]);
  assertAlmostEquals(lossOf([[3, 4, 5, 0, 0]], [[7, 8, 1]]), alone, FLOAT32_TOLERANCE);
  assertAlmostEquals(lossOf([[3, 4, 5]], [[7, 8, 1, -100]]), alone, FLOAT32_TOLERANCE);
  // The mean is over the tokens of the batch, 3 and 1 here.
  const other = lossOf([[9, 2]], [[6]]);
  const both = lossOf([[3, 4, 5], [9, 2, 0]], [[7, 8, 1], [6, -100, -100]]);
  assertAlmostEquals(both, (3 * alone + other) / 4, FLOAT32_TOLERANCE);
});

Deno.test("the loss is the mean of −log softmax of the logits at the labels", () => {
  const batch = batchOf([[3, 4, 5], [6, 2, 0]], [[7, 8], [9, -100]]);
  const memory = t5Encode(params, config, batch);
  const decoderIds = t5ShiftRight(config, batch.labels);
  const hidden = t5Decode(params, config, { decoderIds, memory, isToken: batch.isToken });
  const logits = t5Logits(params, config, hidden).arraySync() as number[][][];
  const terms = [[0, 0, 7], [0, 1, 8], [1, 0, 9]].map(([b, t, label]) => {
    const z = logits[b][t], top = Math.max(...z);
    return top + Math.log(z.reduce((sum, v) => sum + Math.exp(v - top), 0)) - z[label];
  });
  const expected = terms.reduce((a, b) => a + b) / 3;
  assertAlmostEquals(t5Loss(params, config, batch).dataSync()[0], expected, FLOAT32_TOLERANCE);
});

Deno.test("a target position does not see later ones", () => {
  const batch = batchOf([[3, 4, 5]], [[0]]);
  const memory = t5Encode(params, config, batch);
  const first = (ids: number[]) => {
    const decoderIds = namedInts(tf.tensor2d([ids], undefined, "int32"), "B T", {});
    const hidden = t5Decode(params, config, { decoderIds, memory, isToken: batch.isToken });
    return tf.slice(hidden as tf.Tensor, [0, 0, 0], [1, 2, 6]).dataSync();
  };
  assertEquals(first([0, 5, 6]), first([0, 5, 9]));
  assertNotEquals(first([0, 5, 6]), first([0, 4, 6]));
});

Deno.test("logits of chosen rows are those rows of all logits", () => {
  for (
    const chosen of [
      config,
      tinyConfig({ feed_forward_proj: "gated-gelu", tie_word_embeddings: false }),
    ]
  ) {
    const weights = tinyParams(chosen);
    const hidden = tf.tensor3d([...Array(12).keys()].map((x) => x / 5 - 1), [1, 2, 6]);
    const all = t5Logits(weights, chosen, hidden);
    assertEquals(all.shape, [1, 2, 11]);
    const range = t5Logits(weights, chosen, hidden, { rows: { start: 3, size: 4 } });
    const ids = namedInts(tf.tensor1d([3, 4, 5, 6], "int32"), "C", {});
    const picked = t5Logits(weights, chosen, hidden, { rows: ids });
    const expected = tf.slice(all, [0, 0, 3], [1, 2, 4]).dataSync();
    for (const got of [range, picked]) {
      got.dataSync().forEach((x, i) => assertAlmostEquals(x, expected[i], FLOAT32_TOLERANCE));
    }
  }
  assertThrows(
    () => t5Logits(params, config, tf.zeros([1, 6]), { rows: { start: 8, size: 4 } }),
    ShapeError,
    "Cannot take rows 8 to 12 of the vocabulary: it has 11",
  );
});

/** Draws anew in every run, as an executor does. */
let step = 0, site = 0;
tf.registerKernel({
  kernelName: KEEP_MASK,
  backendName: "cpu",
  kernelFunc: ({ attrs }) => {
    const { shape, keepProb } = attrs as unknown as KeepMaskAttrs;
    const mask = new Float32Array(sizeOf(shape));
    return tf.tensor(fillKeepMask(mask, { seed: 1, stream: "d", step }, site++, keepProb), shape);
  },
});

Deno.test("dropout acts at all of T5's places, and only where asked for", () => {
  const batch = batchOf([[3, 4, 5]], [[7, 8]]);
  const run = (dropoutRate: number, at: number) => {
    [step, site] = [at, 0];
    return [t5Loss(params, config, batch, { dropoutRate }).dataSync()[0], site];
  };
  const [without, none] = run(0, 0);
  assertEquals(none, 0);
  const [first, sites] = run(0.3, 0);
  // Per stack: embedding and final norm. Per attention: weights and output. Per feed-forward: inner
  // and output. The encoder has 2 attentions and 2 feed-forwards, the decoder 4 and 2.
  assertEquals(sites, 2 * 2 + 2 * (2 + 2) + 2 * (4 + 2));
  assertNotEquals(first, without);
  assertEquals(run(0.3, 0)[0], first);
  assertNotEquals(run(0.3, 1)[0], first);
});

Deno.test("what does not fit is named", () => {
  const batch = batchOf([[3, 4, 5]], [[7]]);
  const wide = { ...batch, isToken: named(tf.ones([1, 4]), "B S", {}) };
  assertThrows(
    () => t5Loss(params, config, wide),
    ShapeError,
    "Cannot read isToken as [B=1, S=3]: axis S is 4",
  );
  const { "encoder.final_layer_norm.weight": _, ...missing } = params;
  assertThrows(
    () => t5Loss(missing, config, batch),
    ShapeError,
    "Cannot find parameter encoder.final_layer_norm.weight",
  );
  assertThrows(
    () => t5Loss(params, { ...config, vocabSize: 12 }, batch),
    ShapeError,
    "Cannot read shared.weight as [V=12, D=6]: axis V is 11",
  );
  const memory = t5Encode(params, config, batch);
  const crossKeysValues = t5CrossKeysValues(params, config, memory);
  const token = namedInts(tf.tensor1d([0, 0, 0], "int32"), "N", {});
  const inputs = { token, isToken: batch.isToken, cache: [], crossKeysValues };
  assertThrows(
    () => t5DecodeStep(params, config, { ...inputs, beams: 2 }),
    ShapeError,
    "Cannot decode 3 rows: 1 sources with 2 beams have 2",
  );
  assertThrows(
    () => t5DecodeStep(params, config, { ...inputs, beams: 3, crossKeysValues: [] }),
    ShapeError,
    "Cannot decode with 2 layers: crossKeysValues has 0",
  );
  assert(t5DecodeStep(params, config, { ...inputs, beams: 3 }).hidden.shape[0] === 3);
});
