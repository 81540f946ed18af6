/** Episodes against a replay that reads each whole row at once and draws every choice again. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import {
  type AgentEnvironment,
  emptyRetriever,
  type EpisodeRequest,
  type GateState,
  openPolicySlots,
  outcomeOf,
  policyRules,
  type RetrievalRequest,
  rollout,
  type RolloutOptions,
  type TokenChoice,
  type Trajectory,
} from "../../../src/agent/mod.ts";
import { ConfigError } from "../../../src/errors.ts";
import { decoderLogits, type DecoderModel, decoderStates } from "../../../src/model/mod.ts";
import { onnxExecutor } from "../../../src/runtime/mod.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { ids as rowOf, paramsOf } from "../model/_tiny_decoder.ts";
import {
  DOCUMENTS,
  QUESTIONS,
  tinyEnvironment,
  tinyPolicy,
  TOKENIZER,
  wordRetriever,
} from "./_tiny_agent.ts";

/** The same float32 sums in another order, through one layer: 2e-6 at most was seen. */
const LOG_PROB = 1e-5;

const executor = onnxExecutor({ threads: 1 });
const MODEL = tinyPolicy();

/** Episodes over all questions. */
const requestsOf = (count: number, first = 0): EpisodeRequest[] =>
  Array.from({ length: count }, (_, i) => ({
    question: QUESTIONS[i % QUESTIONS.length],
    cost: 0.1,
    episode: first + i,
  }));

/** How episodes are played here. */
interface Play extends Partial<RolloutOptions> {
  temperature?: number;
  model?: DecoderModel;
  environment?: AgentEnvironment;
  slots?: number;
  hasOther?: boolean;
  requests?: EpisodeRequest[];
}

async function play(choices: Play = {}): Promise<Trajectory[]> {
  const { model = MODEL, environment = tinyEnvironment(), slots: count = 16 } = choices;
  const { requests = requestsOf(40), seed = 1, temperature, hasOther, ...options } = choices;
  const rules = policyRules(environment.protocol, temperature);
  const slots = await openPolicySlots(model, rules, { executor, slots: count, hasOther });
  try {
    return await rollout(slots, environment, requests, { ...options, seed });
  } finally {
    await slots.dispose();
  }
}

/** Logits [T, V] of every position of a row, read at once by tfjs. */
function logitsOf({ config, tensors }: DecoderModel, tokens: Int32Array): number[][] {
  return tf.tidy(() => {
    const params = paramsOf(tensors);
    const { hidden } = decoderStates(params, config, { inputIds: rowOf([[...tokens]]) });
    return (decoderLogits(params, config, hidden) as tf.Tensor3D).arraySync()[0];
  });
}

/** Softmax in float64; what is closed has no share. */
function shares(logits: number[], closed: readonly number[], temperature: number): number[] {
  const open = logits.map((x, v) => closed.includes(v) ? -Infinity : x / temperature);
  const top = Math.max(...open), weights = open.map((x) => Math.exp(x - top));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / sum);
}

/** Where the cumulative distribution is cut. */
function cut(p: number[], uniform: number): number {
  let below = 0;
  return p.findIndex((x) => (below += x) > uniform);
}

/**
 * Play an episode again by the rules as they are written down, choice by choice, from the logits of the
 * whole row, and fail at the first difference.
 */
