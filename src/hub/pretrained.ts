/** Models in folders of Hugging Face's layout: loaded by folder or Hub id, and saved. @module */
import { join } from "@std/path";
import { removeIfThere, writeAtomically } from "../data/atomic_write.ts";
import { CheckpointError } from "../errors.ts";
import {
  fitTensors,
  type Model,
  type ModelConfig,
  parseModelConfig,
  planWeights,
  settleModel,
  stringifyModelConfig,
  VALUE_HEAD_FILE,
  valueHeadParamSpecs,
  type WeightType,
} from "../model/mod.ts";
import { safetensorsChunks } from "../model/safetensors_chunks.ts";
import { type HostTensor, hostTensor, sizeOf } from "../tensor/host_tensor.ts";
import { loadTokenizer, type Tokenizer } from "../text/mod.ts";
import { findModel, type FindModelOptions } from "./find_model.ts";
import { needJsonFile, readJsonFile, readTextFile } from "./json_file.ts";
import { openWeights } from "./open_weights.ts";
import { readParameters } from "./read_parameters.ts";
import { saveWeights } from "./save_weights.ts";
import { MODEL_FILES } from "./wanted_files.ts";

/** Whatever a model folder holds beside the weights. */
export interface ModelSideFiles {
  /** Parsed `tokenizer.json`. */
  readonly tokenizerJson?: unknown;
  /** Parsed `tokenizer_config.json`. */
  readonly tokenizerConfig?: unknown;
  /** Parsed `special_tokens_map.json`. */
  readonly specialTokensMap?: unknown;
  /** Text of `chat_template.jinja`. */
  readonly chatTemplate?: string;
  /** Parsed `generation_config.json`. */
  readonly generationConfig?: unknown;
}

/** A model with everything that belongs to it. */
export interface PretrainedModel<Config extends ModelConfig = ModelConfig>
  extends Model<Config>, ModelSideFiles {
  /** Parameters of a value head, where the model has one. */
  readonly valueHead?: Record<string, HostTensor<"float32">>;
}

/** A model that was loaded. */
export interface LoadedModel extends PretrainedModel {
  /** What it was asked for as: a folder, or an id of the Hub. */
  readonly source: string;
  /** The folder it was read from. */
  readonly folder: string;
  /** Its tokenizer, where there is a `tokenizer.json`. */
  readonly tokenizer?: Tokenizer;
}

/** Name of each side file. */
const SIDE_FILES: Readonly<Record<keyof ModelSideFiles, string>> = {
  tokenizerJson: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  specialTokensMap: "special_tokens_map.json",
  chatTemplate: "chat_template.jinja",
  generationConfig: "generation_config.json",
};

/**
 * Everything a folder holds beside configuration and weights.
 *
 * @param folder A model folder
 * @throws {DataError} If a file is no JSON or no UTF-8
 */
