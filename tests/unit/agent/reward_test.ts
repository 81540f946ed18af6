import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type EpisodeOutcome,
  episodeReturn,
  REWARD_TERMS,
  type RewardTerm,
  type RewardWeights,
  terminalReward,
} from "../../../src/agent/mod.ts";
import { ConfigError } from "../../../src/errors.ts";

const EXACT = 1e-12;
const NOTHING: RewardWeights = { em: 0, f1: 0, rouge_l: 0, format: 0, cost: 0 };
const TERMS: RewardTerm[] = ["em", "f1", "rouge_l", "format"];

const outcome = (rest: Partial<EpisodeOutcome> = {}): EpisodeOutcome => ({
  answer: "dogs chase the cats",
  accepted: ["cats chase dogs", "birds"],
  retrievals: 3,
  isWellFormed: true,
  ...rest,
});

/** The four terms, worked by hand. */
const CASES: [Partial<EpisodeOutcome>, [number, number, number, number]][] = [
  // The same three words in another order: one of them is a common subsequence of length 1.
  [{}, [0, 1, 1 / 3, 1]],
  [{ answer: "Birds." }, [1, 1, 1, 1]],
  [{ answer: "big birds", isWellFormed: false }, [0, 2 / 3, 2 / 3, 0]],
  [{ answer: "", accepted: ["birds"] }, [0, 0, 0, 1]],
  [{ answer: undefined, isWellFormed: false }, [0, 0, 0, 0]],
  // "the" has no words left, and neither has an answer that was never given: not the same thing.
  [{ answer: "a", accepted: ["the"] }, [1, 1, 1, 1]],
  [{ answer: undefined, accepted: ["the"] }, [0, 0, 0, 1]],
  [{ accepted: [] }, [0, 0, 0, 1]],
];

Deno.test("terms: worked by hand", () => {
  assertEquals(Object.keys(REWARD_TERMS), TERMS);
  for (const [rest, expected] of CASES) {
    TERMS.forEach((term, i) =>
      assertAlmostEquals(REWARD_TERMS[term](outcome(rest)), expected[i], EXACT, term)
    );
  }
});

Deno.test("the terminal reward is the weighted sum of the terms, without the cost", () => {
  const config = { em: 8, f1: -2, rouge_l: 0.5, format: 0.25, cost: 100 };
  for (const [rest, [em, f1, rougeL, format]] of CASES) {
    const expected = 8 * em - 2 * f1 + 0.5 * rougeL + 0.25 * format;
    assertAlmostEquals(terminalReward(outcome(rest), config), expected, EXACT);
  }
  for (const term of TERMS) {
    const only = { ...NOTHING, [term]: 2 };
    assertEquals(terminalReward(outcome(), only), 2 * REWARD_TERMS[term](outcome()));
  }
});

Deno.test("the return takes the cost of every retrieval away", () => {
  const config = { ...NOTHING, f1: 2, cost: 0.25 };
  assertAlmostEquals(episodeReturn(outcome(), config), 2 - 3 * 0.25, EXACT);
  assertAlmostEquals(episodeReturn(outcome({ retrievals: 0 }), config), 2, EXACT);
  assertAlmostEquals(episodeReturn(outcome({ answer: undefined }), config), -0.75, EXACT);
});

Deno.test("each term lies in [0, 1]; one retrieval more costs its price", () => {
  const word = fc.constantFrom("cats", "chase", "dogs", "the", "yes", "no", "!");
  const text = fc.array(word, { maxLength: 6 }).map((words) => words.join(" "));
  const anyOutcome = fc.record({
    answer: fc.option(text, { nil: undefined }),
    accepted: fc.array(text, { maxLength: 3 }),
    retrievals: fc.nat(9),
    isWellFormed: fc.boolean(),
  });
  fc.assert(fc.property(anyOutcome, fc.nat(4), (end, cost) => {
    for (const term of TERMS) {
      const value = REWARD_TERMS[term](end);
      assertEquals(value >= 0 && value <= 1, true, term);
    }
    const config = { em: 1, f1: 0.5, rouge_l: 0.25, format: 0.125, cost };
    const more = { ...end, retrievals: end.retrievals + 1 };
    assertAlmostEquals(episodeReturn(end, config) - episodeReturn(more, config), cost, EXACT);
  }));
});

Deno.test("all problems of a configuration are told at once", () => {
  const config = { ...NOTHING, em: NaN, format: Infinity, cost: -1 };
  const error = assertThrows(() => terminalReward(outcome(), config), ConfigError);
  assertEquals(error.problems.map(({ key }) => key), ["em", "format", "cost"]);
  for (const cost of [NaN, Infinity]) {
    assertThrows(() => episodeReturn(outcome(), { ...NOTHING, cost }), ConfigError, "0 or more");
  }
});
