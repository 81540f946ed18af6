import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type EntityKind,
  makeWorld,
  questionWordings,
  RELATIONS,
  type World,
  type WorldDataset,
  worldDataset,
  type WorldDatasetOptions,
  type WorldPart,
  type WorldQuestion,
  writeEntityDocument,
} from "../../../src/data/world/mod.ts";
import { DataError } from "../../../src/errors.ts";
import { randomStream } from "../../../src/tensor/random.ts";

/** How many standard errors a count may lie from what is expected. */
const STANDARD_ERRORS = 4;

const assertDistinct = (values: readonly string[]): void =>
  assertEquals(new Set(values).size, values.length);
/** All of a world but its function. */
const plain = ({ entities, facts, factsOf, relations }: World) => ({
  entities,
  facts,
  factsOf,
  relations,
});
const partsOf = ({ entities, facts }: World, { chain }: WorldQuestion): WorldPart[] =>
  chain.map((f) => entities[facts[f].entity].part);
const kindsOf = (world: World, question: WorldQuestion): string =>
  partsOf(world, question).map((part) => part === "known" ? "known" : "unknown").join("-");
const questionsOf = ({ queries }: WorldDataset): WorldQuestion[] => [
  ...queries.train,
  ...queries.dev,
];
const fill = (template: string, e: string, v: string): string =>
  template.replaceAll("{e}", e).replaceAll("{v}", v);

/** Datasets that every promise must hold for. */
const DATASETS: [string, WorldDataset][] = ([
  { seed: 1, entities: 120 },
  { seed: 2, entities: 120, hops: 2 },
  { seed: 3, entities: 20 },
  { seed: 3, entities: 20, hops: 2 },
  { seed: 4, entities: 90, knownShare: 0.2, heldOutShare: 0.5, hops: 2 },
  { seed: 5, entities: 60, knownShare: 0 },
  { seed: 5, entities: 60, knownShare: 0, hops: 2 },
  { seed: 6, entities: 60, knownShare: 1 },
  { seed: 6, entities: 60, knownShare: 1, hops: 2 },
] satisfies WorldDatasetOptions[]).map((options) => [
  JSON.stringify(options),
  worldDataset(options),
]);

Deno.test("a seed gives the same world and dataset, another seed another one", () => {
  const make = (seed: number, hops: 1 | 2 = 1) => worldDataset({ seed, entities: 40, hops });
  const [a, b, other, twoHops] = [make(1), make(1), make(2), make(1, 2)];
  assertEquals(plain(a.world), plain(b.world));
  assertEquals([a.documents, a.queries], [b.documents, b.queries]);
  for (const what of ["entities", "facts"] as const) {
    assert(JSON.stringify(a.world[what]) !== JSON.stringify(other.world[what]), what);
  }
  const parts = ({ entities }: World) => entities.map(({ part }) => part).join();
  assert(parts(a.world) !== parts(other.world));
  const values = ({ facts }: World) => facts.map(({ value }) => value).join();
  assert(values(a.world) !== values(other.world));
  // What is true and what is written does not depend on what is asked.
  assertEquals(plain(twoHops.world), plain(a.world));
  assertEquals(twoHops.documents, a.documents);
});

Deno.test("every entity has one value for each relation of its kind, of the right kind", () => {
  const world = makeWorld({ seed: 7, entities: 100 });
  assertEquals(world.relations, RELATIONS);
  assertDistinct(RELATIONS.map(({ name }) => name));
  assertEquals(world.factsOf.flat(), [...world.facts.keys()]);
  world.entities.forEach(({ kind }, e) => {
    const own = world.factsOf[e].map((f) => world.facts[f]);
    assertEquals(own.map(({ entity }) => entity), own.map(() => e));
    assertEquals(
      own.map(({ relation }) => RELATIONS[relation].name),
      RELATIONS.filter(({ of }) => of === kind).map(({ name }) => name),
    );
    for (const { relation, value, valueEntity } of own) {
      const { value: range } = RELATIONS[relation];
      if (typeof range !== "string") {
        assert(range.includes(value));
        assertEquals(valueEntity, undefined);
        continue;
      }
      assert(valueEntity !== e);
      const { name, kind } = world.entities[valueEntity!];
      assertEquals([name, kind], [value, range]);
    }
  });
});

