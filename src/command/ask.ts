/** `ask`: ask a trained agent one question. @module */
import { UsageError } from "../errors.ts";
import type { Command } from "./command.ts";
import type { Attribution } from "../recipe/attribute.ts";
import { snippet } from "./_snippet.ts";

/** Documents shown at either end. */
const SHOWN = 5;

/** The documents that are pushed most, up first, as lines. */
function attributionLines({ answer, logLikelihood, documents }: Attribution): string[] {
  const shown = documents.length <= 2 * SHOWN
    ? documents
    : [...documents.slice(0, SHOWN), ...documents.slice(-SHOWN)];
  return [
    "",
    `Why: p("${answer}" | question) = ${
      Math.exp(logLikelihood).toFixed(4)
    } over ${documents.length} ` +
    "documents. A step on this answer pushes by p(d|q,y) − p(d|q):",
    "       push   p(d|q)  p(y|q,d)  p(d|q,y)",
    ...shown.map(({ push, prior, likelihood, posterior, title, docId }) =>
      [push, prior, likelihood, posterior].map((x, i) =>
        `${i === 0 && x >= 0 ? "+" : ""}${x.toFixed(4)}`.padStart(i === 0 ? 11 : 9)
      ).join("") + `  ${title || docId}  (${docId})`
    ),
  ];
}

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
    {
      name: "why",
      description: "Also show which documents the answer's gradient pushes up or down (runs of " +
        "train-joint).",
    },
    {
      name: "answer",
      value: "text",
      description: "With --why: the answer to explain; by default the agent's own.",
    },
    { name: "json", description: "Write everything as JSON." },
  ],
  examples: [
    {
      text: "Which documents would a step on this answer move?",
      line: 'ask "Where was Ada Lund born?" --why --answer=Brackwater',
    },
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
    if (flags.answer !== undefined && !flags.why) {
      throw new UsageError("Cannot use --answer: it goes with --why");
    }
    const { findAgentRun, openAgent } = await import("../recipe/open_agent.ts");
    const run = await findAgentRun(flags.run as string | undefined);
    const resolved = config({ text: run.config, origin: run.file("config.yaml") });
    const loading = performance.now();
    await using agent = await openAgent(run, { config: resolved, top });
    await agent.ask(question, { cost, seed }); // the first run of a graph allocates
    const loaded = performance.now() - loading;
    const result = await agent.ask(question, { cost, seed });
    const attribution = flags.why
      ? await (await import("../recipe/attribute.ts")).attributeAnswer(agent, question, {
        answer: flags.answer as string | undefined ?? result.answer,
      })
      : undefined;
    if (flags.json) {
      const { trajectory, answer = null, ...rest } = result;
      const tokens = [...trajectory.tokens];
      io.out(JSON.stringify({ question, answer, ...rest, tokens, attribution }, null, 2));
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
    if (attribution) attributionLines(attribution).forEach((line) => io.out(line));
  },
};
