/** Text and JSON files of models. @module */
import { DataError } from "../errors.ts";

/** Larger ones are no configurations but mistakes; the largest known tokenizer has 35 MB. */
const MAX_JSON_BYTES = 256 * 2 ** 20;

/**
 * The text of a file, or undefined if there is none.
 *
 * @throws {DataError} If it can't be read, is no UTF-8, or is absurdly large
 */
export async function readTextFile(path: string): Promise<string | undefined> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_JSON_BYTES) {
      throw new DataError(`Cannot read a file of ${size} bytes as JSON`, { file: path });
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(await Deno.readFile(path));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    if (cause instanceof DataError) throw cause;
    throw new DataError(`Cannot read it: ${(cause as Error).message}`, { file: path }, { cause });
  }
}

/**
 * The contents of a JSON file, or undefined if there is none.
 *
 * @throws {DataError} As {@linkcode readTextFile}, and if it is no JSON
 */
export async function readJsonFile(path: string): Promise<unknown> {
  const text = await readTextFile(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError(`Cannot read JSON: ${(cause as Error).message}`, { file: path }, { cause });
  }
}

/**
 * The contents of a JSON file that must be there.
 *
 * @throws {DataError} As {@linkcode readJsonFile}, and if there is none
 */
export async function needJsonFile(path: string): Promise<unknown> {
  const json = await readJsonFile(path);
  if (json !== undefined) return json;
  throw new DataError("Cannot read it: there is no such file", { file: path });
}
