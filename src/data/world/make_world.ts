/** A world in which every fact is known to us, so that the best possible agent can be computed. @module */
import { DataError } from "../../errors.ts";
import { type RandomStream, randomStream } from "../../tensor/random.ts";
import { NameSource } from "../synthetic/names.ts";
import { type EntityKind, type Relation, RELATIONS } from "./relations.ts";

/** What is made of a fact. */
export type FactPart =
  /** Taught without its document in the warm start: the agent can know it by heart. */
  | "known"
  /** Stands in its document only; training asks for it. */
  | "unknown"
  /** Stands in its document only; nobody asks for it before the test. */
  | "heldOut";

/** Something that has a name, facts and a document. */
export interface Entity {
  /** Unique; the title of its document. */
  readonly name: string;
  /** What it is. */
  readonly kind: EntityKind;
}

/** One value of one relation of one entity. */
export interface Fact {
  /** Index of its entity, and of the document that states it. */
  readonly entity: number;
  /** Index into the relations. */
  readonly relation: number;
  /** The value, as it is written. */
  readonly value: string;
  /** Index of the value where it is an entity. */
  readonly valueEntity?: number;
  /** Who gets to see it. */
  readonly part: FactPart;
}

/** Entities, and what is true of them. */
export interface World {
  /** In the order of their documents. */
  readonly entities: readonly Entity[];
  /** Relations of the facts. */
  readonly relations: readonly Relation[];
  /** All facts; those of one entity together. */
  readonly facts: readonly Fact[];
  /** Indices of the facts of each entity. */
  readonly factsOf: readonly (readonly number[])[];
}

/** Choices of {@linkcode makeWorld}. */
export interface WorldOptions {
  /** Equal options give equal worlds on every machine. */
  readonly seed: number;
  /** Number of entities, 20 to 5,000. Default 300. */
  readonly entities?: number;
  /** Share of the facts that the agent is taught by heart, 0 … 1. Default 0.5. */
  readonly knownShare?: number;
  /** Share of the other facts that nobody asks for before the test, 0 … 1. Default ⅓. */
  readonly heldOutShare?: number;
}

const SHARES: readonly (readonly [EntityKind, number])[] = [["town", 0.2], ["firm", 0.2], [
  "person",
  0.6,
]];
const LIMITS = { entities: { min: 20, max: 5000 } } as const;

function checkOptions({ entities, knownShare, heldOutShare }: Required<WorldOptions>): void {
  const { min, max } = LIMITS.entities;
  if (!Number.isInteger(entities) || entities < min || entities > max) {
    throw new DataError(
      `Cannot make a world: entities is ${entities}. Give a whole number from ${min} to ${max}`,
    );
  }
  for (const [name, share] of Object.entries({ knownShare, heldOutShare })) {
    if (share >= 0 && share <= 1) continue;
    throw new DataError(`Cannot make a world: ${name} is ${share}. Give a share from 0 to 1`);
  }
}

/** Which of `count` things are chosen: exactly the given share of them. */
function chooseShare(count: number, share: number, random: RandomStream): boolean[] {
  const chosen = Math.round(count * share);
  return random.shuffle(Array.from({ length: count }, (_, i) => i < chosen));
}

function makeEntities(count: number, random: RandomStream): Entity[] {
  const names = new NameSource(random, count);
  const towns: string[] = [];
  const draw: Record<EntityKind, () => string> = {
    town: () => towns[towns.push(names.town()) - 1],
    firm: () => names.company(names.pick(towns)),
    person: () => names.person().name,
  };
  const bounds = SHARES.map((_, i) =>
    Math.round(count * SHARES.slice(0, i + 1).reduce((sum, [, share]) => sum + share, 0))
  );
  const kindOf = (i: number): EntityKind => SHARES[bounds.findIndex((end) => i < end)][0];
  return Array.from({ length: count }, (_, i) => ({ kind: kindOf(i), name: draw[kindOf(i)]() }));
}

/**
 * Make a world from a seed: towns, firms and people, each with three or four facts. A third of the
 * relations lead to other entities, so that questions can go over two hops. Values are drawn uniformly,
 * so that guessing pays as little as it can.
 *
 * @throws {DataError} If an option is out of range
 * @example
 * ```ts
 * import { makeWorld } from "./make_world.ts";
 * import { assertEquals } from "@std/assert";
 * const { entities, facts } = makeWorld({ seed: 1, entities: 50, knownShare: 0.5 });
 * assertEquals(entities.length, 50);
 * assertEquals(facts.filter((fact) => fact.part === "known").length, Math.round(facts.length / 2));
 * ```
 */
export function makeWorld(options: WorldOptions): World {
  const { seed, entities: count = 300, knownShare = 0.5, heldOutShare = 1 / 3 } = options;
  checkOptions({ seed, entities: count, knownShare, heldOutShare });
  const stream = (purpose: string) =>
    randomStream({ seed, stream: `world/${purpose}`, step: count });
  const entities = makeEntities(count, stream("names"));
  const byKind = Map.groupBy(entities.keys(), (i) => entities[i].kind);
  const values = stream("values");
  const drawn: Omit<Fact, "part">[] = entities.flatMap(({ kind }, entity) =>
    RELATIONS.flatMap(({ of, value }, relation) => {
      if (of !== kind) return [];
      if (typeof value !== "string") {
        return [{ entity, relation, value: value[values.int(value.length)] }];
      }
      const others = byKind.get(value)!.filter((other) => other !== entity);
      const valueEntity = others[values.int(others.length)];
      return [{ entity, relation, value: entities[valueEntity].name, valueEntity }];
    })
  );
  const isKnown = chooseShare(drawn.length, knownShare, stream("known"));
  const others = drawn.flatMap((_, i) => isKnown[i] ? [] : [i]);
  const isHeldOut = chooseShare(others.length, heldOutShare, stream("held-out"));
  const heldOut = new Set(others.filter((_, i) => isHeldOut[i]));
  const facts = drawn.map((fact, i): Fact => ({
    ...fact,
    part: isKnown[i] ? "known" : heldOut.has(i) ? "heldOut" : "unknown",
  }));
  const factsOf: number[][] = entities.map(() => []);
  facts.forEach(({ entity }, i) => factsOf[entity].push(i));
  return { entities, relations: RELATIONS, facts, factsOf };
}
