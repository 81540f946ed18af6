/** What each retriever does that the others don't. */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  bm25Retriever,
  exactRetriever,
  indexRetriever,
  noisyRetriever,
  oracleRetriever,
  randomRetriever,
  type RetrievalRequest,
  type RetrievedDocument,
} from "../../../src/agent/mod.ts";
import { type Document, type Query, syntheticDataset } from "../../../src/data/mod.ts";
import { ConfigError, DataError } from "../../../src/errors.ts";
import { bestRank } from "../../../src/metric/mod.ts";
import { BASELINES, rankWithBm25 } from "../../../src/recipe/evaluate_index.ts";
import type { SearchResult } from "../../../src/retriever/searcher.ts";
import { randomStream } from "../../../src/tensor/random.ts";

const question = (docIds: readonly string[]): Query => ({
  queryId: "q7",
  query: "?",
  docIds,
  answers: [],
});
const request = (query: string, rest: Partial<RetrievalRequest> = {}): RetrievalRequest => ({
  query,
  question: question([]),
  seen: [],
  random: { seed: 1, stream: "episode", step: 0 },
  ...rest,
});
/** The same request in many episodes. */
const episodes = (count: number, rest: Partial<RetrievalRequest> = {}): RetrievalRequest[] =>
  Array.from(
    { length: count },
    (_, step) => request("x", { ...rest, random: { seed: 5, stream: "episode", step } }),
  );
const titled = (titles: readonly string[]): Document[] =>
  titles.map((title, i) => ({ docId: `d${i}`, title, text: "…" }));
const docsOf = (list: readonly RetrievedDocument[]): number[] => list.map(({ doc }) => doc);

/** Five standard deviations of a count of `n` draws of probability `p`. */
const spread = (n: number, p: number): number => 5 * Math.sqrt(n * p * (1 - p));

Deno.test("bm25 ranks as the baseline of evaluate-model does, by stems and by words", async () => {
  const dataset = syntheticDataset({ seed: 1, documents: 60 }), { documents, queries } = dataset;
  const baselines = rankWithBm25(dataset, "dev"), ids = documents.map(({ docId }) => docId);
  const requests = queries.dev.map(({ query }) => request(query));
  for (const tokenize of ["stems", "words"] as const) {
    const found = await bm25Retriever(documents, { tokenize }).retrieve(requests, 10);
    const ranks = queries.dev.map((q, i) =>
      bestRank(docsOf(found[i]).map((d) => ids[d]), q.docIds)
    );
    assertEquals(ranks, baselines[BASELINES[tokenize]]);
  }
});

Deno.test("bm25 adds what titles score by themselves, w − 1 times", async () => {
  const texts = ["Ida Brandt bakes.", "Nils met Ida. Ida bakes for Ida, and Ida eats.", "A town."];
  const documents = ["Ida Brandt", "Nils Brandt", "Ham"].map((title, i) => ({
    docId: `d${i}`,
    title,
    text: texts[i],
  }));
  const ofTitles = documents.map((document) => ({ ...document, text: "" }));
  const scores = async (of: Document[], query: string, titleWeight?: number) => {
    const [found] = await bm25Retriever(of, { titleWeight }).retrieve([request(query)], 3);
    return documents.map((_, d) => found.find(({ doc }) => doc === d)?.score ?? 0);
  };
  for (const query of ["Does Ida Brandt bake?", "Nils, Nils", "town"]) {
    const [whole, titles] = [await scores(documents, query), await scores(ofTitles, query)];
    for (const w of [1, 1.5, 4]) {
      const sum = await scores(documents, query, w);
      sum.forEach((x, d) => assertAlmostEquals(x, whole[d] + (w - 1) * titles[d], 1e-5));
    }
  }
  // Who mentions Ida often is found before her, until her title counts.
  const [alone, more] = [await scores(documents, "Ida"), await scores(documents, "Ida", 2)];
  assert(alone[1] > alone[0] && more[0] > more[1]);
  for (const titleWeight of [0.9, NaN, Infinity]) {
    assertThrows(() => bm25Retriever(documents, { titleWeight }), ConfigError, `is ${titleWeight}`);
  }
});

