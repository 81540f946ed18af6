/** `export-model`: write a language model as ONNX. @module */
import { join } from "@std/path";
import { UsageError } from "../errors.ts";
import { hubOf, isPrecision, modelFlags, modelOf, PRECISIONS } from "./_model_flags.ts";
import type { Command } from "./command.ts";

/** The command. */
export const exportModelCommand: Command = {
  name: "export-model",
  summary: "write a language model as ONNX that transformers.js and ONNX Runtime load",
  details: "The folder gets onnx/model.onnx, or onnx/encoder_model.onnx and " +
    "onnx/decoder_model_merged.onnx, in every precision asked for, with config.json, " +
    "generation_config.json and the tokenizer. Then each precision reads texts that the model writes " +
    "itself, and its size, speed and loss of quality are printed: the divergence of the next token's " +
    "probabilities, how much less likely the texts become, and how often the likeliest token is the " +
    "same. float32 is always written, the others are measured against it.",
  takesConfig: false,
  flags: [
    ...modelFlags,
    { name: "out", value: "folder", description: "Where to write." },
    {
      name: "precision",
      value: "list",
      description: "float32, float16 and int8, separated by commas; float32 by default.",
    },
    { name: "no-measure", description: "Write only, do not measure." },
  ],
  examples: [
    {
      text: "In all precisions",
      line: "export-model --model=my_model --out=exported --precision=float32,float16,int8",
    },
  ],
  async run({ flags, io }): Promise<void> {
    const source = modelOf("export-model", flags);
    const folder = flags.out as string | undefined;
    if (folder === undefined) {
      throw new UsageError(
        "Cannot export: it is not said where to. Name a folder with --out=<folder>",
      );
    }
    const asked = ((flags.precision as string | undefined) ?? "float32").split(",");
    const unknown = asked.find((p) => !isPrecision(p));
    if (unknown !== undefined) {
      throw new UsageError(
        `Cannot export in the precision ${JSON.stringify(unknown)}: there are ${
          PRECISIONS.join(", ")
        }`,
      );
    }
    const precisions = [...new Set(["float32", ...asked])].filter(isPrecision);
    const { exportModel } = await import("../recipe/export_model.ts");
    const { formatExportFigures, measureExport } = await import("../recipe/measure_export.ts");
    const { loadModel, mergeAdapter } = await import("../hub/mod.ts");

    const loaded = await loadModel(source, hubOf({ flags, io }));
    const { adapter } = flags;
    const model = typeof adapter === "string" ? await mergeAdapter(loaded, adapter) : loaded;
    const files = await exportModel(model, folder, { precisions });
    for (const { name, sizeBytes, weights } of files) {
      io.out(`${join(folder, name)}  ${(sizeBytes / 2 ** 20).toFixed(2)} MiB`);
      for (const { name, reason } of weights.kept) io.out(`  ${name} stays float32: ${reason}`);
    }
    if (flags["no-measure"]) return;
    io.err("measuring …");
    const figures = await measureExport(folder, files);
    io.out(formatExportFigures(figures));
    io.out(
      `KL, loss and same top against float32 at ${
        figures[0].places
      } places of texts that the model ` +
        "wrote itself",
    );
  },
};