Deno.test("shares are the nearest whole numbers of entities, in each kind", () => {
  const share = fc.nat(1000).map((n) => n / 1000);
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 150 }),
      share,
      share,
      fc.nat(99),
      (entities, knownShare, heldOutShare, seed) => {
        const world = makeWorld({ seed, entities, knownShare, heldOutShare });
        assertEquals(world.entities.length, entities);
        const near = (count: number, expected: number): void =>
          assert(Math.abs(count - expected) <= 0.5 + 1e-9, `${count} instead of ${expected}`);
        const of = (kind: EntityKind) => world.entities.filter((entity) => entity.kind === kind);
        near(of("town").length, 0.2 * entities);
        near(of("firm").length, 0.2 * entities);
        for (const kind of ["town", "firm", "person"] as const) {
          const count = (part: WorldPart) => of(kind).filter((e) => e.part === part).length;
          near(count("known"), knownShare * of(kind).length);
          near(count("heldOut"), heldOutShare * (of(kind).length - count("known")));
        }
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("whether an entity is known says nothing about where it stands", () => {
  const { entities } = makeWorld({ seed: 8, entities: 1000 });
  const people = entities.filter(({ kind }) => kind === "person");
  const ranks = people.flatMap(({ part }, rank) => part === "known" ? [rank] : []);
  // Mean and standard error of a draw of half the ranks without replacement.
  const n = people.length, middle = (n - 1) / 2;
  const error = Math.sqrt((n ** 2 - 1) / 12 / ranks.length * (n - ranks.length) / (n - 1));
  const mean = ranks.reduce((a, b) => a + b, 0) / ranks.length;
  assert(Math.abs(mean - middle) < STANDARD_ERRORS * error, `mean rank ${mean} of ${n}`);
});

Deno.test("values are drawn uniformly", () => {
  const { facts } = makeWorld({ seed: 9, entities: 2000 });
  // Upper thousandths of chi-square with 17, 19, 19, 17 and 17 degrees of freedom.
  const limits: Record<string, number> = {
    hobby: 40.8,
    product: 43.9,
    emblem: 43.9,
    dish: 40.8,
    colour: 40.8,
  };
  RELATIONS.forEach(({ name, value }, relation) => {
    if (typeof value === "string") return;
    const own = facts.filter((fact) => fact.relation === relation);
    const expected = own.length / value.length;
    const distance = value.reduce((sum, word) => {
      const count = own.filter((fact) => fact.value === word).length;
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    assert(distance < limits[name], `${name}: ${distance}`);
  });
});

Deno.test("invented names are new and look like those of the world", () => {
  const entities = 1000, world = makeWorld({ seed: 10, entities });
  const taken = new Set(world.entities.map(({ name }) => name.toLowerCase()));
  const random = randomStream({ seed: 1, stream: "names", step: 0 });
  const invent = (kind: EntityKind) =>
    Array.from({ length: 600 }, () => world.inventName(kind, random));
  const names = (kind: EntityKind) =>
    world.entities.filter((entity) => entity.kind === kind).map(({ name }) => name);
  const [people, towns, firms] = [invent("person"), invent("town"), invent("firm")];
  for (const name of [...people, ...towns, ...firms]) assert(!taken.has(name.toLowerCase()), name);
  // A world has a family for every four entities, and people outside of it come from the same ones.
  const families = (list: string[]) => new Set(list.map((name) => name.split(" ")[1]));
  const all = families([...names("person"), ...people]);
  assert(all.size <= entities / 4, `${all.size} families`);
  assert(families(people).size > entities / 8);
  const firstNames = new Set(people.map((name) => name.split(" ")[0]));
  const shared = names("person").filter((name) => firstNames.has(name.split(" ")[0]));
  assertEquals(shared, names("person"));
  // Town names are put together from a few beginnings and ends.
  const ends = new Set(names("town").flatMap((name) => [name.slice(0, 3), name.slice(-3)]));
  const similar = towns.filter((name) => ends.has(name.slice(0, 3)) && ends.has(name.slice(-3)));
  assert(similar.length > towns.length / 2, `${similar.length} of ${towns.length}`);
  for (const name of firms) assertEquals(name.split(" ").length, 3, name);
  const words = (list: string[]) => new Set(list.flatMap((name) => name.split(" ")));
  // The words of one kind are in no name of another.
  assertEquals(words(firms).intersection(words([...people, ...towns])).size, 0);
  // What was invented is not taken: a name depends on the stream alone.
  const again = () => world.inventName("person", randomStream({ seed: 2, stream: "", step: 0 }));
  assertEquals(again(), again());
});

Deno.test("a document states each fact of its entity once, in a wording of the relation", () => {
  for (const [name, { documents, world }] of DATASETS) {
    assertDistinct(documents.map(({ title }) => title.toLowerCase()));
    assertDistinct(documents.map(({ docId }) => docId));
    assertEquals(documents.length, world.entities.length);
    documents.forEach(({ docId, title, text }, e) => {
      assertEquals([docId, title], [`e${e}`, world.entities[e].name]);
      let rest = text;
      for (const f of world.factsOf[e]) {
        const { relation, value } = world.facts[f];
        const { kind } = world.entities[e];
        // Named in the first sentence, then called by a pronoun or its kind.
        const called = kind === "person"
          ? ["She", "He", "her", "him"]
          : [`The ${kind}`, `the ${kind}`];
        const stated = RELATIONS[relation].sentences.flatMap((s) =>
          [title, ...called].map((subject) => fill(s, subject, value))
        );
        const sentence = stated.find((s) => rest.includes(s));
        assert(sentence, `${name}: ${text} does not say ${stated[0]}`);
        rest = rest.replace(sentence, () => "");
      }
      assertEquals(rest.trim(), "", name);
      assert(text.split(". ")[0].includes(title), text);
    });
  }
});

Deno.test("documents differ in the order and the wording of their sentences", () => {
  const valueOf = () => "it";
  const written = Array.from({ length: 40 }, (_, step) => {
    const random = randomStream({ seed: 1, stream: "document", step });
    return writeEntityDocument({ name: "Moor", kind: "town" }, random, valueOf).text;
  });
  const { sentences } = RELATIONS.find(({ name }) => name === "mayor")!;
  const first = written.filter((text) =>
    sentences.some((s) => text.startsWith(fill(s, "Moor", "it")))
  );
  assert(first.length > 3 && first.length < 30, `${first.length} begin with the mayor`);
  for (const sentence of sentences) {
    const forms = ["Moor", "The town", "the town"].map((e) => fill(sentence, e, "it"));
    assert(written.some((text) => forms.some((form) => text.includes(form))), sentence);
  }
});

Deno.test("questions: ids and words are unique, the answer stands in the last document", () => {
  for (const [name, dataset] of DATASETS) {
    const { documents, world } = dataset, questions = questionsOf(dataset);
    assertDistinct(questions.map(({ queryId }) => queryId));
    assertDistinct(questions.map(({ query }) => query));
    const byId = new Map(documents.map((document) => [document.docId, document]));
    const phrasesUsed = new Set<number>();
    for (const { query, chain, docIds, answers } of questions) {
      const facts = chain.map((f) => world.facts[f]);
      assertEquals(docIds, facts.map(({ entity }) => `e${entity}`));
      assertEquals(answers, [facts.at(-1)!.value]);
      assert(byId.get(docIds.at(-1)!)!.text.includes(answers[0]), name);
      if (chain.length > 1) assertEquals(facts[0].valueEntity, facts[1].entity);
      const [first, last] = [facts[0], facts.at(-1)!].map(({ relation }) => RELATIONS[relation]);
      const { name: start } = world.entities[facts[0].entity];
      const subjects = chain.length > 1
        ? first.phrases.map((phrase) => fill(phrase, start, ""))
        : [start];
      const wordings = subjects.map((e) => last.questions.map((words) => fill(words, e, "")));
      const used = wordings.findIndex((list) => list.includes(query));
      assert(used >= 0, `${name}: ${query}`);
      phrasesUsed.add(used);
      assertMatch(query, /^\p{Lu}[^{}]+\?$/u);
    }
    assertEquals(phrasesUsed.size, questions[0].chain.length);
  }
});

Deno.test("a held-out entity is in no chain of train, and nothing of it is an answer there", () => {
  for (const [name, { queries, world }] of DATASETS) {
    for (const question of queries.train) {
      assert(!partsOf(world, question).includes("heldOut"), `${name}: ${question.query}`);
    }
    const dev = new Set(queries.dev.flatMap((question) => partsOf(world, question)));
    assert(!dev.has("unknown"), name);
  }
});

Deno.test("one hop: what is asked in dev is asked in train in no or in other words", () => {
  const { queries, world } = worldDataset({ seed: 12, entities: 500, devQuestions: 10_000 });
  // 100 towns of 3 facts, 100 firms of 4, 300 people of 4; half of each known, 17, 17 and 50 held out.
  const known = 50 * 3 + 50 * 4 + 150 * 4, heldOut = 17 * 3 + 17 * 4 + 50 * 4;
  const unknown = 33 * 3 + 33 * 4 + 100 * 4;
  assertEquals(queries.train.length, 3 * known + 4 * unknown);
  const kinds = Map.groupBy(queries.dev, (question) => kindsOf(world, question));
  assertEquals([kinds.get("known")!.length, kinds.get("unknown")!.length], [heldOut, heldOut]);
  const train = new Set(queries.train.map(({ query }) => query));
  for (const { query } of queries.dev) assert(!train.has(query), query);
  const asked = new Set(queries.train.map(({ chain }) => chain[0]));
  for (const { chain } of kinds.get("known")!) assert(asked.has(chain[0]));
  for (const { chain } of kinds.get("unknown")!) assert(!asked.has(chain[0]));
  // Which of the wordings is kept is chosen for each fact.
  const kept = new Set(kinds.get("known")!.map(({ query, chain: [f] }) => {
    const { entity, relation } = world.facts[f];
    return questionWordings(world.entities[entity].name, [RELATIONS[relation]]).indexOf(query);
  }));
  assertEquals(kept.size, 4);
});

Deno.test("two hops: a chain of dev is never asked in train; a fifth of the known ones is kept", () => {
  const { queries, world } = worldDataset({ seed: 13, entities: 300, hops: 2 });
  const train = new Set(queries.train.map(({ chain }) => chain.join()));
  for (const { chain } of queries.dev) assert(!train.has(chain.join()));
  assertDistinct(queries.dev.map(({ chain }) => chain.join()));
  const counts = { all: 0, asked: 0 };
  world.facts.forEach(({ entity, valueEntity }, f) => {
    if (valueEntity === undefined) return;
    const parts = [entity, valueEntity].map((e) => world.entities[e].part);
    for (const g of world.factsOf[valueEntity]) {
      const isAsked = train.has(`${f},${g}`);
      if (parts.includes("heldOut")) assert(!isAsked);
      else if (parts.includes("unknown")) assert(isAsked);
      else {
        counts.all++;
        counts.asked += Number(isAsked);
      }
    }
  });
  const error = Math.sqrt(0.2 * 0.8 / counts.all);
  assert(Math.abs(counts.asked / counts.all - 0.8) < STANDARD_ERRORS * error);
  // Four wordings of each chain.
  assertEquals(queries.train.length, 4 * train.size);
});

Deno.test("each kind of chain is as frequent in dev as the shares of the world make it", () => {
  for (const hops of [1, 2] as const) {
    for (const knownShare of [0.25, 0.5, 0.8]) {
      for (const devQuestions of [101, 100_000]) {
        const dataset = worldDataset({ seed: 14, entities: 250, hops, knownShare, devQuestions });
        const { queries: { dev }, world } = dataset;
        const counts = Map.groupBy(dev, (question) => kindsOf(world, question));
        assertEquals(counts.size, 2 ** hops);
        for (const [kinds, { length }] of counts) {
          const known = kinds.split("-").filter((kind) => kind === "known").length;
          const share = knownShare ** known * (1 - knownShare) ** (hops - known);
          assert(Math.abs(length - share * dev.length) <= 2, `${kinds}: ${length}/${dev.length}`);
        }
        // Up to a rounding of each kind.
        assert(devQuestions > 101 || Math.abs(dev.length - 101) <= 2, `${dev.length}`);
        assert(dev.length > 60, `${dev.length}`);
      }
    }
  }
});

Deno.test("a world in which all is known, or nothing, has both parts", () => {
  for (const hops of [1, 2] as const) {
    for (const [knownShare, part] of [[0, "unknown"], [1, "known"]] as const) {
      const { queries, world } = worldDataset({ seed: 15, entities: 80, hops, knownShare });
      assert(queries.train.length > 100 && queries.dev.length > 50, `${queries.dev.length}`);
      const parts = (questions: readonly WorldQuestion[]) => [
        ...new Set(questions.flatMap((question) => partsOf(world, question))),
      ];
      assertEquals(parts(queries.train), [part]);
      assertEquals(parts(queries.dev), [part === "known" ? "known" : "heldOut"]);
    }
  }
});

Deno.test("the smallest and the largest world", () => {
  for (const entities of [20, 5000]) {
    for (const hops of [1, 2] as const) {
      const dataset = worldDataset({ seed: 16, entities, hops });
      const { documents, queries, world } = dataset;
      assertDistinct(documents.map(({ title }) => title.toLowerCase()));
      assertEquals(documents.length, entities);
      assert(queries.train.length > entities && queries.dev.length > 0);
      assertEquals(
        new Set(queries.dev.map((question) => kindsOf(world, question))).size,
        2 ** hops,
      );
      const random = randomStream({ seed: 3, stream: "names", step: 0 });
      const invented = world.inventName("town", random);
      assert(!documents.some(({ title }) => title === invented));
    }
  }
});

Deno.test("options out of range are named with their value", () => {
  const refuse = (options: Record<string, number>, words: string): void => {
    assertThrows(
      () => worldDataset({ seed: 1, ...options } as unknown as WorldDatasetOptions),
      DataError,
      words,
    );
  };
  for (const entities of [19, 5001, 20.5, NaN]) {
    refuse({ entities }, `entities is ${entities}. Give a whole number from 20 to 5000`);
  }
  for (const share of [-0.1, 1.1, NaN]) {
    refuse({ knownShare: share }, `knownShare is ${share}. Give a share from 0 to 1`);
    refuse({ heldOutShare: share }, `heldOutShare is ${share}. Give a share from 0 to 1`);
  }
  for (const hops of [0, 3, NaN]) refuse({ hops }, `hops is ${hops}`);
  for (const devQuestions of [-1, 1.5, NaN]) refuse({ devQuestions }, `is ${devQuestions}`);
  assertEquals(worldDataset({ seed: 1, entities: 20, devQuestions: 0 }).queries.dev, []);
});
