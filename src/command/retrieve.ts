/** `retrieve`: ask a trained index. @module */
import { UsageError } from "../errors.ts";
import type { Command } from "./command.ts";
import { providerFlags, providerOf } from "./_provider_flags.ts";
import { snippet } from "./_snippet.ts";

/** The command. */
export const retrieve: Command = {
  name: "retrieve",
  summary: "ask a trained index a question",
  details:
    "Answers with the most probable documents, best first: probability, title and beginning. " +
    "Uses the exported graph of the run where there is one, else its model.",
  takesConfig: false,
  positional: { name: "question", description: "The question; quotes are not needed." },
  flags: [
    { name: "run", value: "folder", description: "Run to ask; by default the latest trained one." },
    { name: "top", value: "n", description: "Documents to show; 5 by default." },
    ...providerFlags,
    { name: "json", description: "Write the answer as JSON." },
  ],
  examples: [
    { text: "Ask the latest index", line: 'retrieve "When was the second oil crisis?"' },
    { text: "More documents, for a program", line: 'retrieve "oil crisis" --top=10 --json' },
  ],
  async run({ words, flags, io }): Promise<void> {
    const question = words.join(" ").trim();
    if (!question) {
      throw new UsageError(
        'Cannot search: there is no question. Write one behind the command: retrieve "When …?"',
      );
    }
    const top = flags.top === undefined ? 5 : Number(flags.top);
    if (!Number.isSafeInteger(top) || top < 1 || top > 1000) {
      throw new UsageError(`Cannot show ${flags.top} documents: --top takes 1 to 1000`);
    }
    const onnx = providerOf(flags);
    const { findTrainedRun, openIndex } = await import("../recipe/open_index.ts");
    const run = await findTrainedRun(flags.run as string | undefined);
    const loading = performance.now();
    await using index = await openIndex(run, { beam: Math.max(10, top), atLeast: top, onnx });
    const { provider } = index.searcher;
    await index.search(question); // the first run of a graph allocates
    const began = performance.now();
    const { documents, droppedMass } = await index.search(question);
    const milliseconds = performance.now() - began;
    const found = documents.slice(0, top).map(({ docId, title, text, probability, logProb }, i) => (
      { rank: i + 1, docId, title, text, probability, logProb }
    ));
    if (flags.json) {
      io.out(
        JSON.stringify(
          { question, provider, milliseconds, droppedMass, documents: found },
          null,
          2,
        ),
      );
      return;
    }
    for (const { rank, docId, title, text, probability } of found) {
      io.out(
        `${String(rank).padStart(2)}. ${probability.toFixed(3)}  ${title || docId}  (${docId})`,
      );
      io.out(`    ${snippet(text)}`);
    }
    io.out(
      `${milliseconds.toFixed(1)} ms for this question (${
        (began - loading).toFixed(0)
      } ms to load ` +
        `${index.source === "export" ? "the exported graph" : "the model"} of ${run.path}` +
        `${provider === "cpu" ? "" : ` on ${provider}`})`,
    );
  },
};
