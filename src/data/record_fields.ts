/** Typed reading of one JSON record. @module */
import type { DataLocation } from "../errors.ts";
import { parseJson, readTextLines } from "./json_lines.ts";
import type { ProblemList } from "./problems.ts";

/** One record; reading a wrong field notes a problem and gives an empty value. */
export class RecordFields {
  /** Where the record stands. */
  readonly location: Required<DataLocation>;
  /** Whether every field read so far was right. */
  isValid = true;
  readonly #record: Record<string, unknown>;
  readonly #problems: ProblemList;

  /** @param record The parsed object */
  constructor(
    record: Record<string, unknown>,
    location: Required<DataLocation>,
    problems: ProblemList,
  ) {
    this.#record = record;
    this.location = location;
    this.#problems = problems;
  }

  /** Note a problem of this record. */
  fail(message: string): void {
    this.isValid = false;
    this.#problems.add(message, this.location);
  }

  /** A string; `rule` says whether it may be blank or left out altogether. */
  string(key: string, rule: "filled" | "any" | "optional"): string {
    const value = this.#record[key];
    if (value === undefined && rule === "optional") return "";
    if (typeof value !== "string") {
      const remedy = rule === "any" && value === undefined ? `; write "${key}": "" for none` : "";
      this.fail(`"${key}" ${isNot("a string", value)}${remedy}`);
      return "";
    }
    if (rule === "filled" && value.trim() === "") this.fail(`"${key}" is empty`);
    return value;
  }

  /** Whether a field is there and is not null. */
  has(key: string): boolean {
    return this.#record[key] !== undefined && this.#record[key] !== null;
  }

  /** An array of pairs of a string and a whole number, such as titles and sentences. */
  places(key: string): [string, number][] {
    const value = this.#record[key];
    const isPlace = (item: unknown): boolean =>
      Array.isArray(item) && item.length === 2 && typeof item[0] === "string" &&
      Number.isSafeInteger(item[1]) && item[1] >= 0;
    if (Array.isArray(value) && value.every(isPlace)) return value as [string, number][];
    this.fail(`"${key}" ${isNot('an array of pairs such as ["title", 0]', value)}`);
    return [];
  }

  /** An array of strings; an optional one may be left out. */
  strings(key: string, rule: "required" | "optional"): string[] {
    const value = this.#record[key];
    if (value === undefined && rule === "optional") return [];
    if (!Array.isArray(value)) {
      this.fail(`"${key}" ${isNot("an array of strings", value)}`);
      return [];
    }
    const wrong = value.findIndex((item) => typeof item !== "string");
    if (wrong >= 0) this.fail(`"${key}"[${wrong}] ${isNot("a string", value[wrong])}`);
    return wrong >= 0 ? [] : value;
  }
}

/**
 * The records of a JSON Lines file. Broken lines are noted as problems and skipped.
 *
 * @throws {DataError} If the file cannot be read, is not UTF-8, or has an endless line
 */
export async function* readRecords(
  file: string,
  problems: ProblemList,
): AsyncGenerator<RecordFields, void, undefined> {
  for await (const { line, text } of readTextLines(file)) {
    const parsed = parseJson(text);
    if ("problem" in parsed) {
      problems.add(parsed.problem, { file, line });
    } else if (kindOf(parsed.value) !== "an object") {
      problems.add(`the record ${isNot("an object", parsed.value)}`, { file, line });
    } else {
      yield new RecordFields(parsed.value as Record<string, unknown>, { file, line }, problems);
    }
  }
}

function isNot(expected: string, value: unknown): string {
  return value === undefined ? "is missing" : `is ${kindOf(value)}, not ${expected}`;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
