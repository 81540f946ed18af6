import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { ConfigError, DeepragError } from "../../../src/errors.ts";
import {
  allowTokens,
  generate,
  type GenerateOptions,
  type LogitsContext,
  type TokenEvent,
} from "../../../src/generate/mod.ts";
import { logSumExp } from "../nn/_reference.ts";
import { drawnLogits, tableModel } from "./_table_model.ts";

const PROMPTS = [[1], [2, 3], [4, 0, 1], [3]];
const FLOAT32_TOLERANCE = 1e-6;

/** Σ (observed − expected)² / expected. */
const chiSquare = (observed: number[], probabilities: number[], n: number): number =>
  observed.reduce((sum, o, i) => sum + (o - n * probabilities[i]) ** 2 / (n * probabilities[i]), 0);
/** What chi-square exceeds once in 1000 times, by degrees of freedom. */
const RARE: Record<number, number> = { 2: 13.82, 4: 18.47, 24: 51.18 };

const softmax = (x: number[]): number[] => {
  const sum = logSumExp(x);
  return x.map((v) => Math.exp(v - sum));
};

const LOGITS = [0.3, -1.2, 1.1, 0, 0.7];
const DRAWS = 20_000;

Deno.test("tokens are drawn with their probabilities, independently at every step", async () => {
  const { model } = tableModel({ vocabSize: 5, logits: () => LOGITS });
  const texts = await generate(model, Array(DRAWS).fill([0]), { maxNewTokens: 2, sampling: {} });
  const first = Array(5).fill(0), pairs = Array(25).fill(0);
  for (const [{ tokens: [a, b] }] of texts) {
    first[a]++;
    pairs[5 * a + b]++;
  }
  const p = softmax(LOGITS);
  assert(chiSquare(first, p, DRAWS) < RARE[4], `${first}`);
  const both = p.flatMap((a) => p.map((b) => a * b));
  assert(chiSquare(pairs, both, DRAWS) < RARE[24], `${pairs}`);
});

Deno.test("temperature and top k change the distribution as they say", async () => {
  const { model } = tableModel({ vocabSize: 5, logits: () => LOGITS });
  const sampling = { temperature: 0.5, topK: 3, seed: 7 };
  const texts = await generate(model, Array(DRAWS).fill([0]), { maxNewTokens: 1, sampling });
  const count = Array(5).fill(0);
  for (const [{ tokens: [token] }] of texts) count[token]++;
  const p = softmax([0, 2, 4].map((v) => 2 * LOGITS[v]));
  assertEquals([count[1], count[3]], [0, 0]);
  assert(chiSquare([0, 2, 4].map((v) => count[v]), p, DRAWS) < RARE[2], `${count}`);
});

const textsOf = async (options: GenerateOptions, prompts = PROMPTS): Promise<number[][]> => {
  const { model } = tableModel({ vocabSize: 5 });
  const texts = await generate(model, prompts, { maxNewTokens: 12, ...options });
  return texts.map(([{ tokens }]) => [...tokens]);
};

Deno.test("the draws are those of seed, stream, prompt number and step", async () => {
  const first = await textsOf({ sampling: { seed: 1 } });
  assertEquals(await textsOf({ sampling: { seed: 1 } }), first);
  for (const sampling of [{ seed: 2 }, { seed: 1, stream: "other" }, {}]) {
    const texts = await textsOf({ sampling });
    texts.forEach((text, i) => assert(`${text}` !== `${first[i]}`, `${text}`));
  }
  // One prompt four times gives four texts.
  const same = await textsOf({ sampling: {} }, Array(4).fill([1]));
  assertEquals(new Set(same.map(String)).size, 4);
  // What else is in the batch does not matter, nor when it leaves.
  const options = { sampling: { seed: 1 }, stopTokens: [4] };
  const prompts = Array.from({ length: 12 }, (_, i) => [i % 5]);
  const together = await textsOf(options, prompts);
  assert(new Set(together.map(({ length }) => length)).size > 3, `${together.join(" ")}`);
  const others = await textsOf(options, prompts.map((ids, i) => i % 3 ? [2, 2] : ids));
  for (let i = 0; i < 12; i += 3) assertEquals(others[i], together[i]);
});

Deno.test("without sampling the first likeliest token is taken", async () => {
  const { model } = tableModel({ vocabSize: 4, logits: () => [0, 2, 2, -1] });
  const [[{ tokens, end }]] = await generate(model, [[0]], { maxNewTokens: 3 });
  assertEquals([[...tokens], end], [[1, 1, 1], "length"]);
});

