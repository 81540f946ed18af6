/** A model as the files of Hugging Face's folder layout, in memory; `hub/` reads and writes folders. @module */
import { CheckpointError, DataError } from "../errors.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import {
  type Model,
  type ModelConfig,
  modelParamSpecs,
  parseModelConfig,
  stringifyModelConfig,
} from "./model.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import { planWeights, settleModel, type StoredTensor } from "./weights_plan.ts";

/** Contents of a model folder by file name. */
export interface ModelFiles {
  /** Sizes and choices, as JSON. */
  readonly "config.json": Uint8Array;
  /** Parameters. */
  readonly "model.safetensors": Uint8Array;
}

const TYPES = { float32: "F32", int32: "I32", bool: "BOOL" } as const;

/** Tensors in memory as a file would describe them. */
function describe(tensors: Readonly<Record<string, HostTensor>>): StoredTensor[] {
  return Object.entries(tensors).map(([name, { shape, dtype }]) => ({
    name,
    shape,
    type: TYPES[dtype],
  }));
}

/**
 * The parameters of a model out of `tensors`, in the model's order.
 *
 * @param config Configuration of the model
 * @param tensors Every parameter, by its Hugging Face name
 * @throws {CheckpointError} If a parameter is missing, unknown or has another shape or type
 */
export function fitTensors(
  config: ModelConfig,
  tensors: Readonly<Record<string, HostTensor>>,
): Record<string, HostTensor<"float32">> {
  const { reads, copies } = planWeights(config, describe(tensors));
  const stray = reads.find(({ from, to }) => from !== to)?.from ?? copies[0];
  if (stray) throw new CheckpointError(`Cannot use ${stray}: it is no parameter of this model`);
  return Object.fromEntries(
    Object.keys(modelParamSpecs(config)).map((
      name,
    ) => [name, tensors[name] as HostTensor<"float32">]),
  );
}

/**
 * The files of a model, which transformers loads too.
 *
 * @param config Sizes and choices
 * @param tensors Every parameter, by its Hugging Face name
 * @throws {CheckpointError} If a parameter is missing, unknown or has another shape or type
 */
export function serialiseModel(
  config: ModelConfig,
  tensors: Readonly<Record<string, HostTensor>>,
): ModelFiles {
  return {
    "config.json": new TextEncoder().encode(stringifyModelConfig(config)),
    "model.safetensors": writeSafetensors(fitTensors(config, tensors), { format: "pt" }),
  };
}

/**
 * A model from the files of a Hugging Face folder; see {@linkcode settleModel} for output layers and
 * copies of the embedding table.
 *
 * @param files Contents by file name
 * @throws {DataError} If a file is no JSON or no sound safetensors
 * @throws {ConfigError} If the configuration is not one of a model this project has
 * @throws {CheckpointError} If a parameter is missing, unknown or has another shape
 * @example
 * ```ts
 * import { parseModel, serialiseModel } from "./model_files.ts";
 * import { modelParamSpecs, parseModelConfig } from "./model.ts";
 * import { hostTensor, sizeOf } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const config = parseModelConfig({ model_type: "t5", d_model: 8, vocab_size: 9, num_layers: 1 });
 * const tensors = Object.fromEntries(
 *   Object.entries(modelParamSpecs(config)).map(([name, { shape }]) => [
 *     name,
 *     hostTensor("float32", new Float32Array(sizeOf(shape)).fill(0.5), shape),
 *   ]),
 * );
 * assertEquals(parseModel(serialiseModel(config, tensors)), { config, tensors });
 * ```
 */
export function parseModel(files: ModelFiles): Model {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(files["config.json"]));
  } catch (error) {
    throw new DataError(`Cannot read config.json: ${(error as Error).message}`, {}, {
      cause: error,
    });
  }
  const { tensors } = readSafetensors(files["model.safetensors"]);
  const plan = planWeights(parseModelConfig(json), describe(tensors));
  return settleModel(
    plan,
    Object.fromEntries(
      plan.reads.map(({ from, to }) => [to, tensors[from] as HostTensor<"float32">]),
    ),
  );
}
