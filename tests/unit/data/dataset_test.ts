import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import {
  coverageGroups,
  type Dataset,
  describeDataset,
  readDataset,
  readDocuments,
  readQueries,
  writeDataset,
} from "../../../src/data/mod.ts";
import { isMissing, SHARED_DATA, withFolder } from "./_folder.ts";

const lines = (...records: unknown[]) => records.map((r) => JSON.stringify(r) + "\n").join("");
const doc = (doc_id: string, text = "Some words.") => ({ doc_id, title: "", text });
const ask = (query_id: string, ...doc_ids: string[]) => ({ query_id, query: "Who?", doc_ids });

Deno.test("readDataset: every problem of every file is reported at once, with its line", async () => {
  const files = {
    "docs.jsonl": lines(
      doc("a"),
      doc("b", "  "),
      doc("a"),
      { doc_id: 7, title: "t", text: "x" },
      { doc_id: "c", text: "x" },
      [1],
    ) + "{broken\n",
    "queries.dev.jsonl": lines(
      ask("q1", "a", "b", "nowhere"),
      ask("q1", "a"),
      { query_id: "", query: null, doc_ids: "a" },
      { ...ask("q2", "a"), doc_ids: ["a", 3], answers: {} },
    ),
    "queries.train.jsonl": lines(ask("q1", "a")),
  };
  await withFolder(files, async (folder) => {
    const error = await assertRejects(() => readDataset(folder), DataError);
    const d = `\n  ${folder}/docs.jsonl`, q = `\n  ${folder}/queries.dev.jsonl`;
    assertEquals(
      error.message.replace(/broken JSON: .*/, "broken JSON"),
      `Cannot read the dataset in ${folder}: 13 problems` +
        `${d}:2: "text" is empty` +
        `${d}:3: doc_id "a" is taken by ${folder}/docs.jsonl:1` +
        `${d}:4: "doc_id" is a number, not a string` +
        `${d}:5: "title" is missing; write "title": "" for none` +
        `${d}:6: the record is an array, not an object` +
        `${d}:7: broken JSON` +
        `${q}:1: no document has the doc_id "nowhere"` +
        `${q}:2: query_id "q1" is taken by ${folder}/queries.dev.jsonl:1` +
        `${q}:3: "query_id" is empty` +
        `${q}:3: "query" is null, not a string` +
        `${q}:3: "doc_ids" is a string, not an array of strings` +
        `${q}:4: "doc_ids"[1] is a number, not a string` +
        `${q}:4: "answers" is an object, not an array of strings`,
    );
  });
});

Deno.test("readDataset: twenty problems are shown and the others counted; one has its place", async () => {
  const many = Array.from({ length: 50 }, (_, i) => doc(`${i}`, ""));
  await withFolder({ "docs.jsonl": lines(...many) }, async (folder) => {
    const { message } = await assertRejects(() => readDocuments(folder), DataError);
    assertEquals(message.split("\n").length, 1 + 20 + 1);
    assertStringIncludes(message, "50 problems");
    assertStringIncludes(message, "… and 30 more");
  });
  await withFolder({ "docs.jsonl": lines(doc("a"), doc("a")) }, async (folder) => {
    const error = await assertRejects(() => readDataset(folder), DataError);
    assertEquals([error.file, error.line], [`${folder}/docs.jsonl`, 2]);
    assertStringIncludes(error.message, "docs.jsonl:2: Cannot read the dataset in");
  });
});

Deno.test("readDataset: parts, extra fields and defaults", async () => {
  const files = {
    "docs.jsonl": lines({ ...doc("a"), sentences: null }),
    "queries.train.jsonl": lines({ ...ask("q", "a", "a"), level: "hard" }),
    "queries.dev.jsonl": "",
    "queries.test.jsonl": lines(ask("q", "unknown")),
    "notes.txt": "",
  };
  await withFolder(files, async (folder) => {
    const dataset = await readDataset(folder, { parts: ["train", "dev"] });
    assertEquals(dataset, {
      documents: [{ docId: "a", title: "", text: "Some words." }],
      queries: {
        train: [{ queryId: "q", query: "Who?", docIds: ["a"], answers: [] }],
        dev: [],
      },
    });
    assertEquals(await readQueries(folder, "test"), [
      { queryId: "q", query: "Who?", docIds: ["unknown"], answers: [] },
    ]);
    await assertRejects(
      () => readDataset(folder, { parts: ["valid"] }),
      DataError,
      "there is no queries.valid.jsonl. Parts that are there: dev, test, train",
    );
  });
});

Deno.test("readDataset: what is missing is named, with what is there", async () => {
  await withFolder({ "a.txt": "", "b.json": "" }, async (folder) => {
    const { message } = await assertRejects(() => readDataset(folder), DataError);
    assertStringIncludes(message, "there is no docs.jsonl. A dataset folder holds docs.jsonl and");
    assertStringIncludes(message, "holds a.txt, b.json");
    await assertRejects(() => readDataset(`${folder}/no`), DataError, "there is no such folder");
    await assertRejects(() => readDataset(`${folder}/a.txt`), DataError, "not a folder");
  });
  await withFolder({ "docs.jsonl": "\n" }, async (folder) => {
    await assertRejects(() => readDataset(folder), DataError, "the file holds no documents");
  });
});

