import { assertAlmostEquals, assertEquals } from "@std/assert";
import { hotpotScores, type SupportingFact } from "../../../src/metric/mod.ts";

const facts: SupportingFact[] = [["A", 0], ["B", 2]];
const scores = (answer: string | undefined, own: SupportingFact[], right = "the Red House") =>
  hotpotScores({ answer, facts: own }, [right], facts);

Deno.test("an answer by words, facts as a set, both together by products", () => {
  // Answer: "red" of "red house", P 1, R ½, F1 ⅔. Facts: one of two right, P ½, R ½.
  const { answer, facts: found, joint } = scores("red", [["A", 0], ["A", 1]]);
  assertEquals([answer.em, answer.precision, answer.recall], [0, 1, 0.5]);
  assertAlmostEquals(answer.f1, 2 / 3);
  assertEquals([found.em, found.precision, found.recall, found.f1], [0, 0.5, 0.5, 0.5]);
  // P ½, R ¼: 2 · ⅛ / ¾ = ⅓.
  assertEquals([joint.em, joint.precision, joint.recall], [0, 0.5, 0.25]);
  assertAlmostEquals(joint.f1, 1 / 3);
});

Deno.test("joint exact match needs both, and a fact said twice counts once", () => {
  const twice: SupportingFact[] = [["B", 2], ["A", 0], ["A", 0]];
  assertEquals(scores("Red house", twice).joint, { em: 1, f1: 1, precision: 1, recall: 1 });
  assertEquals(scores("Red house", twice.slice(1)).joint.em, 0);
  assertEquals(scores("house", twice).joint.em, 0);
});

Deno.test("yes and no are right or wrong as a whole", () => {
  assertEquals(scores("yes it is", [], "yes").answer, { em: 0, f1: 0, precision: 0, recall: 0 });
  assertEquals(scores("no", [], "no way").answer.f1, 0);
  assertEquals(scores("Yes.", [], "yes").answer, { em: 1, f1: 1, precision: 1, recall: 1 });
});

Deno.test("without an answer or facts the scores are 0; the best accepted answer counts", () => {
  const { answer, joint } = scores(undefined, facts);
  assertEquals([answer.f1, joint.em, joint.f1], [0, 0, 0]);
  assertEquals(scores("red house", []).facts.f1, 0);
  const { answer: best } = hotpotScores({ answer: "red", facts }, ["a house", "red"], facts);
  assertEquals(best.em, 1);
  assertEquals(hotpotScores({ answer: "red", facts }, [], facts).answer.em, 0);
});
