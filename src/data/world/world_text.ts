/** What is written and asked about entities. @module */
import type { RandomStream } from "../../tensor/random.ts";
import { pronounOf } from "../synthetic/names.ts";
import type { Document } from "../types.ts";
import type { Entity } from "./make_world.ts";
import { type Relation, RELATIONS } from "./relations.ts";

const fill = (template: string, e: string, v = ""): string =>
  template.replace("{e}", e).replace("{v}", v);

/**
 * How a text calls an entity that it has named before, at the start of a sentence and within one: *She*,
 * *her*; *The firm*, *the firm*.
 */
export function shortNames({ name, kind }: Pick<Entity, "name" | "kind">): [string, string] {
  if (kind !== "person") return [`The ${kind}`, `the ${kind}`];
  return pronounOf(name) === "she" ? ["She", "her"] : ["He", "him"];
}

/**
 * A document about an entity: its facts in random order, each in one of several wordings. The first
 * sentence has its name, the others {@linkcode shortNames}.
 *
 * @param entity The entity, of the world or invented
 * @param random Where order and wordings come from
 * @param valueOf What the document says about a relation of the entity's kind
 */
export function writeEntityDocument(
  entity: Pick<Entity, "name" | "kind">,
  random: RandomStream,
  valueOf: (relation: Relation) => string,
): Pick<Document, "title" | "text"> {
  const own = RELATIONS.filter((relation) => relation.of === entity.kind);
  const text = random.shuffle(own).map((relation, i) => {
    const { sentences } = relation, template = sentences[random.int(sentences.length)];
    const subject = i ? shortNames(entity)[template.startsWith("{e}") ? 0 : 1] : entity.name;
    return fill(template, subject, valueOf(relation));
  }).join(" ");
  return { title: entity.name, text };
}

/**
 * Every wording of a question.
 *
 * @param name Name of the entity that it starts from
 * @param chain Its relations, one a hop
 */
export function questionWordings(name: string, chain: readonly Relation[]): string[] {
  const last = chain.at(-1)!;
  const phrases = chain.slice(0, -1).reduce(
    (names, { phrases }) => names.flatMap((e) => phrases.map((phrase) => fill(phrase, e))),
    [name],
  );
  return last.questions.map((question, i) => fill(question, phrases[i % phrases.length]));
}
