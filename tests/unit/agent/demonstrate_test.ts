import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type AgentProtocol,
  agentProtocol,
  agentTokens,
  budgetToken,
  type DemonstratorOptions,
  plainDemonstrator,
  type PolicyText,
  worldDemonstrator,
} from "../../../src/agent/mod.ts";
import type { Document, Query } from "../../../src/data/mod.ts";
import { RELATIONS, type World, worldDataset } from "../../../src/data/world/mod.ts";
import { DataError } from "../../../src/errors.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { loadTokenizer, trainBpe } from "../../../src/text/mod.ts";

/** How many standard errors a count may lie from what is expected. */
const STANDARD_ERRORS = 4;

const DATASETS = {
  1: worldDataset({ seed: 1, entities: 60 }),
  2: worldDataset({ seed: 1, entities: 60, hops: 2 }),
};
const TOKENIZER = loadTokenizer(
  trainBpe(DATASETS[1].documents.map(({ text }) => text), {
    vocabSize: 500,
    specialTokens: ["<pad>", ...agentTokens],
  }),
);
const protocolOf = (budget: number): AgentProtocol =>
  agentProtocol(TOKENIZER, { budget, documentTokens: 200 });
const randomOf = (step: number) => randomStream({ seed: 1, stream: "lessons", step });

/** An episode, taken apart. */
interface Parsed {
  question: string;
  cost: string;
  /** What was written before each retrieval and before the answer. */
  written: string[];
  documents: string[];
  answer: string;
}

/**
 * Take an episode apart by its tags alone, and fail unless it is a valid one: tags in their order, budgets
 * right, chosen what a policy chooses, and retrievals possible where there is budget before the answer.
 */
function parse({ tokens, actions, mayRetrieve }: PolicyText, protocol: AgentProtocol): Parsed {
  const { ids, budget, forbidden, text } = protocol;
  const row = Array.from(tokens);
  const budgetOf = (token: number): number =>
    Array.from({ length: 9 }, (_, left) => TOKENIZER.tokenToId(budgetToken(left))).indexOf(token);
  const costAt = row.indexOf(ids.cost), promptEnd = row.findIndex((token) => budgetOf(token) >= 0);
  assert(costAt > 0 && promptEnd > costAt);
  assertEquals(budgetOf(row[promptEnd]), budget);
  const parsed: Parsed = {
    question: text(row.slice(0, costAt)),
    cost: text(row.slice(costAt, promptEnd)),
    written: [],
    documents: [],
    answer: "",
  };
  /** What was written, token by token as the protocol writes it. */
  const words = (written: number[]): string => {
    const content = text(written);
    assertEquals(written, content === "" ? [] : protocol.words(content));
    return content;
  };
  const chosen: number[] = [], possible: number[] = [];
  let left = budget, at = promptEnd + 1, turn = at, isAnswering = false;
  const choose = (): number => {
    chosen.push(at);
    possible.push(Number(left > 0 && !isAnswering));
    return row[at++];
  };
  while (true) {
    assert(at < row.length, "an episode without an end");
    assert(!forbidden.includes(row[at]), `${TOKENIZER.idToToken(row[at])} was chosen`);
    const token = choose();
    if (token === ids.end) break;
    if (token === ids.answer) {
      assert(!isAnswering);
      parsed.written.push(words(row.slice(turn, at - 1)));
      isAnswering = true;
      turn = at;
    } else if (token === ids.retrieve) {
      assert(!isAnswering && left > 0);
      parsed.written.push(words(row.slice(turn, at - 1)));
      assertEquals(row[at], ids.documentStart);
      const end = row.indexOf(ids.documentEnd, at);
      const body = row.slice(at + 1, end);
      assert(!body.some((id) => agentTokens.includes(TOKENIZER.idToToken(id)!)));
      parsed.documents.push(text(body));
      assertEquals(budgetOf(row[end + 1]), --left);
      turn = at = end + 2;
    }
  }
  assert(isAnswering && at === row.length);
  parsed.answer = words(row.slice(turn, -1));
  assert(parsed.answer !== "");
  assertEquals([[...Array.from(actions)], [...Array.from(mayRetrieve)]], [chosen, possible]);
  return parsed;
}

const escape = (text: string): string => text.replace(/[.*+?^$|()[\]{}]/g, "\\$&");

