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
  type DecoderKeysValues,
  decoderLogits,
  decoderLoss,
  type DecoderPast,
  decoderStates,
  packDecoder,
  tokenPositions,
} from "../../../src/model/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { fillKeepMask, KEEP_MASK, type KeepMaskAttrs } from "../../../src/tensor/keep_mask.ts";
import { assertParity } from "../../parity.ts";
import { ids, marks, paramsOf, tinyDecoder } from "./_tiny_decoder.ts";

/** Sums of the same numbers in another order or at another batch size, in logits of a few units. */
const FLOAT32_TOLERANCE = 2e-5;
const FAMILIES = ["gpt2", "llama", "qwen2"] as const;

/** Logits [B][S][V] of a call. */
type Logits = number[][][];

function assertRows(actual: number[][], expected: number[][], what: string): void {
  assertEquals(actual.length, expected.length, what);
  actual.forEach((row, t) =>
    row.forEach((x, v) =>
      assertAlmostEquals(x, expected[t][v], FLOAT32_TOLERANCE, `${what}: position ${t}, token ${v}`)
    )
  );
}

for (const family of FAMILIES) {
  const model = tinyDecoder(family), { config } = model;
  const params = paramsOf(model.tensors);
  const logitsOf = (
    inputs: Parameters<typeof decoderStates>[2],
    weights = params,
    options: Parameters<typeof decoderStates>[3] = {},
  ): { logits: Logits; keysValues: readonly DecoderKeysValues[] } => {
    const { hidden, keysValues } = decoderStates(weights, config, inputs, options);
    return { logits: decoderLogits(weights, config, hidden).arraySync() as Logits, keysValues };
  };
  const TEXT = [3, 4, 5, 9, 2];
  const alone = logitsOf({ inputIds: ids([TEXT]) }).logits[0];

  Deno.test(`${family}: padding on either side and other rows change nothing`, () => {
    const { logits } = logitsOf({
      inputIds: ids([[...TEXT, 0, 7], [1, 8, ...TEXT], [6, ...TEXT, 10], [1, 2, 3, 4, 5, 6, 7]]),
      isToken: marks([
        [1, 1, 1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 1, 1],
        [0, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 1],
      ]),
    });
    assertRows(logits[0].slice(0, 5), alone, "right");
    assertRows(logits[1].slice(2), alone, "left");
    assertRows(logits[2].slice(1, 6), alone, "both sides");
  });

  Deno.test(`${family}: a token sees those before it and none after`, () => {
    const { logits: [other] } = logitsOf({ inputIds: ids([[3, 4, 5, 1, 7]]) });
    assertEquals(other.slice(0, 3), alone.slice(0, 3));
    const { logits: [changed] } = logitsOf({ inputIds: ids([[8, 4, 5, 9, 2]]) });
    changed.forEach((row, t) => assertNotEquals(row, alone[t], `position ${t}`));
  });

  Deno.test(`${family}: reading on is reading at once`, () => {
    for (const first of [1, 3, 4]) {
      const past = logitsOf({ inputIds: ids([TEXT.slice(0, first)]) });
      const { logits } = logitsOf({
        inputIds: ids([TEXT.slice(first)]),
        past: { keysValues: past.keysValues, isToken: named(tf.ones([1, first]), "B P", {}) },
      });
      assertRows(logits[0], alone.slice(first), `${first} tokens first`);
      assertEquals(past.keysValues[1].keys.shape, [
        1,
        config.keyValueHeads,
        first,
        config.headWidth,
      ]);
    }
  });

  Deno.test(`${family}: ragged pasts with hidden places anywhere`, () => {
    // Row 0 read one token, row 1 three; both go on, by four and by two, padded on the left.
    const isPast = [[0, 1, 0], [1, 1, 1]];
    const read = logitsOf({ inputIds: ids([[8, 3, 1], [3, 4, 5]]), isToken: marks(isPast) });
    const past: DecoderPast = {
      keysValues: read.keysValues,
      isToken: named(tf.tensor2d(isPast), "B P", {}),
    };
    const inputIds = ids([[4, 5, 9, 2], [7, 7, 9, 2]]);
    const isToken = marks([[1, 1, 1, 1], [0, 0, 1, 1]]);
    const { logits } = logitsOf({ inputIds, isToken, past });
    assertRows(logits[0], alone.slice(1), "the short past");
    assertRows(logits[1].slice(2), alone.slice(3), "the long past");
    const positions = namedInts(
      tf.tensor2d([[1, 2, 3, 4], [0, 0, 3, 4]], [2, 4], "int32"),
      "B S",
      {},
    );
    const told = logitsOf({ inputIds, isToken, past, positions }).logits;
    assertRows(told[1].slice(2), alone.slice(3), "explicit positions");
  });

  Deno.test(`${family}: the last state alone is the last of all, with all keys and values`, () => {
    const isPast = [[0, 1, 0], [1, 1, 1]];
    const read = logitsOf({ inputIds: ids([[8, 3, 1], [3, 4, 5]]), isToken: marks(isPast) });
    const inputs = {
      inputIds: ids([[4, 5, 9, 2], [7, 7, 9, 2]]),
      isToken: marks([[1, 1, 1, 1], [0, 0, 1, 1]]),
      past: { keysValues: read.keysValues, isToken: named(tf.tensor2d(isPast), "B P", {}) },
    };
    for (const weights of [params, paramsOf(packDecoder(model))]) {
      const whole = logitsOf(inputs, weights);
      const last = logitsOf(inputs, weights, { onlyLast: true });
      assertEquals(last.logits.map(({ length }) => length), [1, 1]);
      last.logits.forEach((rows, b) => assertRows(rows, [whole.logits[b][3]], `row ${b}`));
      whole.keysValues.forEach(({ keys, values }, i) => {
        assertEquals(last.keysValues[i].keys.arraySync(), keys.arraySync());
        assertEquals(last.keysValues[i].values.arraySync(), values.arraySync());
      });
      const single = { inputIds: ids([[4], [7]]), past: inputs.past };
      assertRows(
        logitsOf(single, weights, { onlyLast: true }).logits[0],
        logitsOf(single, weights).logits[0],
        "a single token",
      );
    }
  });

  Deno.test(`${family}: the states of some tokens are those of all, gradients too`, () => {
    const inputs = {
      inputIds: ids([[4, 5, 9, 2], [7, 7, 9, 2]]),
      isToken: marks([[1, 1, 1, 1], [0, 0, 1, 1]]),
    };
    const chosen = tf.tensor1d([3, 1, 6, 1], "int32");
    const weight = tf.randomNormal([4, config.modelWidth], 0, 1, "float32", 5);
    const names = Object.keys(params).filter((name) => name !== "lm_head.weight");
    const gradients = (statesOf: (weights: typeof params) => tf.Tensor): tf.Tensor[] =>
      tf.grads((...all: tf.Tensor[]) => {
        const given = Object.fromEntries(names.map((name, i) => [name, all[i]]));
        return tf.sum(tf.mul(statesOf({ ...params, ...given }), weight));
      })(names.map((name) => params[name]));
    const some = (weights: typeof params) => {
      const rows = namedInts(chosen, "N", {});
      const { hidden } = decoderStates(weights, config, inputs, { rows });
      assertEquals(hidden.shape, [1, 4, config.modelWidth]);
      return tf.reshape(hidden as tf.Tensor, [4, config.modelWidth]);
    };
    const ofAll = (weights: typeof params) => {
      const { hidden } = decoderStates(weights, config, inputs);
      return tf.gather(tf.reshape(hidden as tf.Tensor, [8, config.modelWidth]), chosen);
    };
    assertRows(some(params).arraySync() as number[][], ofAll(params).arraySync() as number[][], "");
    const [a, b] = [gradients(some), gradients(ofAll)];
    names.forEach((name, i) => {
      const largest = tf.max(tf.abs(tf.sub(a[i], b[i]))).dataSync()[0];
      assert(largest < FLOAT32_TOLERANCE, `${name}: ${largest}`);
    });
    assertThrows(
      () =>
        decoderStates(params, config, inputs, {
          rows: namedInts(chosen, "N", {}),
          onlyLast: true,
        }),
      ShapeError,
      "at once",
    );
  });

  Deno.test(`${family}: other positions give other logits`, () => {
    const at = (positions: number[]) =>
      logitsOf({ inputIds: ids([TEXT]), positions: ids([positions]) });
    assertRows(at([0, 1, 2, 3, 4]).logits[0], alone, "the default, told");
    const shifted = at([5, 6, 7, 8, 9]).logits[0], spread = at([0, 2, 4, 6, 8]).logits[0];
    assertNotEquals(spread[4], alone[4]);
    // Rotary positions are relative, learned ones are not.
    if (config.rotary) assertRows(shifted, alone, "all shifted alike");
    else assertNotEquals(shifted[4], alone[4]);
  });

  Deno.test(`${family}: packed projections give the same`, () => {
    const packed = packDecoder(model);
    const names = Object.keys(packed);
    if (family === "gpt2") assertEquals(packed, model.tensors);
    else {
      assert(!names.some((name) => /\.(q|k|v|gate|up)_proj/.test(name)), names.join());
      const { heads, keyValueHeads, headWidth, modelWidth } = config;
      assertEquals(packed["model.layers.1.self_attn.qkv_proj.weight"].shape, [
        (heads + 2 * keyValueHeads) * headWidth,
        modelWidth,
      ]);
      assertEquals("model.layers.1.self_attn.qkv_proj.bias" in packed, config.hasQueryBias);
    }
    const { logits } = logitsOf({ inputIds: ids([TEXT]) }, paramsOf(packed));
    assertRows(logits[0], alone, "packed");
  });

  Deno.test(`${family}: the loss is the mean of −log softmax at the next labels that count`, () => {
    const inputIds = ids([[3, 4, 5, 9], [6, 2, 1, 0]]);
    const isToken = marks([[1, 1, 1, 1], [1, 1, 1, 0]]);
    const labels = ids([[3, -100, 5, 9], [6, 2, -1, -100]]);
    const { logits } = logitsOf({ inputIds, isToken });
    const terms = [[0, 1, 5], [0, 2, 9], [1, 0, 2]].map(([b, t, label]) => {
      const z = logits[b][t], top = Math.max(...z);
      return top + Math.log(z.reduce((sum, v) => sum + Math.exp(v - top), 0)) - z[label];
    });
    const loss = decoderLoss(params, config, { inputIds, isToken, labels }).dataSync()[0];
    assertAlmostEquals(loss, terms.reduce((a, b) => a + b) / 3, FLOAT32_TOLERANCE);
    const none = ids([[3, -100, -100, -100], [6, -100, -100, -100]]);
    assertEquals(decoderLoss(params, config, { inputIds, isToken, labels: none }).dataSync()[0], 0);
  });

  Deno.test(`${family}: eager and recorded agree, value and every gradient`, async () => {
    const of = (B: number, S: number) => ({
      inputIds: hostTensor("int32", Int32Array.from({ length: B * S }, (_, i) => 7 * i % 11), [
        B,
        S,
      ]),
      labels: hostTensor(
        "int32",
        Int32Array.from({ length: B * S }, (_, i) => i % 3 ? 7 * i % 11 : -100),
        [B, S],
      ),
      isToken: hostTensor(
        "float32",
        Float32Array.from({ length: B * S }, (_, i) => i % S || B === 1 ? 1 : 0),
        [B, S],
      ),
    });
    const batch = { dtype: "int32", shape: ["B", "S"] } as const;
    await assertParity(
      {
        name: `tiny_${family}`,
        inputs: {
          ...Object.fromEntries(
            Object.entries(model.tensors).map((
              [name, { shape }],
            ) => [name, { dtype: "float32", shape }] as const),
          ),
          inputIds: batch,
          labels: batch,
          isToken: { dtype: "float32", shape: ["B", "S"] },
        },
        run: (x) => ({
          loss: decoderLoss(x, config, {
            inputIds: namedInts(x.inputIds, "B S", {}),
            labels: namedInts(x.labels, "B S", {}),
            isToken: named(x.isToken, "B S", {}),
          }),
        }),
      },
      [of(2, 4), of(1, 6), of(3, 2)].map((batch) => ({ ...model.tensors, ...batch })),
      {
        gradients: { loss: "loss", parameters: Object.keys(model.tensors) },
        dialects: ["training"],
      },
    );
  });
}

