/** Docids: a sequence of digits for every document, and its form as text and JSON. @module */
import { DataError } from "../errors.ts";

/** How documents get their docids; see {@linkcode assignDocids}. */
export type DocidScheme = "atomic" | "naive" | "semantic";

/** The docid of every document. */
export interface Docids {
  /** How they were made. */
  readonly scheme: DocidScheme;
  /** Codes per digit, C: every digit is in [0, base). */
  readonly base: number;
  /** Digits of each document, by document index. Lengths may differ; none begins another. */
  readonly digits: readonly Int32Array[];
  /** Documents whose vectors could not tell them apart and that position alone separates. */
  readonly collisions: number;
}

/** What {@linkcode docidsToJson} writes: plain data. */
export interface DocidsJson {
  /** Version of this form. */
  version: 1;
  /** See {@linkcode Docids}. */
  scheme: DocidScheme;
  /** See {@linkcode Docids}. */
  base: number;
  /** See {@linkcode Docids}. */
  collisions: number;
  /** Docids as text, such as `"3-17-5"`, by document index. */
  docids: string[];
}

/** The docid as text: its digits with hyphens, such as `"3-17-5"`. */
export function formatDocid(digits: ArrayLike<number>): string {
  return Array.from(digits).join("-");
}

/**
 * The digits of a docid given as text.
 *
 * @param text Digits with hyphens between them
 * @throws {DataError} If the text is anything else
 * @example
 * ```ts
 * import { formatDocid, parseDocid } from "./docids.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(formatDocid(parseDocid("3-17-5")), "3-17-5");
 * ```
 */
export function parseDocid(text: string): Int32Array {
  if (typeof text !== "string" || !/^(0|[1-9]\d{0,8})(-(0|[1-9]\d{0,8}))*$/.test(text)) {
    throw new DataError(
      `Cannot read ${JSON.stringify(text)} as a docid: write digits with hyphens, such as "3-17-5"`,
    );
  }
  return Int32Array.from(text.split("-"), Number);
}

/** Plain data that {@linkcode docidsFromJson} reads back. */
export function docidsToJson(docids: Docids): DocidsJson {
  const { scheme, base, collisions } = docids;
  return { version: 1, scheme, base, collisions, docids: docids.digits.map(formatDocid) };
}

/**
 * Docids from what {@linkcode docidsToJson} wrote. That no docid equals or begins another is checked
 * when the trie is built.
 *
 * @param json Parsed JSON of unknown origin
 * @throws {DataError} If a field is missing or of the wrong kind, or a digit is not below the base
 * @example
 * ```ts
 * import { docidsFromJson, docidsToJson } from "./docids.ts";
 * import { assertEquals } from "@std/assert";
 * const docids = { scheme: "naive" as const, base: 2, digits: [Int32Array.of(0, 1)], collisions: 0 };
 * assertEquals(docidsFromJson(JSON.parse(JSON.stringify(docidsToJson(docids)))), docids);
 * ```
 */
export function docidsFromJson(json: unknown): Docids {
  const fail = (what: string): never => {
    throw new DataError(`Cannot read docids: ${what}`);
  };
  if (typeof json !== "object" || json === null) fail("they are not an object");
  const { version, scheme, base, collisions, docids } = json as Record<string, unknown>;
  if (version !== 1) fail(`version is ${JSON.stringify(version)}, this program reads 1`);
  if (scheme !== "atomic" && scheme !== "naive" && scheme !== "semantic") {
    return fail(`scheme is ${JSON.stringify(scheme)}, not "atomic", "naive" or "semantic"`);
  }
  if (!isCount(base) || base < 1) return fail(`base is ${JSON.stringify(base)}, not a count`);
  if (!isCount(collisions)) {
    return fail(`collisions is ${JSON.stringify(collisions)}, not a count`);
  }
  if (!Array.isArray(docids) || docids.length === 0) return fail("docids is not a filled list");
  const digits = docids.map((text, doc) => {
    const parsed = parseDocid(text);
    if (parsed.some((digit) => digit >= base)) {
      fail(`document ${doc} has docid ${text}, with a digit that does not fit base ${base}`);
    }
    return parsed;
  });
  return { scheme, base, collisions, digits };
}

function isCount(x: unknown): x is number {
  return typeof x === "number" && Number.isSafeInteger(x) && x >= 0;
}
