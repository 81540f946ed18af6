/** An exported folder as a model that generates. @module */
import { join } from "@std/path";
import { DataError } from "../errors.ts";
import { exportedDecoder, exportedSeq2Seq, type SequenceModel } from "../generate/mod.ts";
import { isFile, needJsonFile } from "../hub/mod.ts";
import { longestText, parseModelConfig } from "../model/mod.ts";
import { type Executable, type OnnxExecutorOptions, openOnnx } from "../runtime/mod.ts";
import { type ExportPrecision, PRECISION_SUFFIX } from "./export_model.ts";

/** Choices of {@linkcode openExported}. */
export interface OpenExportedOptions extends OnnxExecutorOptions {
  /** Which of the exported precisions. Default `"float32"`. */
  readonly precision?: ExportPrecision;
}

/**
 * An exported folder ready to generate: {@linkcode exportModel}'s, or one in the same layout from Optimum
 * or the Hub, as long as its files take float32 and integers.
 *
 * @param folder Holds `config.json` and `onnx/`
 * @param options Precision, threads and provider
 * @throws {DataError} If a file is missing or no JSON
 * @throws {ConfigError} If the model is of no family this project has
 * @throws {KernelError} If ONNX Runtime can't open a file, or can't on its provider and nothing may take
 *   its place
 */
export async function openExported(
  folder: string,
  options: OpenExportedOptions = {},
): Promise<SequenceModel> {
  const { precision = "float32", ...onnx } = options;
  const config = parseModelConfig(await needJsonFile(join(folder, "config.json")));
  const open = async (name: string): Promise<Executable> => {
    const path = join(folder, "onnx", `${name}${PRECISION_SUFFIX[precision]}.onnx`);
    if (!await isFile(path)) {
      const there = await filesIn(join(folder, "onnx"));
      throw new DataError(
        `Cannot open ${path}: there is no such file. The export has ${there.join(", ") || "none"}`,
      );
    }
    return await openOnnx(path, onnx);
  };
  const { vocabSize, headWidth } = config;
  if (config.family !== "t5") {
    return exportedDecoder(await open("model"), {
      vocabSize,
      headWidth,
      heads: config.keyValueHeads,
      endTokens: config.endTokens,
      maxLength: longestText(config),
    });
  }
  const encoder = await open("encoder_model");
  let decoder: Executable;
  try {
    decoder = await open("decoder_model_merged");
  } catch (error) {
    await encoder.dispose();
    throw error;
  }
  return exportedSeq2Seq({ encoder, decoder }, {
    vocabSize,
    headWidth,
    heads: config.heads,
    endTokens: [config.endToken],
    startToken: config.startToken,
  });
}

async function filesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) if (name.endsWith(".onnx")) names.push(name);
  } catch {
    // there is no such folder
  }
  return names.sort();
}
