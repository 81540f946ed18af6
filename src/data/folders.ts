/** What a dataset folder should hold, and what to say when it does not. @module */
import { join } from "@std/path";
import { DataError } from "../errors.ts";

const EXPECTED =
  "A dataset folder holds docs.jsonl and queries.<part>.jsonl, or BEIR's corpus.jsonl, " +
  "queries.jsonl and qrels/<part>.tsv";
const NAMES_SHOWN = 12;

/**
 * Names of the files and folders in a folder, sorted.
 *
 * @throws {DataError} If there is no such folder
 */
export async function listFolder(folder: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.map((entry) => entry.name).sort();
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound
      ? "there is no such folder"
      : cause instanceof Deno.errors.NotADirectory
      ? "it is a file, not a folder"
      : (cause as Error).message;
    throw new DataError(`Cannot read the dataset in ${folder}: ${reason}. ${EXPECTED}`, {}, {
      cause,
    });
  }
}

/**
 * Path of a file that must be there.
 *
 * @param names What {@linkcode listFolder} found
 * @throws {DataError} That says what is there instead
 */
export function requireFile(folder: string, file: string, names: readonly string[]): string {
  if (names.includes(file)) return join(folder, file);
  throw new DataError(
    `Cannot read the dataset in ${folder}: there is no ${file}. ${EXPECTED}; ${folder} holds ` +
      listNames(names),
  );
}

/**
 * Parts named by the files of a folder, in alphabetical order, or the wanted ones in their order.
 *
 * @param names File names of the folder
 * @param prefix What stands before the part, such as `queries.`
 * @param suffix What stands after it, such as `.jsonl`
 * @throws {DataError} If a wanted part has no file
 */
export function partsOf(
  folder: string,
  names: readonly string[],
  options: { prefix: string; suffix: string; wanted?: readonly string[] },
): string[] {
  const { prefix, suffix, wanted } = options;
  const parts = names
    .filter((name) => name.startsWith(prefix) && name.endsWith(suffix))
    .map((name) => name.slice(prefix.length, -suffix.length))
    .filter((part) => part !== "");
  if (wanted === undefined) return parts;
  const missing = wanted.find((part) => !parts.includes(part));
  if (missing !== undefined) {
    throw new DataError(
      `Cannot read the questions of part "${missing}" in ${folder}: there is no ` +
        `${prefix}${missing}${suffix}. Parts that are there: ${listNames(parts)}`,
    );
  }
  return [...wanted];
}

function listNames(names: readonly string[]): string {
  if (names.length === 0) return "nothing";
  const rest = names.length - NAMES_SHOWN;
  return names.slice(0, NAMES_SHOWN).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