export async function readSideFiles(folder: string): Promise<ModelSideFiles> {
  const entries = await Promise.all(
    Object.entries(SIDE_FILES).map(async ([key, file]) => {
      const path = join(folder, file);
      return [
        key,
        await (file.endsWith(".json") ? readJsonFile(path) : readTextFile(path)),
      ] as const;
    }),
  );
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

/** The tokenizer of side files, where there is a `tokenizer.json`. */
export function tokenizerOf(
  { tokenizerJson, tokenizerConfig }: ModelSideFiles,
): Tokenizer | undefined {
  return tokenizerJson === undefined
    ? undefined
    : loadTokenizer(tokenizerJson, tokenizerConfig ?? {});
}

/**
 * A model with its weights, tokenizer and what else belongs to it. Tensors are read one by one into
 * their final memory, so that hardly more than the parameters is ever held; 16-bit weights become
 * float32 on the way.
 *
 * @param idOrFolder A folder, or a model of the Hub, see {@linkcode findModel}
 * @param options Where and how to look on the Hub
 * @throws {DataError} If a file is missing or broken
 * @throws {RemoteError} If the Hub does not give the model
 * @throws {ConfigError} If the configuration is not one of a model this project has
 * @throws {CheckpointError} If the weights do not fit the configuration, or the tokenizer has more tokens
 *   than the model
 * @example
 * ```ts
 * import { loadModel, saveModel } from "./pretrained.ts";
 * import { modelParamSpecs, parseModelConfig } from "../model/mod.ts";
 * import { hostTensor, sizeOf } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const config = parseModelConfig({ model_type: "t5", d_model: 8, vocab_size: 9, num_layers: 1 });
 * const tensors = Object.fromEntries(
 *   Object.entries(modelParamSpecs(config)).map(([name, { shape }]) => [
 *     name,
 *     hostTensor("float32", new Float32Array(sizeOf(shape)).fill(0.5), shape),
 *   ]),
 * );
 * const folder = await Deno.makeTempDir();
 * await saveModel(folder, { config, tensors }, { dtype: "bfloat16" });
 * assertEquals((await loadModel(folder)).tensors, tensors);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function loadModel(
  idOrFolder: string,
  options: FindModelOptions = {},
): Promise<LoadedModel> {
  const optional = [...MODEL_FILES.optional ?? [], VALUE_HEAD_FILE];
  const folder = await findModel(idOrFolder, { files: { ...MODEL_FILES, optional }, ...options });
  const config = parseModelConfig(await needJsonFile(join(folder, "config.json")));
  const side = await readSideFiles(folder);
  const tokenizer = tokenizerOf(side);
  if (tokenizer && tokenizer.vocabSize > config.vocabSize) {
    throw new CheckpointError(
      `Cannot use the tokenizer of ${folder}: it has ${tokenizer.vocabSize} tokens, the model ` +
        `${config.vocabSize}. Resize the model's vocabulary`,
    );
  }
  const tensors: Record<string, HostTensor<"float32">> = {};
  await using weights = await openWeights(folder);
  const plan = planWeights(
    config,
    weights.names.map((name) => ({
      name,
      shape: weights.shapeOf(name),
      type: weights.typeOf(name),
    })),
  );
  for (const { from, to } of plan.reads) {
    const shape = weights.shapeOf(from), data = new Float32Array(sizeOf(shape));
    await weights.readInto(from, data);
    tensors[to] = hostTensor("float32", data, shape);
  }
  const model = settleModel(plan, tensors);
  const valueHead = await readValueHead(join(folder, VALUE_HEAD_FILE), model.config.modelWidth);
  return {
    ...model,
    ...side,
    source: idOrFolder,
    folder,
    tokenizer,
    ...valueHead && { valueHead },
  };
}

async function readValueHead(
  path: string,
  modelWidth: number,
): Promise<Record<string, HostTensor<"float32">> | undefined> {
  try {
    await Deno.stat(path);
  } catch {
    return undefined;
  }
  return await readParameters(path, valueHeadParamSpecs(modelWidth));
}

function checkValueHead(head: Readonly<Record<string, HostTensor>>, modelWidth: number): void {
  const shapesOf = (all: Readonly<Record<string, { shape: readonly number[] }>>): string =>
    Object.keys(all).sort().map((name) => `${name} [${all[name].shape}]`).join(", ");
  const [given, wanted] = [shapesOf(head), shapesOf(valueHeadParamSpecs(modelWidth))];
  if (given !== wanted) {
    throw new CheckpointError(`Cannot save a value head of ${given}: the model needs ${wanted}`);
  }
}

/** How {@linkcode saveModel} writes. */
export interface SaveModelOptions {
  /** Element type of the weights in the file. Default `"float32"`. */
  dtype?: WeightType;
  /** Tensor bytes of one file, at most. Default 5 GB, as in transformers. */
  maxShardBytes?: number;
}

/**
 * Write a model with everything that belongs to it; transformers loads the folder. Each file is
 * replaced atomically; side files that the model does not have are removed.
 *
 * @param folder Folder to write to; made if it is not there
 * @param model The model
 * @param options Element type and size of the files
 * @returns Names of the files written
 * @throws {CheckpointError} If a parameter is missing, unknown or has another shape
 * @throws {DataError} If a file can't be written
 */
export async function saveModel(
  folder: string,
  model: PretrainedModel,
  options: SaveModelOptions = {},
): Promise<string[]> {
  const tensors = fitTensors(model.config, model.tensors);
  if (model.valueHead) checkValueHead(model.valueHead, model.config.modelWidth);
  const written = await saveWeights(folder, tensors, options);
  const write = async (file: string, content: Parameters<typeof writeAtomically>[1]) => {
    await writeAtomically(join(folder, file), content);
    written.push(file);
  };
  await write("config.json", stringifyModelConfig(model.config));
  written.push(...await writeSideFiles(folder, model));
  if (model.valueHead) {
    await write(VALUE_HEAD_FILE, safetensorsChunks(model.valueHead).chunks);
  } else await removeIfThere(join(folder, VALUE_HEAD_FILE));
  return written;
}

/**
 * Write everything a folder holds beside configuration and weights; files that are not given are
 * removed.
 *
 * @param folder A model folder
 * @param side What belongs there
 * @returns Names of the files written
 * @throws {DataError} If a file can't be written
 */
export async function writeSideFiles(folder: string, side: ModelSideFiles): Promise<string[]> {
  const written: string[] = [];
  for (const [key, file] of Object.entries(SIDE_FILES) as [keyof ModelSideFiles, string][]) {
    const path = join(folder, file), value = side[key];
    if (value === undefined) await removeIfThere(path);
    else {
      await writeAtomically(path, typeof value === "string" ? value : stringify(value, file));
      written.push(file);
    }
  }
  return written;
}

/** Vocabularies are written compactly. */
const stringify = (value: unknown, file: string): string =>
  `${file === SIDE_FILES.tokenizerJson ? JSON.stringify(value) : JSON.stringify(value, null, 2)}\n`;
