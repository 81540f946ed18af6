import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import {
  allowTokens,
  forbidTokens,
  generate,
  type GenerateOptions,
  type TextBeamOptions,
} from "../../../src/generate/mod.ts";
import { logSumExp } from "../nn/_reference.ts";
import { drawnLogits, tableModel } from "./_table_model.ts";

const FLOAT32_TOLERANCE = 1e-6;
const V = 3, T = 4, STOP = 0;

/** Logits of a table of probabilities by the tokens generated so far, after a prompt of one token. */
const byText =
  (table: Record<string, number[]>, otherwise: number[]) => (tokens: readonly number[]) =>
    (table[tokens.slice(1).join("")] ?? otherwise).map(Math.log);

interface Text {
  tokens: number[];
  sum: number;
}

/** Every text there is: those that end with the stop token, and those of the greatest length. */
function everyText(prompt: number[], choices: (tokens: number[]) => number[]): Text[] {
  const logits = drawnLogits(V), texts: Text[] = [];
  const grow = (tokens: number[], sum: number): void => {
    if (tokens.length === T || tokens.at(-1) === STOP) return void texts.push({ tokens, sum });
    const z = logits([...prompt, ...tokens]), allowed = choices(tokens);
    const total = logSumExp(z);
    for (const v of allowed) grow([...tokens, v], sum + z[v] - total);
  };
  grow([], 0);
  return texts;
}

const PROMPTS = [[1], [2, 1], [1, 1, 2]];

for (const lengthPenalty of [0, 1, 2, -1]) {
  Deno.test(`enough beams give the best of all texts: length penalty ${lengthPenalty}`, async () => {
    const { model } = tableModel({ vocabSize: V, endTokens: [STOP] });
    const results = await generate(model, PROMPTS, {
      maxNewTokens: T,
      beam: { beams: V ** T, count: 20, lengthPenalty },
    });
    results.forEach((texts, i) => {
      const expected = everyText(PROMPTS[i], () => [0, 1, 2])
        .map((text) => ({ ...text, score: text.sum / text.tokens.length ** lengthPenalty }))
        .sort((a, b) => b.score - a.score);
      assertEquals(texts.length, 20);
      texts.forEach(({ tokens, score, logProbs, modelLogProbs, end }, rank) => {
        assertEquals([...tokens], expected[rank].tokens, `prompt ${i}, rank ${rank}`);
        assertAlmostEquals(score!, expected[rank].score, 10 * FLOAT32_TOLERANCE);
        assertAlmostEquals(logProbs.reduce((a, b) => a + b), expected[rank].sum, 1e-5);
        assertEquals(modelLogProbs, logProbs);
        assertEquals(end, tokens.at(-1) === STOP ? "stop" : "length");
      });
    });
  });
}

Deno.test("what processors leave is not normalised again, as in transformers", async () => {
  const { model } = tableModel({ vocabSize: V, endTokens: [STOP] });
  // Nothing twice in a row, and no stop before two tokens are there.
  const choices = (tokens: readonly number[]) =>
    [0, 1, 2].filter((v) => v !== tokens.at(-1) && !(v === STOP && tokens.length < 2));
  const [texts] = await generate(model, [[1]], {
    maxNewTokens: T,
    minNewTokens: 2,
    processors: [
      allowTokens(({ tokens, generated }) =>
        [0, 1, 2].filter((v) => !generated || v !== tokens.at(-1))
      ),
    ],
    beam: { beams: V ** T, count: 9 },
  });
  const expected = everyText([1], choices).map((text) => ({
    ...text,
    score: text.sum / text.tokens.length,
  })).sort((a, b) => b.score - a.score);
  texts.forEach(({ tokens, score, modelLogProbs }, rank) => {
    assertEquals([...tokens], expected[rank].tokens, `rank ${rank}`);
    assertAlmostEquals(score!, expected[rank].score, 10 * FLOAT32_TOLERANCE);
    const z = drawnLogits(V)([1]);
    assertAlmostEquals(modelLogProbs[0], z[tokens[0]] - logSumExp(z), FLOAT32_TOLERANCE);
  });
});