Deno.test("readDataset: a BEIR folder becomes the same dataset", async () => {
  const files = {
    "corpus.jsonl": lines(
      { _id: "d1", title: "One", text: "First.", metadata: {} },
      { _id: "d2", title: "Two", text: "" },
      { _id: "d3", text: "Third." },
    ),
    "queries.jsonl": lines({ _id: "q1", text: "A?" }, { _id: "q2", text: "B?" }, {
      _id: "q3",
      text: "C?",
    }),
    "qrels/train.tsv":
      "query-id\tcorpus-id\tscore\r\nq2\td1\t1\r\nq1\td3\t2\nq2\td2\t1\nq2\td3\t0\n",
    "qrels/test.tsv": "q3\td3\t0\n",
  };
  await withFolder(files, async (folder) => {
    assertEquals(await readDataset(folder), {
      documents: [
        { docId: "d1", title: "One", text: "First." },
        { docId: "d2", title: "Two", text: "Two" },
        { docId: "d3", title: "", text: "Third." },
      ],
      queries: {
        test: [{ queryId: "q3", query: "C?", docIds: [], answers: [] }],
        train: [
          { queryId: "q2", query: "B?", docIds: ["d1", "d2"], answers: [] },
          { queryId: "q1", query: "A?", docIds: ["d3"], answers: [] },
        ],
      },
    });
    assertEquals(Object.keys((await readDataset(folder, { parts: ["train"] })).queries), ["train"]);
  });
});

Deno.test("readDataset: problems of a BEIR folder", async () => {
  const files = {
    "corpus.jsonl": lines({ _id: "d1", title: "", text: " " }, { _id: "d2", text: "x" }),
    "queries.jsonl": lines({ _id: "q1", text: "A?" }, { _id: "q1", text: "B?" }),
    "qrels/dev.tsv": "query-id\tcorpus-id\tscore\nq1 d1 1\nq1\tnowhere\t1\nq9\td2\t1\nq1\td2\tx\n",
  };
  await withFolder(files, async (folder) => {
    const { message } = await assertRejects(() => readDataset(folder), DataError);
    assertEquals(
      message.split("\n").slice(1).map((line) => line.replaceAll(`${folder}/`, "")),
      [
        "  corpus.jsonl:1: title and text are both empty",
        '  queries.jsonl:2: _id "q1" is not unique',
        "  qrels/dev.tsv:2: not query-id, corpus-id and a whole score between tabs",
        '  qrels/dev.tsv:3: no document has the doc_id "nowhere"',
        "  qrels/dev.tsv:5: not query-id, corpus-id and a whole score between tabs",
        '  qrels/dev.tsv:4: no question has the _id "q9"',
      ],
    );
    assertStringIncludes(message, "6 problems");
  });
});

Deno.test("writeDataset: what was written is what is read", async () => {
  const text = fc.string({ unit: "grapheme" }).map((s) => `x${s.toWellFormed()}`);
  const dataset: fc.Arbitrary<Dataset> = fc.uniqueArray(text, { minLength: 1, maxLength: 5 })
    .chain((ids) =>
      fc.record({
        documents: fc.constant(ids.map((docId) => ({ docId, title: "", text: `${docId}\n"` }))),
        queries: fc.record({
          train: fc.constant([]),
          "dev-2.x": fc.uniqueArray(
            fc.record({
              queryId: text,
              query: text,
              docIds: fc.subarray(ids),
              answers: fc.array(text),
            }),
            { selector: (q) => q.queryId },
          ),
        }),
      })
    );
  await fc.assert(
    fc.asyncProperty(dataset, async (written) => {
      await withFolder({}, async (folder) => {
        await writeDataset(`${folder}/new/one`, written);
        assertEquals(await readDataset(`${folder}/new/one`), written);
        const names = Array.from(Deno.readDirSync(`${folder}/new/one`), (e) => e.name).sort();
        assertEquals(names, ["docs.jsonl", "queries.dev-2.x.jsonl", "queries.train.jsonl"]);
      });
    }),
    { numRuns: 20 },
  );
});

Deno.test("writeDataset: a failure leaves the old files and no others", async () => {
  const files = { "docs.jsonl": "old", "queries.dev.jsonl": "old" };
  const broken = {
    documents: [{ docId: "a", title: "", text: "x" }],
    queries: {
      get dev(): never {
        throw new TypeError("planted");
      },
    },
  };
  await withFolder(files, async (folder) => {
    await assertRejects(() => writeDataset(folder, broken), TypeError, "planted");
    assertEquals(Array.from(Deno.readDirSync(folder), (e) => e.name).sort(), Object.keys(files));
    assertEquals(await Deno.readTextFile(`${folder}/docs.jsonl`), "old");
  });
});

