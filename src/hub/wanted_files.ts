/** Which files of a model are asked for. @module */
import { parseWeightIndex, WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from "./weight_index.ts";

/** Files of a model. */
export interface WantedFiles {
  /** Without these a model is of no use. */
  readonly required: readonly string[];
  /** These are taken if they are there. */
  readonly optional?: readonly string[];
  /** Weights too: `model.safetensors`, else the index and all files it names. False if left out. */
  readonly weights?: boolean;
}

/** What loading a language model takes. */
export const MODEL_FILES: WantedFiles = {
  required: ["config.json"],
  optional: [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
  ],
  weights: true,
};

/** A place that files come from. */
export interface FilePlace {
  /** Makes a file available; false if there is none. */
  get(file: string): Promise<boolean>;
  /** Text of a file that `get` made available. */
  readText(file: string): Promise<string>;
}

/**
 * Gets the wanted files, small ones first.
 *
 * @returns What is required and not there, in words
 * @throws {DataError} If the index of the weights is broken
 */
export async function getFiles(wanted: WantedFiles, place: FilePlace): Promise<string[]> {
  const missing: string[] = [];
  const require = async (file: string) => {
    if (!await place.get(file)) missing.push(file);
  };
  for (const file of wanted.required) await require(file);
  for (const file of wanted.optional ?? []) await place.get(file);
  if (!wanted.weights || missing.length > 0 || await place.get(WEIGHTS_FILE)) return missing;
  if (!await place.get(WEIGHTS_INDEX_FILE)) return [`${WEIGHTS_FILE} or ${WEIGHTS_INDEX_FILE}`];
  const { files } = parseWeightIndex(await place.readText(WEIGHTS_INDEX_FILE));
  for (const file of files) await require(file);
  return missing;
}
