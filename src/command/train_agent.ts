/** `train-agent`: train an agent that decides when to retrieve. @module */
import type { Command } from "./command.ts";
import { resumedConfig } from "./_resumed.ts";

/** The command. */
export const trainAgentCommand: Command = {
  name: "train-agent",
  summary: "train an agent that answers, and learns when to retrieve",
  details:
    "A warm start on a teacher's episodes, then PPO or GRPO on the agent's own: an answer earns, a " +
    "retrieval costs. The run folder gets the configuration, metrics.jsonl, checkpoints, trajectories, " +
    "the policy in Hugging Face layout and evaluation.json. Ctrl-C saves a checkpoint; " +
    "agent.resume=<run folder> goes on from there.",
  takesConfig: true,
  defaultConfig: "train/agent_grpo",
  flags: [],
  examples: [
    { text: "The oracle world, by GRPO", line: "train-agent --config-name=train/agent_grpo" },
    { text: "By PPO", line: "train-agent --config-name=train/agent_ppo" },
    {
      text: "Questions over two facts",
      line: "train-agent --config-name=train/agent_two_hops",
    },
    {
      text: "Your own questions, with a trained index as the retriever",
      line: "train-agent data=jsonl data.path=my_documents agent.retriever=index " +
        "agent.index=outputs/2026-01-31/12-00-00",
    },
    {
      text: "Go on with a run that was interrupted",
      line: "train-agent agent.resume=outputs/2026-01-31/13-00-00",
    },
  ],
  async run({ io, config }): Promise<number | void> {
    const { trainAgent } = await import("../recipe/train_agent.ts");
    const { terminalProgress } = await import("./progress.ts");
    const { onInterrupt } = await import("./interrupt.ts");

    const resolved = await resumedConfig(config, ({ agent }) => agent.resume);
    using interrupt = onInterrupt(() => io.err("stopping after this step …"));
    const result = await trainAgent(resolved, {
      progress: (label) => terminalProgress({ label, io }),
      signal: interrupt.signal,
    });
    const { run, phase, ended, iterations, seconds, before, evaluation } = result;
    const resume = `deno task train-agent agent.resume=${run.path}`;
    if (ended === "interrupted") {
      io.out(
        `Interrupted ${phase === "policy" ? `after iteration ${iterations}` : `in the ${phase}`} ` +
          `and saved. To go on:\n  ${resume}`,
      );
      return 130;
    }
    const minutes = (time: number): string => (time / 60).toFixed(1);
    const times = `${minutes(seconds.warmStart)} minutes of warm start and ` +
      `${minutes(seconds.policy)} of policy optimisation`;
    io.out(
      ended === "time"
        ? `Time was up at iteration ${iterations} after ${times}. To go on:\n  ${resume} ` +
          "agent.max_minutes=null"
        : `Trained ${iterations} iterations: ${times}`,
    );
    const show = (of: typeof before): string => {
      const [{ return: earned, regret }] = of!.agents;
      return `${earned.value.toFixed(3)}` +
        (regret ? ` (regret ${(100 * regret.value).toFixed(1)} %)` : "");
    };
    if (evaluation) io.out(`Return on part dev: ${show(before)} before, ${show(evaluation)} after`);
    io.out(`Run folder: ${run.path}`);
    io.out(`Next: deno task ask "your question" --run=${run.path}`);
  },
};