Deno.test("one beam is greedy generation", async () => {
  const { model } = tableModel({ vocabSize: 7, endTokens: [STOP, 5] });
  const prompts = Array.from({ length: 12 }, (_, i) => [i % 7, (i * i) % 7]);
  for (const minNewTokens of [0, 3]) {
    const options = { maxNewTokens: 9, minNewTokens };
    const greedy = await generate(model, prompts, options);
    const beam = await generate(model, prompts, { ...options, beam: { beams: 1 } });
    assertEquals(new Set(greedy.map(([{ end }]) => end)).size, 2);
    const pick = ([{ tokens, modelLogProbs, end }]: typeof beam[0]) => [tokens, modelLogProbs, end];
    assertEquals(beam.map(pick), greedy.map(pick));
  }
});

Deno.test("a repetition penalty acts on log-probabilities, all of which are negative", async () => {
  const { model } = tableModel({ vocabSize: V, logits: () => [0.5, 0.3, 0.2].map(Math.log) });
  const [[{ tokens, score, logProbs }]] = await generate(model, [[1]], {
    maxNewTokens: 1,
    repetitionPenalty: 1.5,
    beam: { beams: 3, count: 3 },
  });
  assertEquals([...tokens], [0]);
  assertAlmostEquals(score!, Math.log(0.5), FLOAT32_TOLERANCE);
  const [texts] = await generate(model, [[0]], {
    maxNewTokens: 1,
    repetitionPenalty: 2,
    beam: { beams: 3, count: 3 },
  });
  assertEquals(texts.map(({ tokens: [token] }) => token), [1, 0, 2]);
  assertAlmostEquals(texts[1].score!, 2 * Math.log(0.5), FLOAT32_TOLERANCE);
  assertAlmostEquals(texts[1].modelLogProbs[0], Math.log(0.5), FLOAT32_TOLERANCE);
  assertAlmostEquals(logProbs[0], Math.log(0.5), FLOAT32_TOLERANCE);
});

/** [tokens, score] of every returned text. */
async function search(
  logits: (tokens: readonly number[]) => number[],
  beam: TextBeamOptions,
  options: GenerateOptions = {},
): Promise<[string, number][]> {
  const { model } = tableModel({ vocabSize: V, logits, endTokens: [STOP] });
  const [texts] = await generate(model, [[1]], { maxNewTokens: T, ...options, beam });
  return texts.map(({ tokens, score }) => [tokens.join(""), score!]);
}

Deno.test('early stopping: "never" goes on while a longer text could be better', async () => {
  // Half of the time the text ends at once; otherwise it is almost certainly 1 for ever.
  const logits = byText({ "": [0.5, 0.4, 0.1] }, [0.005, 0.99, 0.005]);
  for (const earlyStopping of [true, false]) {
    const [[text, score]] = await search(logits, { beams: 1, earlyStopping });
    assertEquals(text, "0");
    assertAlmostEquals(score, Math.log(0.5), FLOAT32_TOLERANCE);
  }
  const [[text, score]] = await search(logits, { beams: 1, earlyStopping: "never" });
  assertEquals(text, "1111");
  assertAlmostEquals(score, Math.log(0.4 * 0.99 ** 3) / 4, FLOAT32_TOLERANCE);
  // Without a reward for length no longer text can be.
  const [[short]] = await search(logits, { beams: 1, earlyStopping: "never", lengthPenalty: 0 });
  assertEquals(short, "0");
});

/** Two beams have two finished texts after two tokens, while the text 1 1 0 would be better. */
const BRANCHES = byText({
  "": [0.35, 0.6, 0.05],
  "1": [0.1, 0.89, 0.01],
  "2": [0.8, 0.1, 0.1],
  "11": [0.98, 0.01, 0.01],
}, [0.34, 0.33, 0.33]);

Deno.test("early stopping: true takes the first finished texts, false waits for better ones", async () => {
  const first = await search(BRANCHES, { beams: 2, count: 2, earlyStopping: true });
  assertEquals(first.map(([text]) => text), ["0", "10"]);
  assertAlmostEquals(first[1][1], Math.log(0.06) / 2, FLOAT32_TOLERANCE);
  const waited = await search(BRANCHES, { beams: 2, count: 2 });
  assertEquals(waited.map(([text]) => text), ["110", "0"]);
  assertAlmostEquals(waited[0][1], Math.log(0.6 * 0.89 * 0.98) / 3, FLOAT32_TOLERANCE);
});

