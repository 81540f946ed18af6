/** The best that any agent can do in a world, by dynamic programming. @module */
import type { World, WorldQuestion } from "../data/world/mod.ts";
import { DataError } from "../errors.ts";

/** How a retriever was measured on one question. */
export interface MeasuredQueries {
  /** Document that the question itself finds; undefined: none. */
  readonly question: number | undefined;
  /** [H] document that the name of each hop's entity finds. */
  readonly names: readonly (number | undefined)[];
}

/** What an optimal agent is computed for. */
export interface OracleOptions {
  /** What is true. */
  readonly world: World;
  /** The question. */
  readonly question: WorldQuestion;
  /** Which documents the retriever finds for what can be looked for. */
  readonly measured: MeasuredQueries;
  /** Probability that a retrieval gives a uniformly random document instead. */
  readonly noise: number;
  /** λ, price of one retrieval in the unit of the reward. */
  readonly cost: number;
  /** Retrievals that an episode may have. */
  readonly budget: number;
  /** Reward of a right answer. Default 1. */
  readonly reward?: number;
}

/** Worth of each move in a state. */
export interface ActionValues {
  /** Of answering now. */
  readonly answer: number;
  /** Of the best retrieval; −∞ without budget. */
  readonly retrieve: number;
}

/** An optimal agent. */
export interface Oracle {
  /** Expected return from the start. */
  readonly value: number;
  /** Expected number of retrievals of the best agent; of several, of the one that retrieves least. */
  readonly retrievals: number;
  /** Probability of a right answer of that agent. */
  readonly accuracy: number;
  /** Facts of the chain that are known by heart, as bits. */
  readonly start: number;
  /** Bits of the facts of the chain that a document states. */
  factsIn(document: number): number;
  /** Worth of each move where these facts are known and this budget is left. */
  valuesOf(facts: number, left: number): ActionValues;
}

/** What a state is worth, and what comes of it. */
interface Outcome {
  readonly value: number;
  readonly retrievals: number;
  readonly accuracy: number;
}

/** Smaller differences are ties. */
const TIE = 1e-9;

/** Whether a move is worth more than another one, or as much with fewer retrievals. */
function isBetter(move: Outcome, other: Outcome): boolean {
  const gain = move.value - other.value;
  return gain > TIE || (gain > -TIE && move.retrievals < other.retrievals - TIE);
}

/**
 * The best expected return of a question, exactly.
 *
 * A state is which facts of the question's chain are known (by heart, or from a document that was read)
 * and the budget that is left. An agent may answer: right if all are known, else a guess among all
 * values that the last relation can have. Or it may look for the question, or for the name of an entity
 * that it knows to be on the chain: the entity of hop h is known when the facts before it are.
 *
 *   V(F, b) = max( R·[F complete] + R·guess·[F incomplete],
 *                  max over queries q of −λ + Σ_d p(d | q) V(F ∪ facts(d), b − 1) )
 *   p(d | q) = (1 − ε)·[d = measured(q)] + ε / N
 *
 * A query that finds nothing gives nothing: noise replaces what was found. Of equally good moves the one
 * with fewer retrievals to come is taken.
 *
 * Departures from the truth, both in favour of the agent's competitor, none in its own: reading is
 * perfect, and composing known facts is.
 *
 * @throws {DataError} If the noise is no probability, or the price is negative
 * @example An unknown fact: retrieve, if that costs less than it brings
 * ```ts
 * import { worldDataset } from "../data/world/mod.ts";
 * import { computeOracle } from "./oracle.ts";
 * import { assertEquals } from "@std/assert";
 * const { world, queries } = worldDataset({ seed: 1, entities: 50 });
 * const question = queries.dev.find((q) => {
 *   const { entity } = world.facts[q.chain[0]];
 *   return world.entities[entity].part === "heldOut";
 * })!;
 * const document = world.facts[question.chain[0]].entity;
 * const measured = { question: document, names: [document] };
 * const oracle = computeOracle({ world, question, measured, noise: 0, cost: 0.25, budget: 1 });
 * assertEquals(oracle.value, 0.75);
 * ```
 */
