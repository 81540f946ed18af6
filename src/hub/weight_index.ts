/** `model.safetensors.index.json`: which file holds which tensor. @module */
import { DataError } from "../errors.ts";

/** Weights in one file. */
export const WEIGHTS_FILE = "model.safetensors";

/** Names the files of weights that are in several. */
export const WEIGHTS_INDEX_FILE = `${WEIGHTS_FILE}.index.json`;

/** Weights over several files. */
export interface WeightIndex {
  /** File name by tensor name. */
  readonly fileOf: ReadonlyMap<string, string>;
  /** File names, each once, in the order of the index. */
  readonly files: readonly string[];
}

/** A name inside of a folder: nothing that could lead out of it. */
const FILE_NAME = /^(?!\.)[^/\\:\0]+\.safetensors$/;

/**
 * The index of sharded weights.
 *
 * @param text Contents of the file
 * @param file What messages call it
 * @throws {DataError} If it is no JSON, has no `weight_map`, or names a file outside of its folder
 * @example
 * ```ts
 * import { parseWeightIndex } from "./weight_index.ts";
 * import { assertEquals } from "@std/assert";
 * const { files } = parseWeightIndex('{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}');
 * assertEquals(files, ["1.safetensors"]);
 * ```
 */
export function parseWeightIndex(text: string, file: string = WEIGHTS_INDEX_FILE): WeightIndex {
  const fail = (problem: string): never => {
    throw new DataError(`Cannot read the index of the weights: ${problem}`, { file });
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fail(`it is not JSON (${(error as Error).message})`);
  }
  const map = isRecord(json) && Object.hasOwn(json, "weight_map") ? json.weight_map : undefined;
  if (!isRecord(map)) return fail("it has no weight_map from tensor names to file names");
  const fileOf = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== "string" || !FILE_NAME.test(shard)) {
      return fail(
        `weight_map puts ${name} into ${JSON.stringify(shard).slice(0, 100)}, ` +
          "which is not the name of a safetensors file in the same folder",
      );
    }
    fileOf.set(name, shard);
  }
  if (fileOf.size === 0) fail("its weight_map is empty");
  return { fileOf, files: [...new Set(fileOf.values())] };
}

function isRecord(x: unknown): x is Record<string, unknown> {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}
