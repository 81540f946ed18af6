import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { DataError } from "../../../src/errors.ts";
import {
  corpusFingerprint,
  type Dataset,
  DocumentStore,
  syntheticDataset,
} from "../../../src/data/mod.ts";
import * as tables from "../../../src/data/synthetic/concepts.ts";
import type { FactSource } from "../../../src/data/synthetic/kind.ts";
import { KINDS, makeWorld, type Thing } from "../../../src/data/synthetic/world.ts";

const SEED = 5, SIZE = 300;
const DATASET = syntheticDataset({ seed: SEED, documents: SIZE });
const TITLES = new Map(DATASET.documents.map((d) => [d.docId, d.title]));
const QUESTIONS = [...DATASET.queries.train, ...DATASET.queries.dev];
const isDescription = (q: { docIds: readonly string[]; answers: readonly string[] }) =>
  TITLES.get(q.docIds[0]) === q.answers[0];
const assertDistinct = (values: string[]) => assertEquals(new Set(values).size, values.length);

Deno.test("syntheticDataset: a seed gives the same dataset on every machine", () => {
  const make = (seed: number) => syntheticDataset({ seed, documents: 40 });
  assertEquals(make(1), make(1));
  const digest = ({ documents, queries }: Dataset) =>
    createHash("sha256").update(corpusFingerprint(documents) + JSON.stringify(queries)).digest(
      "hex",
    )
      .slice(0, 16);
  assert(digest(make(1)) !== digest(make(2)));
  // Changes with any word of the templates; update it together with docs/data.md's figures.
  assertEquals(digest(make(1)), "5ce8b1da20bd39e3");
});

Deno.test("syntheticDataset: ids, titles and questions are unique, answers stand in the document", () => {
  assertDistinct(DATASET.documents.map((d) => d.docId));
  assertDistinct(DATASET.documents.map((d) => d.title.toLowerCase()));
  assertDistinct(QUESTIONS.map((q) => q.queryId));
  assertDistinct(QUESTIONS.map((q) => q.query));
  const texts = new Map(DATASET.documents.map((d) => [d.docId, `${d.title} ${d.text}`]));
  for (const { query, docIds, answers } of QUESTIONS) {
    assertEquals([docIds.length, answers.length], [1, 1]);
    assert(texts.get(docIds[0])!.includes(answers[0]), `${query} → ${answers[0]}`);
  }
});

Deno.test("syntheticDataset: a question by name names the thing of its document", () => {
  for (const question of QUESTIONS.filter((q) => !isDescription(q))) {
    const text = question.query.toLowerCase();
    const named = DATASET.documents
      .filter(({ title }) => text.includes(title.toLowerCase()))
      .sort((a, b) => b.title.length - a.title.length);
    assertEquals(named[0]?.docId, question.docIds[0], question.query);
  }
});

const TOWNS = makeWorld(SEED, SIZE).filter((t) => t.kind.name === "town").map((t) => t.title);
const escape = (text: string) => text.replace(/[.*+?^$|()[\]]/g, "\\$&");

/** Pattern of everything a person may write for a fact. */
function wordings(source: FactSource): string {
  switch (source.from) {
    case "concepts":
      return source.concepts.flatMap(({ said, asked }) => [...said, ...asked]).map(escape).join(
        "|",
      );
    case "town":
      return TOWNS.join("|");
    case "person":
      return "\\p{Lu}\\p{Ll}+ \\p{Lu}\\p{Ll}+";
    default:
      return "[\\d,]+";
  }
}

function valueOf(words: string, source: FactSource): string {
  if (source.from !== "concepts") return words;
  const same = (other: string) => other.toLowerCase() === words.toLowerCase();
  return source.concepts.find(({ said, asked }) => [...said, ...asked].some(same))!.said[0];
}

/** What a description says, read back from its text: every reading of every template that fits. */
function readings(query: string, kind: Thing["kind"]): Record<string, string>[] {
  const templates = [...kind.byDescription.train, ...kind.byDescription.dev];
  return templates.flatMap((template) => {
    const keys: string[] = [];
    const pattern = escape(template).replace(/\{(a )?(\w+)\}/g, (_, article, key) => {
      keys.push(key);
      return `${article ? "(?:an? )?" : ""}(${wordings(kind.facts[key])})`;
    });
    const match = new RegExp(`^${pattern}$`, "u").exec(query);
    if (match === null) return [];
    return [
      Object.fromEntries(keys.map((key, i) => [key, valueOf(match[i + 1], kind.facts[key])])),
    ];
  });
}

Deno.test("syntheticDataset: a description fits exactly one thing of the world", () => {
  const world = makeWorld(SEED, SIZE);
  assertEquals(world.map((thing) => thing.title), DATASET.documents.map((d) => d.title));
  const byTitle = new Map(world.map((thing) => [thing.title, thing]));
  const described = QUESTIONS.filter(isDescription);
  assert(described.length > 300);
  for (const { query, answers } of described) {
    const thing = byTitle.get(answers[0])!;
    const read = readings(query, thing.kind);
    assertEquals(read.length, 1, `${read.length} readings of: ${query}`);
    const fitting = world.filter((other) =>
      other.kind === thing.kind &&
      Object.entries(read[0]).every(([key, value]) => other.facts[key].value === value)
    );
    assertEquals(fitting.map((t) => t.title), [thing.title], query);
  }
});

