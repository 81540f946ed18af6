import { assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import { answerF1, exactMatch, normalizeAnswer, rougeL } from "../../../src/metric/mod.ts";

const EXACT = 1e-12;

// Expected: SQuAD's own normalisation, then the table of lengths and the F-measure of rouge_scorer.py
// (Google Research), both run under Python 3.
Deno.test("rougeL: the scores of rouge_score on SQuAD's words", () => {
  for (
    const [prediction, accepted, expected] of [
      ["police kill the gunman", "police killed the gunman", 0.6666666666666666],
      ["the gunman kill police", "police killed the gunman", 0.3333333333333333],
      ["in the year 1066 in Normandy", "the year 1066", 0.5714285714285715],
      ["Normandy in 1066, the year", "in 1066 in Normandy", 0.5],
      ["b a b a c", "a b c b a", 0.6666666666666666],
      ["Zürich, São Paulo", "são paulo zürich!", 0.6666666666666666],
      ["one two", "three", 0],
      ["x x y", "x y y", 0.6666666666666666],
      ["The U.S. Navy's ship", "us navys ships", 0.6666666666666666],
    ] as const
  ) assertAlmostEquals(rougeL(prediction, [accepted]), expected, EXACT, prediction);
});

Deno.test("rougeL: the best accepted answer; texts without words", () => {
  assertEquals(rougeL("cats chase dogs", ["birds", "cats", "cats chase"]), 0.8);
  assertEquals(rougeL("cat", []), 0);
  assertEquals(rougeL("", ["cat"]), 0);
  assertEquals(rougeL("cat", ["", "!"]), 0);
  assertEquals(rougeL("", [""]), 1);
  assertEquals(rougeL("the", ["a ?"]), 1);
});

/** The longest of all subsequences of `a`, tried one by one, that is a subsequence of `b`. */
function longestCommon(a: readonly string[], b: readonly string[]): number {
  let longest = 0;
  for (let chosen = 0; chosen < 2 ** a.length; chosen++) {
    const part = a.filter((_, i) => chosen & 1 << i);
    let at = 0;
    for (const word of b) if (word === part[at]) at++;
    if (at === part.length) longest = Math.max(longest, at);
  }
  return longest;
}

const words = fc.array(fc.constantFrom("cat", "Dog", "é", "x-1", "the", "!"), { maxLength: 8 });

Deno.test("rougeL: 2·P·R / (P + R) of the longest common subsequence, found by trying all", () => {
  fc.assert(fc.property(words, words, (left, right) => {
    const [a, b] = [left, right].map((list) =>
      normalizeAnswer(list.join(" ")).split(" ").filter(Boolean)
    );
    fc.pre(a.length > 0 && b.length > 0);
    const common = longestCommon(a, b), P = common / a.length, R = common / b.length;
    const expected = common === 0 ? 0 : 2 * P * R / (P + R);
    assertAlmostEquals(rougeL(left.join(" "), [right.join(" ")]), expected, EXACT);
  }));
});

Deno.test("rougeL: symmetric, at most F1, 1 just where the answer matches exactly", () => {
  fc.assert(fc.property(words, words, (left, right) => {
    const a = left.join(" "), b = right.join(" "), score = rougeL(a, [b]);
    assertEquals(rougeL(b, [a]), score);
    assertEquals(score <= answerF1(a, [b]) + EXACT, true);
    assertEquals(score === 1 ? 1 : 0, exactMatch(a, [b]));
  }));
});