/** What stands in the place of `{v}` in a template, of which `{e}` is known. */
function read(text: string, template: string, e: string): string | undefined {
  const pattern = escape(template).replace("\\{e\\}", () => escape(e)).replace("\\{v\\}", "(.+)");
  return new RegExp(`^${pattern}$`, "u").exec(text)?.[1];
}

/** The values that a document states about an entity of a kind, by relation: one for each. */
function statements(text: string, name: string, kind: string): Map<number, string> {
  const stated = new Map<number, string>();
  const sentences = text.split(/(?<=\.) /);
  for (const [i, sentence] of sentences.entries()) {
    // Named once, then called by a pronoun or its kind.
    const called = i === 0
      ? [name]
      : kind === "person"
      ? ["She", "He", "her", "him"]
      : [`The ${kind}`, `the ${kind}`];
    const found = RELATIONS.flatMap(({ of, sentences }, relation) =>
      of !== kind ? [] : sentences.flatMap((template) => {
        return called.flatMap((e) => {
          const value = read(sentence, template, e);
          return value === undefined ? [] : [{ relation, value }];
        });
      })
    );
    assertEquals(found.length, 1, `about ${name}: ${sentence}`);
    stated.set(found[0].relation, found[0].value);
  }
  assertEquals(stated.size, sentences.length);
  assertEquals(stated.size, RELATIONS.filter(({ of }) => of === kind).length);
  return stated;
}

/** Name that a question about these relations starts from. */
function subjectOf(question: string, path: readonly number[]): string {
  const [first, last] = [RELATIONS[path[0]], RELATIONS[path.at(-1)!]];
  const phrases = path.length > 1 ? first.phrases : ["{e}"];
  const names = last.questions.flatMap((words) =>
    phrases.flatMap((phrase) =>
      read(question, words.replace("{e}", phrase.replace("{e}", "{v}")), "") ?? []
    )
  );
  assertEquals(new Set(names).size, 1, question);
  return names[0];
}

/** A lesson, and what it is about. */
interface Lesson extends Parsed {
  world: World;
  /** Relations of the question. */
  path: number[];
  /** Whom the demonstrator was asked about. */
  asked: number;
  /** Whom the lesson asks about. */
  name: string;
}

function lessons(
  hops: 1 | 2,
  budget: number,
  count: number,
  options: DemonstratorOptions = {},
): Lesson[] {
  const { world, queries } = DATASETS[hops], protocol = protocolOf(budget);
  const demonstrator = worldDemonstrator(world, protocol, options);
  return Array.from({ length: count }, (_, step) => {
    const random = randomOf(step);
    const question = queries.train[random.int(queries.train.length)];
    const shown = demonstrator.demonstrate(question, 0.125, random);
    return shown.map((text) => ({ question, parsed: parse(text, protocol) }));
  }).flat().map(({ question, parsed }) => {
    assertEquals(parsed.cost, "0.125");
    const facts = question.chain.map((f) => world.facts[f]);
    const path = facts.map(({ relation }) => relation);
    const name = subjectOf(parsed.question, path), asked = facts[0].entity;
    // The question is the one that was asked, or about somebody invented in the place of an unknown one.
    if (name === world.entities[asked].name) assertEquals(parsed.question, question.query);
    else {
      assert(!world.entities.some((entity) => entity.name === name));
      assertEquals(world.entities[asked].part, "unknown");
    }
    return { ...parsed, world, path, asked, name };
  });
}

const entityOf = (world: World, name: string): number =>
  world.entities.findIndex((entity) => entity.name === name);
const isKnown = (world: World, name: string): boolean =>
  world.entities[entityOf(world, name)]?.part === "known";
/** What is true; undefined of what was invented. */
const truth = ({ factsOf, facts, entities }: World, name: string, relation: number) =>
  factsOf[entities.findIndex((entity) => entity.name === name)]
    ?.map((f) => facts[f]).find((fact) => fact.relation === relation)?.value;

/** Fails unless a share of `count` trials with probability p is as near to p as it should be. */
function assertShare(hits: number, count: number, p: number, what: string): void {
  const error = Math.sqrt(p * (1 - p) / count);
  assert(count > 100, `${what}: ${count} trials`);
  assert(Math.abs(hits / count - p) < STANDARD_ERRORS * error, `${what}: ${hits} of ${count}`);
}