Deno.test("log-probabilities are those of the distribution drawn from, and the model's", async () => {
  const { model } = tableModel({ vocabSize: 5 });
  const options = {
    maxNewTokens: 6,
    repetitionPenalty: 1.5,
    sampling: { temperature: 0.7, topK: 4, topP: 0.8 },
  };
  const texts = await generate(model, PROMPTS, options);
  texts.forEach(([{ tokens, logProbs, modelLogProbs }], i) => {
    const seen = [...PROMPTS[i]];
    tokens.forEach((token, t) => {
      const z = drawnLogits(5)(seen);
      assertAlmostEquals(modelLogProbs[t], z[token] - logSumExp(z), FLOAT32_TOLERANCE);
      const cold = z.map((x, v) => (!seen.includes(v) ? x : x < 0 ? x * 1.5 : x / 1.5) / 0.7);
      const order = cold.map((_, v) => v).sort((a, b) => cold[b] - cold[a]).slice(0, 4);
      const p = softmax(order.map((v) => cold[v]));
      let size = 0;
      for (let mass = 0; mass < 0.8; size++) mass += p[size];
      const nucleus = order.slice(0, size);
      assert(nucleus.includes(token), `${token} is not among ${nucleus}`);
      const expected = cold[token] - logSumExp(nucleus.map((v) => cold[v]));
      assertAlmostEquals(logProbs[t], expected, 10 * FLOAT32_TOLERANCE);
      seen.push(token);
    });
  });
});

Deno.test("a text ends with a stop token, which belongs to it, and leaves the batch", async () => {
  // After its prompt, row r writes r times 0 and then 9.
  const logits = (tokens: readonly number[]) =>
    Array.from({ length: 10 }, (_, v) => v === (tokens.length - 1 < tokens[0] ? 0 : 9) ? 5 : 0);
  const { model, calls } = tableModel({ vocabSize: 10, logits, endTokens: [9] });
  const run = (options: GenerateOptions = {}) =>
    generate(model, [[3], [1], [2], [7]], { maxNewTokens: 5, ...options });
  const texts = (await run()).map(([text]) => text);
  assertEquals(texts.map(({ tokens }) => [...tokens]), [
    [0, 0, 0, 9],
    [0, 9],
    [0, 0, 9],
    [0, 0, 0, 0, 0],
  ]);
  assertEquals(texts.map(({ end }) => end), ["stop", "stop", "stop", "length"]);
  assertEquals(texts.map(({ logProbs }) => logProbs.length), [4, 2, 3, 5]);
  assertEquals(calls, [4, 3, 2, 1]);
  const without = await run({ stopTokens: [] });
  assert(without.every(([{ tokens }]) => tokens.length === 5));
  const other = await run({ stopTokens: [0, 9] });
  assert(other.every(([{ tokens }]) => `${tokens}` === "0"));
  const late = await run({ minNewTokens: 4 });
  assertEquals(late.map(([{ tokens }]) => tokens.indexOf(9)), [4, 4, 4, -1]);
});

Deno.test("every token is told as it comes, and the listener may end its text", async () => {
  const { model } = tableModel({ vocabSize: 5 });
  const events: TokenEvent[] = [];
  const texts = await generate(model, PROMPTS, {
    maxNewTokens: 4,
    onToken: (event) => {
      events.push(event);
      return !(event.prompt === 2 && event.step === 1);
    },
  });
  assertEquals(texts.map(([{ end }]) => end), ["length", "length", "aborted", "length"]);
  texts.forEach(([{ tokens, logProbs }], prompt) => {
    const told = events.filter((event) => event.prompt === prompt);
    assertEquals(told.map(({ token }) => token), [...tokens]);
    assertEquals(told.map(({ step }) => step), [...tokens.keys()]);
    told.forEach(({ logProb }, t) => assertAlmostEquals(logProb, logProbs[t], FLOAT32_TOLERANCE));
  });
  assertEquals(texts[2][0].tokens.length, 2);
  // A listener that returns nothing lets it go on; a stop token is a stop all the same.
  const [[{ tokens }]] = await generate(model, [[1]], { maxNewTokens: 3, onToken: () => {} });
  assertEquals(tokens.length, 3);
  const [[{ end }]] = await generate(model, [[1]], {
    stopTokens: [...tokens],
    onToken: () => false,
  });
  assertEquals(end, "stop");
});

