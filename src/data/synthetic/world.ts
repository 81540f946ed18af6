/** The things of the synthetic world and their facts. @module */
import { type RandomStream, randomStream } from "../../tensor/random.ts";
import type { FactSource, Kind } from "./kind.ts";
import { ANIMAL_KIND, INSTRUMENT_KIND, PLANET_KIND } from "./kinds_nature.ts";
import { COMPANY_KIND, PERSON_KIND, SHIP_KIND } from "./kinds_people.ts";
import { FESTIVAL_KIND, TOWN_KIND } from "./kinds_places.ts";
import { NameSource } from "./names.ts";

/** Every kind. Towns come first, since other things are in towns. */
export const KINDS: readonly Kind[] = [
  TOWN_KIND,
  PERSON_KIND,
  COMPANY_KIND,
  FESTIVAL_KIND,
  ANIMAL_KIND,
  PLANET_KIND,
  SHIP_KIND,
  INSTRUMENT_KIND,
];

/** One fact of one thing. */
export interface Fact {
  /** Equal exactly for equal facts, whatever their wording. */
  readonly value: string;
  /** How the document of the thing puts it. */
  readonly said: string;
  /** How people may put it instead; empty where there is only one way, as for years. */
  readonly asked: readonly string[];
}

/** One thing. Its position is that of its document. */
export interface Thing {
  /** Its kind. */
  readonly kind: Kind;
  /** Title of its document, unique. */
  readonly title: string;
  /** Its name within a sentence. */
  readonly name: string;
  /** Its pronoun: `it`, `she` or `he`. */
  readonly pronoun: "it" | "she" | "he";
  /** Everything that is true of it, by key. */
  readonly facts: Readonly<Record<string, Fact>>;
}

/**
 * The things of a world, in the order of their documents.
 *
 * @param seed Two worlds of one seed and size are equal
 * @param size Number of things
 */
export function makeWorld(seed: number, size: number): Thing[] {
  const random = randomStream({ seed, stream: "synthetic/world", step: size });
  const names = new NameSource(random, size);
  const counts = apportion(size);
  const towns = Array.from({ length: counts[0] }, () => names.town());
  const things = KINDS.flatMap((kind, k) =>
    Array.from({ length: counts[k] }, (_, i) => makeThing(kind, towns[i], { towns, names, random }))
  );
  return random.shuffle(things);
}

/** What a thing is made from. */
interface Supplies {
  readonly towns: readonly string[];
  readonly names: NameSource;
  readonly random: RandomStream;
}

/** @param townName Name of the thing if it is a town */
function makeThing(kind: Kind, townName: string, supplies: Supplies): Thing {
  const facts: Record<string, Fact> = {};
  for (const [key, source] of Object.entries(kind.facts)) facts[key] = makeFact(source, supplies);
  let pronoun: Thing["pronoun"] = "it", title: string;
  if (kind.name === "person") ({ name: title, pronoun } = supplies.names.person());
  else title = makeTitle(kind.name, townName, facts.town?.said, supplies.names);
  const isCommonNoun = kind.name === "animal";
  const name = kind.article + (isCommonNoun ? title.toLowerCase() : title);
  return { kind, title, name, pronoun, facts };
}

function makeTitle(kind: string, townName: string, home: string, names: NameSource): string {
  switch (kind) {
    case "town":
      return townName;
    case "company":
      return names.company(home);
    case "festival":
      return names.festival(home);
    case "animal":
      return names.animal();
    case "planet":
      return names.planet();
    case "ship":
      return names.ship();
    default:
      return names.instrument();
  }
}

function makeFact(source: FactSource, { towns, names, random }: Supplies): Fact {
  switch (source.from) {
    case "concepts": {
      const concept = names.pick(source.concepts);
      return { value: concept.said[0], said: names.pick(concept.said), asked: concept.asked };
    }
    case "year":
    case "count": {
      const number = source.min + random.int(source.max - source.min + 1);
      return plain(source.from === "year" ? `${number}` : withCommas(number));
    }
    case "person":
      return plain(names.person().name);
    case "town":
      return plain(names.pick(towns));
  }
}

function plain(said: string): Fact {
  return { value: said, said, asked: [] };
}

/** `12,400`, the same on every machine. */
function withCommas(number: number): string {
  return `${number}`.replace(/\B(?=(\d{3})+$)/g, ",");
}

/** How many things of each kind: by share, the rest to the kinds that came off worst. */
function apportion(size: number): number[] {
  const exact = KINDS.map((kind) => kind.share * size);
  const counts = exact.map(Math.floor);
  const byRemainder = KINDS.map((_, i) => i)
    .sort((a, b) => (exact[b] - counts[b]) - (exact[a] - counts[a]) || a - b);
  let rest = size - counts.reduce((a, b) => a + b, 0);
  for (let i = 0; rest > 0; i++, rest--) counts[byRemainder[i]]++;
  return counts;
}
