/** The post-processors of a `tokenizer.json`: they put tokens around a text. */
import { fail, isObject, Part, show } from "./_tokenizer_part.ts";
import { isId } from "./_word_model.ts";

/** Puts tokens around the ids of one text. */
export type PostProcess = (ids: number[]) => number[];

/** Gives the id of a token. */
export type Lookup = (token: string) => number | undefined;

/** The ids that a template's special token stands for: the listed ones, or those of its spelling. */
function templateIds(part: Part, name: string, lookup: Lookup): number[] {
  const table = part.json.special_tokens;
  const entry = isObject(table) && Object.hasOwn(table, name) ? table[name] : undefined;
  const ids = isObject(entry) ? entry.ids : undefined;
  if (Array.isArray(ids) && ids.every(isId)) return ids;
  if (ids !== undefined) fail(`its PostProcessor gives ${show(name)} the ids ${show(ids)}`);
  const id = lookup(name);
  if (id === undefined) {
    fail(`its PostProcessor adds ${show(name)}, which is not in the vocabulary`);
  }
  return [id];
}

/** `undefined` stands for the text. */
function template(part: Part, lookup: Lookup): (number[] | undefined)[] {
  const { single } = part.json;
  if (!Array.isArray(single)) fail(`"single" of its PostProcessor is ${show(single)}, not a list`);
  const items = single.flatMap((item: unknown): (number[] | undefined)[] => {
    const { SpecialToken: token, Sequence: text } = isObject(item) ? item : {};
    if (isObject(token) && typeof token.id === "string") {
      return [templateIds(part, token.id, lookup)];
    }
    if (isObject(text)) return text.id === "A" ? [undefined] : [];
    fail(`its PostProcessor has an item that is neither a SpecialToken nor a Sequence`);
  });
  const times = items.filter((item) => item === undefined).length;
  if (times !== 1) fail(`its PostProcessor repeats the text ${times} times instead of once`);
  return items;
}

/** `["</s>", 1]` as BERT's and RoBERTa's processors hold it. */
function pairId(part: Part, key: string): number {
  const pair = part.json[key];
  const id: unknown = Array.isArray(pair) ? pair[1] : undefined;
  return isId(id)
    ? id
    : fail(`"${key}" of its PostProcessor is ${show(pair)}, not a token and an id`);
}

function step(part: Part, lookup: Lookup): PostProcess {
  switch (part.type) {
    case "ByteLevel":
      return (ids) => ids;
    case "BertProcessing":
    case "RobertaProcessing": {
      const first = pairId(part, "cls"), last = pairId(part, "sep");
      return (ids) => [first, ...ids, last];
    }
    case "TemplateProcessing": {
      const items = template(part, lookup);
      return (ids) => items.flatMap((item) => item ?? ids);
    }
    case "Sequence": {
      const steps = part.steps("processors").map((processor) => step(processor, lookup));
      return (ids) => steps.reduce((processed, process) => process(processed), ids);
    }
    default:
      return part.unknown();
  }
}

/**
 * What the `post_processor` of a file does to a single text.
 *
 * @param json Its content; `null` adds nothing
 * @param lookup Finds ids of tokens whose ids the file does not list
 * @throws {DataError} If it is broken or unknown, or names a token without an id
 */
export function postProcessorOf(json: unknown, lookup: Lookup): PostProcess {
  const part = Part.of("PostProcessor", json);
  return part === undefined ? (ids) => ids : step(part, lookup);
}