Deno.test("positions count tokens, whatever is between them", () => {
  const isToken = marks([[0, 0, 1, 1], [1, 0, 1, 0]]);
  assertEquals(tokenPositions(isToken).arraySync(), [[0, 0, 0, 1], [0, 0, 1, 1]]);
  const before = named(tf.tensor2d([[1, 0, 1], [0, 0, 0]]), "B P", {});
  assertEquals(tokenPositions(isToken, before).arraySync(), [[1, 1, 2, 3], [0, 0, 1, 1]]);
});

/** Draws anew in every run, as an executor does. */
let step = 0, shapes: number[] = [];
tf.registerKernel({
  kernelName: KEEP_MASK,
  backendName: "cpu",
  kernelFunc: ({ attrs }) => {
    const { shape, keepProb } = attrs as unknown as KeepMaskAttrs;
    const mask = new Float32Array(sizeOf(shape));
    const key = { seed: 1, stream: "d", step };
    return tf.tensor(fillKeepMask(mask, key, shapes.push(sizeOf(shape)), keepProb), shape);
  },
});

Deno.test("dropout acts at each of its places, and only where asked for", () => {
  const { config, tensors } = tinyDecoder("llama"), params = paramsOf(tensors);
  const inputIds = ids([[3, 4, 5]]);
  const run = (over: { embedding?: number; attention?: number; residual?: number }, at = 0) => {
    [step, shapes] = [at, []];
    const dropout = { embedding: 0, attention: 0, residual: 0, ...over };
    const loss = decoderLoss(params, config, { inputIds, labels: inputIds }, { dropout });
    return loss.dataSync()[0];
  };
  const without = decoderLoss(params, config, { inputIds, labels: inputIds }).dataSync()[0];
  assertEquals(run({}), without);
  assertEquals(shapes, []);
  // Embeddings [S, D]; weights [J, (H/J)·S, S] in both layers; two residual branches in each.
  for (
    const [place, sizes] of [
      ["embedding", [24]],
      ["attention", [36, 36]],
      ["residual", [24, 24, 24, 24]],
    ] as const
  ) {
    const first = run({ [place]: 0.4 });
    assertEquals(shapes, [...sizes], place);
    assertNotEquals(first, without, place);
    assertEquals(run({ [place]: 0.4 }), first, place);
    assertNotEquals(run({ [place]: 0.4 }, 1), first, place);
  }
});

