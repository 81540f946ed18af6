/** `export`: write a trained index as ONNX. @module */
import { join } from "@std/path";
import type { Command } from "./command.ts";

const MIB = 2 ** 20;

/** The command. */
export const exportCommand: Command = {
  name: "export",
  summary: "write a trained index as ONNX for Deno, Node, Python and browsers",
  details: "search.onnx takes inputIds and isToken [B, S] and gives doc, logProb [B, K] and " +
    "droppedMass [B]; it uses standard operators only. tokenizer.json makes the ids, documents.json " +
    "names the documents, docids.json their docids. The graph is compared with the eager model at " +
    "several sizes first (export.verify=false leaves that out) and read back afterwards.",
  takesConfig: true,
  flags: [
    {
      name: "run",
      value: "folder",
      description: "Run to export; by default the latest trained one.",
    },
  ],
  examples: [
    { text: "The latest run, into its folder export", line: "export" },
    {
      text: "Twenty documents a question, elsewhere",
      line: "export export.beam=20 export.path=public",
    },
  ],
  async run({ flags, io, config }): Promise<void> {
    const { EXPORT_FOLDER, findTrainedRun, searcherOfExport } = await import(
      "../recipe/open_index.ts"
    );
    const { exportIndex } = await import("../recipe/export_index.ts");
    const { loadIndex } = await import("../recipe/index_folder.ts");
    const { RUN_FILES } = await import("../recipe/run_files.ts");
    const { DocumentStore } = await import("../data/mod.ts");

    const run = await findTrainedRun(flags.run as string | undefined);
    const resolved = config({ text: run.config, origin: run.file("config.yaml") });
    const { verify, beam, path } = resolved.export;
    const folder = path ?? run.file(EXPORT_FOLDER);
    const index = await loadIndex(run.file("model"));
    using documents = DocumentStore.open(run.file(RUN_FILES.documents));
    const report = await exportIndex(index, folder, {
      beam,
      verify,
      documents: documents.documents(),
    });
    for (const { output, relativeError } of report.verification ?? []) {
      io.out(`verified ${output}: relative error ${relativeError.toExponential(1)}`);
    }
    for (const { name, sizeBytes } of report.files) {
      io.out(`${join(folder, name)}  ${(sizeBytes / MIB).toFixed(2)} MiB`);
    }
    const searcher = await searcherOfExport(folder);
    const began = performance.now();
    const [{ hits }] = await searcher.search(["a question to try the exported graph"]);
    io.out(
      `read back: ${hits.length} documents in ${(performance.now() - began).toFixed(1)} ms, ` +
        `${report.nodes} nodes`,
    );
    await searcher.dispose();
  },
};
