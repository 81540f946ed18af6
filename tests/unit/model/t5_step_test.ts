import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import {
  type KeysValues,
  loraConfig,
  loraParamSpecs,
  loraScaling,
  modelProjections,
  type T5Config,
  t5CrossKeysValues,
  t5Decode,
  t5DecodeOn,
  t5DecodeStep,
  t5Encode,
} from "../../../src/model/mod.ts";
import { type I32, named, namedInts } from "../../../src/tensor/axes.ts";
import { drawn, paramsOf } from "./_tiny_decoder.ts";
import { batchOf, tinyConfig, tinyTensors } from "./_tiny_t5.ts";

/** Sums of the same numbers in another order. */
const FLOAT32_TOLERANCE = 1e-5;

const IDS = [[0, 5, 6, 2, 9], [0, 7, 1, 3, 4]];
const tokens = (rows: number[][]): I32<"N T"> =>
  namedInts(tf.tensor2d(rows, undefined, "int32"), "N T", {});
const slice = (from: number, to: number) => tokens(IDS.map((row) => row.slice(from, to)));

const subjects: [string, T5Config, boolean][] = [
  ["v1.0", tinyConfig(), false],
  ["v1.1", tinyConfig({ feed_forward_proj: "gated-gelu", tie_word_embeddings: false }), false],
  ["v1.0 with adapters", tinyConfig(), true],
];
for (const [name, config, hasAdapters] of subjects) {
  const adapter = loraConfig({ targets: "all-linear", rank: 2 });
  const adapters = hasAdapters ? drawn(loraParamSpecs(adapter, modelProjections(config))) : {};
  const options = hasAdapters ? { lora: loraScaling(adapter) } : {};
  const params = paramsOf({ ...tinyTensors(config), ...adapters });
  const { isToken, ...source } = batchOf([[3, 4, 5, 0], [6, 2, 8, 1]], [[1], [1]]);
  const memory = t5Encode(params, config, { ...source, isToken }, options);
  const crossKeysValues = t5CrossKeysValues(params, config, memory, options);
  const whole = t5Decode(params, config, {
    decoderIds: namedInts(slice(0, 5), "B T", {}),
    memory,
    isToken,
  }, options).arraySync() as number[][][];

  const assertStates = (actual: number[][][], from: number): void =>
    actual.forEach((row, b) =>
      row.forEach((state, t) =>
        state.forEach((x, d) =>
          assertAlmostEquals(x, whole[b][from + t][d], FLOAT32_TOLERANCE, `row ${b}, ${from + t}`)
        )
      )
    );

  Deno.test(`${name}: decoding on by any number of tokens is decoding at once`, () => {
    for (const stretches of [[5], [1, 4], [2, 1, 2], [1, 1, 1, 1, 1], [3, 2]]) {
      let cache: readonly KeysValues[] = [], at = 0;
      for (const length of stretches) {
        const decoderIds = slice(at, at + length);
        const on = t5DecodeOn(
          params,
          config,
          { decoderIds, isToken, cache, crossKeysValues },
          options,
        );
        assertEquals(on.hidden.shape, [2, length, 6]);
        assertEquals(on.cache[1].keys.shape, [2, 2, at + length, 4]);
        assertStates(on.hidden.arraySync() as number[][][], at);
        cache = on.cache;
        at += length;
      }
    }
  });

  Deno.test(`${name}: a step is one token of it, and beams share a source`, () => {
    let cache: readonly KeysValues[] = [];
    // Rows 0 and 1 belong to the first source, 2 and 3 to the second.
    const rows = [IDS[0], IDS[1], IDS[0], IDS[1]];
    const seen: number[][][] = rows.map(() => []);
    for (let t = 0; t < 3; t++) {
      const token = namedInts(tf.tensor1d(rows.map((row) => row[t]), "int32"), "N", {});
      const inputs = { token, isToken, cache, crossKeysValues, beams: 2 };
      const step = t5DecodeStep(params, config, inputs, options);
      (step.hidden.arraySync() as number[][]).forEach((state, n) => seen[n].push(state));
      cache = step.cache;
    }
    assertStates([seen[0]], 0);
    assertStates([[], seen[3]], 0);
    const three = t5DecodeOn(params, config, {
      decoderIds: tokens(rows.map((row) => row.slice(0, 3))),
      isToken,
      cache: [],
      crossKeysValues,
      beams: 2,
    }, options).hidden.arraySync() as number[][][];
    three.forEach((row, n) =>
      row.forEach((state, t) =>
        state.forEach((x, d) => assertAlmostEquals(x, seen[n][t][d], FLOAT32_TOLERANCE))
      )
    );
  });
}

Deno.test("a cache of other rows is refused", () => {
  const config = tinyConfig(), params = paramsOf(tinyTensors(config));
  const batch = batchOf([[3, 4]], [[1]]);
  const memory = t5Encode(params, config, batch);
  const crossKeysValues = t5CrossKeysValues(params, config, memory);
  const empty = () => named(tf.zeros([2, 2, 1, 4]), "B H M E", {});
  const cache = [0, 1].map(() => ({ keys: empty(), values: empty() }));
  assertThrows(
    () =>
      t5DecodeOn(params, config, {
        decoderIds: tokens([[0]]),
        isToken: batch.isToken,
        cache,
        crossKeysValues,
      }),
    ShapeError,
    "Cannot read cache as [N=1, H=2, P, E=4]: axis N is 2",
  );
});
