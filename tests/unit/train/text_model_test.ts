import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, ShapeError } from "../../../src/errors.ts";
import { openDecoder, openT5, type SequenceModel } from "../../../src/generate/mod.ts";
import {
  isConv1d,
  isDecoder,
  loraConfig,
  loraParamSpecs,
  mergeLora,
  type Model,
  modelParamSpecs,
  modelProjections,
  type T5Model,
} from "../../../src/model/mod.ts";
import { adamw } from "../../../src/optim/mod.ts";
import { createTrainStep, onnxExecutor, ParameterStore } from "../../../src/runtime/mod.ts";
import {
  tensorsOf,
  type TextExample,
  textModel,
  type TrainableModel,
} from "../../../src/train/mod.ts";
import { NAMES, tinyModel } from "../hub/_tiny_pretrained.ts";
import { drawn } from "../model/_tiny_decoder.ts";

/** Two layers of float32; losses are about 4. */
const LOSS = 1e-5;

const executor = onnxExecutor({ threads: 1 });

/** Without dropout, in the words of each family. */
const STILL: Readonly<Record<string, Record<string, unknown>>> = {
  t5: { dropout_rate: 0 },
  flan_t5: { dropout_rate: 0 },
  gpt2: { embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 },
};
const still = (name: string): Model => tinyModel(name, STILL[name]);

/** Prompts and answers of different lengths: both are padded in a batch. */
const EXAMPLES: TextExample[] = [
  { prompt: [6, 9, 13], answer: [7, 1] },
  { prompt: Int32Array.of(8), answer: Int32Array.of(10, 11, 5, 1) },
  { prompt: [3, 3, 3, 3, 3], answer: [1] },
];

/** Mean −log p over the answers' tokens, from the model that generates, one example at a time. */
async function lossByHand(model: Model, examples: readonly TextExample[]): Promise<number> {
  const opened: SequenceModel = isDecoder(model)
    ? await openDecoder(model, { executor })
    : await openT5(model as T5Model, { executor });
  let sum = 0, count = 0;
  for (const { prompt, answer } of examples) {
    const state = await opened.start([Array.from(prompt)]);
    for (const token of Array.from(answer)) {
      const { logits, logSumExp } = state.next;
      sum += logSumExp[0] - logits[token];
      count++;
      await state.extend([[token]]);
    }
  }
  await opened.dispose();
  return sum / count;
}

/** Losses of batches, one after the other, without learning; the last one's gradients stay. */
async function lossesOf(
  model: TrainableModel<TextExample>,
  store: ParameterStore,
  batches: readonly (readonly TextExample[])[],
): Promise<number[]> {
  const train = await createTrainStep(executor, model.trainingProgram, store);
  const losses: number[] = [];
  for (const examples of batches) {
    const random = { seed: 1, stream: "dropout", step: 0 };
    losses.push((await train.step(model.batch(examples).inputs, { random })).loss);
  }
  await train.dispose();
  return losses;
}

const storeOf = (model: TrainableModel<TextExample>): ParameterStore => {
  const store = new ParameterStore(model.specs, { rule: adamw() });
  model.start(store);
  return store;
};

