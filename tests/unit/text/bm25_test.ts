import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DataError, ShapeError } from "../../../src/errors.ts";
import {
  bm25Index,
  bm25Scores,
  bm25Search,
  bm25SearchBatch,
  topScores,
} from "../../../src/text/mod.ts";

/** Rounding of weights and of their sums to float32. */
const FLOAT32_SUM = 2e-7;

const DOCS = [[0, 1, 2], [1, 1, 3, 4], [2], [0, 3, 3, 3, 5, 5, 0, 1]];

function assertClose(actual: ArrayLike<number>, expected: number[]): void {
  assertEquals(actual.length, expected.length);
  expected.forEach((value, i) => assertAlmostEquals(actual[i], value, FLOAT32_SUM * (1 + value)));
}

Deno.test("a weight worked by hand", () => {
  // Two documents of 1 and 3 tokens, average 2; term 1 stands twice in the second only.
  // idf = ln(1 + (2 − 1 + ½) / (1 + ½)) = ln 2; k1 = 1, b = ½: tf part = 2 / (2 + ½ + ½·3/2) = 2/3.25
  const index = bm25Index([[0], [1, 0, 1]], 2, { k1: 1, b: 0.5 });
  assertEquals([index.rows, index.cols], [2, 2]);
  assertEquals([...index.offsets], [0, 2, 3]);
  assertEquals([...index.indices], [0, 1, 1]);
  assertClose([index.values[2]], [Math.LN2 * 2 / 3.25]);
  // Term 0 stands in both: idf = ln(1 + ½/2½) = ln 1.2.
  assertClose([index.values[0]], [Math.log(1.2) / (1 + 0.5 + 0.25)]);
});

Deno.test("scores are those of the bm25s package", () => {
  // bm25s 0.3.11, BM25(method="lucene", k1=0.9, b=0.4).get_scores_from_ids(query) on DOCS.
  const expected: [number[], number[]][] = [
    [[0], [0.3829542398452759, 0, 0, 0.42524367570877075]],
    [[1, 3], [0.19705797731876373, 0.6107970476150513, 0, 0.645952582359314]],
    [[3, 3, 5], [0, 0.7296286225318909, 0, 1.7148972749710083]],
    [
      [2, 0, 1],
      [0.9629664421081543, 0.24598272144794464, 0.42524367570877075, 0.5830644369125366],
    ],
  ];
  const index = bm25Index(DOCS, 7);
  for (const [query, scores] of expected) assertClose(bm25Scores(index, query), scores);
});

Deno.test("searching gives the best matching documents, best first, equal ones by index", () => {
  const index = bm25Index([...DOCS, DOCS[0]], 7);
  assertEquals([...bm25Search(index, [2, 0, 1], 3).docs], [0, 4, 3]);
  assertEquals([...bm25Search(index, [5], 10).docs], [3]);
  assertEquals([...bm25Search(index, [6], 10).docs], []);
  assertEquals([...bm25Search(index, [], 10).docs], []);
  assertEquals(
    bm25SearchBatch(index, [[2, 0, 1], [5]], 3),
    [bm25Search(index, [2, 0, 1], 3), bm25Search(index, [5], 3)],
  );
});

Deno.test("the top scores are those of sorting all of them", () => {
  const scores = fc.array(fc.integer({ min: -1, max: 5 }), { maxLength: 40 });
  fc.assert(fc.property(scores, fc.integer({ min: 0, max: 12 }), (list, k) => {
    const sorted = list.map((score, doc) => ({ score, doc })).filter(({ score }) => score > 0)
      .sort((a, b) => b.score - a.score || a.doc - b.doc).slice(0, k);
    const top = topScores(Float32Array.from(list), k);
    assertEquals([...top.docs], sorted.map(({ doc }) => doc));
    assertEquals([...top.scores], sorted.map(({ score }) => score));
  }));
});

Deno.test("an ignored id matches nothing but counts as a word", () => {
  const plain = bm25Index([[0, 1], [0, 2]], 3),
    ignoring = bm25Index([[0, 1], [0, 2]], 3, {
      ignoredIds: [0],
    });
  assertEquals([...bm25Scores(ignoring, [0])], [0, 0]);
  assertEquals(bm25Scores(ignoring, [1]), bm25Scores(plain, [1]));
});

Deno.test("empty collections and documents are allowed", () => {
  assertEquals(bm25Index([], 3).cols, 0);
  assertEquals([...bm25Scores(bm25Index([[], []], 3), [1])], [0, 0]);
});

Deno.test("what does not fit is named", () => {
  const index = bm25Index(DOCS, 7);
  assertThrows(() => bm25Index([[1], [3]], 3), DataError, "document 1: token id 3 is outside");
  assertThrows(() => bm25Index(DOCS, 7, { k1: -1 }), DataError, "k1 is -1");
  assertThrows(() => bm25Index(DOCS, 7, { b: 1.5 }), DataError, "b is 1.5");
  assertThrows(() => bm25Scores(index, [7]), DataError, "token id 7 is outside");
  assertThrows(() => bm25Scores(index, [-1]), DataError, "token id -1 is outside");
  assertThrows(() => bm25Scores(index, [1], new Float32Array(3)), ShapeError, "into 3 numbers");
});
