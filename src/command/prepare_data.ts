/** `prepare-data`: check a dataset, or generate one, and write it with a search index. @module */
import { join } from "@std/path";
import type { DatasetDescription } from "../data/mod.ts";
import { RUNS_ROOT } from "../recipe/run_folder.ts";
import type { Command } from "./command.ts";

const STORE_FILE = "documents.sqlite";
const STATISTICS_FILE = "statistics.json";

/** What a person wants to know about a dataset. */
export function describeInWords(description: DatasetDescription): string {
  const { documents, words, withoutTrainingQuestions, parts } = description;
  const lines = [
    `${documents} documents of ${words.min} to ${words.max} words (median ${words.median}), ` +
    `${withoutTrainingQuestions} of them without a training question`,
  ];
  for (const [part, { questions, words, withoutDocuments }] of Object.entries(parts)) {
    const lengths = questions ? ` of ${words.min} to ${words.max} words` : "";
    const note = withoutDocuments ? `, ${withoutDocuments} without a right document` : "";
    lines.push(`${questions} questions${lengths} in part ${part}${note}`);
  }
  return lines.join("\n");
}

/** The command. */
export const prepareData: Command = {
  name: "prepare-data",
  summary: "check a dataset, or generate one, and write it with a search index",
  details: "Reads the dataset of the section data, or generates it (data=synthetic), reports all " +
    "that is wrong with it at once, and writes docs.jsonl, queries.<part>.jsonl, " +
    `${STORE_FILE} (full-text search with BM25) and ${STATISTICS_FILE} to output.dir, by default ` +
    `${RUNS_ROOT}/data/<data.name>. Training reads that folder with data=jsonl data.path=<folder>.`,
  takesConfig: true,
  flags: [
    { name: "force", description: "Replace other documents that the folder holds." },
    { name: "json", description: "Write the statistics as JSON." },
  ],
  examples: [
    { text: "Generate 300 documents with questions", line: "prepare-data data=synthetic" },
    {
      text: "Check your own documents",
      line: "prepare-data data=jsonl data.path=my_documents output.dir=prepared",
    },
    {
      text: "Turn a BEIR folder into the JSONL layout, its test part as dev",
      line: "prepare-data data=beir data.path=scifact data.name=scifact data.dev_part=test",
    },
  ],
  async run({ flags, io, config }): Promise<void> {
    const { data, seed, output } = config();
    const {
      corpusFingerprint,
      describeDataset,
      DocumentStore,
      isThere,
      readDocuments,
      writeAtomically,
      writeDataset,
    } = await import("../data/mod.ts");
    const { loadDataset } = await import("../recipe/load_dataset.ts");
    const { DataError } = await import("../errors.ts");

    const dataset = await loadDataset(data, seed);
    const description = describeDataset(dataset);
    const folder = output.dir ?? join(RUNS_ROOT, "data", data.name);
    const hasDocuments = await isThere(join(folder, "docs.jsonl"));
    if (hasDocuments && !flags.force) {
      const present = corpusFingerprint(await readDocuments(folder));
      if (present !== description.fingerprint) {
        throw new DataError(
          `Cannot write the dataset to ${folder}: it holds other documents. Choose another ` +
            "output.dir, or replace them with --force",
        );
      }
    }
    await writeDataset(folder, dataset);
    {
      using store = DocumentStore.open(join(folder, STORE_FILE));
      if (store.fingerprint !== description.fingerprint) {
        store.put(dataset.documents, { replace: true });
      }
    }
    const statistics = JSON.stringify(description, null, 2);
    await writeAtomically(join(folder, STATISTICS_FILE), `${statistics}\n`);
    if (flags.json) {
      io.out(statistics);
      return;
    }
    io.out(describeInWords(description));
    io.out(`Written to ${folder}`);
    const path = /^[\w./-]+$/.test(folder) ? `data.path=${folder}` : `"data.path=${folder}"`;
    io.out(`Next: deno task train-dsi data=jsonl ${path}`);
  },
};
