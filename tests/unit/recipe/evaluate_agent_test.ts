/** Figures of agents that do what a script says, counted by hand. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import {
  type AgentEnvironment,
  type Oracle,
  oracleRetriever,
  type PolicyChoice,
  type PolicySlots,
  randomRetriever,
} from "../../../src/agent/mod.ts";
import type { Query } from "../../../src/data/mod.ts";
import { DataError } from "../../../src/errors.ts";
import {
  type AgentEvaluation,
  type AgentFigures,
  evaluateAgent,
  type EvaluateAgentOptions,
  formatAgentEvaluation,
} from "../../../src/recipe/evaluate_agent.ts";
import { DOCUMENTS, tinyEnvironment, TOKENIZER } from "../agent/_tiny_agent.ts";

const FLOAT64 = 1e-12;

const environment = tinyEnvironment({ retriever: oracleRetriever(DOCUMENTS) });
const { protocol } = environment, { ids } = protocol;
const idOf = (word: string): number => TOKENIZER.tokenToId(word)!;

/** Two questions that the agent can know the answer of, two that it can't; each has its document. */
const ANSWERS = ["otter", "heron", "sea", "river"];
const QUESTIONS: Query[] = [
  { queryId: "known, answered", query: "otter who ?", docIds: ["o"], answers: ["otter"] },
  { queryId: "known, looked up", query: "heron who ?", docIds: ["h"], answers: ["heron"] },
  { queryId: "unknown, looked up", query: "sea who ?", docIds: ["s"], answers: ["sea"] },
  { queryId: "unknown, answered", query: "river who ?", docIds: ["r"], answers: ["river"] },
];

/** What an agent does in the face of a row. */
interface Sight {
  /** Index of the question. */
  question: number;
  /** Documents that it read, by index; undefined for an empty one. */
  read: (number | undefined)[];
  /** Whether retrievals are left. */
  canRetrieve: boolean;
}

/** Probability of a retrieval, and the word that it would answer with. */
type Behaviour = (sight: Sight) => { retrieveProb: number; answer?: string };

function sightOf(row: readonly number[]): Sight {
  const read: Sight["read"] = [];
  let at = 0;
  while ((at = row.indexOf(ids.documentStart, at)) >= 0) {
    const end = row.indexOf(ids.documentEnd, at), body = row.slice(at + 1, end).join();
    const doc = DOCUMENTS.findIndex((d) => protocol.document(d, 0).slice(1, -2).join() === body);
    read.push(body ? doc : undefined);
    at = end;
  }
  return {
    question: ANSWERS.indexOf(TOKENIZER.idToToken(row[0])!),
    read,
    canRetrieve: read.length < protocol.budget,
  };
}

/** Slots whose choices are a script's. */
function scripted(behaviour: Behaviour, count = 2): PolicySlots {
  const rows: number[][] = Array.from({ length: count }, () => []);
  return {
    count,
    maxLength: Infinity,
    hasOther: true,
    choose(turns): Promise<PolicyChoice[]> {
      return Promise.resolve(turns.map(({ slot, tokens, mayRetrieve }) => {
        const row = rows[slot];
        row.push(...Array.from(tokens));
        const { retrieveProb: wanted, answer } = behaviour(sightOf(row));
        const made = (token: number, p: number, retrieveProb: number) => {
          const choice = { token, logProb: Math.log(p), retrieveProb };
          return { ...choice, other: choice };
        };
        if (row.at(-1) === ids.answer && answer) return made(idOf(answer), 1, 0);
        if (row.includes(ids.answer)) return made(ids.end, 1, 0);
        const p = mayRetrieve ? wanted : 0;
        const { other } = made(ids.answer, 1, p);
        return { ...(p > 0.5 ? made(ids.retrieve, p, p) : made(ids.answer, 1 - p, p)), other };
      }));
    },
    clear: (slot) => void (rows[slot] = []),
    reset: () => rows.forEach((_, slot) => rows[slot] = []),
    dispose: () => Promise.resolve(),
  };
}

/** Knows two answers, reads what it gets, and is surer of some questions than of others. */
const mixed: Behaviour = ({ question, read }) => {
  const knows = question < 2 || read.includes(question);
  const first = [0.12, 0.8, 0.97, 0.3][question];
  // Got it nothing, only the third question makes it ask again.
  const again = read.at(-1) === undefined && question === 2 ? 0.9 : 0.01;
  return {
    retrieveProb: read.length ? again : first,
    answer: knows ? ANSWERS[question] : "on",
  };
};