for (const name of NAMES) {
  Deno.test(`${name}: the loss is the mean over the answers' tokens, whatever the batch`, async () => {
    const model = still(name), trained = textModel(model), store = storeOf(trained);
    assertEquals(tensorsOf(store), model.tensors);
    assertEquals(trained.specs, modelParamSpecs(model.config));
    const batches = [EXAMPLES, ...EXAMPLES.map((example) => [example])];
    const losses = await lossesOf(trained, store, batches);
    for (const [i, examples] of batches.entries()) {
      assertAlmostEquals(losses[i], await lossByHand(model, examples), LOSS);
    }
  });

  Deno.test(`${name}: adapters alone are trained; at the start they change nothing`, async () => {
    const model = still(name), before = structuredClone(model.tensors);
    const lora = loraConfig({ targets: "all-linear", rank: 2, alpha: 6 });
    const adapted = textModel(model, { lora, seed: 3 }), store = storeOf(adapted);
    const projections = modelProjections(model.config);
    const count = projections.reduce((sum, { inputs, outputs }) => sum + 2 * (inputs + outputs), 0);
    assertEquals([store.parameterCount, Object.keys(store.params).length], [
      count,
      2 * projections.length,
    ]);
    assert(Object.keys(adapted.specs).every((key) => /\.lora_[AB]\.weight$/.test(key)));
    const [loss] = await lossesOf(adapted, store, [EXAMPLES]);
    assertAlmostEquals(loss, await lossByHand(model, EXAMPLES), LOSS);
    assertEquals(model.tensors, before);

    // What they add is what a merger adds.
    const adapters = drawn(loraParamSpecs(lora, projections));
    const further = textModel(model, { lora, adapters }), store2 = storeOf(further);
    assertEquals(tensorsOf(store2), adapters);
    const tensors = mergeLora(model.tensors, adapters, {
      config: lora,
      isConv1d: isConv1d(model.config),
    });
    const expected = await lossByHand({ ...model, tensors }, EXAMPLES);
    assertAlmostEquals((await lossesOf(further, store2, [EXAMPLES]))[0], expected, LOSS);
    assert(Math.abs(expected - loss) > 0.01, "the adapters change something");
  });
}

Deno.test("new adapters depend on the seed", () => {
  const model = still("llama"), lora = loraConfig({ targets: ["q_proj"] });
  const startWith = (seed?: number) => tensorsOf(storeOf(textModel(model, { lora, seed })));
  assertEquals(startWith(3), startWith(3));
  assertEquals(startWith(), startWith(0));
  const [a, b] = [startWith(3), startWith(4)];
  for (const [name, { data }] of Object.entries(a)) {
    const isUp = name.endsWith("lora_B.weight");
    assert(isUp ? data.every((x) => x === 0) : data.every((x, i) => x !== b[name].data[i]), name);
  }
});

Deno.test("a batch counts tokens and padding, and pads with the model's token", () => {
  const padded = textModel(tinyModel("llama", { pad_token_id: 2 })).batch(EXAMPLES);
  assertEquals([padded.tokens, padded.positions], [5 + 5 + 6, 3 * 6]);
  assertEquals([...padded.inputs.inputIds.data].slice(0, 6), [6, 9, 13, 7, 1, 2]);
  assertEquals([...padded.inputs.isToken.data].slice(0, 6), [1, 1, 1, 1, 1, 0]);
  const none = textModel(tinyModel("llama", { pad_token_id: null })).batch(EXAMPLES);
  assertEquals([...none.inputs.inputIds.data].slice(0, 6), [6, 9, 13, 7, 1, 0]);
  // An encoder-decoder reads the prompts and writes the answers.
  const { inputs } = textModel(tinyModel("t5")).batch(EXAMPLES);
  assertEquals([inputs.inputIds.shape, inputs.labels.shape], [[3, 5], [3, 4]]);
});

Deno.test("examples that can't be learned are refused by their number", () => {
  const [good] = EXAMPLES, decoder = textModel(tinyModel("llama"), { maxTokens: 5 });
  decoder.batch([good, { prompt: [], answer: [4, 1] }]);
  const refuse = (
    model: TrainableModel<TextExample>,
    example: TextExample,
    message: string,
  ): void => {
    assertThrows(() => model.batch([good, example]), ShapeError, message);
  };
  refuse(decoder, { prompt: [3], answer: [] }, "example 1 of a batch: its answer has 0 tokens");
  refuse(decoder, { prompt: [3, 3, 3], answer: [3, 3, 1] }, "it has 6; the answer needs one");
  refuse(decoder, { prompt: [], answer: [4] }, "nothing stands before its only token");
  refuse(textModel(tinyModel("t5")), { prompt: [], answer: [1] }, "its prompt has no token");
  assertThrows(
    () => textModel(tinyModel("gpt2"), { lora: loraConfig({ targets: ["q_proj"] }) }),
    ConfigError,
    "q_proj is no projection of this model",
  );
});
