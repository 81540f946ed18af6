/** A policy with several retrievers on questions whose supporting sentences are known. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type DocumentRetriever,
  emptyRetriever,
  openPolicySlots,
  oracleRetriever,
  policyRules,
} from "../../../src/agent/mod.ts";
import type { Document, Query } from "../../../src/data/mod.ts";
import { DataError } from "../../../src/errors.ts";
import {
  evaluateSystems,
  formatSystems,
  supportingSentence,
  type SystemComparison,
} from "../../../src/recipe/evaluate_system.ts";
import { onnxExecutor } from "../../../src/runtime/mod.ts";
import { DOCUMENTS, QUESTIONS, tinyEnvironment, tinyPolicy } from "../agent/_tiny_agent.ts";

const environment = tinyEnvironment();
/** The documents with their sentences: the text as one, or as two. */
const WITH_SENTENCES: readonly Document[] = DOCUMENTS.map((document) => ({
  ...document,
  sentences: document.docId === "r"
    ? ["a heron wades in its river ,", "the otter sleeps on the river"]
    : [document.text],
}));

async function compare(
  questions: readonly Query[],
  documents: readonly Document[],
  retrievers: readonly (readonly [string, DocumentRetriever])[],
): Promise<SystemComparison> {
  const slots = await openPolicySlots(tinyPolicy(), policyRules(environment.protocol), {
    executor: onnxExecutor({ threads: 1 }),
    slots: 4,
  });
  try {
    return await evaluateSystems(slots, environment, retrievers, {
      questions,
      part: "dev",
      documents,
      cost: 0.1,
      reward: { em: 1, f1: 0, rouge_l: 0, format: 0 },
      seed: 1,
      resamples: 20,
    });
  } finally {
    await slots.dispose();
  }
}

Deno.test("the sentence that holds the answer, else the one most like the question", () => {
  const [, , , river] = WITH_SENTENCES;
  const at = (answer: string | undefined, question: string): number =>
    supportingSentence(river, { answer, question });
  assertEquals(at("otter", "who wades ?"), 1);
  assertEquals(at("A heron", "who sleeps ?"), 0);
  // "he" is no word of it, though its letters are.
  assertEquals(at("he", "who sleeps on the river ?"), 1);
  assertEquals(at(undefined, "who wades in its river ?"), 0);
  assertEquals(supportingSentence(DOCUMENTS[0], { answer: "x", question: "y" }), 0);
});

Deno.test("facts are sentences where they are known, else documents; the first system is compared with", async () => {
  const oracle = oracleRetriever(DOCUMENTS);
  const plain = await compare(QUESTIONS, DOCUMENTS, [["right", oracle], [
    "none",
    emptyRetriever(),
  ]]);
  assertEquals([plain.factLevel, plain.questions], ["document", QUESTIONS.length]);
  const [right, none] = plain.systems;
  assertEquals([right.hitsAt1.value, right.hitsAt10.value, none.hitsAt1.value], [1, 1, 0]);
  assertEquals([none.factsF1.value, none.jointF1.value], [0, 0]);
  assertEquals(right.firstAgainst, undefined);
  const { wins, losses, ties } = none.firstAgainst!;
  assertEquals(wins + losses + ties, QUESTIONS.length);
  assert(right.jointF1.value <= right.f1.value + 1e-9);

  const facts: readonly Query[] = QUESTIONS.map((question, i) =>
    i < 2 ? { ...question, supportingFacts: [[i ? "heron" : "otter", 0]] } : question
  );
  const sentences = await compare(facts, WITH_SENTENCES, [["right", oracle]]);
  assertEquals([sentences.factLevel, sentences.questions], ["sentence", QUESTIONS.length]);
  const text = formatSystems(plain);
  for (const what of ["right", "none", "joint F1 %", "Hits@10 %", "a document"]) {
    assert(text.includes(what), what);
  }
});

Deno.test("without an answered question there is nothing to compare", async () => {
  const unanswered = QUESTIONS.map((question) => ({ ...question, answers: [] }));
  await assertRejects(
    () => compare(unanswered, DOCUMENTS, [["none", emptyRetriever()]]),
    DataError,
    "no question of the part dev has an answer",
  );
});
