/** From facts to sentences: documents and questions. @module */
import type { RandomStream } from "../../tensor/random.ts";
import type { Thing } from "./world.ts";

const PLACEHOLDER = /\{(a )?(\w+)\}/g;
const PRONOUNS = {
  it: { they: "it", them: "it", their: "its" },
  she: { they: "she", them: "her", their: "her" },
  he: { they: "he", them: "him", their: "his" },
} as const;
/** Share of documents that mention another thing of their kind. */
const ASIDE_SHARE = 0.5;
/** Share of facts that questions word exactly as the document does. */
const VERBATIM_SHARE = 0.3;

/** Text of a document and the facts it states. */
export interface Article {
  /** Four to six sentences. */
  readonly text: string;
  /** Keys of the facts that the text states. */
  readonly stated: ReadonlySet<string>;
}

/** Keys of the facts a template uses. */
export function factsIn(template: string, thing: Thing): string[] {
  return [...template.matchAll(PLACEHOLDER)].map((match) => match[2])
    .filter((key) => key in thing.kind.facts);
}

/**
 * The document of a thing.
 *
 * @param rival Another thing of its kind, if there is one
 */
export function writeArticle(
  thing: Thing,
  rival: Thing | undefined,
  random: RandomStream,
): Article {
  const { openings, sentences, asides, facts } = thing.kind;
  const pick = <T>(items: readonly T[]): T => items[random.int(items.length)];
  const opening = pick(openings);
  const templates = [opening], stated = new Set(factsIn(opening, thing));
  const wanted = templates.length + 3 + random.int(2);
  for (const key of random.shuffle(Object.keys(facts))) {
    if (templates.length === wanted) break;
    if (stated.has(key) || !(key in sentences)) continue;
    const template = pick(sentences[key]);
    if (factsIn(template, thing).some((other) => stated.has(other))) continue;
    templates.push(template);
    for (const other of factsIn(template, thing)) stated.add(other);
  }
  if (rival !== undefined && random.uniform() < ASIDE_SHARE) {
    templates.splice(1 + random.int(templates.length), 0, pick(asides));
  }
  const words = (key: string) => key === "rival" ? rival!.name : thing.facts[key].said;
  return { text: templates.map((t) => fill(t, thing, words)).join(" "), stated };
}

/** A question about a thing; facts are worded as people ask for them. */
export function writeQuestion(template: string, thing: Thing, random: RandomStream): string {
  return fill(template, thing, (key) => {
    const { said, asked } = thing.facts[key];
    if (asked.length === 0 || random.uniform() < VERBATIM_SHARE) return said;
    return asked[random.int(asked.length)];
  });
}

function fill(template: string, thing: Thing, words: (key: string) => string): string {
  const pronouns: Record<string, string> = PRONOUNS[thing.pronoun];
  const text = template.replace(PLACEHOLDER, (_, article: string | undefined, key: string) => {
    if (key === "name") return thing.name;
    if (key === "bare") return thing.name.slice(thing.kind.article.length);
    const pronoun = pronouns[key.toLowerCase()];
    if (pronoun !== undefined) return pronoun;
    return article ? withArticle(words(key)) : words(key);
  });
  return text[0].toUpperCase() + text.slice(1);
}

function withArticle(words: string): string {
  if (/^(a|an|someone) /.test(words)) return words;
  return `${/^[aeiou]/i.test(words) ? "an" : "a"} ${words}`;
}
