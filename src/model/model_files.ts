/** A model as the files of Hugging Face's folder layout; reading and writing them is done elsewhere. @module */
import { CheckpointError, DataError } from "../errors.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import { parseT5Config, type T5Config, t5ConfigToJson } from "./t5_config.ts";
import { T5_EMBEDDING, T5_HEAD, t5ParamSpecs } from "./t5_params.ts";

/** Contents of a model folder by file name. */
export interface ModelFiles {
  /** Sizes and choices, as JSON. */
  readonly "config.json": Uint8Array;
  /** Parameters. */
  readonly "model.safetensors": Uint8Array;
}

/** A model in ordinary memory. */
export interface T5Model {
  /** Sizes and choices. */
  readonly config: T5Config;
  /** Every parameter of {@linkcode t5ParamSpecs}, in its order. */
  readonly tensors: Record<string, HostTensor<"float32">>;
}

/** Names under which older files repeat the embedding table. */
const COPIES = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];

/** In the published v1.0 models; no version of transformers uses it. */
const UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

const isSame = (a: HostTensor, b?: HostTensor): boolean =>
  b !== undefined && a.data.length === b.data.length &&
  (a.data === b.data || a.data.every((x, i) => Object.is(x, b.data[i])));

/** Parameters of `specs` out of `tensors`. All that is wrong is told at once. */
function fit(
  specs: ParamSpecs,
  tensors: Record<string, HostTensor>,
): Record<string, HostTensor<"float32">> {
  const problems: string[] = [];
  const result: Record<string, HostTensor<"float32">> = {};
  for (const [name, { shape }] of Object.entries(specs)) {
    const found = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
    if (!found) problems.push(`${name} is missing`);
    else if (found.dtype !== "float32") problems.push(`${name} is ${found.dtype}, not float32`);
    else if (`${found.shape}` !== `${shape}`) {
      problems.push(`${name} is [${found.shape}], not [${shape}]`);
    } else result[name] = found as HostTensor<"float32">;
  }
  for (const name of Object.keys(tensors)) {
    if (!Object.hasOwn(specs, name)) problems.push(`${name} is no parameter of this model`);
  }
  if (problems.length) {
    throw new CheckpointError(
      `Cannot use these weights: ${problems.length} do not fit the configuration\n` +
        problems.slice(0, 20).map((p) => `  ${p}`).join("\n"),
    );
  }
  return result;
}

/** transformers 5 refuses an integer in a field that it declares as float. */
const WHOLE_FLOATS = /"(initializer_factor|dropout_rate|layer_norm_epsilon)": (\d+)(?=[,\n])/g;

/**
 * The files of a model, which transformers loads too.
 *
 * @param config Sizes and choices
 * @param tensors Every parameter, by its Hugging Face name
 * @throws {CheckpointError} If a parameter is missing, unknown or has another shape or type
 */
export function serialiseModel(
  config: T5Config,
  tensors: Readonly<Record<string, HostTensor>>,
): ModelFiles {
  const fitting = fit(t5ParamSpecs(config), tensors);
  const json = JSON.stringify(t5ConfigToJson(config), null, 2)
    .replace(WHOLE_FLOATS, '"$1": $2.0');
  return {
    "config.json": new TextEncoder().encode(`${json}\n`),
    "model.safetensors": writeSafetensors(fitting, { format: "pt" }),
  };
}

/**
 * A T5 model from the files of a Hugging Face folder.
 *
 * As transformers does, an output layer of its own wins over a configuration that calls it tied
 * (transformers 5 writes that for every model); further copies of the embedding table are taken for
 * what they are if they are equal.
 *
 * @param files Contents by file name
 * @throws {DataError} If a file is no JSON or no sound safetensors
 * @throws {ConfigError} If the configuration is not one of a T5 this project has
 * @throws {CheckpointError} If a parameter is missing, unknown or has another shape
 * @example
 * ```ts
 * import { parseModel, serialiseModel } from "./model_files.ts";
 * import { parseT5Config } from "./t5_config.ts";
 * import { t5ParamSpecs } from "./t5_params.ts";
 * import { hostTensor, sizeOf } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const config = parseT5Config({ model_type: "t5", d_model: 8, vocab_size: 9, num_layers: 1 });
 * const tensors = Object.fromEntries(
 *   Object.entries(t5ParamSpecs(config)).map(([name, { shape }]) => [
 *     name,
 *     hostTensor("float32", new Float32Array(sizeOf(shape)).fill(0.5), shape),
 *   ]),
 * );
 * assertEquals(parseModel(serialiseModel(config, tensors)), { config, tensors });
 * ```
 */
export function parseModel(files: ModelFiles): T5Model {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(files["config.json"]));
  } catch (error) {
    throw new DataError(`Cannot read config.json: ${(error as Error).message}`, {}, {
      cause: error,
    });
  }
  const config = parseT5Config(json);
  const { [UNUSED]: _, ...tensors } = readSafetensors(files["model.safetensors"]).tensors;
  for (const name of config.isTied ? [...COPIES, T5_HEAD] : COPIES) {
    if (Object.hasOwn(tensors, name) && isSame(tensors[name], tensors[T5_EMBEDDING])) {
      delete tensors[name];
    }
  }
  const actual = { ...config, isTied: config.isTied && !Object.hasOwn(tensors, T5_HEAD) };
  return { config: actual, tensors: fit(t5ParamSpecs(actual), tensors) };
}
