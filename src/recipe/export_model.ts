/** A language model as the ONNX folder that transformers.js, Optimum and ONNX Runtime's users load. @module */
import { join } from "@std/path";
import { makeFolder, removeIfThere, writeAtomically } from "../data/mod.ts";
import { CheckpointError } from "../errors.ts";
import {
  decoderBranches,
  decoderExportProgram,
  encoderExportProgram,
  EXPORT_SYMBOLS,
  generationConfigToJson,
  SEQ2SEQ_SYMBOLS,
} from "../generate/mod.ts";
import {
  inputsLike,
  type OnnxOptions,
  type OnnxPrecision,
  record,
  type Recording,
  toMergedOnnx,
  toOnnx,
  type WeightReport,
  type WrittenModel,
} from "../graph/mod.ts";
import { type PretrainedModel, writeSideFiles } from "../hub/mod.ts";
import {
  fitTensors,
  isDecoder,
  type ModelConfig,
  packDecoder,
  stringifyModelConfig,
  type T5Config,
  t5SideOf,
} from "../model/mod.ts";

/** How the weights of an exported file are stored. */
export type ExportPrecision = OnnxPrecision;

/** What transformers.js expects behind the name of a file of each precision. */
export const PRECISION_SUFFIX: Readonly<Record<ExportPrecision, string>> = {
  float32: "",
  float16: "_fp16",
  int8: "_quantized",
};

/** Choices of {@linkcode exportModel}. */
export interface ExportModelOptions {
  /** Precisions to write. Default: float32 alone. */
  readonly precisions?: readonly ExportPrecision[];
  /** Weights beyond this many bytes go to a file beside the model. Default 1.9e9, the format's limit. */
  readonly externalDataBytes?: number;
}

/** A written file. */
export interface ExportedFile {
  /** Name within the folder, such as `onnx/model_fp16.onnx`. */
  readonly name: string;
  /** How its weights are stored. */
  readonly precision: ExportPrecision;
  /** Its size, with its data file. */
  readonly sizeBytes: number;
  /** What the weights lost. */
  readonly weights: WeightReport;
  /** Name of its data file, where it has one. */
  readonly dataFile?: string;
}

/** One graph to write, in any precision. */
interface Graph {
  readonly name: string;
  readonly write: (options: OnnxOptions) => WrittenModel;
}

/** Ids, masks and positions are int64 in that world. */
const int64Of = (recording: Recording): string[] =>
  recording.inputs.filter(({ dtype }) => dtype === "int32").map(({ name }) => name);

function graphsOf(model: PretrainedModel): Graph[] {
  if (isDecoder(model)) {
    const tensors = packDecoder(model);
    const recording = record(decoderExportProgram(model.config, inputsLike(tensors)), {
      dialect: "export",
    });
    const fixed = { constants: tensors, int64: int64Of(recording), symbolNames: EXPORT_SYMBOLS };
    return [{ name: "model", write: (options) => toOnnx(recording, { ...fixed, ...options }) }];
  }
  const config = model.config as T5Config;
  const left = t5SideOf(model.tensors, "encoder"), right = t5SideOf(model.tensors, "decoder");
  const encoder = record(encoderExportProgram(config, inputsLike(left)), { dialect: "export" });
  const branches = decoderBranches(config, inputsLike(right));
  const merge = {
    name: "t5_decoder",
    condition: "use_cache_branch",
    whenTrue: record(branches.further, { dialect: "export" }),
    whenFalse: record(branches.first, { dialect: "export" }),
  };
  return [
    {
      name: "encoder_model",
      write: (options) =>
        toOnnx(encoder, {
          constants: left,
          int64: int64Of(encoder),
          symbolNames: SEQ2SEQ_SYMBOLS,
          ...options,
        }),
    },
    {
      name: "decoder_model_merged",
      write: (options) =>
        toMergedOnnx(merge, {
          constants: right,
          int64: int64Of(merge.whenFalse),
          symbolNames: SEQ2SEQ_SYMBOLS,
          ...options,
        }),
    },
  ];
}

/** `config.json`, with what transformers.js must know to find data files. */
function configText(config: ModelConfig, files: readonly ExportedFile[]): string {
  const text = stringifyModelConfig(config);
  const withData = files.filter(({ dataFile }) => dataFile);
  if (!withData.length) return text;
  const data = Object.fromEntries(withData.map(({ name }) => [name.replace("onnx/", ""), 1]));
  const section = JSON.stringify({ use_external_data_format: data });
  return text.replace(/\n}\n$/, `,\n  "transformers.js_config": ${section}\n}\n`);
}

