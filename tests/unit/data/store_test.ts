import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import fc from "fast-check";
import { DatabaseSync } from "node:sqlite";
import { DataError } from "../../../src/errors.ts";
import { corpusFingerprint, DocumentStore, readDataset } from "../../../src/data/mod.ts";
import { isMissing, SHARED_DATA, withFolder } from "./_folder.ts";

const doc = (docId: string, text: string, title = "") => ({ docId, title, text });
const ANIMALS = [
  doc("otter", "They hold hands while they sleep near the river", "Otters"),
  doc("mole", "It digs and digs; a river is no place for it", "Mole"),
  doc("owl", "Sleeping by day, hunting by night", "Owl"),
  doc("cat", "Sleeps"),
];

function animals(): DocumentStore {
  const store = DocumentStore.open(":memory:");
  store.put(ANIMALS);
  return store;
}

Deno.test("DocumentStore: documents come back by index, by id and in order", () => {
  using store = animals();
  assertEquals(store.count, 4);
  assertEquals(store.get(2), { index: 2, ...ANIMALS[2] });
  assertEquals(store.get("mole"), { index: 1, ...ANIMALS[1] });
  assertEquals(
    [store.get(4), store.get(-1), store.get("1"), store.get("")],
    Array(4).fill(undefined),
  );
  assertEquals(Array.from(store.documents()), ANIMALS.map((d, index) => ({ index, ...d })));
});

Deno.test("DocumentStore: put appends all or nothing; replace starts anew", () => {
  using store = animals();
  const before = store.fingerprint;
  assertEquals(before, corpusFingerprint(ANIMALS));
  const clash = [doc("fox", "Runs fast"), doc("owl", "Again")];
  assertThrows(() => store.put(clash), DataError, 'the doc_id "owl" is taken');
  assertEquals([store.count, store.fingerprint], [4, before]);
  assertEquals(store.search("fox runs fast"), []);
  store.put([clash[0]]);
  assertEquals(store.fingerprint, corpusFingerprint([...ANIMALS, clash[0]]));
  assertEquals(store.search("runs")[0], {
    index: 4,
    docId: "fox",
    score: store.search("runs")[0].score,
  });
  store.put(clash, { replace: true });
  assertEquals([store.count, store.fingerprint], [2, corpusFingerprint(clash)]);
  assertEquals(store.search("river", { stemmed: true }), []);
  assertEquals(store.search("again")[0].index, 1);
});

Deno.test("corpusFingerprint: ids, titles, texts, borders and order all count", () => {
  const variants = [
    [doc("a", "b"), doc("c", "d")],
    [doc("c", "d"), doc("a", "b")],
    [doc("a", "b")],
    [doc("a", "b", "t"), doc("c", "d")],
    [doc("a", 'b","c'), doc("", "d")],
    [doc("ab", ""), doc("c", "d")],
    [],
  ];
  assertEquals(new Set(variants.map((v) => corpusFingerprint(v))).size, variants.length);
});

/** FTS5's documented formula, over title and text as one bag of words. */
function bm25(query: string[], documents: string[][], index: number): number {
  const k1 = 1.2, b = 0.75, N = documents.length;
  const meanLength = documents.reduce((sum, d) => sum + d.length, 0) / N;
  let score = 0;
  for (const term of query) {
    const n = documents.filter((d) => d.includes(term)).length;
    const idf = Math.max(Math.log((N - n + 0.5) / (n + 0.5)), 1e-6);
    const tf = documents[index].filter((w) => w === term).length;
    const length = documents[index].length;
    score += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / meanLength));
  }
  return score;
}

Deno.test("DocumentStore.search: scores are BM25 with k1 1.2 and b 0.75", () => {
  using store = DocumentStore.open(":memory:");
  const word = fc.constantFrom("red", "green", "blue", "tea", "sea");
  const text = fc.array(word, { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 12 }), (documents) => {
      store.put(documents.map((d, i) => doc(`${i}`, d.slice(1).join(" "), d[0])), {
        replace: true,
      });
      const results = store.search("Red, red tea?", { k: 20 });
      const expected = documents.map((_, i) => bm25(["red", "tea"], documents, i));
      assertEquals(results.length, expected.filter((score) => score > 0).length);
      for (const [at, { index, docId, score }] of results.entries()) {
        assertEquals(docId, `${index}`);
        assertAlmostEquals(score, expected[index], 1e-9);
        if (at > 0) {
          const last = results[at - 1];
          assert(last.score > score || (last.score === score && last.index < index));
        }
      }
      assertEquals(store.search("red tea", { k: 2 }), results.slice(0, 2));
    }),
    { numRuns: 50 },
  );
});

Deno.test("DocumentStore.search: words, stems, titles and stop words", () => {
  using store = animals();
  const found = (question: string, stemmed = false) =>
    store.search(question, { stemmed }).map((result) => result.docId).sort();
  assertEquals(found("sleeping"), ["owl"]);
  assertEquals(found("sleeping", true), ["cat", "otter", "owl"]);
  assertEquals(found("OTTERS"), ["otter"]);
  assertEquals(found("otter", true), ["otter"]);
  assertEquals(found("What is the mole?"), ["mole"]);
  assertEquals(found("it"), ["mole"]);
  assertEquals(found("river"), ["mole", "otter"]);
});

