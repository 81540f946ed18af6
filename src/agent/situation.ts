/** Moments at which a policy reads a document, with what would be right to say after it. @module */
import type { Document, Query } from "../data/mod.ts";
import { exactMatch } from "../metric/mod.ts";
import type { PolicyText } from "./policy_text.ts";
import type { AgentProtocol } from "./protocol.ts";
import type { Trajectory } from "./trajectory.ts";

/** A retrieval before its document is read. */
export interface Situation {
  /** The question. */
  readonly question: Query;
  /** Price of a retrieval that the policy was told. */
  readonly cost: number;
  /** What is looked for. */
  readonly query: string;
  /** Tokens of the question, with price and budget, and nothing more. */
  readonly prompt: readonly number[];
  /** Tokens up to and with the retrieve token. */
  readonly prefix: readonly number[];
  /** Retrievals left after this one. */
  readonly left: number;
  /** What is right to write after the document. */
  readonly target: readonly number[];
  /** 1 where a retrieval could be chosen instead of that token of the target. */
  readonly mayRetrieve: readonly number[];
}

/** Tokens that give an answer and end the episode. */
export function answerTokens(protocol: AgentProtocol, answer: string): number[] {
  return [protocol.ids.answer, ...protocol.words(answer), protocol.ids.end];
}

/** A retrieval after `prefix`, and the first accepted answer as what is right to write then. */
function lastSituation(
  protocol: AgentProtocol,
  { question, cost, query, prompt, prefix, left }: Omit<Situation, "target" | "mayRetrieve">,
): Situation {
  const target = answerTokens(protocol, question.answers[0]);
  const mayRetrieve = target.map((_, t) => Number(t === 0 && left > 0));
  return { question, cost, query, prompt, prefix, left, target, mayRetrieve };
}

/**
 * The retrieval that an agent makes which looks the question up at once.
 *
 * @param question A question with an accepted answer
 * @param cost Price of a retrieval
 * @param protocol How it is put to the policy; its budget is 1 or more
 */
export function askingSituation(
  question: Query,
  cost: number,
  protocol: AgentProtocol,
): Situation {
  const prompt = protocol.prompt(question.query, cost);
  return lastSituation(protocol, {
    question,
    cost,
    query: question.query,
    prompt,
    prefix: [...prompt, protocol.ids.retrieve],
    left: protocol.budget - 1,
  });
}

/**
 * Retrievals of an episode, as situations from which an index can learn.
 *
 * After the last retrieval the first accepted answer is right, whatever the policy said. What is right
 * after an earlier one is not known; where the episode ended with a right answer it is what the policy
 * wrote then, up to its next retrieval, and else that retrieval teaches nothing.
 *
 * @param trajectory An episode whose question has an accepted answer
 * @param protocol How it was written
 */
export function situationsOf(trajectory: Trajectory, protocol: AgentProtocol): Situation[] {
  const { question, cost, retrievals, actions, tokens, mayRetrieve, answer } = trajectory;
  const isRight = answer !== undefined && exactMatch(answer, question.answers) === 1;
  const prompt = Array.from(tokens.subarray(0, trajectory.promptLength));
  return retrievals.flatMap(({ action, query }, i): Situation[] => {
    const situation = {
      question,
      cost,
      query,
      prompt,
      prefix: Array.from(tokens.subarray(0, actions[action] + 1)),
      left: protocol.budget - i - 1,
    };
    const next = retrievals.at(i + 1);
    if (!next) return [lastSituation(protocol, situation)];
    if (!isRight) return [];
    const written = actions.subarray(action + 1, next.action + 1);
    return [{
      ...situation,
      target: Array.from(written, (at) => tokens[at]),
      mayRetrieve: Array.from(mayRetrieve.subarray(action + 1, next.action + 1)),
    }];
  });
}

/** The situation with a document read and the right thing written: the target's tokens are the choices. */
export function readingText(
  { prefix, left, target, mayRetrieve }: Situation,
  document: Document,
  protocol: AgentProtocol,
): PolicyText {
  const before = [...prefix, ...protocol.document(document, left)];
  return {
    tokens: [...before, ...target],
    actions: target.map((_, t) => before.length + t),
    mayRetrieve,
  };
}

/** The decision itself: the retrieve token behind the prompt. */
export function gateText({ prompt, prefix }: Situation): PolicyText {
  return { tokens: prefix, actions: [prompt.length], mayRetrieve: [1] };
}

/** The right answer at once. */
export function closedText({ prompt, question }: Situation, protocol: AgentProtocol): PolicyText {
  const target = answerTokens(protocol, question.answers[0]);
  return {
    tokens: [...prompt, ...target],
    actions: target.map((_, t) => prompt.length + t),
    mayRetrieve: target.map((_, t) => Number(t === 0)),
  };
}

/** Whether the policy looked the question up before it wrote anything. */
export function isFirstMove({ prompt, prefix }: Situation): boolean {
  return prefix.length === prompt.length + 1;
}
