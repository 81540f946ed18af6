/** The whole journey for a newcomer, told in plain words. @module */
import type { ResolvedConfig } from "../config/mod.ts";
import { describeDataset } from "../data/mod.ts";
import { DataError } from "../errors.ts";
import type { ProgressReporter } from "../train/progress.ts";
import { exportIndex } from "./export_index.ts";
import { loadIndex } from "./index_folder.ts";
import { loadDataset } from "./load_dataset.ts";
import { EXPORT_FOLDER, openIndex } from "./open_index.ts";
import { RUN_FILES } from "./run_files.ts";
import { trainDsi } from "./train_dsi.ts";

/** Who is told what. */
export interface DemoOptions {
  /** Say a line to the person who watches. */
  readonly say: (text: string) => void;
  /** Shows the training. */
  readonly progress: ProgressReporter;
  /** When it is aborted, the training saves and the demo ends. */
  readonly signal?: AbortSignal;
}

/** Held-out questions that are answered at the end. */
const QUESTIONS = 3;

/**
 * Generate documents, train an index, compare it with BM25, export it, ask it questions.
 *
 * @param config A resolved configuration
 * @param options Who is told what
 * @returns Whether it ran to its end
 */
export async function runDemo(config: ResolvedConfig, options: DemoOptions): Promise<boolean> {
  const { say, progress, signal } = options;
  const began = performance.now();

  say("1. Documents and questions");
  const dataset = await loadDataset(config.data, config.seed);
  const { documents, parts, withoutTrainingQuestions } = describeDataset(dataset);
  const [first] = dataset.documents;
  const asked = dataset.queries.train?.find((q) => q.docIds.includes(first.docId)) ??
    dataset.queries.train?.[0];
  say(
    `   ${documents} documents, ${parts.train?.questions ?? 0} questions to learn from and ` +
      `${parts.dev?.questions ?? 0} held back for the test.\n` +
      `   No question is ever asked about ${withoutTrainingQuestions} of the documents before the ` +
      "test.\n" +
      `   A document:  ${first.title}: ${first.text.slice(0, 110).replace(/\s+\S*$/, "")} …\n` +
      `   A question:  ${asked?.query ?? "none"}`,
  );

  say("\n2. Training a model that knows the documents by heart: question in, document id out");
  const { run, training, evaluation } = await trainDsi(dataset, config, {
    progress,
    signal,
  });
  if (training.ended === "interrupted") {
    say(`   Interrupted and saved. To go on: deno task train-dsi training.resume=${run.path}`);
    return false;
  }
  if (!evaluation) throw new DataError("Cannot show the demo: the dataset has no test questions");

  say("\n3. The test: how often is the right document the first answer?");
  for (const { system, rows } of evaluation.systems) {
    const share = (row: typeof rows[number]) => `${(row.hitsAt1.value * 100).toFixed(1)} %`;
    const unseen = rows.find((row) => row.group.startsWith("without"));
    say(
      `   ${share(rows[0]).padStart(7)}  ${system}` +
        (unseen?.questions ? `  (${share(unseen)} for documents never asked about)` : ""),
    );
  }
  say("   BM25 is the usual keyword search. It can't learn that people say things differently.");

  say("\n4. Export to ONNX, compared with the model it came from");
  const folder = run.file(EXPORT_FOLDER);
  const { files, verification = [] } = await exportIndex(
    await loadIndex(run.file(RUN_FILES.model)),
    folder,
    {
      beam: config.export.beam,
      verify: config.export.verify,
      documents: dataset.documents,
    },
  );
  const total = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const worst = Math.max(0, ...verification.map((v) => v.relativeError));
  say(
    `   ${folder}: ${files.length} files, ${(total / 2 ** 20).toFixed(1)} MiB` +
      (verification.length ? `; largest relative error ${worst.toExponential(1)}` : ""),
  );

  say("\n5. Questions it has never seen, answered by the exported file");
  await using index = await openIndex(run);
  const questions = (dataset.queries.dev ?? []).filter((q) => q.docIds.length);
  const step = Math.max(1, Math.floor(questions.length / QUESTIONS));
  await index.search(questions[0].query); // the first run of a graph allocates
  for (let i = 0; i < QUESTIONS && i * step < questions.length; i++) {
    const { query, docIds } = questions[i * step];
    const start = performance.now();
    const { documents: [answer] } = await index.search(query);
    const time = performance.now() - start;
    say(
      `   ${query}\n   → ${answer.title}  (probability ${answer.probability.toFixed(2)}, ` +
        `${time.toFixed(1)} ms; ${docIds.includes(answer.docId) ? "right" : "wrong"})`,
    );
  }
  say(
    `\nDone in ${((performance.now() - began) / 1000).toFixed(0)} seconds. Everything is in ` +
      `${run.path}.\nNext: deno task retrieve "your question" · deno task evaluate-model · ` +
      "deno task train-dsi --help",
  );
  return true;
}