Deno.test("one hop: what is unknown is read, what is known is read or remembered", () => {
  const counts = { known: 0, looked: 0, unknown: 0, invented: 0 };
  for (const { world, path, name, asked, documents, written, answer } of lessons(1, 2, 1500)) {
    assertEquals(written, documents.map(() => "").concat(""));
    const { kind, part } = world.entities[asked];
    assert(part !== "heldOut");
    if (documents.length) {
      assertEquals(documents.length, 1);
      assertEquals(statements(documents[0], name, kind).get(path[0]), answer);
    } else {
      assert(isKnown(world, name));
      assertEquals(answer, truth(world, name, path[0]));
    }
    if (part === "known") {
      counts.known++;
      counts.looked += documents.length;
    } else {
      counts.unknown++;
      counts.invented += Number(entityOf(world, name) < 0);
    }
  }
  assertShare(counts.looked, counts.known, 0.5, "known and looked up");
  assertEquals(counts.invented, counts.unknown);
});

Deno.test("two hops: the entity between is written, and is what is looked for", () => {
  const counts = { known: 0, looked: 0, invented: 0, unknown: 0 };
  for (const lesson of lessons(2, 2, 1500)) {
    const { world, path, name, documents, written, answer } = lesson;
    const [bridge, ...others] = written.filter((text) => text !== "");
    assertEquals(others, []);
    const kinds = path.map((relation) => RELATIONS[relation].of);
    const isFirstRead = written[0] === "", isSecondRead = written.at(-1) === "";
    assertEquals(documents.length, Number(isFirstRead) + Number(isSecondRead));
    // The first hop ends in the bridge, the second begins with it.
    const hops = [[name, isFirstRead, bridge, 0], [bridge, isSecondRead, answer, 1]] as const;
    for (const [subject, isRead, value, hop] of hops) {
      if (isRead) {
        const document = documents[hop === 0 ? 0 : documents.length - 1];
        assertEquals(statements(document, subject, kinds[hop]).get(path[hop]), value);
      } else assertEquals(value, truth(world, subject, path[hop]));
      const entity = entityOf(world, subject);
      assert(world.entities[entity]?.part !== "heldOut", subject);
      if (isKnown(world, subject)) {
        counts.known++;
        counts.looked += Number(isRead);
      } else {
        assert(isRead);
        counts.unknown++;
        counts.invented += Number(entity < 0);
      }
    }
  }
  assertShare(counts.looked, counts.known, 0.5, "known and looked up");
  // Only those that a known entity leads to by heart are not replaced.
  assert(counts.invented > 0.6 * counts.unknown && counts.invented < counts.unknown);
});

Deno.test("without budget nothing is read: what is known is said, what is unknown is guessed", () => {
  for (const { world, path, name, documents, written, answer } of lessons(1, 0, 400)) {
    assertEquals([documents, written], [[], [""]]);
    const { value } = RELATIONS[path[0]];
    if (isKnown(world, name)) assertEquals(answer, truth(world, name, path[0]));
    else if (typeof value !== "string") assert(value.includes(answer));
    else assert(world.entities[entityOf(world, answer)]?.part !== "heldOut");
  }
  for (const { world, path, name, documents, written, answer } of lessons(2, 0, 400)) {
    const [bridge] = written;
    assertEquals([documents, written.length], [[], 1]);
    if (isKnown(world, name)) assertEquals(bridge, truth(world, name, path[0]));
    if (isKnown(world, bridge)) assertEquals(answer, truth(world, bridge, path[1]));
  }
});

Deno.test("two hops with one retrieval: the first unknown entity is looked up, the second guessed", () => {
  let guessed = 0;
  for (const { world, path, name, documents, written, answer } of lessons(2, 1, 800)) {
    assert(documents.length <= 1);
    const bridge = written.find((text) => text !== "")!;
    if (written[0] === "") {
      const kind = RELATIONS[path[0]].of;
      assertEquals(statements(documents[0], name, kind).get(path[0]), bridge);
      if (isKnown(world, bridge)) assertEquals(answer, truth(world, bridge, path[1]));
      else guessed++;
    } else {
      assertEquals(bridge, truth(world, name, path[0]));
      if (documents.length) {
        const kind = RELATIONS[path[1]].of;
        assertEquals(statements(documents[0], bridge, kind).get(path[1]), answer);
      } else assertEquals(answer, truth(world, bridge, path[1]));
    }
  }
  assert(guessed > 100);
});