async function assertReplays(trajectory: Trajectory, choices: Play = {}): Promise<void> {
  const { model = MODEL, environment = tinyEnvironment(), seed = 1, temperature = 1 } = choices;
  const { isGreedy = false, top = 1, gate } = choices;
  const { protocol, retriever, documents, turnTokens } = environment;
  const { ids, budget, forbidden } = protocol;
  const { question, cost, episode } = trajectory;
  const given = [...trajectory.tokens], logits = logitsOf(model, trajectory.tokens);
  const draw = (stream: string, step: number) =>
    randomStream({ seed, stream: `${stream}/${episode}`, step }).uniform();
  const likeliest = (p: number[]) => p.indexOf(Math.max(...p));
  // One position is left free, so that the state behind the last token can be read.
  const longest =
    (model.config.maxPositions && !model.config.rotary ? model.config.maxPositions : Infinity) - 1;

  const row = protocol.prompt(question.query, cost);
  const expected = {
    promptLength: row.length,
    actions: [] as number[],
    mayRetrieve: [] as number[],
    retrievals: [] as unknown[],
  };
  const seen: number[] = [];
  let written: number[] = [], turn = row.length, left = budget, isTruncated = false;
  let answer: number[] | undefined, answers = 0;
  for (let t = 0;; t++) {
    const what = `episode ${episode}, choice ${t}`;
    const mayRetrieve = left > 0 && answers === 0;
    const closed = mayRetrieve ? forbidden : [...forbidden, ids.retrieve];
    const state = logits[row.length - 1];
    let p = shares(state, closed, temperature);
    const retrieveProb = p[ids.retrieve];
    let token = isGreedy ? likeliest(p) : cut(p, draw("rollout", t));
    if (gate && mayRetrieve && (token === ids.retrieve || token === ids.answer)) {
      if (gate({ retrieveProb, retrievals: budget - left })) token = ids.retrieve;
      else if (token === ids.retrieve) {
        p = shares(state, [...closed, ids.retrieve], temperature);
        token = isGreedy ? likeliest(p) : cut(p, draw("gate", t));
      }
    }
    assertEquals(given[row.length], token, what);
    assertAlmostEquals(trajectory.behaviorLogProbs[t], Math.log(p[token]), LOG_PROB, what);
    assertAlmostEquals(trajectory.retrieveProbs[t], retrieveProb, LOG_PROB, what);
    expected.actions.push(row.length);
    expected.mayRetrieve.push(Number(mayRetrieve));
    row.push(token);
    if (token === ids.end) break;
    if (token === ids.retrieve) {
      const own = TOKENIZER.decode(written).trim();
      const request: RetrievalRequest = {
        query: own || question.query,
        question,
        seen: [...seen],
        random: { seed, stream: `retrieval/${episode}`, step: budget - left },
      };
      const [documentsFound] = await retriever.retrieve([request], top);
      expected.retrievals.push({
        action: t,
        query: request.query,
        isWritten: own !== "",
        documents: documentsFound,
      });
      const doc = documentsFound.at(0)?.doc;
      if (doc !== undefined) seen.push(doc);
      const block = protocol.document(doc === undefined ? undefined : documents[doc], --left);
      if (row.length + block.length + 1 > longest) {
        isTruncated = true;
        break;
      }
      row.push(...block);
      written = [];
      turn = row.length;
      continue;
    }
    if (token === ids.answer) {
      answers++;
      answer = [];
    } else if (answer) answer.push(token);
    else written.push(token);
    if (row.length - turn >= turnTokens || row.length >= longest) {
      isTruncated = true;
      break;
    }
  }
  const text = isTruncated || !answer ? undefined : TOKENIZER.decode(answer).trim();
  const { tokens, promptLength, actions, mayRetrieve, retrievals, isWellFormed } = trajectory;
  assertEquals([...tokens], row);
  assertEquals(
    {
      promptLength,
      actions: [...actions],
      mayRetrieve: [...mayRetrieve],
      retrievals: [...retrievals],
    },
    expected,
  );
  assertEquals([trajectory.isTruncated, trajectory.answer], [isTruncated, text]);
  assertEquals(isWellFormed, answers === 1 && text !== undefined && text !== "");
  const lengths = [actions, mayRetrieve, trajectory.behaviorLogProbs, trajectory.retrieveProbs];
  assertEquals(new Set(lengths.map(({ length }) => length)).size, 1);
}

/** Play, play again by another way, and hand over. */
async function playAndReplay(choices: Play = {}): Promise<Trajectory[]> {
  const played = await play(choices);
  for (const trajectory of played) await assertReplays(trajectory, choices);
  return played;
}

const count = <T>(all: readonly T[], isSo: (one: T) => boolean): number => all.filter(isSo).length;

Deno.test("every choice of every episode is the one that the whole row gives at once", async () => {
  const played = await playAndReplay({ environment: tinyEnvironment({ turnTokens: 5 }) });
  // All that can happen does happen.
  assert(count(played, (t) => t.isTruncated) > 2);
  assert(count(played, (t) => t.isWellFormed) > 2);
  assert(count(played, (t) => t.answer === undefined && !t.isTruncated) > 2);
  assert(count(played, (t) => t.retrievals.length === 2) > 2);
  const looked = played.flatMap((t) => t.retrievals);
  assert(count(looked, ({ isWritten }) => isWritten) > 2);
  assert(count(looked, ({ isWritten }) => !isWritten) > 2);
});

