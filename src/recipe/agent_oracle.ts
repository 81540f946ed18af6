/** Optimal agents for the questions of a world, given the retriever as it was measured. @module */
import { computeOracle, type DocumentRetriever, type Oracle } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import type { Query } from "../data/mod.ts";
import type { World, WorldQuestion } from "../data/world/mod.ts";
import type { AgentData } from "./prepare_agent.ts";

/** What an oracle depends on besides the question and the price. */
export interface WorldOracleOptions {
  /** The world. */
  readonly world: World;
  /** The retriever, without noise. */
  readonly retriever: DocumentRetriever;
  /** Probability that a retrieval gives a random document instead. */
  readonly noise: number;
  /** Retrievals that an episode may have. */
  readonly budget: number;
  /** Reward of a right answer. */
  readonly reward: number;
}

/** Choices of {@linkcode oracleOf}. */
export interface OracleOfOptions {
  /** The configuration of the agent. */
  readonly config: ResolvedConfig;
  /** Its data. */
  readonly data: AgentData;
  /** Its retriever without noise. */
  readonly base: DocumentRetriever;
}

/**
 * Optimal agents for an agent's questions; nothing where its data is no world, or where its reward counts
 * more than exact match: then wrong answers earn something too, and the best return is not known.
 */
export async function oracleOf(
  questions: readonly Query[],
  { config: { agent }, data, base }: OracleOfOptions,
): Promise<WorldOracle | undefined> {
  const { em, f1, rouge_l, format } = agent.reward;
  if (!data.world || f1 !== 0 || rouge_l !== 0 || format !== 0) return undefined;
  return await worldOracle(questions as readonly WorldQuestion[], {
    world: data.world,
    retriever: base,
    // A random document is what noise gives.
    noise: agent.retriever === "random" ? 1 : agent.noise,
    budget: agent.budget,
    reward: em,
  });
}

/** Optimal agents by question and price. */
export type WorldOracle = (question: Query, cost: number) => Oracle;

/**
 * Measure the retriever on everything that an optimal agent could look for, and compute that agent for
 * any of these questions at any price.
 *
 * @param questions The questions
 * @param options The world and the retriever
 */
export async function worldOracle(
  questions: readonly WorldQuestion[],
  options: WorldOracleOptions,
): Promise<WorldOracle> {
  const { world, retriever, noise, budget, reward } = options;
  const looks = new Map<string, { query: string; question: Query }>();
  const nameOf = (fact: number): string => world.entities[world.facts[fact].entity].name;
  const key = (question: Query, query: string): string => `${question.queryId}\n${query}`;
  for (const question of questions) {
    for (const query of [question.query, ...question.chain.map(nameOf)]) {
      looks.set(key(question, query), { query, question });
    }
  }
  const found = await retriever.retrieve(
    [...looks.values()].map(({ query, question }) => ({
      query,
      question,
      seen: [],
      random: { seed: 0, stream: "oracle", step: 0 },
    })),
  );
  const docs = new Map([...looks.keys()].map((at, i) => [at, found[i].at(0)?.doc]));
  const solved = new Map<string, Oracle>();
  return (question, cost) => {
    const at = key(question, `${cost}`);
    let oracle = solved.get(at);
    if (!oracle) {
      const { chain } = question as WorldQuestion;
      oracle = computeOracle({
        world,
        question: question as WorldQuestion,
        measured: {
          question: docs.get(key(question, question.query)),
          names: chain.map((f) => docs.get(key(question, nameOf(f)))),
        },
        noise,
        cost,
        budget,
        reward,
      });
      solved.set(at, oracle);
    }
    return oracle;
  };
}
