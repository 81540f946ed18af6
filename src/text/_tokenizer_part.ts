/** Reading the parts of a `tokenizer.json` with errors that name what is wrong. */
import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { DataError } from "../errors.ts";

/** A JSON object of unknown content. */
export type JsonObject = Record<string, unknown>;

/** Sequences of sequences deeper than this are taken for a broken file. */
const MAX_DEPTH = 16;

/** How many code units the rules of a file may add to a short text. */
const MAX_GROWTH = 1_000_000;

/** Whether a value is a JSON object; lists and `null` are not. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A text that a replacement made of one of `length` code units. Honest rules lengthen a text a little;
 * forty rules that each double it would fill the memory.
 *
 * @throws {DataError} If it grew out of all proportion
 */
export function bounded(text: string, length: number): string {
  if (text.length > 4 * length + MAX_GROWTH) {
    throw new DataError(
      `Cannot follow the rules of this tokenizer.json: they make ${text.length} characters of a ` +
        `short text`,
    );
  }
  return text;
}

/** A value as an error message shows it: cut short, nested ones by their kind. */
export function show(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  }
  if (Array.isArray(value)) return "a list";
  return isObject(value) ? "an object" : String(value);
}

/** @throws {DataError} Always */
export function fail(state: string, cause?: unknown): never {
  throw new DataError(`Cannot load the tokenizer: ${state}`, {}, { cause });
}

/** One part of the file, such as a normalizer, or one step of a sequence of them. */
export class Part {
  /** What it says it is. */
  readonly type: string;

  /**
   * @param role `Normalizer`, `PreTokenizer`, `PostProcessor`, `Decoder` or `Model`
   * @param json Its content
   * @param depth How many sequences it stands in
   */
  constructor(
    readonly role: string,
    readonly json: JsonObject,
    readonly depth: number = 0,
  ) {
    this.type = typeof json.type === "string" ? json.type : show(json.type);
  }

  /** The part that `value` describes, or `undefined` for `null`. */
  static of(role: string, value: unknown, depth = 0): Part | undefined {
    if (value === null || value === undefined) return undefined;
    if (!isObject(value)) fail(`the ${role} is ${show(value)}, not an object`);
    if (depth > MAX_DEPTH) fail(`sequences of a ${role} are nested more than ${MAX_DEPTH} deep`);
    return new Part(role, value, depth);
  }

  /** @throws {DataError} Always: nobody knows this type */
  unknown(): never {
    fail(`Unknown ${this.role} type: ${this.type.slice(0, 60)}`);
  }

  #wrong(key: string, needed: string): never {
    fail(`"${key}" of the ${this.role} ${this.type} is ${show(this.json[key])}, not ${needed}`);
  }

  /** A text; `fallback` where there is none. */
  text(key: string, fallback?: string): string {
    const value = this.json[key] ?? fallback;
    return typeof value === "string" ? value : this.#wrong(key, "a text");
  }

  /** A single character; `fallback` where there is none. */
  character(key: string, fallback?: string): string {
    const text = this.text(key, fallback);
    return text !== "" && text.length === String.fromCodePoint(text.codePointAt(0)!).length
      ? text
      : this.#wrong(key, "one character");
  }

  /** A boolean; `fallback` where there is none. */
  flag(key: string, fallback: boolean): boolean {
    const value = this.json[key] ?? fallback;
    return typeof value === "boolean" ? value : this.#wrong(key, "true or false");
  }

  /** A whole number of at least `least`; `fallback` where there is none. */
  count(key: string, fallback?: number, least = 0): number {
    const value = this.json[key] ?? fallback;
    return Number.isSafeInteger(value) && Number(value) >= least
      ? Number(value)
      : this.#wrong(key, `a whole number of ${least} or more`);
  }

  /** The steps of a sequence. */
  steps(key: string): Part[] {
    const value = this.json[key];
    if (!Array.isArray(value)) this.#wrong(key, "a list");
    return value.map((step) => Part.of(this.role, step, this.depth + 1))
      .filter((step) => step !== undefined);
  }

  /** A pattern as a global regular expression: `{ String }` as it stands, `{ Regex }` translated. */
  pattern(key = "pattern"): RegExp {
    const value = this.json[key];
    if (!isObject(value)) this.#wrong(key, "an object with String or Regex");
    if (typeof value.String === "string") {
      return new RegExp(value.String.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "gu");
    }
    const { Regex } = value;
    if (typeof Regex !== "string") this.#wrong(key, "an object with String or Regex");
    return compile(Regex, `${this.role} ${this.type}`);
  }
}

/** Oniguruma's syntax as JavaScript's, by the library's translation. */
function compile(regex: string, where: string): RegExp {
  let pattern: RegExp | null = null;
  try {
    const config = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated" } as const;
    ({ pattern } = new SplitPreTokenizer({ ...config, invert: false }));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.slice(0, 200) : show(cause);
    fail(`the pattern ${show(regex)} of the ${where} means nothing in JavaScript: ${why}`, cause);
  }
  return pattern ?? fail(`the pattern ${show(regex)} of the ${where} cannot be read`);
}