Deno.test("syntheticDataset: no wording of a question occurs in both parts", () => {
  for (const { byName, byDescription } of KINDS) {
    const phrasings = [...Object.values(byName), byDescription];
    assertDistinct(phrasings.flatMap(({ train, dev }) => [...train, ...dev]));
  }
});

Deno.test("syntheticDataset: the first held-out question of a document is about a new fact", () => {
  const trained = new Map<string, Set<string>>();
  for (const { docIds, answers } of DATASET.queries.train) {
    if (!trained.has(docIds[0])) trained.set(docIds[0], new Set());
    trained.get(docIds[0])!.add(answers[0]);
  }
  let checked = 0;
  for (const question of DATASET.queries.dev) {
    if (!question.queryId.endsWith("-dev-1") || isDescription(question)) continue;
    checked++;
    assertEquals(trained.get(question.docIds[0])?.has(question.answers[0]) ?? false, false);
  }
  assert(checked > 50);
});

Deno.test("syntheticDataset: exactly the wanted share has no training question, dev asks for all", () => {
  const trained = new Set(DATASET.queries.train.flatMap((q) => q.docIds));
  assertEquals(trained.size, SIZE - 45);
  assertEquals(new Set(DATASET.queries.dev.flatMap((q) => q.docIds)).size, SIZE);
  const other = syntheticDataset({
    seed: 1,
    documents: 20,
    trainQuestions: 1,
    devQuestions: 0,
    withoutTraining: 0.5,
  });
  assertEquals([other.queries.train.length, other.queries.dev.length], [10, 0]);
});

Deno.test("syntheticDataset: reads like English", () => {
  for (const { title, text } of DATASET.documents) {
    const sentences = text.split(/(?<=\.) (?=\p{Lu}|\d)/u);
    assert(sentences.length >= 4 && sentences.length <= 6, `${sentences.length}: ${text}`);
    assert(text.toLowerCase().includes(title.toLowerCase()));
  }
  for (const text of [...DATASET.documents.map((d) => d.text), ...QUESTIONS.map((q) => q.query)]) {
    assert(/^\p{Lu}|^\d/u.test(text) && /[.?]$/.test(text), text);
    assert(!/[{}]|undefined|\s\s|\b(the|a|an|its) (the|a|an|its)\b/i.test(text), text);
    assert(!/\ba [aeiou]|\ban [^aeiou]/i.test(text), text);
  }
});

Deno.test("synthetic tables: wordings belong to one idea, templates to known facts", () => {
  for (const table of Object.values(tables)) {
    assertDistinct(table.flatMap(({ said, asked }) => [...said, ...asked]));
    for (const { said, asked } of table) assertEquals([said.length, asked.length], [2, 2]);
  }
  assertEquals(Math.round(1000 * KINDS.reduce((sum, kind) => sum + kind.share, 0)), 1000);
  for (const kind of KINDS) {
    const known = new Set([
      ...Object.keys(kind.facts),
      "name",
      "bare",
      "rival",
      "they",
      "them",
      "their",
    ]);
    const documentSide = [
      ...kind.openings,
      ...Object.values(kind.sentences).flat(),
      ...kind.asides,
    ];
    const questionSide = Object.values(kind.byName).flatMap(({ train, dev }) => [...train, ...dev]);
    for (const template of [...documentSide, ...questionSide, ...kind.byDescription.train]) {
      for (const [, key] of template.matchAll(/\{(?:a )?(\w+)\}/g)) {
        assert(known.has(key) || known.has(key.toLowerCase()), `${kind.name}: ${template}`);
      }
    }
    for (const opening of kind.openings) {
      assert(opening.includes("{name}") || opening.includes("{bare}"));
    }
    for (const question of questionSide) assert(/\{(name|bare)\}/.test(question), question);
    for (const [key, sentences] of Object.entries(kind.sentences)) {
      for (const sentence of sentences) assert(sentence.includes(`${key}}`), sentence);
    }
  }
});

/** Hard enough that there is something to learn, easy enough that words still help. */
const BM25_RANGE = [0.6, 0.85];
Deno.test("syntheticDataset: BM25 finds some but not all", () => {
  using store = DocumentStore.open(":memory:");
  store.put(DATASET.documents);
  const first = DATASET.queries.dev.filter(({ query, docIds }) =>
    store.search(query, { k: 1 })[0]?.docId === docIds[0]
  );
  const hits = first.length / DATASET.queries.dev.length;
  assert(hits > BM25_RANGE[0] && hits < BM25_RANGE[1], `${hits}`);
});

Deno.test("makeWorld: the largest world still has a name for everything", () => {
  const world = makeWorld(1, 20_000);
  assertDistinct(world.map((thing) => thing.title.toLowerCase().replace(/[^a-z0-9]+/g, "-")));
  assertEquals(world.length, 20_000);
});

Deno.test("syntheticDataset: options out of range are named", () => {
  const fails = (options: Record<string, number>, message: string) =>
    assertThrows(() => syntheticDataset({ seed: 1, ...options }), DataError, message);
  fails({ documents: 19 }, "documents is 19. Give a whole number from 20 to 20000");
  fails({ documents: 20_001 }, "documents is 20001");
  fails({ seed: -1 }, "seed is -1");
  fails({ seed: 0.5 }, "seed is 0.5");
  fails({ withoutTraining: 1.5 }, "withoutTraining is 1.5. Give a share from 0 to 1");
  fails({ trainQuestions: NaN }, "trainQuestions is NaN");
  fails({ devQuestions: 7 }, "devQuestions is 7");
});
