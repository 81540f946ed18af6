/** What every retriever must do. Each of them runs all of it; a skip says why. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  bm25Retriever,
  type DocumentRetriever,
  emptyRetriever,
  exactRetriever,
  indexRetriever,
  noisyRetriever,
  oracleRetriever,
  randomRetriever,
  type RetrievalRequest,
  type RetrievedDocument,
} from "../../../src/agent/mod.ts";
import type { Document, Query } from "../../../src/data/mod.ts";
import { DataError } from "../../../src/errors.ts";
import { miniIndex } from "./_mini_index.ts";

const DOCUMENTS: readonly Document[] = [
  ["York", "A town in the north, smaller than New York."],
  ["New York", "A town of towers and bridges."],
  ["New York City", "The city that has five boroughs."],
  ["Nick Park", "He made films of clay in Bristol."],
  ["Creature Comforts", "Animals of clay talk about their homes. Nick Park made it."],
  ["York", "Another one, an archbishop."],
  ["", "A page without a title about bees."],
  ["!!!", "A band whose name has no letters."],
  ["Ἀθῆναι and İzmir", "Two towns with odd letters."],
  ["Bees", "They dance to tell where flowers are."],
].map(([title, text], i) => ({ docId: `d${i}`, title, text }));

const QUESTIONS: readonly Query[] = [[3, 4], [9], [], [1, 1, 0], [6]].map((docs, i) => ({
  queryId: `q${i}`,
  query: `Question ${i}`,
  docIds: docs.map((doc) => `d${doc}`),
  answers: ["clay"],
}));

/** Rounding of probabilities between batches of different sizes. */
const FLOAT32 = 1e-6;

interface Subject {
  make(): Promise<DocumentRetriever> | DocumentRetriever;
  /** Why parts of the suite do not hold. */
  skip?: { blank?: string; named?: string };
}

const chance = { named: "what is found is left to chance" };
const SUBJECTS: Record<string, Subject> = {
  "bm25 of stems": { make: () => bm25Retriever(DOCUMENTS) },
  "bm25 of stems and titles": { make: () => bm25Retriever(DOCUMENTS, { titleWeight: 2.5 }) },
  "bm25 of words": { make: () => bm25Retriever(DOCUMENTS, { tokenize: "words" }) },
  index: { make: async () => indexRetriever(await miniIndex(DOCUMENTS)) },
  exact: { make: () => exactRetriever(DOCUMENTS) },
  empty: { make: () => emptyRetriever(), skip: { named: "nothing is ever found" } },
  random: {
    make: () => randomRetriever(DOCUMENTS.length),
    skip: { ...chance, blank: "the query is not read" },
  },
  oracle: {
    make: () => oracleRetriever(DOCUMENTS),
    skip: { blank: "the question is known without it" },
  },
  "bm25, half of it noise": {
    make: () =>
      noisyRetriever(bm25Retriever(DOCUMENTS), { rate: 0.5, documents: DOCUMENTS.length }),
    skip: chance,
  },
  "noise upon chance": {
    make: () =>
      noisyRetriever(randomRetriever(DOCUMENTS.length), { rate: 1, documents: DOCUMENTS.length }),
    skip: { ...chance, blank: "the query is not read" },
  },
};

const anyWord = fc.constantFrom(
  ..."new york city nick park bees clay towns talk and the of d3".split(" "),
  ..."NEW York! Ἀθῆναι İzmir izmir ΑΣ.Β".split(" "),
);
/** Combining marks, halves of surrogate pairs, both directions, a null, white space of many kinds. */
const anyOddText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(
    "",
    " \n\t",
    "\ud83d",
    "\udc1d Bees",
    "e\u0301\u0301",
    "\u0000",
    "\u202eBees",
    "?!…",
  ),
);
const anyQuery = fc.oneof(
  fc.array(anyWord, { maxLength: 8 }).map((words) => words.join(" ")),
  anyOddText,
);
const anyRequest: fc.Arbitrary<RetrievalRequest> = fc.record({
  query: anyQuery,
  question: fc.constantFrom(...QUESTIONS),
  seen: fc.array(fc.nat(DOCUMENTS.length - 1), { maxLength: 4 }),
  random: fc.record({
    seed: fc.nat(),
    stream: fc.constantFrom("episode", "other"),
    step: fc.nat(1000),
  }),
});
const anyBatch = fc.array(anyRequest, { maxLength: 5 });
const anyTop = fc.constantFrom(1, 2, 3, 50);
const RUNS = { numRuns: 40 };

const request = (query: string, rest: Partial<RetrievalRequest> = {}): RetrievalRequest => ({
  query,
  question: QUESTIONS[0],
  seen: [],
  random: { seed: 1, stream: "episode", step: 0 },
  ...rest,
});

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

