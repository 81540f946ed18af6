/** Decoders and T5 as sequence models: cached, ragged and reordered rows against reading whole texts. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import {
  generate,
  type GenerateOptions,
  openDecoder,
  openT5,
  type SequenceModel,
  type SequenceState,
} from "../../../src/generate/mod.ts";
import {
  decoderLogits,
  decoderStates,
  isConv1d,
  loraConfig,
  loraParamSpecs,
  loraScaling,
  mergeLora,
  modelProjections,
  t5Decode,
  t5Encode,
  t5Logits,
} from "../../../src/model/mod.ts";
import { eagerExecutor } from "../../../src/runtime/eager_executor.ts";
import { onnxExecutor } from "../../../src/runtime/onnx_executor.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { drawn, ids, paramsOf, tinyDecoder } from "../model/_tiny_decoder.ts";
import { batchOf, tinyConfig, tinyTensors } from "../model/_tiny_t5.ts";
import { logSumExp } from "../nn/_reference.ts";

/** Sums of the same numbers in another order, through two layers. */
const TOLERANCE = 5e-5;
const executor = onnxExecutor({ threads: 1 });

const gpt2 = tinyDecoder("gpt2"), llama = tinyDecoder("llama");
const t5 = { config: tinyConfig(), tensors: tinyTensors(tinyConfig()) };

/** Logits after a text, without a cache. */
type Whole = (prompt: number[], text: number[]) => number[];

const decoderWhole = (model: typeof llama): Whole => {
  const params = paramsOf(model.tensors);
  return (prompt, text) => {
    const { hidden } = decoderStates(params, model.config, {
      inputIds: ids([[...prompt, ...text]]),
    });
    const logits = decoderLogits(params, model.config, hidden).arraySync() as number[][][];
    return logits[0].at(-1)!;
  };
};
const t5Whole: Whole = (() => {
  const params = paramsOf(t5.tensors);
  return (prompt, text) => {
    // Token 0 is no padding here.
    const { inputIds } = batchOf([prompt], [[1]]);
    const isToken = named(tf.ones([1, prompt.length]), "B S", {});
    const memory = t5Encode(params, t5.config, { inputIds, isToken });
    const row = [t5.config.startToken, ...text];
    const decoderIds = namedInts(tf.tensor2d([row], undefined, "int32"), "B T", {});
    const hidden = t5Decode(params, t5.config, { decoderIds, memory, isToken });
    return (t5Logits(params, t5.config, hidden).arraySync() as number[][][])[0].at(-1)!;
  };
})();

interface Subject {
  open: (on?: typeof executor) => Promise<SequenceModel>;
  whole: Whole;
  /** Must rows be extended by equally many tokens? */
  isInStep: boolean;
}
const subjects: Record<string, Subject> = {
  gpt2: {
    open: (on = executor) => openDecoder(gpt2, { executor: on }),
    whole: decoderWhole(gpt2),
    isInStep: false,
  },
  llama: {
    open: (on = executor) => openDecoder(llama, { executor: on }),
    whole: decoderWhole(llama),
    isInStep: false,
  },
  t5: { open: (on = executor) => openT5(t5, { executor: on }), whole: t5Whole, isInStep: true },
};

