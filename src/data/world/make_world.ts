/** A world in which every fact is known to us, so that the best possible agent can be computed. @module */
import { DataError } from "../../errors.ts";
import { type RandomStream, randomStream } from "../../tensor/random.ts";
import { NameSource } from "../synthetic/names.ts";
import { type EntityKind, type Relation, RELATIONS } from "./relations.ts";

/** Who gets to see the facts of an entity. */
export type WorldPart =
  /** Taught without their document in the warm start: the agent can know them by heart. */
  | "known"
  /** They stand in their document only; training asks for them. */
  | "unknown"
  /** They stand in their document only; nobody asks for them before the test. */
  | "heldOut";

/** Something that has a name, facts and a document. */
export interface Entity {
  /** Unique; the title of its document. */
  readonly name: string;
  /** What it is. */
  readonly kind: EntityKind;
  /** Who gets to see its facts. */
  readonly part: WorldPart;
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
  /** A name such as those of the world's entities that none of them has. */
  inventName(kind: EntityKind, random: RandomStream): string;
}

/** Choices of {@linkcode makeWorld}. */
export interface WorldOptions {
  /** Equal options give equal worlds on every machine. */
  readonly seed: number;
  /** Number of entities, 20 to 5,000. Default 500. */
  readonly entities?: number;
  /** Share of the entities of each kind whose facts the agent is taught by heart, 0 … 1. Default 0.5. */
  readonly knownShare?: number;
  /** Share of the other entities that nobody asks about before the test, 0 … 1. Default ⅓. */
  readonly heldOutShare?: number;
}

const SHARES: Readonly<Record<EntityKind, number>> = { town: 0.2, firm: 0.2, person: 0.6 };
const LIMITS = { min: 20, max: 5000 } as const;

function checkOptions({ entities, knownShare, heldOutShare }: Required<WorldOptions>): void {
  if (!Number.isInteger(entities) || entities < LIMITS.min || entities > LIMITS.max) {
    throw new DataError(
      `Cannot make a world: entities is ${entities}. Give a whole number from ${LIMITS.min} to ` +
        `${LIMITS.max}`,
    );
  }
  for (const [name, share] of Object.entries({ knownShare, heldOutShare })) {
    if (share >= 0 && share <= 1) continue;
    throw new DataError(`Cannot make a world: ${name} is ${share}. Give a share from 0 to 1`);
  }
}

function drawName(names: NameSource, kind: EntityKind): string {
  if (kind === "town") return names.town();
  return kind === "firm" ? names.guild() : names.person().name;
}

/** Exactly the given shares of `count` entities, in random order. */
function drawParts(
  count: number,
  { knownShare, heldOutShare }: { knownShare: number; heldOutShare: number },
  random: RandomStream,
): WorldPart[] {
  const known = Math.round(count * knownShare);
  const heldOut = known + Math.round((count - known) * heldOutShare);
  return random.shuffle(
    Array.from(
      { length: count },
      (_, i) => i < known ? "known" : i < heldOut ? "heldOut" : "unknown",
    ),
  );
}

/**
 * Make a world from a seed: towns, firms and people, each with three or four facts. Some relations lead
 * to other entities, so that questions can go over two hops. Values are drawn uniformly, so that guessing
 * pays as little as it can. Whether the facts of an entity are known has nothing to do with its name.
 *
 * @throws {DataError} If an option is out of range
 * @example
 * ```ts
 * import { makeWorld } from "./make_world.ts";
 * import { assertEquals } from "@std/assert";
 * const { entities } = makeWorld({ seed: 1, entities: 50, knownShare: 0.5 });
 * assertEquals(entities.length, 50);
 * assertEquals(entities.filter(({ part }) => part === "known").length, 25);
 * ```
 */
export function makeWorld(options: WorldOptions): World {
  const { seed, entities: count = 500, knownShare = 0.5, heldOutShare = 1 / 3 } = options;
  checkOptions({ seed, entities: count, knownShare, heldOutShare });
  const stream = (purpose: string) =>
    randomStream({ seed, stream: `world/${purpose}`, step: count });
  const names = new NameSource(stream("names"), count);
  const parts = stream("parts");
  const sizes: [EntityKind, number][] = [
    ["town", Math.round(count * SHARES.town)],
    ["firm", Math.round(count * SHARES.firm)],
  ];
  sizes.push(["person", count - sizes[0][1] - sizes[1][1]]);
  const entities = sizes.flatMap(([kind, size]) => {
    const partsOfKind = drawParts(size, { knownShare, heldOutShare }, parts);
    return partsOfKind.map((part): Entity => ({ name: drawName(names, kind), kind, part }));
  });
  const byKind = Map.groupBy(entities.keys(), (i) => entities[i].kind);
  const values = stream("values");
  const facts = entities.flatMap(({ kind }, entity) =>
    RELATIONS.flatMap(({ of, value }, relation): Fact[] => {
      if (of !== kind) return [];
      if (typeof value !== "string") {
        return [{ entity, relation, value: value[values.int(value.length)] }];
      }
      const others = byKind.get(value)!.filter((other) => other !== entity);
      const valueEntity = others[values.int(others.length)];
      return [{ entity, relation, value: entities[valueEntity].name, valueEntity }];
    })
  );
  const factsOf: number[][] = entities.map(() => []);
  facts.forEach(({ entity }, i) => factsOf[entity].push(i));
  return {
    entities,
    relations: RELATIONS,
    facts,
    factsOf,
    inventName: (kind, random) => drawName(new NameSource(random, count, names), kind),
  };
}