function assertSame(
  actual: readonly RetrievedDocument[],
  expected: readonly RetrievedDocument[],
): void {
  assertEquals(actual.map(({ doc }) => doc), expected.map(({ doc }) => doc));
  actual.forEach(({ score }, k) => assertAlmostEquals(score, expected[k].score, FLOAT32));
}

for (const [name, { make, skip = {} }] of Object.entries(SUBJECTS)) {
  const test = (what: string, run: (retriever: DocumentRetriever) => Promise<void>): void =>
    Deno.test(`${name}: ${what}`, async () => run(await make()));
  const testUnless = (
    reason: string | undefined,
    what: string,
    run: (retriever: DocumentRetriever) => Promise<void>,
  ): void => {
    if (reason === undefined) test(what, run);
    else Deno.test({ name: `${name}: ${what}: not tested, ${reason}`, ignore: true, fn: () => {} });
  };

  test("a list per request, of different documents of the corpus, best first", (retriever) =>
    fc.assert(
      fc.asyncProperty(anyBatch, anyTop, async (requests, top) => {
        const found = await retriever.retrieve(frozen(requests), top);
        assertEquals(found.length, requests.length);
        for (const list of found) {
          assert(list.length <= top, "at most top");
          assertEquals(new Set(list.map(({ doc }) => doc)).size, list.length, "no document twice");
          list.forEach(({ doc, score }, k) => {
            assert(Number.isInteger(doc) && doc >= 0 && doc < DOCUMENTS.length, "in the corpus");
            assert(Number.isFinite(score), "scores are numbers");
            assert(k === 0 || score <= list[k - 1].score, "scores do not rise");
          });
        }
      }),
      RUNS,
    ));

  test("the same request gets the same answer, from another of its kind too", async (retriever) => {
    const another = await make();
    await fc.assert(
      fc.asyncProperty(anyBatch, anyTop, async (requests, top) => {
        const found = await retriever.retrieve(requests, top);
        assertEquals(await retriever.retrieve(requests, top), found);
        assertEquals(await another.retrieve(requests, top), found);
      }),
      RUNS,
    );
  });

  test("a request alone is answered as it is among others", (retriever) =>
    fc.assert(
      fc.asyncProperty(anyBatch, anyTop, async (requests, top) => {
        const together = await retriever.retrieve(requests, top);
        const turned = (await retriever.retrieve(requests.toReversed(), top)).toReversed();
        for (const [i, one] of requests.entries()) {
          assertSame((await retriever.retrieve([one], top))[0], together[i]);
          assertSame(turned[i], together[i]);
        }
      }),
      RUNS,
    ));

  test("fewer documents are the first of more, one if nothing is said", (retriever) =>
    fc.assert(
      fc.asyncProperty(anyBatch, async (requests) => {
        const many = await retriever.retrieve(requests, 50);
        for (const top of [1, 2, 4]) {
          const few = await retriever.retrieve(requests, top);
          assertEquals(few, many.map((list) => list.slice(0, top)));
        }
        assertEquals(await retriever.retrieve(requests), await retriever.retrieve(requests, 1));
      }),
      RUNS,
    ));

  test("a wrong number of documents is an error", async (retriever) => {
    for (const top of [0, -1, 1.5, NaN, Infinity]) {
      const told = `Cannot retrieve ${top} documents`;
      await assertRejects(() => retriever.retrieve([request("bees")], top), DataError, told);
    }
  });

  test("no requests, no answers; a very long query is read", async (retriever) => {
    assertEquals(await retriever.retrieve([]), []);
    assertEquals((await retriever.retrieve([request("bees of York ".repeat(5000))])).length, 1);
  });

  testUnless(skip.blank, "a blank query finds nothing", async (retriever) => {
    const found = await retriever.retrieve(["", " \n\t", "?!…"].map((query) => request(query)), 5);
    // An index has an opinion on every text that is not blank.
    const blank = retriever.name === "index" ? found.slice(0, 2) : found;
    assert(blank.every((list) => list.length === 0));
  });

  testUnless(
    skip.named,
    "a document that is asked for by its title comes first",
    async (retriever) => {
      for (const doc of [3, 4]) {
        const [[first]] = await retriever.retrieve([request(`${DOCUMENTS[doc].title}?`)], 3);
        assertEquals(first.doc, doc);
      }
    },
  );
}

Deno.test("every kind of retriever has a name of its own, and a unit", async () => {
  const all = await Promise.all(Object.values(SUBJECTS).map(({ make }) => make()));
  assertEquals(all.map(({ name, scoreUnit }) => `${name}: ${scoreUnit}`), [
    "bm25: BM25",
    "bm25: BM25",
    "bm25: BM25",
    "index: probability",
    "exact: match",
    "empty: none",
    "random: probability",
    "oracle: match",
    "noisy(bm25, 0.5): BM25",
    "noisy(random, 1): probability",
  ]);
});