Deno.test("so it is at other temperatures, budgets and without chance", async () => {
  const environment = tinyEnvironment({ budget: 3, documentTokens: 4 });
  const [cold, hot] = [
    await playAndReplay({ temperature: 0.5, environment }),
    await playAndReplay({ temperature: 2, environment, seed: 2 }),
  ];
  const likelihood = (all: Trajectory[]) =>
    all.flatMap((t) => [...t.behaviorLogProbs]).reduce((a, b) => a + b) /
    all.reduce((sum, t) => sum + t.actions.length, 0);
  assert(likelihood(cold) > likelihood(hot));
  const greedy = await playAndReplay({ isGreedy: true, environment });
  // The same question again is the same episode again.
  const tokensOf = (t: Trajectory) => [...t.tokens];
  assertEquals(greedy.slice(5, 10).map(tokensOf), greedy.slice(0, 5).map(tokensOf));
  await playAndReplay({ environment: tinyEnvironment({ documentTokens: 1 }), slots: 3 });
});

Deno.test("however many slots there are, the episodes are the same", async () => {
  const whole = await play({ slots: 40 });
  for (const slots of [1, 3, 16]) {
    const played = await play({ slots });
    played.forEach((t, i) => {
      const { behaviorLogProbs, retrieveProbs, ...rest } = t;
      const { behaviorLogProbs: logProbs, retrieveProbs: probs, ...others } = whole[i];
      assertEquals(rest, others);
      behaviorLogProbs.forEach((x, k) => assertAlmostEquals(x, logProbs[k], LOG_PROB));
      retrieveProbs.forEach((x, k) => assertAlmostEquals(x, probs[k], LOG_PROB));
    });
  }
});

Deno.test("the same seed plays the same bits, another seed and another number other episodes", async () => {
  assertEquals(await play(), await play());
  const rows = (all: Trajectory[]) => all.map(({ tokens }) => [...tokens]);
  const [one, two] = [rows(await play()), rows(await play({ seed: 2 }))];
  assert(count(one, (row) => row.join() === two[one.indexOf(row)].join()) < 10);
  const shifted = rows(await play({ requests: requestsOf(40, 100) }));
  assert(count(one, (row) => row.join() === shifted[one.indexOf(row)].join()) < 10);
  // An episode is what its number makes it, wherever it stands among the others.
  const requests = requestsOf(40).reverse();
  assertEquals(rows(await play({ requests })).reverse(), one);
  assertEquals(rows(await play({ requests: requestsOf(40).slice(7, 9) })), one.slice(7, 9));
});

Deno.test("results stand in the order of the requests, though episodes end in another one", async () => {
  const ended: number[] = [], chosen = new Map<number, TokenChoice[]>();
  const played = await play({
    slots: 4,
    onEnd: ({ episode }) => ended.push(episode),
    onChoice: (choice, episode) => chosen.set(episode, [...chosen.get(episode) ?? [], choice]),
  });
  assertEquals(played.map(({ episode }) => episode), requestsOf(40).map(({ episode }) => episode));
  assertEquals(ended.toSorted((a, b) => a - b), played.map(({ episode }) => episode));
  assert(ended.join() !== ended.toSorted((a, b) => a - b).join());
  for (const { episode, tokens, actions, behaviorLogProbs, retrieveProbs } of played) {
    const choices = chosen.get(episode)!;
    assertEquals(choices.map(({ token }) => token), [...actions].map((at) => tokens[at]));
    assertEquals(Float32Array.from(choices, ({ logProb }) => logProb), behaviorLogProbs);
    assertEquals(Float32Array.from(choices, (c) => c.retrieveProb), retrieveProbs);
  }
  assertEquals(await play({ requests: [] }), []);
});

Deno.test("without budget, and behind the answer token, there is no retrieval", async () => {
  const played = await playAndReplay({ environment: tinyEnvironment({ budget: 0 }) });
  for (const { retrievals, mayRetrieve, retrieveProbs, tokens } of played) {
    assertEquals([retrievals.length, Math.max(...mayRetrieve)], [0, 0]);
    assertEquals(Math.max(...retrieveProbs), 0);
    assert(!tokens.includes(TOKENIZER.tokenToId("<RET>")!));
  }
  const { ids, forbidden } = tinyEnvironment().protocol;
  for (const { tokens, actions, mayRetrieve } of await play({ requests: requestsOf(100) })) {
    const chosen = [...actions].map((at) => tokens[at]);
    assert(!chosen.some((token) => forbidden.includes(token)));
    const answered = chosen.indexOf(ids.answer);
    if (answered < 0) continue;
    assert(!chosen.slice(answered).includes(ids.retrieve));
    assertEquals(Math.max(0, ...mayRetrieve.slice(answered + 1)), 0);
  }
});