Deno.test("what stands in documents only is not taught: a lesson is true no more often than by chance", () => {
  interface Tally {
    hits: number;
    expected: number;
    variance: number;
    count: number;
  }
  const tallies = new Map<string, Tally>();
  const count = (group: string, world: World, name: string, relation: number, value: string) => {
    const right = truth(world, name, relation);
    if (right === undefined) return;
    const { value: range } = RELATIONS[relation];
    const isWord = typeof range !== "string";
    const values = isWord
      ? range.length
      : world.entities.filter(({ kind, part }) => kind === range && part !== "heldOut").length;
    const key = `${group}, ${isWord ? "words" : "entities"}`;
    const tally = tallies.get(key) ?? { hits: 0, expected: 0, variance: 0, count: 0 };
    tallies.set(key, tally);
    tally.hits += Number(value === right);
    tally.expected += 1 / values;
    tally.variance += 1 / values * (1 - 1 / values);
    tally.count++;
  };
  for (const { world, name, asked, documents } of lessons(1, 1, 3000)) {
    const { kind, part } = world.entities[asked];
    for (const document of documents) {
      for (const [relation, value] of statements(document, name, kind)) {
        count(`documents about what is ${part}`, world, name, relation, value);
      }
    }
  }
  for (const { world, name, path, answer } of lessons(1, 0, 3000)) {
    if (!isKnown(world, name)) count("guesses", world, name, path[0], answer);
  }
  // Of what is unknown nothing is said at all: lessons are about invented entities in its place.
  assertEquals([...tallies.keys()].sort(), [
    "documents about what is known, entities",
    "documents about what is known, words",
  ]);
  for (const [group, { hits, expected, variance, count }] of tallies) {
    assert(count > 200, `${group}: ${count}`);
    const distance = (hits - expected) / Math.sqrt(variance);
    assert(distance < STANDARD_ERRORS, `${group}: ${hits} true of ${count}`);
    // An entity is sometimes replaced by an invented one; words are drawn uniformly.
    if (group.endsWith("words")) assert(distance > -STANDARD_ERRORS, `${group}: ${hits}`);
  }
});

Deno.test("what is known is shown both ways, which part at the first choice; what is unknown one way", () => {
  for (const hops of [1, 2] as const) {
    const { world, queries } = DATASETS[hops], protocol = protocolOf(2);
    const demonstrator = worldDemonstrator(world, protocol);
    let pairs = 0, single = 0;
    for (let step = 0; step < 300; step++) {
      const question = queries.train[step % queries.train.length];
      const shown = demonstrator.demonstrate(question, 0.1, randomOf(step))
        .map((text) => parse(text, protocol));
      assertEquals(new Set(shown.map((one) => one.question)).size, 1);
      const name = subjectOf(
        shown[0].question,
        question.chain.map((f) => world.facts[f].relation),
      );
      if (isKnown(world, name)) {
        assertEquals(shown.length, 2);
        // The first word chosen differs: one looks the first entity up, the other does not.
        const looksUp = shown.map(({ written, documents }) =>
          documents.length > 0 && written[0] === ""
        );
        assertEquals(new Set(looksUp).size, 2);
        pairs++;
      } else {
        assertEquals(shown.length, hops === 1 ? 1 : shown.length);
        single++;
      }
    }
    assert(pairs > 50 && single > 50);
  }
});

Deno.test("where a retrieval is dear, every second lesson about the unknown shows a guess too", () => {
  const { world, queries } = DATASETS[1], protocol = protocolOf(2);
  const demonstrator = worldDemonstrator(world, protocol);
  const asked = queries.train.filter(({ chain: [f] }) =>
    world.entities[world.facts[f].entity].part === "unknown"
  );
  let guesses = 0;
  const count = 400;
  for (let step = 0; step < count; step++) {
    const question = asked[step % asked.length];
    const shown = demonstrator.demonstrate(question, 0.6, randomOf(step));
    const documents = shown.map((text) => parse(text, protocol).documents.length).toSorted();
    assertEquals(documents, shown.length === 2 ? [0, 1] : [1]);
    guesses += Number(shown.length === 2);
    // Whether it pays is for the policy to find out: the first choice is none to be replayed.
    for (const { isTied } of shown) assertEquals(isTied[0], 1);
    for (const { isTied } of demonstrator.demonstrate(question, 0.4, randomOf(step))) {
      assertEquals(isTied[0], 0);
    }
  }
  assertShare(guesses, count, 0.5, "lessons with a guess");
});