export function computeOracle(options: OracleOptions): Oracle {
  const { world, question, measured, noise, cost, budget, reward = 1 } = options;
  if (!(noise >= 0 && noise <= 1) || !(cost >= 0)) {
    throw new DataError(
      `Cannot compute the best agent: noise is ${noise} and the price ${cost}; give a probability and ` +
        "a price of 0 or more",
    );
  }
  const { chain } = question, hops = chain.length, complete = 2 ** hops - 1;
  const documents = world.entities.length;
  const factsIn = (document: number): number =>
    chain.reduce((bits, f, h) => bits | (world.facts[f].entity === document ? 1 << h : 0), 0);
  const guess = 1 / guesses(world, chain[hops - 1]);
  const onChain = [...new Set(chain.map((f) => world.facts[f].entity))];
  const values = new Map<number, Outcome & ActionValues>();

  const after = (query: number | undefined, facts: number, left: number): Outcome => {
    const chance = query === undefined ? 0 : noise / documents;
    const outcomes: [number, Outcome][] = onChain.map((document) => [
      chance + (document === query ? 1 - noise : 0),
      solve(facts | factsIn(document), left),
    ]);
    const other = 1 - outcomes.reduce((sum, [p]) => sum + p, 0);
    const all: [number, Outcome][] = [...outcomes, [other, solve(facts, left)]];
    const expected = (what: keyof Outcome): number =>
      all.reduce((sum, [p, outcome]) => sum + p * outcome[what], 0);
    return {
      value: expected("value") - cost,
      retrievals: expected("retrievals") + 1,
      accuracy: expected("accuracy"),
    };
  };

  const solve = (facts: number, left: number): Outcome & ActionValues => {
    const key = left * (complete + 1) + facts;
    const known = values.get(key);
    if (known) return known;
    const accuracy = facts === complete ? 1 : guess;
    const answer: Outcome = { value: reward * accuracy, retrievals: 0, accuracy };
    let best: Outcome | undefined;
    if (left > 0) {
      // The entity of hop h has a name for whoever knows the facts of all hops before it.
      const named = measured.names.filter((_, h) => (facts & (2 ** h - 1)) === 2 ** h - 1);
      for (const query of [measured.question, ...named]) {
        const outcome = after(query, facts, left - 1);
        if (!best || isBetter(outcome, best)) best = outcome;
      }
    }
    const chosen = best && isBetter(best, answer) ? best : answer;
    const result = { ...chosen, answer: answer.value, retrieve: best?.value ?? -Infinity };
    values.set(key, result);
    return result;
  };

  const start = chain.reduce(
    (bits, f, h) => bits | (world.entities[world.facts[f].entity].part === "known" ? 1 << h : 0),
    0,
  );
  const { value, retrievals, accuracy } = solve(start, budget);
  return { value, retrievals, accuracy, start, factsIn, valuesOf: solve };
}

/** Number of values that a fact's relation can have for its entity. */
function guesses(world: World, fact: number): number {
  const { entity, relation } = world.facts[fact];
  const { value } = world.relations[relation];
  return typeof value === "string"
    ? world.entities.filter(({ kind }, other) => kind === value && other !== entity).length
    : value.length;
}

/** Moves of an episode that were worth less than the other move. */
export interface SearchErrors {
  /** Retrieved where answering was better. */
  readonly isOverSearch: boolean;
  /** Answered where retrieving was better. */
  readonly isUnderSearch: boolean;
}

/**
 * Compare an episode with the optimal agent, move by move.
 *
 * @param oracle Of the question
 * @param read Document read by each retrieval; undefined: nothing was found
 * @param budget Retrievals that the episode could have
 */
export function searchErrors(
  oracle: Oracle,
  read: readonly (number | undefined)[],
  budget: number,
): SearchErrors {
  let facts = oracle.start, isOverSearch = false;
  read.forEach((document, i) => {
    const { answer, retrieve } = oracle.valuesOf(facts, budget - i);
    if (answer > retrieve + TIE) isOverSearch = true;
    if (document !== undefined) facts |= oracle.factsIn(document);
  });
  const { answer, retrieve } = oracle.valuesOf(facts, budget - read.length);
  return { isOverSearch, isUnderSearch: retrieve > answer + TIE };
}