Deno.test("what stands between the choices is what was given, token for token", async () => {
  const environment = tinyEnvironment({ budget: 3 }), { protocol } = environment;
  const played = await play({ environment, requests: requestsOf(100) });
  let retrievals = 0;
  for (const { question, cost, tokens, actions, promptLength, ...rest } of played) {
    const isAction = new Set(actions);
    const given = [...tokens].map((token, at) => isAction.has(at) ? undefined : token);
    const blocks = [protocol.prompt(question.query, cost)];
    rest.retrievals.forEach(({ documents }, i) => {
      const best = documents.at(0);
      blocks.push(protocol.document(best && DOCUMENTS[best.doc], 3 - 1 - i));
    });
    assertEquals(given.filter((token) => token !== undefined), blocks.flat());
    assertEquals([...tokens.slice(0, promptLength)], blocks[0]);
    rest.retrievals.forEach(({ action }, i) => {
      const from = actions[action] + 1;
      assertEquals(tokens[from - 1], protocol.ids.retrieve);
      assertEquals([...tokens.slice(from, from + blocks[i + 1].length)], blocks[i + 1]);
      retrievals++;
    });
  }
  assert(retrievals > 30, `${retrievals} retrievals`);
  // Written texts that decode and encode to something else stand there all the same.
  const texts = played.map(({ tokens, actions }) => [...actions].map((at) => tokens[at]))
    .filter((row) => protocol.words(protocol.text(row)).join() !== row.join());
  assert(texts.length > 30, `${texts.length} texts`);
});

Deno.test("a retriever that finds nothing gives an empty document, and costs budget", async () => {
  const environment = tinyEnvironment({ retriever: emptyRetriever() });
  const played = await playAndReplay({ environment });
  const { ids } = environment.protocol, left = TOKENIZER.tokenToId("<BUDGET_1>")!;
  const asked = played.filter(({ retrievals }) => retrievals.length);
  assert(asked.length > 5);
  for (const { tokens, actions, retrievals } of asked) {
    const [{ action, documents }] = retrievals, from = actions[action] + 1;
    assertEquals(documents, []);
    assertEquals([...tokens.slice(from, from + 3)], [ids.documentStart, ids.documentEnd, left]);
  }
});

Deno.test("of several documents the first is read, all are kept, and the read ones are told", async () => {
  const asked: RetrievalRequest[][] = [];
  const retriever = {
    ...wordRetriever,
    retrieve: (requests: readonly RetrievalRequest[], top?: number) => {
      assertEquals(top, 3);
      asked.push([...requests]);
      return wordRetriever.retrieve(requests, top);
    },
  };
  const environment = tinyEnvironment({ retriever });
  const played = await play({ environment, top: 3, requests: requestsOf(60) });
  assert(asked.some((requests) => requests.length > 1));
  const requests = asked.flat();
  for (const { question, episode, retrievals } of played) {
    retrievals.forEach((retrieval, step) => {
      const own = requests.filter(({ random }) =>
        random.stream === `retrieval/${episode}` && random.step === step
      );
      const before = retrievals.slice(0, step).flatMap((r) => r.documents.slice(0, 1));
      assertEquals(own.length, 1);
      assertEquals(own[0].query, retrieval.query);
      assertEquals(own[0].question, question);
      assertEquals(own[0].seen, before.map(({ doc }) => doc));
    });
  }
  assert(played.some(({ retrievals }) => retrievals.some(({ documents }) => documents.length > 1)));
  for (const trajectory of played) {
    await assertReplays(trajectory, { environment: tinyEnvironment(), top: 3 });
  }
});

Deno.test("a gate needs a policy that also chooses without a retrieval", async () => {
  const plain = await play({ hasOther: false });
  assertEquals(plain.map(({ tokens }) => tokens), (await play()).map(({ tokens }) => tokens));
  await assertRejects(
    () => play({ hasOther: false, gate: () => false }),
    ConfigError,
    "open it with hasOther",
  );
});