function generationConfigOf(model: PretrainedModel): unknown {
  if (model.generationConfig !== undefined) return model.generationConfig;
  const { config } = model;
  if (config.family !== "t5") return generationConfigToJson(config);
  const { endToken, padToken, startToken } = config;
  return generationConfigToJson({ endTokens: [endToken], padToken, startToken });
}

/**
 * Write a model in the layout of transformers.js and Optimum: `onnx/model.onnx` for a decoder,
 * `onnx/encoder_model.onnx` and `onnx/decoder_model_merged.onnx` for an encoder-decoder, and beside them
 * `config.json`, `generation_config.json` and the tokenizer's files. Standard operators of opset 17.
 *
 * `float16` halves the files; the arithmetic stays float32, as it is on ONNX Runtime's CPU provider in
 * any case. `int8` quantises dynamically: matrices have 8 bits and one scale per output, activations
 * are quantised as they come. {@linkcode measureExport} says what either loses.
 *
 * @param model A model without adapters; merge them first
 * @param folder Is made if it is not there; what an earlier export left in its `onnx/` is replaced, and
 *   side files that the model does not have are removed
 * @param options Precisions and size of data files
 * @throws {CheckpointError} If a parameter is missing, or the model has a precision nobody knows
 * @throws {DataError} If a file can't be written
 */
export async function exportModel(
  model: PretrainedModel,
  folder: string,
  options: ExportModelOptions = {},
): Promise<ExportedFile[]> {
  const { externalDataBytes } = options;
  const precisions = [...new Set<ExportPrecision>(options.precisions ?? ["float32"])];
  const unknown = precisions.find((p) => !Object.hasOwn(PRECISION_SUFFIX, p));
  if (unknown !== undefined || !precisions.length) {
    throw new CheckpointError(
      `Cannot export in ${
        unknown === undefined ? "no precision" : `the precision ${unknown}`
      }: there are ${Object.keys(PRECISION_SUFFIX).join(", ")}`,
    );
  }
  fitTensors(model.config, model.tensors);
  await makeFolder(join(folder, "onnx"));
  const began = Date.now();
  const files: ExportedFile[] = [];
  for (const graph of graphsOf(model)) {
    for (const precision of precisions) {
      const name = `onnx/${graph.name}${PRECISION_SUFFIX[precision]}.onnx`;
      const { model: bytes, externalData, weights } = graph.write({
        precision,
        dataFileName: `${graph.name}${PRECISION_SUFFIX[precision]}.onnx_data`,
        ...externalDataBytes !== undefined && { externalDataBytes },
      });
      if (externalData) {
        await writeAtomically(join(folder, "onnx", externalData.fileName), externalData.chunks);
      }
      await writeAtomically(join(folder, name), bytes);
      files.push({
        name,
        precision,
        sizeBytes: bytes.length + (externalData?.sizeBytes ?? 0),
        weights,
        ...externalData && { dataFile: `onnx/${externalData.fileName}` },
      });
    }
  }
  await removeOthers(folder, files);
  await removeCutOff(join(folder, "onnx"), began);
  await writeAtomically(join(folder, "config.json"), configText(model.config, files));
  await writeSideFiles(folder, { ...model, generationConfig: generationConfigOf(model) });
  return files;
}

/** What an export that was killed left behind. */
async function removeCutOff(folder: string, beforeMs: number): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!/^\..*\.tmp$/.test(name)) continue;
    const path = join(folder, name), { mtime } = await Deno.stat(path);
    if (mtime && mtime.getTime() < beforeMs) await removeIfThere(path);
  }
}

/** Files of an earlier export into the same folder would be taken for this model's. */
async function removeOthers(folder: string, files: readonly ExportedFile[]): Promise<void> {
  const written = new Set(
    files.flatMap(({ name, dataFile }) => dataFile ? [name, dataFile] : [name]),
  );
  for (const graph of ["model", "encoder_model", "decoder_model_merged"]) {
    for (const suffix of Object.values(PRECISION_SUFFIX)) {
      for (const end of [".onnx", ".onnx_data"]) {
        const name = `onnx/${graph}${suffix}${end}`;
        if (!written.has(name)) await removeIfThere(join(folder, name));
      }
    }
  }
}