/** The best agent, where what is unknown can be guessed once in ten times. */
const oracle = (question: Query, cost: number): Oracle => {
  const q = QUESTIONS.indexOf(question), start = Number(q < 2);
  const retrieve = (left: number) => left > 0 ? 1 - cost : -Infinity;
  const value = start ? 1 : Math.max(0.1, 1 - cost);
  return {
    value,
    retrievals: 1 - start,
    accuracy: 1,
    start,
    factsIn: (document) => Number(document === q),
    valuesOf: (facts, left) => ({ answer: facts ? 1 : 0.1, retrieve: retrieve(left) }),
  };
};

const REWARD = { em: 1, f1: 0, rouge_l: 0, format: 0 };
const evaluate = (
  behaviour: Behaviour,
  over: Partial<EvaluateAgentOptions> = {},
  where: AgentEnvironment = environment,
): Promise<AgentEvaluation> =>
  evaluateAgent(scripted(behaviour), where, {
    questions: QUESTIONS,
    costs: [0.25, 0.5, 0.1],
    reward: REWARD,
    oracle,
    resamples: 200,
    ...over,
  });

/** Fails unless the figures have these values and intervals around them. */
function assertFigures(figures: AgentFigures, expected: Record<string, number>): void {
  for (const [name, value] of Object.entries(expected)) {
    const found = figures[name as keyof AgentFigures];
    if (typeof found !== "object") assertEquals(found, value, name);
    else {
      assertAlmostEquals(found.value, value, FLOAT64, name);
      assert(found.low <= value + FLOAT64 && value - FLOAT64 <= found.high, name);
    }
  }
}

Deno.test("an agent's figures: returns, regret, needless and missing retrievals, known and unknown", async () => {
  const { agents: [agent], ...rest } = await evaluate(mixed, { isBrief: true });
  // Returns 1, 0.75, 0.75 and 0; the best are 1, 1, 0.75 and 0.75.
  assertFigures(agent, {
    cost: 0.25,
    return: 0.625,
    accuracy: 0.75,
    f1: 0.75,
    retrievals: 0.5,
    truncatedShare: 0,
    oracleReturn: 0.875,
    regret: 0.25 / 0.875,
    overSearch: 0.25,
    underSearch: 0.25,
    retrievesOnKnown: 0.5,
    retrievesOnUnknown: 0.5,
  });
  assertEquals(agent.name, "agent");
  assertEquals(rest, {
    part: "dev",
    questions: 4,
    retriever: "oracle",
    frontier: [],
    probes: [],
    warnings: [],
  });
});

Deno.test("what it is compared with: never, always, and other retrievers", async () => {
  const { agents } = await evaluate(mixed);
  assertEquals(agents.map(({ name, cost }) => [name, cost]), [
    ["agent", 0.25],
    ["never", 0.25],
    ["always", 0.25],
    ["always, bm25", 0.25],
    ["always, oracle", 0.25],
  ]);
  const [, never, always, bm25, perfect] = agents;
  assertFigures(never, {
    return: 0.5,
    accuracy: 0.5,
    retrievals: 0,
    overSearch: 0,
    underSearch: 0.5,
    retrievesOnUnknown: 0,
  });
  const informed = {
    return: 0.75,
    accuracy: 1,
    retrievals: 1,
    overSearch: 0.5,
    underSearch: 0,
    regret: 0.125 / 0.875,
  };
  assertFigures(always, informed);
  assertFigures(perfect, informed);
  // Each question begins with the title of its document, or with a word that is most frequent there.
  assertFigures(bm25, { retrievals: 1 });
  // Over two hops it retrieves twice, if the budget allows.
  for (const [budget, retrievals] of [[1, 1], [2, 2], [3, 2]]) {
    const where = tinyEnvironment({ budget, retriever: oracleRetriever(DOCUMENTS) });
    const { agents } = await evaluate(mixed, { hops: 2, oracle: undefined }, where);
    assertFigures(agents[2], { retrievals });
  }
});

Deno.test("the frontier: the prices that it knows, rising, then thresholds of the gate", async () => {
  const { frontier, agents } = await evaluate(mixed);
  const prices = frontier.filter(({ threshold }) => threshold === undefined);
  assertEquals(prices.map(({ cost, name }) => [cost, name]), [
    [0.1, "agent"],
    [0.25, "agent"],
    [0.5, "agent"],
  ]);
  assertEquals(prices[1], agents[0]);
  assertFigures(prices[0], { return: 0.7, oracleReturn: 0.95 });
  assertFigures(prices[2], { return: 0.5, oracleReturn: 0.75 });
  // Probabilities are 0.12, 0.8, 0.97 and 0.3 at first and 0.01 behind a document.
  const gated = frontier.slice(3);
  assertEquals(
    gated.map(({ threshold, cost, name }) => [threshold, cost, name]),
    [
      0.02,
      0.1,
      0.25,
      0.5,
      0.75,
      0.9,
      0.98,
    ].map((threshold) => [threshold, 0.25, "threshold"]),
  );
  [1, 1, 0.75, 0.5, 0.5, 0.25, 0].forEach((retrievals, i) =>
    assertFigures(gated[i], { retrievals })
  );
  [1, 1, 1, 0.75, 0.75, 0.75, 0.5].forEach((accuracy, i) => assertFigures(gated[i], { accuracy }));
});

