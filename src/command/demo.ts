/** `demo`: the whole journey on a generated dataset. @module */
import type { Command } from "./command.ts";

/** The command. */
export const demo: Command = {
  name: "demo",
  summary: "the whole journey on a generated dataset, in under three minutes",
  details:
    "Generates documents and questions, trains an index, compares it with BM25, exports it and " +
    "answers three questions. Needs no download. The configuration is train/demo.",
  takesConfig: true,
  defaultConfig: "train/demo",
  flags: [],
  examples: [
    { text: "The whole journey", line: "demo" },
    { text: "With more documents", line: "demo data.documents=1000" },
  ],
  async run({ io, config }): Promise<number | void> {
    const { runDemo } = await import("../recipe/demo.ts");
    const { terminalProgress } = await import("./progress.ts");
    const { onInterrupt } = await import("./interrupt.ts");
    const progress = terminalProgress({ label: "training", io });
    using interrupt = onInterrupt(() => progress.message("stopping after this step …"));
    const isFinished = await runDemo(config(), {
      say: (text) => io.out(text),
      progress,
      signal: interrupt.signal,
    });
    return isFinished ? undefined : 130;
  },
};
