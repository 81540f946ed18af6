/** What is written and asked about entities. @module */
import type { RandomStream } from "../../tensor/random.ts";
import type { Document } from "../types.ts";
import type { Entity } from "./make_world.ts";
import { type Relation, RELATIONS } from "./relations.ts";

const fill = (template: string, e: string, v = ""): string =>
  template.replace("{e}", e).replace("{v}", v);

/** How a text calls an entity that it has named before. */
export function shortName({ name, kind }: Pick<Entity, "name" | "kind">): string {
  return kind === "person" ? name.split(" ")[0] : `the ${kind}`;
}

/**
 * A document about an entity: its facts in random order, each in one of several wordings. The first
 * sentence has its name, the others {@linkcode shortName}.
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
    const { sentences } = relation, subject = i ? shortName(entity) : entity.name;
    const sentence = fill(sentences[random.int(sentences.length)], subject, valueOf(relation));
    return sentence[0].toUpperCase() + sentence.slice(1);
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