Deno.test("a trained index is asked once for equal queries, and never a blank one", async () => {
  const asked: string[][] = [];
  const answers: Record<string, SearchResult> = {
    bees: { hits: [{ doc: 3, logProb: -0.5 }, { doc: 1, logProb: -2 }], droppedMass: 0 },
    clay: { hits: [{ doc: 2, logProb: 0 }], droppedMass: 0 },
  };
  const index = indexRetriever({
    search(texts: readonly string[]): Promise<SearchResult[]> {
      asked.push([...texts]);
      return Promise.resolve(texts.map((text) => answers[text]));
    },
  });
  const queries = ["bees", " ", "clay", "bees", ""];
  assertEquals(await index.retrieve(queries.map((query) => request(query)), 2), [
    [{ doc: 3, score: Math.exp(-0.5) }, { doc: 1, score: Math.exp(-2) }],
    [],
    [{ doc: 2, score: 1 }],
    [{ doc: 3, score: Math.exp(-0.5) }, { doc: 1, score: Math.exp(-2) }],
    [],
  ]);
  assertEquals(asked, [["bees", "clay"]]);
});

Deno.test("exact: the title that stands first, the longest there, as whole words", async () => {
  const titles = [
    "York",
    "New York",
    "The U.S. Navy",
    "O'Brien",
    "york",
    "C++",
    "!!!",
    "",
    "ΑΣ",
    "New York City",
  ];
  const exact = exactRetriever(titled(titles));
  const cases: [string, number[]][] = [
    ["Who left New York for York?", [1, 0, 4]],
    ["Who left York for New York?", [0, 4, 1]],
    ["new  YORK", [1, 0, 4]],
    ["NEW-YORK!", [1, 0, 4]],
    ["New York City, York", [9, 1, 0, 4]],
    ["Yorkshire, newYork", []],
    ["New Yorkers", []],
    ["the u s navy", [2]],
    ["the us navy", []],
    ["u.s. navy", []],
    ["(O’Brien)", [3]],
    ["OBrien", []],
    ["in c", [5]],
    ["!!!", []],
    ["", []],
    ["ας", [8]],
    ["ΑΣ.Β", [8]],
    ["Ｎｅｗ Ｙｏｒｋ", [1, 0, 4]],
  ];
  for (const [query, expected] of cases) {
    const [found] = await exact.retrieve([request(query)], 10);
    assertEquals(docsOf(found), expected, query);
    assertEquals(docsOf((await exact.retrieve([request(query)]))[0]), expected.slice(0, 1), query);
  }
});

Deno.test("oracle: named, then unseen in order, then the last", async () => {
  const oracle = oracleRetriever(titled(["Bees", "Clay", "Nick Park", "Park", "Otters"]));
  const right = ["d2", "d1", "d4"];
  const cases: [string, number[], number[]][] = [
    ["", [], [2, 1, 4]],
    ["", [2], [1, 4, 2]],
    ["", [2, 0, 1], [4, 1, 2]],
    ["", [1], [2, 4, 1]],
    ["", [4, 1, 2], [4, 1, 2]],
    ["where do otters live", [], [4, 2, 1]],
    ["otters of clay", [4], [4, 1, 2]],
    // Not right, though named.
    ["bees of Nick Park", [2], [2, 1, 4]],
    ["Park", [], [2, 1, 4]],
  ];
  for (const [query, seen, expected] of cases) {
    const asked = request(query, { seen, question: question(right) });
    assertEquals(docsOf((await oracle.retrieve([asked], 9))[0]), expected, `${query} ${seen}`);
  }
  assertEquals(await oracle.retrieve([request("bees")]), [[]]);
});

Deno.test("oracle: a right document that the corpus lacks is an error that names it", async () => {
  const asked = request("", { question: question(["d0", "d9"]) });
  const error = await assertRejects(
    () => oracleRetriever(titled(["Bees"])).retrieve([asked]),
    DataError,
  );
  assertEquals(
    error.message,
    'Cannot find the right documents of question "q7": document "d9" is not in the corpus. ' +
      "Give the oracle the documents of the same dataset",
  );
});

Deno.test("random: every document equally often in every place; all of them, if asked for", async () => {
  const N = 5, n = 4000;
  const found = await randomRetriever(N).retrieve(episodes(n), 9);
  for (let place = 0; place < N; place++) {
    const counts = new Array(N).fill(0);
    for (const list of found) counts[list[place].doc]++;
    for (const count of counts) assertLess(Math.abs(count - n / N), spread(n, 1 / N));
  }
  assert(found.every((list) => list.length === N && list.every(({ score }) => score === 1 / N)));
});

