import { assert, assertEquals } from "@std/assert";
import {
  askingSituation,
  openPolicySlots,
  policyRules,
  readingText,
  rollout,
  situationsOf,
  type Trajectory,
} from "../../../src/agent/mod.ts";
import { onnxExecutor } from "../../../src/runtime/mod.ts";
import { DOCUMENTS, QUESTIONS, tinyEnvironment, tinyPolicy } from "./_tiny_agent.ts";

const environment = tinyEnvironment(), { protocol } = environment, { ids } = protocol;

async function episodes(): Promise<Trajectory[]> {
  const slots = await openPolicySlots(tinyPolicy(), policyRules(protocol), {
    executor: onnxExecutor({ threads: 1 }),
    slots: 8,
  });
  const played = await rollout(
    slots,
    environment,
    Array.from({ length: 60 }, (_, episode) => ({
      question: QUESTIONS[episode % QUESTIONS.length],
      cost: 0.1,
      episode,
    })),
    { seed: 3 },
  );
  await slots.dispose();
  return played;
}

/** The same episode with another answer. */
const answered = (trajectory: Trajectory, isRight: boolean): Trajectory => ({
  ...trajectory,
  answer: isRight ? trajectory.question.answers[0] : "nothing of the kind",
});

Deno.test("the last retrieval wants the accepted answer, earlier ones what a right episode went on with", async () => {
  let several = 0;
  for (const played of await episodes()) {
    const { retrievals, actions, tokens, question, promptLength } = played;
    const right = situationsOf(answered(played, true), protocol);
    const wrong = situationsOf(answered(played, false), protocol);
    assertEquals(right.length, retrievals.length);
    assertEquals(wrong.length, Math.min(1, retrievals.length));
    if (!retrievals.length) continue;
    assertEquals(wrong[0], right.at(-1));
    right.forEach((situation, i) => {
      const { action, query } = retrievals[i];
      assertEquals(situation.query, query);
      assertEquals(situation.left, protocol.budget - i - 1);
      assertEquals(situation.prefix, Array.from(tokens.subarray(0, actions[action] + 1)));
      assertEquals(situation.prefix.at(-1), ids.retrieve);
      assertEquals(situation.prompt.length, promptLength);
      assertEquals(situation.mayRetrieve.length, situation.target.length);
    });
    const last = right.at(-1)!;
    const answer = [ids.answer, ...protocol.words(question.answers[0]), ids.end];
    assertEquals(last.target, answer);
    assertEquals(last.mayRetrieve, answer.map((_, t) => Number(t === 0 && last.left > 0)));
    if (right.length < 2) continue;
    several++;
    // What was written between the two, the second retrieve token included, and no document.
    const [from, to] = [retrievals[0].action + 1, retrievals[1].action];
    const written = Array.from(actions.subarray(from, to + 1), (at) => tokens[at]);
    assertEquals(right[0].target, written);
    assertEquals(right[0].target.at(-1), ids.retrieve);
    // With the document that was read, the text is what the episode began with.
    const document = retrievals[0].documents.length
      ? DOCUMENTS[retrievals[0].documents[0].doc]
      : undefined;
    if (!document) continue;
    const text = readingText(right[0], document, protocol);
    assertEquals(Array.from(text.tokens), Array.from(tokens.subarray(0, text.tokens.length)));
    assertEquals(
      Array.from(text.actions),
      Array.from(actions.subarray(from, to + 1)),
    );
  }
  assert(several > 5, `${several} episodes retrieve twice`);
});

Deno.test("a question that is looked up at once: its own words are the query", () => {
  const [question] = QUESTIONS;
  const situation = askingSituation(question, 0.1, protocol);
  assertEquals(situation.query, question.query);
  assertEquals(situation.prefix, [...protocol.prompt(question.query, 0.1), ids.retrieve]);
  assertEquals(situation.left, protocol.budget - 1);
  const text = readingText(situation, DOCUMENTS[0], protocol);
  const chosen = Array.from(text.actions, (at) => text.tokens[at]);
  assertEquals(chosen, [ids.answer, ...protocol.words(question.answers[0]), ids.end]);
  assertEquals(
    text.tokens.length,
    situation.prefix.length + protocol
      .document(DOCUMENTS[0], situation.left).length +
      chosen.length,
  );
});