Deno.test("with retrievers that bring nothing: what it pays, pays again, and still knows", async () => {
  const { probes, warnings } = await evaluate(mixed);
  const [empty, random] = probes;
  // Two questions retrieve; one of them again.
  assertEquals(empty, { retriever: "empty", retrievals: 0.75, paysAgain: 0.5, accuracy: 0.5 });
  const [[drawn]] = await randomRetriever(4).retrieve([{
    query: "",
    question: QUESTIONS[2],
    seen: [],
    random: { seed: 0, stream: "retrieval/2", step: 0 },
  }]);
  const accuracy = drawn.doc === 2 ? 0.75 : 0.5;
  assertEquals(random, { retriever: "random", retrievals: 0.5, paysAgain: 0, accuracy });
  assertEquals(warnings, []);
});

Deno.test("warnings: it pays for nothing again and again; simpler agents earn more", async () => {
  const stubborn: Behaviour = ({ question, canRetrieve }) => ({
    retrieveProb: canRetrieve ? 0.99 : 0.01,
    answer: ANSWERS[question],
  });
  const pays = (retriever: string) =>
    `With the ${retriever} retriever the agent pays again on 100 % of the questions on which it got ` +
    "nothing: it does not notice that it pays for nothing";
  const { warnings } = await evaluate(stubborn);
  assertEquals(warnings, [
    pays("empty"),
    pays("random"),
    "To never retrieve earns more (1.000) than this agent does (0.500)",
    "To always retrieve earns more (0.750) than this agent does (0.500)",
  ]);
  // With one retrieval there is no second one; over two hops it may be right to ask again.
  const one = tinyEnvironment({ budget: 1, retriever: oracleRetriever(DOCUMENTS) });
  const single: Behaviour = (sight) => stubborn({ ...sight, canRetrieve: !sight.read.length });
  assertEquals((await evaluate(single, {}, one)).warnings, [
    "To never retrieve earns more (1.000) than this agent does (0.750)",
  ]);
  assertEquals((await evaluate(stubborn, { hops: 2 })).warnings, [
    "To never retrieve earns more (1.000) than this agent does (0.500)",
  ]);
  // Where what is found is noisy, to ask again is no mistake either.
  assertEquals((await evaluate(stubborn, { isNoisy: true })).warnings.length, 2);
  // What does not know what it could look up.
  const lazy: Behaviour = ({ question, read }) => ({
    retrieveProb: 0.01,
    answer: read.length ? ANSWERS[question] : "on",
  });
  assertEquals((await evaluate(lazy)).warnings, [
    "To always retrieve earns more (0.750) than this agent does (0.000)",
  ]);
  assertEquals((await evaluate(mixed, { isBrief: true })).warnings, []);
});

Deno.test("partly right answers count for F1, other rewards for the return", async () => {
  const wordy = QUESTIONS.map((question) => ({ ...question, answers: ["otter sea", "who"] }));
  const reward = { em: 0, f1: 1, rouge_l: 0, format: 0.5 };
  const { agents: [agent] } = await evaluate(mixed, {
    questions: wordy,
    reward,
    oracle: undefined,
    isBrief: true,
  });
  // "otter" and "sea" are one of two words: F1 ⅔. Half a retrieval a question at 0.25.
  assertFigures(agent, { accuracy: 0, f1: 1 / 3, return: 1 / 3 + 0.5 - 0.125, retrievals: 0.5 });
  assertEquals(Object.keys(agent), [
    "name",
    "cost",
    "return",
    "accuracy",
    "f1",
    "retrievals",
    "truncatedShare",
  ]);
});

Deno.test("an episode that does not end is no answer", async () => {
  const on = { token: idOf("on"), logProb: 0, retrieveProb: 0 };
  const endless: PolicySlots = {
    ...scripted(mixed),
    choose: (turns) => Promise.resolve(turns.map(() => ({ ...on, other: on }))),
  };
  const { agents: [agent] } = await evaluateAgent(endless, environment, {
    questions: QUESTIONS,
    costs: [0.25],
    reward: REWARD,
    isBrief: true,
  });
  assertFigures(agent, { truncatedShare: 1, accuracy: 0, f1: 0, return: 0, retrievals: 0 });
});