Deno.test("random: seed, stream and step of the request each matter", async () => {
  const base = { seed: 5, stream: "episode", step: 0 };
  const keys = [base, { ...base, seed: 6 }, { ...base, stream: "other" }, { ...base, step: 1 }];
  const found = await randomRetriever(1e6).retrieve(keys.map((random) => request("", { random })));
  assertEquals(new Set(found.map(([{ doc }]) => doc)).size, keys.length);
});

Deno.test("noise replaces the first document as often as its rate says, by any of them", async () => {
  const N = 8, n = 4000, rate = 0.25, titles = "a b c d e f g h".split(" ");
  const inner = exactRetriever(titled(titles));
  const noisy = noisyRetriever(inner, { rate, documents: N });
  const asked = episodes(n).map((one) => ({ ...one, query: "c" }));
  const counts = new Array(N).fill(0);
  for (const [{ doc }] of await noisy.retrieve(asked)) counts[doc]++;
  counts.forEach((count, doc) => {
    const p = rate / N + (doc === 2 ? 1 - rate : 0);
    assertLess(Math.abs(count - n * p), spread(n, p), `document ${doc}`);
  });
  const none = noisyRetriever(inner, { rate: 0, documents: N });
  assertEquals(await none.retrieve(asked), await inner.retrieve(asked));
});

Deno.test("noise keeps the scores of the places, and the documents if the new one is there", async () => {
  const hits = [0, 1, 2, 3].map((doc) => ({ doc, logProb: -doc }));
  const inner = indexRetriever({
    search: (texts) => Promise.resolve(texts.map(() => ({ hits, droppedMass: 0 }))),
  });
  const noisy = noisyRetriever(inner, { rate: 1, documents: 6 });
  const kinds = new Map<number, number[]>();
  for (const list of await noisy.retrieve(episodes(200), 4)) {
    assertEquals(list.map(({ score }) => score), [0, 1, 2, 3].map((k) => Math.exp(-k)));
    kinds.set(list[0].doc, docsOf(list));
  }
  assertEquals(Object.fromEntries(kinds), {
    0: [0, 1, 2, 3],
    1: [1, 0, 2, 3],
    2: [2, 1, 0, 3],
    3: [3, 1, 2, 0],
    4: [4, 1, 2, 3],
    5: [5, 1, 2, 3],
  });
});

Deno.test("neither chance nor noise uses the numbers of the request's own stream up", async () => {
  const N = 6, n = 4000, asked = episodes(n);
  // One number comes before the document that noise draws: whether it draws one.
  const own = asked.map(({ random }) => {
    const stream = randomStream(random);
    return [stream.int(N), stream.int(N)];
  });
  const chance = randomRetriever(N), noise = noisyRetriever(chance, { rate: 1, documents: N });
  for (const [place, retriever] of [chance, noise].entries()) {
    const found = await retriever.retrieve(asked);
    const same = found.filter(([{ doc }], i) => doc === own[i][place]).length;
    assertLess(Math.abs(same - n / N), spread(n, 1 / N), retriever.name);
  }
});

Deno.test("noise is independent of the chance below it, and finds nothing where nothing is", async () => {
  const N = 6, n = 4000, inner = randomRetriever(N);
  const noisy = noisyRetriever(inner, { rate: 1, documents: N });
  const below = await inner.retrieve(episodes(n), N), above = await noisy.retrieve(episodes(n));
  for (let place = 0; place < N; place++) {
    const same = above.filter(([{ doc }], i) => doc === below[i][place].doc).length;
    assertLess(Math.abs(same - n / N), spread(n, 1 / N), `place ${place}`);
  }
  const empty = noisyRetriever(exactRetriever(titled(["a"])), { rate: 1, documents: 1 });
  assertEquals(await empty.retrieve(episodes(20)), Array.from({ length: 20 }, () => []));
});

Deno.test("wrong rates and sizes are errors that say what is right", () => {
  const inner = randomRetriever(3);
  for (const rate of [-0.1, 1.1, NaN]) {
    assertThrows(
      () => noisyRetriever(inner, { rate, documents: 3 }),
      DataError,
      `Cannot disturb the retriever "random": the rate is ${rate}; it must lie between 0 and 1`,
    );
  }
  for (const documents of [0, -1, 2.5, NaN]) {
    const told = `Cannot draw one of ${documents} documents: give a positive whole number`;
    assertThrows(() => randomRetriever(documents), DataError, told);
    assertThrows(() => noisyRetriever(inner, { rate: 0, documents }), DataError, told);
  }
});
