/** Low-rank adapters in PEFT's files. @module */
import { join } from "@std/path";
import { makeFolder, writeAtomically } from "../data/atomic_write.ts";
import {
  fromPeftName,
  isConv1d,
  type LoraConfig,
  loraConfigToJson,
  loraParamSpecs,
  mergeLora,
  type Model,
  type ModelConfig,
  modelProjections,
  parseLoraConfig,
  toPeftName,
  type WeightType,
} from "../model/mod.ts";
import { safetensorsChunks } from "../model/safetensors_chunks.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import { needJsonFile } from "./json_file.ts";
import { readParameters } from "./read_parameters.ts";

/** Files of an adapter. */
export const ADAPTER_FILES = {
  config: "adapter_config.json",
  weights: "adapter_model.safetensors",
} as const;

/** Adapters of one model. */
export interface Adapter {
  /** Rank, α and targets. */
  readonly config: LoraConfig;
  /** Parameters of {@linkcode loraParamSpecs}. */
  readonly tensors: Record<string, HostTensor<"float32">>;
}

/**
 * Write adapters as PEFT does: `adapter_config.json` and `adapter_model.safetensors`.
 *
 * @param folder Folder to write to; made if it is not there
 * @param adapter The adapters
 * @param modelConfig Configuration of their model
 * @param options Element type in the file, default float32
 * @throws {DataError} If a file can't be written
 */
export async function saveAdapter(
  folder: string,
  adapter: Adapter,
  modelConfig: ModelConfig,
  options: { dtype?: WeightType } = {},
): Promise<void> {
  await makeFolder(folder);
  const json = loraConfigToJson(adapter.config, {
    isConv1d: isConv1d(modelConfig),
    taskType: modelConfig.family === "t5" ? "SEQ_2_SEQ_LM" : "CAUSAL_LM",
  });
  const stored = Object.fromEntries(
    Object.entries(adapter.tensors).map(([name, tensor]) => [toPeftName(name), tensor]),
  );
  const { chunks } = safetensorsChunks(stored, { metadata: { format: "pt" }, ...options });
  await writeAtomically(join(folder, ADAPTER_FILES.weights), chunks);
  await writeAtomically(join(folder, ADAPTER_FILES.config), `${JSON.stringify(json, null, 2)}\n`);
}

/**
 * Adapters from PEFT's files.
 *
 * @param folder Folder with both files
 * @param modelConfig Configuration of the model they are for
 * @throws {DataError} If a file is missing or broken
 * @throws {ConfigError} If the adapters are of a kind this project does not have, or for another model
 * @throws {CheckpointError} If the weights do not fit
 */
export async function loadAdapter(folder: string, modelConfig: ModelConfig): Promise<Adapter> {
  const config = parseLoraConfig(await needJsonFile(join(folder, ADAPTER_FILES.config)));
  const specs = loraParamSpecs(config, modelProjections(modelConfig));
  const tensors = await readParameters(join(folder, ADAPTER_FILES.weights), specs, fromPeftName);
  return { config, tensors };
}

/**
 * A model with adapters in its weights, see {@linkcode mergeLora}. What has no adapter is not copied.
 *
 * @param model The model
 * @param adapter Its adapters, or their folder
 * @throws {DataError} If a file is missing or broken
 * @throws {CheckpointError} If the adapters do not fit the model
 */
export async function mergeAdapter<M extends Model>(
  model: M,
  adapter: Adapter | string,
): Promise<M> {
  const { config, tensors } = typeof adapter === "string"
    ? await loadAdapter(adapter, model.config)
    : adapter;
  const merge = { config, isConv1d: isConv1d(model.config) };
  return { ...model, tensors: mergeLora(model.tensors, tensors, merge) };
}