Deno.test("questions without an answer are left out; if there is no other one, that is an error", async () => {
  const blank = { ...QUESTIONS[0], queryId: "blank", answers: [] };
  const { questions, agents: [agent], part } = await evaluate(mixed, {
    questions: [blank, ...QUESTIONS.slice(2)],
    part: "odd",
    isBrief: true,
  });
  assertEquals([questions, part], [2, "odd"]);
  // Nobody knows either of them: there is no share of known questions.
  assertFigures(agent, { accuracy: 0.5, retrievesOnUnknown: 0.5 });
  assertEquals(agent.retrievesOnKnown!.value, NaN);
  for (const none of [[], [blank]]) {
    await assertRejects(
      () => evaluate(mixed, { questions: none, part: "odd" }),
      DataError,
      "Cannot evaluate an agent: no question of the part odd has an answer",
    );
  }
});

Deno.test("it says what it measures, and measures the same again", async () => {
  const notes: string[] = [];
  const first = await evaluate(mixed, { onNote: (note) => notes.push(note) });
  assertEquals(notes, [
    "never",
    "always",
    "always, bm25",
    "always, oracle",
    "λ = 0.1",
    "λ = 0.25",
    "λ = 0.5",
    ...[0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98].map((t) => `threshold ${t}`),
    "empty retriever",
    "random retriever",
  ]);
  assertEquals(await evaluate(mixed), first);
});

/** An evaluation with round figures. */
function made(hasOracle: boolean): AgentEvaluation {
  const around = (value: number, width: number) => ({
    value,
    low: value - width,
    high: value + width,
  });
  const figures = (name: string, x: number, over: Partial<AgentFigures> = {}): AgentFigures => ({
    name,
    cost: 0.25,
    return: around(x, 0.125),
    accuracy: around(x + 0.125, 0.0625),
    f1: around(x, 0),
    retrievals: around(0.5, 0.25),
    truncatedShare: 0,
    ...(hasOracle
      ? {
        oracleReturn: 0.875,
        regret: around(0.875 - x, 0.125),
        overSearch: around(0.25, 0.125),
        underSearch: around(0.0625, 0.0625),
        retrievesOnKnown: { value: NaN, low: NaN, high: NaN },
        retrievesOnUnknown: around(0.75, 0.25),
      }
      : {}),
    ...over,
  });
  return {
    part: "dev",
    questions: 40,
    retriever: "exact",
    agents: [figures("agent", 0.75), figures("never", 0.5)],
    frontier: hasOracle
      ? [figures("agent", 0.75), figures("threshold", 0.625, { threshold: 0.02 })]
      : [],
    probes: hasOracle
      ? [{ retriever: "empty", retrievals: 1.5, paysAgain: 0.75, accuracy: 0.125 }]
      : [],
    warnings: hasOracle ? ["Something is odd"] : [],
  };
}

Deno.test("the evaluation as text", () => {
  assertEquals(
    formatAgentEvaluation(made(true)),
    `\
40 questions of part dev, retriever exact, λ = 0.25; 95 % intervals in brackets

agent                return           regret %            right %            retrievals
agent  0.750 [0.625, 0.875]   12.5 [0.0, 25.0]  87.5 [81.3, 93.8]  0.500 [0.250, 0.750]
never  0.500 [0.375, 0.625]  37.5 [25.0, 50.0]  62.5 [56.3, 68.8]  0.500 [0.250, 0.750]

Best possible return: 0.875. The agent retrieves on 75.0 [50.0, 100.0] % of what it can't know, on – % of what it knows;
it retrieved needlessly in 25.0 [12.5, 37.5] % of the episodes, and answered where it should have retrieved in 6.3 [0.0, 12.5] %.

What accuracy costs
                       retrievals  right %  best return  return
λ = 0.25                    0.500     87.5        0.875   0.750
gate ≥ 0.02, λ = 0.25       0.500     75.0        0.875   0.625

With a retriever that brings nothing
       retrievals  pays again %  right %
empty       1.500          75.0     12.5

Warning: Something is odd.`,
  );
  assertEquals(
    formatAgentEvaluation(made(false)),
    `\
40 questions of part dev, retriever exact, λ = 0.25; 95 % intervals in brackets

agent                return            right %            retrievals
agent  0.750 [0.625, 0.875]  87.5 [81.3, 93.8]  0.500 [0.250, 0.750]
never  0.500 [0.375, 0.625]  62.5 [56.3, 68.8]  0.500 [0.250, 0.750]`,
  );
});