Deno.test("DocumentStore.search: whatever a person types is a question, never an error", () => {
  using store = animals();
  const odd = [
    "",
    "   ",
    "?!",
    '"',
    '""',
    "'; DROP TABLE documents; --",
    "AND",
    "NEAR(otter mole, 2)",
    "title : otter",
    "{title text} : owl",
    "-otter",
    "^otter",
    "otter*",
    "(((",
    "otter AND NOT",
    "\0otter\0",
    "a\0",
    "\ud800",
    "🦦",
    "c++ c# .net",
    "日本語 ১২৩ ǅ ﷺ",
    "é".repeat(10_000),
    "word ".repeat(10_000),
    Array.from({ length: 5000 }, (_, i) => `w${i}`).join(" "),
  ];
  for (const question of odd) {
    store.search(question);
    store.search(question, { stemmed: true });
  }
  assertEquals(store.search("title : OTTERS AND NOT {mole}").map((r) => r.docId).sort(), [
    "mole",
    "otter",
  ]);
  const any = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.array(fc.constantFrom('"', "(", ")", "*", "NOT", "NEAR", "otter", ":", "-", "^", "{", "\0")),
  );
  fc.assert(
    fc.property(any, fc.boolean(), (text, stemmed) => {
      const question = typeof text === "string" ? text : text.join(" ");
      return store.search(question, { stemmed }).length <= 4;
    }),
    { numRuns: 500 },
  );
  assertEquals(store.count, 4);
  for (const k of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => store.search("owl", { k }), DataError, "whole number of at least 1");
  }
});

Deno.test("DocumentStore: a file keeps its documents, with a write-ahead log", async () => {
  await withFolder({}, (folder) => {
    const path = `${folder}/a.sqlite`;
    {
      using store = DocumentStore.open(path);
      store.put(ANIMALS);
      assert(Deno.statSync(`${path}-wal`).size > 0);
      store.close();
    }
    using again = DocumentStore.open(path);
    assertEquals(again.fingerprint, corpusFingerprint(ANIMALS));
    assertEquals(again.search("digs")[0].docId, "mole");
    return Promise.resolve();
  });
});

Deno.test("DocumentStore: what cannot be opened says why and what to do", async () => {
  const files = { "text.sqlite": "This is not a database at all, only text. ".repeat(50) };
  await withFolder(files, (folder) => {
    const fails = (name: string, message: string) =>
      assertThrows(() => DocumentStore.open(`${folder}/${name}`), DataError, message);
    fails("text.sqlite", "text.sqlite: it is not a SQLite file. Choose another path, or delete");
    fails("no/a.sqlite", "it cannot be opened or made. Check that its folder exists");
    const other = new DatabaseSync(`${folder}/other.sqlite`);
    other.exec("CREATE TABLE recipes (name)");
    other.close();
    fails("other.sqlite", "it is a database of something else");
    DocumentStore.open(`${folder}/new.sqlite`).close();
    const newer = new DatabaseSync(`${folder}/new.sqlite`);
    newer.exec("UPDATE metadata SET value = '2' WHERE key = 'schema_version'");
    newer.close();
    fails("new.sqlite", "its tables have version 2, this program reads version 1. Delete the file");
    return Promise.resolve();
  });
});

Deno.test("DocumentStore: a damaged file is named when it is read", async () => {
  await withFolder({}, (folder) => {
    const path = `${folder}/a.sqlite`;
    {
      using store = DocumentStore.open(path);
      store.put(Array.from({ length: 2000 }, (_, i) => doc(`d${i}`, `word${i} common text`)));
    }
    const bytes = Deno.readFileSync(path);
    Deno.writeFileSync(path, bytes.fill(0xa5, 3 * 4096));
    assertThrows(
      () => {
        using store = DocumentStore.open(path);
        store.search("common word7");
      },
      DataError,
      "the file is damaged. Delete it",
    );
    return Promise.resolve();
  });
});

Deno.test("DocumentStore: a writer elsewhere is waited for, then named", async () => {
  await withFolder({}, (folder) => {
    using store = DocumentStore.open(`${folder}/a.sqlite`, { timeoutMs: 30 });
    store.put(ANIMALS);
    using other = new DatabaseSync(`${folder}/a.sqlite`);
    other.exec("BEGIN IMMEDIATE");
    assertThrows(
      () => store.put([doc("fox", "Runs")]),
      DataError,
      "another process is writing to it. Wait",
    );
    assertEquals(store.search("digs")[0].docId, "mole");
    other.exec("ROLLBACK");
    store.put([doc("fox", "Runs")]);
    assertEquals(store.count, 5);
    return Promise.resolve();
  });
});

/** The reference uses k1 = 0.9, b = 0.4 and another list of stop words. */
const OTHER_PARAMETERS = 0.015;
const NAME = "DocumentStore.search: finds on squad_dsi dev what BM25 is known to find";
Deno.test({
  name: NAME,
  ignore: isMissing("squad_dsi", NAME),
  async fn(): Promise<void> {
    const { documents, queries } = await readDataset(
      fromFileUrl(new URL("squad_dsi", SHARED_DATA)),
      { parts: ["dev"] },
    );
    using store = DocumentStore.open(":memory:");
    store.put(documents);
    let first = 0, reciprocal = 0;
    for (const { query, docIds } of queries.dev) {
      const at = store.search(query).findIndex((result) => docIds.includes(result.docId));
      if (at === 0) first++;
      if (at >= 0) reciprocal += 1 / (at + 1);
    }
    assertAlmostEquals(first / queries.dev.length, 0.763, OTHER_PARAMETERS);
    assertAlmostEquals(reciprocal / queries.dev.length, 0.829, OTHER_PARAMETERS);
  },
});