for (const [name, { open, whole, isInStep }] of Object.entries(subjects)) {
  const model = await open();

  const assertNext = (state: SequenceState, rows: [number[], number[]][]): void => {
    const V = model.vocabSize, start = isInStep ? 1 : 0;
    assertEquals(state.rows, rows.length);
    assertEquals(
      state.lengths,
      rows.map(([prompt, text]) => text.length + (start || prompt.length)),
    );
    rows.forEach(([prompt, text], b) => {
      const expected = whole(prompt, text);
      expected.forEach((x, v) =>
        assertAlmostEquals(state.next.logits[b * V + v], x, TOLERANCE, `row ${b}, token ${v}`)
      );
      assertAlmostEquals(state.next.logSumExp[b], logSumExp(expected), TOLERANCE);
    });
  };

  Deno.test(`${name}: rows that are extended, reordered, repeated and dropped`, async () => {
    const state = await model.start([[3, 4, 5], [6], [7, 8]]);
    assertNext(state, [[[3, 4, 5], []], [[6], []], [[7, 8], []]]);
    await state.extend(isInStep ? [[1, 2], [9, 9], [5, 4]] : [[1], [9, 9, 3], [5, 4]]);
    const [a, b] = isInStep ? [[1, 2], [9, 9]] : [[1], [9, 9, 3]];
    assertNext(state, [[[3, 4, 5], a], [[6], b], [[7, 8], [5, 4]]]);
    state.select([2, 0, 2, 1]);
    await state.extend([[1], [2], [3], [4]]);
    assertNext(state, [
      [[7, 8], [5, 4, 1]],
      [[3, 4, 5], [...a, 2]],
      [[7, 8], [5, 4, 3]],
      [[6], [...b, 4]],
    ]);
    state.select([3, 1]);
    await state.extend([[2], [10]]);
    assertNext(state, [[[6], [...b, 4, 2]], [[3, 4, 5], [...a, 2, 10]]]);
  });

  Deno.test(`${name}: a row gives the same text whatever else is in the batch`, async () => {
    const rows = [[3, 4, 5], [6], [7, 8], [2, 1, 9, 10]];
    const run = async (prompts: number[][], options: GenerateOptions) =>
      (await generate(model, prompts, { maxNewTokens: 7, stopTokens: [1], ...options }))
        .map((texts) => texts.map(({ tokens }) => [...tokens]));
    for (const options of [{}, { repetitionPenalty: 1.2 }, { beam: { beams: 3, count: 2 } }]) {
      const together = await run(rows, options);
      for (const [i, row] of rows.entries()) {
        assertEquals(await run([row], options), [together[i]], `row ${i}`);
      }
      assertEquals((await run([...rows].reverse(), options)).reverse(), together);
    }
    // Draws belong to the number of a prompt.
    const drawn = await run(rows, { sampling: { seed: 4 } });
    const others = await run([[1], rows[1], [5, 5, 5, 5], rows[3], [2]], { sampling: { seed: 4 } });
    assertEquals([others[1], others[3]], [drawn[1], drawn[3]]);
    assert(`${await run(rows, { sampling: { seed: 5 } })}` !== `${drawn}`);
  });

  Deno.test(`${name}: greedy texts and their log-probabilities follow from whole texts`, async () => {
    const prompt = [3, 4, 5];
    const [[{ tokens, logProbs }]] = await generate(model, [prompt], {
      maxNewTokens: 6,
      stopTokens: [],
    });
    tokens.forEach((token, t) => {
      const z = whole(prompt, [...tokens.subarray(0, t)]);
      assertEquals(token, z.indexOf(Math.max(...z)));
      assertAlmostEquals(logProbs[t], z[token] - logSumExp(z), TOLERANCE);
    });
  });

  Deno.test(`${name}: the cpu backend of tfjs writes the same, from an empty cache on`, async () => {
    const eager = await open(eagerExecutor("cpu"));
    const options = { maxNewTokens: 4, stopTokens: [] };
    const [expected, actual] = [
      await generate(model, [[3, 4], [6]], options),
      await generate(eager, [[3, 4], [6]], options),
    ];
    assertEquals(actual.map(([{ tokens }]) => tokens), expected.map(([{ tokens }]) => tokens));
    await eager.dispose();
  });

  Deno.test(`${name}: rows that can't be read are named`, async () => {
    const refuse = (f: () => Promise<unknown>, words: string) =>
      assertRejects(f, ShapeError, words);
    await refuse(() => generate(model, []), "Cannot read prompts: there is none");
    await refuse(() => generate(model, [[1], []]), "Cannot read row 1: it has no token");
    await refuse(
      () => generate(model, [[1, 11]]),
      "Cannot read row 0: token 1 is 11; the vocabulary has 0 to 10",
    );
    await refuse(() => generate(model, [[-1]]), "token 0 is -1");
    await refuse(() => generate(model, [[0.5]]), "token 0 is 0.5");
    const state = await model.start([[1], [2]]);
    await refuse(() => state.extend([[1]]), "Cannot extend 2 rows by tokens for 1");
    await refuse(() => state.extend([[1], []]), "Cannot read row 1: it has no token");
    if (isInStep) {
      await refuse(() => state.extend([[1], [2, 3]]), "they go in step");
    }
    // What was refused left nothing behind.
    assertNext(state, [[[1], []], [[2], []]]);
  });
}

