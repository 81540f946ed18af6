import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { termCounts, tfIdf } from "../../../src/text/mod.ts";

const FLOAT32 = 1e-7;

Deno.test("terms are counted by document", () => {
  const counts = termCounts([[2, 0, 2], [], [1]], 4);
  assertEquals([counts.rows, counts.cols], [3, 4]);
  assertEquals([...counts.offsets], [0, 2, 2, 3]);
  assertEquals([...counts.indices], [0, 2, 1]);
  assertEquals([...counts.values], [1, 2, 1]);
  assertThrows(() => termCounts([[0], [4]], 4), DataError, "document 1: token id 4 is outside");
  assertThrows(() => termCounts([[-1]], 4), DataError, "token id -1 is outside");
});

Deno.test("TF-IDF worked by hand", () => {
  // N = 2. Term 0 is in both: idf = ln(3/3) + 1 = 1. Term 1 only in the first: idf = ln(3/2) + 1.
  // First document: tf 1 and 2, so 1·1 and (1 + ln 2)·(ln 1.5 + 1), then divided by the length.
  const x = 1, y = (1 + Math.LN2) * (Math.log(1.5) + 1), length = Math.hypot(x, y);
  const { values } = tfIdf(termCounts([[1, 0, 1], [0, 0, 0]], 2));
  assertAlmostEquals(values[0], x / length, FLOAT32);
  assertAlmostEquals(values[1], y / length, FLOAT32);
  assertAlmostEquals(values[2], 1, FLOAT32);
});

Deno.test("a document without terms stays empty, without NaN", () => {
  const matrix = tfIdf(termCounts([[], [0]], 1));
  assertEquals([...matrix.offsets], [0, 0, 1]);
  assertEquals([...matrix.values], [1]);
});