Deno.test("a signal ends everything; what there is is returned", async () => {
  const { model } = tableModel({ vocabSize: 5 });
  const controller = new AbortController();
  const texts = await generate(model, PROMPTS, {
    signal: controller.signal,
    onToken: ({ prompt, step }) => {
      if (prompt === 1 && step === 2) controller.abort();
    },
  });
  assertEquals(
    texts.map(([{ tokens, end }]) => [tokens.length, end]),
    Array(4).fill([3, "aborted"]),
  );
  const none = await generate(model, PROMPTS, { signal: AbortSignal.abort() });
  assertEquals(
    none.map(([{ tokens, end }]) => [tokens.length, end]),
    Array(4).fill([0, "aborted"]),
  );
});

Deno.test("each text has the room that its own prompt leaves", async () => {
  const { model } = tableModel({ vocabSize: 5, maxLength: 6 });
  const prompts = [[1, 2, 3, 4], [1], [1, 2, 3, 4, 0, 1], [2]];
  for (const beam of [undefined, { beams: 2 }]) {
    const texts = await generate(model, prompts, { maxNewTokens: 4, beam });
    // A full prompt still has a next token: it is never read.
    assertEquals(texts.map(([{ tokens }]) => tokens.length), [2, 4, 1, 4]);
    assert(texts.every(([{ end }]) => end === "length"));
    const alone = await generate(model, [prompts[1]], { maxNewTokens: 4, beam });
    assertEquals(texts[1], alone[0]);
  }
});

Deno.test("processors see a decoder's prompt, and of an encoder-decoder only what it wrote", async () => {
  for (const isEncoderDecoder of [false, true]) {
    const { model } = tableModel({ vocabSize: 5, isEncoderDecoder });
    for (const beam of [undefined, { beams: 1 }]) {
      const contexts: LogitsContext[] = [];
      const [[{ tokens: [first, second] }]] = await generate(model, [[4, 3]], {
        maxNewTokens: 3,
        processors: [
          (_, context) => void contexts.push({ ...context, tokens: [...context.tokens] }),
        ],
        beam,
      });
      const prompt = isEncoderDecoder ? [] : [4, 3];
      assertEquals(contexts, [
        { prompt: 0, tokens: [...prompt], generated: 0 },
        { prompt: 0, tokens: [...prompt, first], generated: 1 },
        { prompt: 0, tokens: [...prompt, first, second], generated: 2 },
      ]);
    }
  }
});

Deno.test("processors that leave no token, and logits that are no numbers, are errors", async () => {
  const { model } = tableModel({ vocabSize: 5 });
  const broken = tableModel({ vocabSize: 3, logits: () => [0, NaN, 0] }).model;
  for (const beam of [undefined, { beams: 2 }]) {
    const nothing = allowTokens(({ prompt, generated }) =>
      prompt === 1 && generated === 1 ? [] : [1]
    );
    await assertRejects(
      () => generate(model, PROMPTS, { processors: [nothing], beam }),
      DeepragError,
      "Cannot choose token 1 of prompt 1: the processors leave none",
    );
    await assertRejects(
      () => generate(broken, [[1]], { beam }),
      DeepragError,
      "a logit is no number",
    );
  }
});

Deno.test("options out of range are all named", async () => {
  const { model } = tableModel({ vocabSize: 5 });
  const bad: GenerateOptions = {
    maxNewTokens: 0,
    minNewTokens: -1,
    repetitionPenalty: 0,
    sampling: { temperature: -1, topK: 0.5, topP: 0, seed: 1.5 },
    beam: {
      beams: 0,
      count: 2,
      lengthPenalty: NaN,
      earlyStopping: "always" as unknown as boolean,
    },
    onToken: () => {},
  };
  const error = await assertRejects(() => generate(model, [[1]], bad), ConfigError);
  assertEquals(error.problems.map(({ key }) => key), [
    "maxNewTokens",
    "minNewTokens",
    "repetitionPenalty",
    "sampling.temperature",
    "sampling.topK",
    "sampling.topP",
    "sampling.seed",
    "beam.beams",
    "beam.count",
    "beam.lengthPenalty",
    "beam.earlyStopping",
    "beam",
    "onToken",
  ]);
  await assertRejects(
    () => generate(model, [[1]], { maxNewTokens: 3, minNewTokens: 4 }),
    ConfigError,
    "minNewTokens: is 4, not an integer from 0 to maxNewTokens",
  );
});
