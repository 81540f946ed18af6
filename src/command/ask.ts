/** `ask`: ask a trained agent one question. @module */
import { UsageError } from "../errors.ts";
import type { Command } from "./command.ts";
import { snippet } from "./_snippet.ts";

/** The command. */
export const ask: Command = {
  name: "ask",
  summary: "ask a trained agent a question, and see each of its steps",
  details:
    "Shows what the agent wrote, what it looked for and found with scores, how likely a retrieval was " +
    "when it decided, its answer, and the time. Overrides such as agent.retriever=exact apply on top of " +
    "the run's configuration.",
  takesConfig: true,
  positional: { name: "question", description: "The question; quotes are not needed." },
  flags: [
    { name: "run", value: "folder", description: "Run to ask; by default the latest agent's." },
    {
      name: "cost",
      value: "number",
      description: "Price of a retrieval; by default the first one it was trained with.",
    },
    { name: "top", value: "n", description: "Documents of a retrieval to show; 3 by default." },
    {
      name: "seed",
      value: "n",
      description: "Draw tokens at random instead of the likeliest ones.",
    },
    { name: "json", description: "Write everything as JSON." },
  ],
  examples: [
    { text: "Ask the latest agent", line: 'ask "Who founded the Patient Pilgrim Company?"' },
    { text: "What if a retrieval were dear?", line: 'ask "Where was Ada Lund born?" --cost=0.9' },
  ],
  async run({ words, flags, io, config }): Promise<void> {
    const question = words.join(" ").trim();
    if (!question) {
      throw new UsageError(
        'Cannot ask: there is no question. Write one behind the command: ask "Who …?"',
      );
    }
    const numberOf = (name: string, lowest: number, isWhole: boolean): number | undefined => {
      if (flags[name] === undefined) return undefined;
      const value = flags[name] === true || flags[name] === "" ? NaN : Number(flags[name]);
      if (value >= lowest && value <= 1e9 && (!isWhole || Number.isInteger(value))) return value;
      throw new UsageError(
        `Cannot use --${name}=${flags[name]}: it takes a ${isWhole ? "whole " : ""}number of at ` +
          `least ${lowest}`,
      );
    };
    const cost = numberOf("cost", 0, false), seed = numberOf("seed", 0, true);
    const top = numberOf("top", 1, true) ?? 3;
    const { findAgentRun, openAgent } = await import("../recipe/open_agent.ts");
    const run = await findAgentRun(flags.run as string | undefined);
    const resolved = config({ text: run.config, origin: run.file("config.yaml") });
    const loading = performance.now();
    await using agent = await openAgent(run, { config: resolved, top });
    await agent.ask(question, { cost, seed }); // the first run of a graph allocates
    const loaded = performance.now() - loading;
    const result = await agent.ask(question, { cost, seed });
    if (flags.json) {
      const { trajectory, answer = null, ...rest } = result;
      const tokens = [...trajectory.tokens];
      io.out(JSON.stringify({ question, answer, ...rest, tokens }, null, 2));
      return;
    }
    const { retriever } = agent.environment;
    for (const [i, step] of result.steps.entries()) {
      const gate = `retrieve with probability ${step.retrieveProb.toFixed(3)}`;
      if (step.move === "retrieve") {
        io.out(`${i + 1}. ${gate}: it does`);
        if (step.text) io.out(`   wrote: ${step.text}`);
        io.out(`   looks for: ${step.query}`);
        if (!step.documents!.length) io.out("   finds nothing");
        for (const [rank, { title, docId, text, score }] of step.documents!.entries()) {
          io.out(
            `   ${rank ? "     " : "reads"} ${score.toFixed(3)}  ${title || docId}  (${docId})`,
          );
          if (!rank) io.out(`         ${snippet(text)}`);
        }
      } else if (step.move === "answer") {
        io.out(`${i + 1}. ${gate}: it answers`);
      } else io.out(`${i + 1}. writes: ${step.text}`);
    }
    io.out("");
    io.out(
      result.answer === undefined
        ? `No answer${result.trajectory.isTruncated ? ": it was cut off" : ""}`
        : `Answer: ${result.answer}`,
    );
    io.out(
      `${result.retrievals} retrieval${result.retrievals === 1 ? "" : "s"} at ${result.cost} ` +
        `(${retriever.name}, scores in ${retriever.scoreUnit}); ` +
        `${result.milliseconds.toFixed(1)} ms (${loaded.toFixed(0)} ms to load ${run.path})`,
    );
  },
};