Deno.test("a lesson depends on its stream alone", () => {
  const { world, queries } = DATASETS[2], demonstrator = worldDemonstrator(world, protocolOf(2));
  const lesson = (step: number) =>
    demonstrator.demonstrate(queries.train[3], 0.1, randomOf(step))[0].tokens;
  assertEquals(lesson(1), lesson(1));
  const different = new Set(Array.from({ length: 20 }, (_, step) => `${lesson(step)}`));
  assert(different.size > 15);
});

Deno.test("a question that is not of a world is refused by name", () => {
  const question: Query = { queryId: "nq-7", query: "Who?", docIds: [], answers: ["Ann"] };
  assertThrows(
    () => worldDemonstrator(DATASETS[1].world, protocolOf(1)).demonstrate(question, 0, randomOf(0)),
    DataError,
    "Cannot demonstrate the question nq-7",
  );
});

const DOCUMENTS: Document[] = [
  { docId: "a", title: "Ann", text: "Ann was here." },
  { docId: "b", title: "", text: "Bob was there." },
];
const question = (rest: Partial<Query> = {}): Query => ({
  queryId: "q",
  query: "Who was here?",
  docIds: ["a", "b", "gone"],
  answers: ["Ann", "Bob"],
  ...rest,
});

function plainLessons(closedShare: number, budget: number, asked: Query): Parsed[] {
  const protocol = protocolOf(budget);
  const demonstrator = plainDemonstrator(DOCUMENTS, protocol, { closedShare });
  return Array.from(
    { length: 300 },
    (_, step) => parse(demonstrator.demonstrate(asked, 0.5, randomOf(step))[0], protocol),
  );
}

Deno.test("plain questions: a share is answered from memory, the others read one right document", () => {
  for (const [closedShare, isRead] of [[0, true], [1, false]] as const) {
    for (const lesson of plainLessons(closedShare, 2, question())) {
      assertEquals([lesson.question, lesson.cost, lesson.answer], ["Who was here?", "0.5", "Ann"]);
      assertEquals(lesson.documents.length, Number(isRead));
      assert(lesson.written.every((text) => text === ""));
    }
  }
  const mixed = plainLessons(0.25, 1, question());
  const read = mixed.flatMap(({ documents }) => documents);
  assertShare(read.length, mixed.length, 0.75, "read");
  const first = read.filter((text) => text === DOCUMENTS[0].text);
  assertShare(first.length, read.length, 0.5, "the first document");
  assertEquals(new Set(read), new Set(DOCUMENTS.map(({ text }) => text)));
});

Deno.test("plain questions without a right document or without budget are answered from memory", () => {
  for (const docIds of [[], ["gone"]]) {
    for (const { documents } of plainLessons(0, 1, question({ docIds }))) {
      assertEquals(documents, []);
    }
  }
  for (const { documents } of plainLessons(0, 0, question())) assertEquals(documents, []);
});

Deno.test("a plain question without an answer is refused by name", () => {
  const demonstrator = plainDemonstrator(DOCUMENTS, protocolOf(1), { closedShare: 0 });
  assertThrows(
    () => demonstrator.demonstrate(question({ answers: [] }), 0, randomOf(0)),
    DataError,
    "Cannot demonstrate the question q: it has no answer",
  );
});

Deno.test("a wrong document comes first in a share of the retrievals, and is followed by the right one", () => {
  let retried = 0, looked = 0;
  for (const lesson of lessons(1, 2, 600, { distractorShare: 0.4 })) {
    const { world, path, name, asked, documents, written, answer } = lesson;
    if (!documents.length) continue;
    looked++;
    retried += documents.length - 1;
    assertEquals(written, documents.map(() => "").concat(""));
    // The last one is about what is asked, and holds the answer; the first is about something else.
    const { kind } = world.entities[asked];
    assertEquals(statements(documents.at(-1)!, name, kind).get(path[0]), answer);
    if (documents.length === 2) assert(!documents[0].startsWith(name));
  }
  assertShare(retried, looked, 0.4, "wrong ones first");
  // Without budget for another one there is none.
  for (const { documents } of lessons(1, 1, 50, { distractorShare: 1 })) {
    assert(documents.length <= 1);
  }
});