Deno.test("GPT-2 ends where its positions end", async () => {
  const model = await openDecoder(gpt2, { executor });
  assertEquals(model.maxLength, 12);
  const prompts = [Array(9).fill(3), [4], Array(12).fill(5)];
  const texts = await generate(model, prompts, { maxNewTokens: 6 });
  assertEquals(texts.map(([{ tokens, end }]) => [tokens.length, end]), [
    [3, "length"],
    [6, "length"],
    [1, "length"],
  ]);
  await assertRejects(
    () => generate(model, [[1], Array(13).fill(3)]),
    ShapeError,
    "Cannot read 13 tokens in row 1: the model has 12 positions. " +
      "Shorten the prompt or generate fewer tokens.",
  );
  const state = await model.start([Array(12).fill(3)]);
  await assertRejects(() => state.extend([[1]]), ShapeError, "Cannot read 13 tokens in row 0");
  await model.dispose();
});

Deno.test("a long text needs more room than its cache began with", async () => {
  const model = await openDecoder(llama, { executor });
  assertEquals(model.maxLength, Infinity);
  const prompts = [Array.from({ length: 61 }, (_, i) => i % 11), [5, 2]];
  const [[{ tokens }], [short]] = await generate(model, prompts, { maxNewTokens: 8 });
  const whole = decoderWhole(llama);
  tokens.forEach((token, t) => {
    const z = whole(prompts[0], [...tokens.subarray(0, t)]);
    assertEquals(token, z.indexOf(Math.max(...z)), `token ${t}`);
  });
  assertEquals(
    await generate(model, [prompts[1]], { maxNewTokens: 8 }).then(([[x]]) => x.tokens),
    short.tokens,
  );
  await model.dispose();
});

Deno.test("adapters beside the weights write what merged weights write", async () => {
  const adapter = loraConfig({ targets: "all-linear", rank: 2 });
  const lora = loraScaling(adapter), options = { maxNewTokens: 5 };
  const of = (model: typeof llama | typeof t5) => {
    const adapters = drawn(loraParamSpecs(adapter, modelProjections(model.config)));
    const merged = mergeLora(model.tensors, adapters, {
      config: adapter,
      isConv1d: isConv1d(model.config),
    });
    return { beside: { ...model.tensors, ...adapters }, merged };
  };
  const [a, b, c] = [of(gpt2), of(llama), of(t5)];
  const pairs = [
    [
      openDecoder({ ...gpt2, tensors: a.beside }, { executor, lora }),
      openDecoder({ ...gpt2, tensors: a.merged }, { executor }),
      openDecoder(gpt2, { executor }),
    ],
    [
      openDecoder({ ...llama, tensors: b.beside }, { executor, lora }),
      openDecoder({ ...llama, tensors: b.merged }, { executor }),
      openDecoder(llama, { executor }),
    ],
    [
      openT5({ ...t5, tensors: c.beside }, { executor, lora }),
      openT5({ ...t5, tensors: c.merged }, { executor }),
      openT5(t5, { executor }),
    ],
  ];
  for (const pair of pairs) {
    const [beside, merged, without] = await Promise.all(pair.map(async (opening) => {
      const model = await opening;
      const [[text]] = await generate(model, [[3, 4, 5]], options);
      await model.dispose();
      return text;
    }));
    assertEquals(beside.tokens, merged.tokens);
    beside.logProbs.forEach((x, t) => assertAlmostEquals(x, merged.logProbs[t], TOLERANCE));
    assert(Math.abs(without.logProbs[0] - merged.logProbs[0]) > 1e-3);
  }
});
