/** Which questions to ask about which thing. @module */
import type { RandomStream } from "../../tensor/random.ts";
import { factsIn, writeQuestion } from "./render.ts";
import type { Thing } from "./world.ts";

/** A way to ask about one particular thing that has exactly one right answer. */
export interface Way {
  /** Template of the question. */
  readonly template: string;
  /** Facts that the question uses or asks for. */
  readonly keys: readonly string[];
  /** Accepted answer. */
  readonly answer: string;
}

/** Share of questions that describe the thing instead of naming it, where both are possible. */
const DESCRIPTION_SHARE = 0.6;

/** Knows which descriptions fit exactly one thing of the world. */
export class Asker {
  readonly #things: readonly Thing[];
  /** By kind and keys: how many things share each combination of values. */
  readonly #counts = new Map<string, Map<string, number>>();

  /** @param things The whole world */
  constructor(things: readonly Thing[]) {
    this.#things = things;
  }

  /** Whether no other thing of the kind has the same values of all these facts. */
  isUnique(thing: Thing, keys: readonly string[]): boolean {
    const id = `${thing.kind.name}:${keys}`;
    let counts = this.#counts.get(id);
    if (counts === undefined) {
      counts = new Map();
      for (const other of this.#things) {
        if (other.kind !== thing.kind) continue;
        const values = valuesOf(other, keys);
        counts.set(values, (counts.get(values) ?? 0) + 1);
      }
      this.#counts.set(id, counts);
    }
    return counts.get(valuesOf(thing, keys)) === 1;
  }

  /**
   * Ask several different questions about a thing.
   *
   * @param part Whose wordings to use
   * @param isAllowed Which sets of facts may be used, one rule a question wanted
   * @returns Question and answer; fewer than wanted where there are not enough ways
   */
  ask(
    thing: Thing,
    part: "train" | "dev",
    options: {
      random: RandomStream;
      isAllowed: readonly ((keys: readonly string[]) => boolean)[];
    },
  ): { query: string; answer: string }[] {
    const { random, isAllowed } = options;
    const { byName, byDescription } = thing.kind;
    let named = Object.entries(byName).flatMap(([key, phrasings]) =>
      phrasings[part].map((template): Way => ({
        template,
        keys: [key],
        answer: thing.facts[key].said,
      }))
    );
    let described = byDescription[part]
      .map((template): Way => ({ template, keys: factsIn(template, thing), answer: thing.title }))
      .filter(({ keys }) => this.isUnique(thing, keys));
    return isAllowed.flatMap((allowed) => {
      const groups = [described, named].map((ways) => ways.filter((way) => allowed(way.keys)));
      if (random.uniform() >= DESCRIPTION_SHARE) groups.reverse();
      const ways = groups.find((group) => group.length > 0);
      if (ways === undefined) return [];
      const way = ways[random.int(ways.length)];
      named = named.filter((other) => other !== way);
      described = described.filter((other) => other !== way);
      return [{ query: writeQuestion(way.template, thing, random), answer: way.answer }];
    });
  }
}

function valuesOf(thing: Thing, keys: readonly string[]): string {
  return keys.map((key) => thing.facts[key].value).join("\n");
}