Deno.test("whether to wait is decided by the texts that go on, not by those that just ended", async () => {
  // After two tokens three texts have ended. Of the two last ones 1 0 is better than the worst of the
  // three, 1 1 at its present length is not: transformers stops there, though 1 1 1 0 would be best.
  const logits = byText({
    "": [0.8, 0.13, 0.07],
    "1": [0.9, 0.05, 0.05],
    "2": [0.95, 0.025, 0.025],
  }, [0.99, 0.005, 0.005]);
  const texts = await search(logits, { beams: 3, count: 3, lengthPenalty: 3 });
  assertEquals(texts.map(([text]) => text), ["0", "10", "20"]);
  const later = await search(logits, { beams: 3, lengthPenalty: 3, earlyStopping: "never" });
  assertEquals(later[0][0], "1110");
});

Deno.test("at the greatest length unfinished texts count as finished ones", async () => {
  const options = { maxNewTokens: 2 };
  for (const earlyStopping of [true, false, "never"] as const) {
    const texts = await search(BRANCHES, { beams: 2, count: 2, earlyStopping }, options);
    assertEquals(texts.map(([text]) => text), ["11", "0"], `${earlyStopping}`);
  }
});

Deno.test("the length penalty chooses between short and long", async () => {
  const logits = byText({ "": [0.5, 0.5, 0], "1": [0.05, 0.95, 0] }, [0.05, 0.95, 0]);
  const best = async (lengthPenalty: number) =>
    (await search(logits, { beams: 3, lengthPenalty, earlyStopping: "never" }))[0][0];
  assertEquals([await best(0), await best(1), await best(-1)], ["0", "1111", "0"]);
});

Deno.test("prompts that are done leave the batch, and others do not notice", async () => {
  const { model, calls } = tableModel({ vocabSize: 7, endTokens: [STOP] });
  const prompts = Array.from({ length: 8 }, (_, i) => [i % 7, (3 * i) % 7]);
  const options: GenerateOptions = {
    maxNewTokens: 8,
    beam: { beams: 3, count: 3, earlyStopping: true },
  };
  const together = await generate(model, prompts, options);
  assertEquals(calls[0], 24);
  assert(calls.at(-1)! < 24, `${calls}`);
  assert(calls.every((rows, i) => rows % 3 === 0 && (!i || rows <= calls[i - 1])), `${calls}`);
  for (const [i, prompt] of prompts.entries()) {
    assertEquals(await generate(model, [prompt], options), [together[i]]);
    const scores = together[i].map(({ score }) => score!);
    assertEquals(scores, [...scores].sort((a, b) => b - a));
  }
  const backwards = await generate(model, [...prompts].reverse(), options);
  assertEquals(backwards.reverse(), together);
});

Deno.test("fewer texts than beams are possible", async () => {
  const { model } = tableModel({ vocabSize: V, endTokens: [STOP] });
  const texts = async (processors: GenerateOptions["processors"]) => {
    const beam = { beams: 4, count: 4 };
    const [all] = await generate(model, [[1]], { maxNewTokens: 3, processors, beam });
    return all.map(({ tokens }) => tokens.join(""));
  };
  assertEquals(await texts([allowTokens(({ generated }) => [generated === 2 ? 0 : 2])]), ["220"]);
  assertEquals(await texts([forbidTokens([0, 1])]), ["222"]);
});

Deno.test("a signal ends a search with what it has", async () => {
  const { model } = tableModel({ vocabSize: V });
  const controller = new AbortController();
  const [texts] = await generate(model, [[1]], {
    signal: controller.signal,
    processors: [(_, { generated }) => generated === 2 && controller.abort()],
    beam: { beams: 2, count: 2 },
  });
  assertEquals(texts.map(({ tokens, end }) => [tokens.length, end]), Array(2).fill([3, "aborted"]));
  const none = await generate(model, [[1]], { signal: AbortSignal.abort(), beam: { beams: 2 } });
  assertEquals(none, [[]]);
});
