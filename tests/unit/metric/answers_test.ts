import { assertAlmostEquals, assertEquals } from "@std/assert";
import { answerF1, exactMatch, normalizeAnswer } from "../../../src/metric/mod.ts";

const EXACT = 1e-12;

// Expected strings and scores come from SQuAD's own evaluation functions run under Python 3.
Deno.test("normalizeAnswer: as the official script normalises", () => {
  for (
    const [text, expected] of [
      ["The  U.S. Navy!", "us navy"],
      ["an a-the cat", "athe cat"],
      ["Éa the théâtre the", "éa théâtre"],
      ["  A.B\u00a0the\tc", "ab c"],
      ["theatre, another; a_b", "theatre another ab"],
      ["«the» quote", "« » quote"],
      [" the ", ""],
    ]
  ) assertEquals(normalizeAnswer(text), expected);
});

Deno.test("exactMatch: any accepted answer, after normalising", () => {
  assertEquals(exactMatch("The Normans.", ["Franks", "normans"]), 1);
  assertEquals(exactMatch("Norman", ["Normans"]), 0);
  assertEquals(exactMatch("anything", []), 0);
});

Deno.test("answerF1: bags of words, best accepted answer", () => {
  assertAlmostEquals(
    answerF1("in the year 1066 in Normandy", ["the year 1066"]),
    0.5714285714285715,
    EXACT,
  );
  assertAlmostEquals(answerF1("x x y", ["x y y"]), 2 / 3, EXACT);
  assertEquals(answerF1("the", ["a"]), 1);
  assertEquals(answerF1("the", ["cat"]), 0);
  assertEquals(answerF1("cat", ["dog", "the cat"]), 1);
  assertEquals(answerF1("cat", []), 0);
});