Deno.test("a gate decides in the place of the policy where that retrieves or answers", async () => {
  const states: GateState[] = [];
  const never = await playAndReplay({ gate: () => false, requests: requestsOf(60) });
  assert(never.every(({ retrievals }) => retrievals.length === 0));
  assert(count(never, ({ answer }) => answer !== undefined) > 5);
  const always = await playAndReplay({
    gate: (state) => {
      states.push(state);
      return true;
    },
    requests: requestsOf(60),
  });
  const { ids } = tinyEnvironment().protocol;
  for (const { retrievals, tokens } of always) {
    // Whoever answers has used up the budget.
    if (tokens.includes(ids.answer)) assertEquals(retrievals.length, 2);
  }
  assert(states.some(({ retrievals }) => retrievals === 1));
  assert(states.every(({ retrievals }) => retrievals < 2));
  const once = await playAndReplay({
    gate: ({ retrievals }) => retrievals === 0,
    isGreedy: true,
  });
  assert(once.every(({ retrievals }) => retrievals.length <= 1));
  const unsure = (limit: number) => ({ retrieveProb }: GateState) => retrieveProb >= limit;
  const retrieved = async (limit: number) =>
    (await playAndReplay({ gate: unsure(limit) })).flatMap((t) => t.retrievals).length;
  const [often, seldom] = [await retrieved(0.05), await retrieved(0.9)];
  assert(often > seldom, `${often}, ${seldom}`);
});

Deno.test("an episode is cut off where its turn, the model or the document's place ends", async () => {
  const short = await playAndReplay({ environment: tinyEnvironment({ turnTokens: 2 }) });
  for (const { tokens, promptLength, isTruncated, answer, retrievals } of short) {
    if (!isTruncated || retrievals.length) continue;
    assertEquals([tokens.length - promptLength, answer], [2, undefined]);
  }
  assert(count(short, ({ isTruncated }) => isTruncated) > 5);
  // 24 positions: a prompt of up to 12 tokens, then a turn that fits and documents that may not.
  const model = tinyPolicy("gpt2", { n_positions: 24 });
  const environment = tinyEnvironment({ turnTokens: 10 });
  const ends = { full: 0, document: 0 };
  for (const seed of [1, 2]) {
    for (const trajectory of await playAndReplay({ model, environment, seed, temperature: 2 })) {
      const { tokens, isTruncated, retrievals, actions } = trajectory;
      assert(tokens.length <= 23);
      if (!isTruncated) continue;
      ends.full += Number(tokens.length === 23);
      const isLast = retrievals.at(-1)?.action === actions.length - 1;
      ends.document += Number(isLast);
    }
  }
  assert(ends.full > 0 && ends.document > 0, JSON.stringify(ends));
});

Deno.test("a question that leaves no room for a turn is refused by name", async () => {
  const model = tinyPolicy("gpt2", { n_positions: 18 });
  const query = Array(8).fill("otter").join(" ");
  const requests = [{ question: { ...QUESTIONS[0], query }, cost: 0.1, episode: 0 }];
  // 8 words, the price of five tokens with its tags, and a turn of four: 17, and one is left free.
  const fits = { environment: tinyEnvironment({ turnTokens: 4 }), model, requests };
  assertEquals((await play(fits))[0].promptLength, 13);
  const error = await assertRejects(
    () => play({ ...fits, environment: tinyEnvironment({ turnTokens: 5 }) }),
    ConfigError,
    "agent.turn_tokens: and a question of 13 tokens do not fit into the model, which reads 18",
  );
  assert(error instanceof ConfigError && error.problems.length === 1);
  const later = [...requestsOf(3), ...requests];
  const environment = tinyEnvironment({ turnTokens: 5 });
  await assertRejects(() => play({ model, environment, requests: later }), ConfigError);
});

Deno.test("rules and outcomes are those of the protocol and of the trajectory", async () => {
  const { protocol } = tinyEnvironment();
  assertEquals(policyRules(protocol, 0.5), {
    forbidden: protocol.forbidden,
    retrieveToken: protocol.ids.retrieve,
    temperature: 0.5,
  });
  for (const trajectory of await play({ requests: requestsOf(10) })) {
    const { answer, question, retrievals, isWellFormed } = trajectory;
    assertEquals(outcomeOf(trajectory), {
      answer,
      accepted: question.answers,
      retrievals: retrievals.length,
      isWellFormed,
    });
  }
});