Deno.test("what does not fit a decoder is named", () => {
  const { config, tensors } = tinyDecoder("qwen2"), params = paramsOf(tensors);
  const inputIds = ids([[3, 4, 5]]);
  const { keysValues } = decoderStates(params, config, { inputIds });
  const isToken = named(tf.ones([1, 3]), "B P", {});
  const refuse = (words: string, f: () => unknown) => assertThrows(f, ShapeError, words);
  refuse(
    "Cannot read isToken as [B=1, S=3]: axis S is 4",
    () => decoderStates(params, config, { inputIds, isToken: marks([[1, 1, 1, 1]]) }),
  );
  refuse(
    "Cannot read positions as [B=1, S=3]: axis S is 2",
    () => decoderStates(params, config, { inputIds, positions: ids([[0, 1]]) }),
  );
  refuse(
    "Cannot go on with 2 layers: the past has keys of 1",
    () =>
      decoderStates(params, config, { inputIds, past: { keysValues: [keysValues[0]], isToken } }),
  );
  refuse(
    "keys of the past in layer 0 as [B=1, J=2, P=2, E=2]: axis P is 3",
    () =>
      decoderStates(params, config, {
        inputIds,
        past: { keysValues, isToken: named(tf.ones([1, 2]), "B P", {}) },
      }),
  );
  refuse("isToken of the past as [B=1, P]: axis B is 2", () =>
    decoderStates(params, config, {
      inputIds,
      past: { keysValues, isToken: named(tf.ones([2, 3]), "B P", {}) },
    }));
  refuse(
    "Cannot read labels as [B=1, S=3",
    () => decoderLoss(params, config, { inputIds, labels: ids([[1, 2]]) }),
  );
  const { "model.norm.weight": _, ...missing } = params;
  refuse(
    "Cannot find parameter model.norm.weight",
    () => decoderStates(missing, config, { inputIds }),
  );
});