Deno.test("writeDataset: refuses stale parts, odd part names and unwritable folders", async () => {
  const dataset = { documents: [], queries: { dev: [] } };
  await withFolder({ "queries.test.jsonl": "", file: "" }, async (folder) => {
    await assertRejects(() => writeDataset(folder, dataset), DataError, 'holds part "test"');
    await assertRejects(() => writeDataset(`${folder}/file`, dataset), DataError, "Cannot write");
    await assertRejects(
      () => writeDataset(`${folder}/new`, { documents: [], queries: { "../x": [] } }),
      DataError,
      'part "../x" cannot be part of a file name',
    );
  });
});

Deno.test("describeDataset and coverageGroups: counted by hand", () => {
  const query = (queryId: string, docIds: string[], answers: string[] = []) => ({
    queryId,
    query: "Who is it?",
    docIds,
    answers,
  });
  const dataset: Dataset = {
    documents: [
      { docId: "a", title: "Two words", text: "and  three\nmore" },
      { docId: "b", title: "", text: "one" },
      { docId: "c", title: "", text: "one two" },
      { docId: "d", title: "", text: "one two three four" },
    ],
    queries: {
      train: [query("1", ["a"]), query("2", ["a", "b"], ["x"])],
      dev: [query("1", ["c", "b"]), query("2", ["d"]), query("3", [])],
    },
  };
  const { fingerprint, ...rest } = describeDataset(dataset);
  assertEquals(fingerprint.length, 64);
  const words = { min: 3, median: 3, mean: 3, max: 3 };
  assertEquals(rest, {
    documents: 4,
    words: { min: 1, median: 2, mean: 3, max: 5 },
    withoutTrainingQuestions: 2,
    parts: {
      train: { questions: 2, withoutDocuments: 0, withSeveralDocuments: 1, withAnswers: 1, words },
      dev: { questions: 3, withoutDocuments: 1, withSeveralDocuments: 1, withAnswers: 0, words },
    },
  });
  assertEquals(describeDataset({ documents: [], queries: {} }).words.median, NaN);
  assertEquals(coverageGroups(dataset, "dev"), {
    "with training questions": [true, false, false],
    "without training questions": [false, true, false],
  });
  assertThrows(
    () => coverageGroups(dataset, "test"),
    DataError,
    'part "test": the dataset has train, dev',
  );
});

const corpora: [string, number, Record<string, number>, number][] = [
  ["squad_dsi", 2067, { train: 6262, dev: 1274 }, 206],
  ["squad_dsi_100", 100, { train: 347, dev: 69 }, 0],
  ["hotpotqa", 12197, { train: 468, dev: 159 }, NaN],
  ["nq_gold_passages", 2600, { train: 1593, dev: 265 }, NaN],
  ["popqa", 1905, { train: 600, dev: 100 }, NaN],
];
for (const [folder, documents, questions, unseen] of corpora) {
  const name = `readDataset: ${folder} has the documents and questions its README says`;
  Deno.test({
    name,
    ignore: isMissing(folder, name),
    async fn(): Promise<void> {
      const dataset = await readDataset(fromFileUrl(new URL(folder, SHARED_DATA)));
      const description = describeDataset(dataset);
      assertEquals(description.documents, documents);
      for (const [part, count] of Object.entries(questions)) {
        assertEquals(description.parts[part].questions, count);
      }
      if (!Number.isNaN(unseen)) {
        assertEquals(description.withoutTrainingQuestions, unseen);
      }
      assert(description.words.min > 0);
    },
  });
}

Deno.test("sentences and supporting facts come and go with a dataset; null is none, nonsense is refused", () =>
  withFolder({}, async (folder) => {
    const dataset = {
      documents: [
        { docId: "a", title: "A", text: "One. Two.", sentences: ["One.", "Two."] },
        { docId: "b", title: "B", text: "Three." },
      ],
      queries: {
        dev: [
          {
            queryId: "1",
            query: "Which?",
            docIds: ["a"],
            answers: ["two"],
            supportingFacts: [["A", 1]] as [string, number][],
          },
          { queryId: "2", query: "What?", docIds: ["b"], answers: [] },
        ],
      },
    };
    await writeDataset(folder, dataset);
    assertEquals(await readDataset(folder), dataset);
    const file = join(folder, "queries.dev.jsonl");
    const line = (facts: unknown): string =>
      `${
        JSON.stringify({ query_id: "1", query: "Which?", doc_ids: ["a"], supporting_facts: facts })
      }\n`;
    await Deno.writeTextFile(file, line(null));
    assertEquals((await readDataset(folder)).queries.dev[0].supportingFacts, undefined);
    for (const wrong of [[["A", -1]], [["A"]], "A", [["A", 0.5]]]) {
      await Deno.writeTextFile(file, line(wrong));
      await assertRejects(() => readDataset(folder), DataError, "supporting_facts");
    }
  }));
