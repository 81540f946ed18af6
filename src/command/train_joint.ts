/** `train-joint`: train an agent together with the index it retrieves with. @module */
import type { Command } from "./command.ts";
import { resumedConfig } from "./_resumed.ts";

/** The command. */
export const trainJointCommand: Command = {
  name: "train-joint",
  summary: "train an agent together with its index: one gradient through both",
  details:
    "Three phases: the index learns from labelled pairs (or is taken from a run, or begins untrained), the " +
    "agent from a teacher, then both from the agent's own episodes: PPO or GRPO improves the agent, while " +
    "the answers' likelihood teaches the index which documents were worth reading. The run folder gets what " +
    "train-dsi and train-agent write, and the index before joint training in index/. Ctrl-C saves a " +
    "checkpoint; joint.resume=<run folder> goes on from there.",
  takesConfig: true,
  defaultConfig: "train/joint",
  flags: [],
  examples: [
    { text: "A world and an index that was trained too little", line: "train-joint" },
    {
      text: "No labels at all: answers alone teach the index",
      line: "train-joint --config-name=train/joint_no_labels",
    },
    {
      text: "The control: the same with the index frozen",
      line: "train-joint joint.dsi_learning_rate=0",
    },
    {
      text: "Your own questions, and an index that is trained already",
      line:
        "train-joint data=jsonl data.path=my_documents joint.index=outputs/2026-01-31/12-00-00 " +
        "joint.dsi_learning_rate=1e-3 joint.supervised_weight=1",
    },
    {
      text: "Go on with a run that was interrupted",
      line: "train-joint joint.resume=outputs/2026-01-31/13-00-00",
    },
  ],
  async run({ io, config }): Promise<number | void> {
    const { trainJoint } = await import("../recipe/train_joint.ts");
    const { terminalProgress } = await import("./progress.ts");
    const { onInterrupt } = await import("./interrupt.ts");

    const resolved = await resumedConfig(config, ({ joint }) => joint.resume);
    using interrupt = onInterrupt(() => io.err("stopping after this step …"));
    const { run, phase, ended, iterations, seconds, before, after } = await trainJoint(resolved, {
      progress: (label) => terminalProgress({ label, io }),
      signal: interrupt.signal,
    });
    const resume = `deno task train-joint joint.resume=${run.path}`;
    if (ended === "interrupted") {
      io.out(
        `Interrupted ${phase === "joint" ? `after iteration ${iterations}` : `in the ${phase}`} ` +
          `and saved. To go on:\n  ${resume}`,
      );
      return 130;
    }
    const minutes = (time: number): string => (time / 60).toFixed(1);
    const times = `${minutes(seconds.index)} minutes of the index, ` +
      `${minutes(seconds.warmStart)} of warm start and ${minutes(seconds.joint)} together`;
    io.out(
      ended === "time"
        ? `Time was up at iteration ${iterations} after ${times}. To go on:\n  ${resume} ` +
          "agent.max_minutes=null"
        : `Trained ${iterations} iterations: ${times}`,
    );
    const percent = (x: number | undefined): string =>
      x === undefined ? "–" : `${(100 * x).toFixed(1)} %`;
    const change = (of: (figures: typeof before) => number | undefined): string =>
      `${percent(of(before))} before, ${percent(of(after))} after`;
    if (after?.agent) {
      io.out(`Right answers on part dev: ${change((f) => f?.agent?.agents[0].accuracy.value)}`);
    }
    if (after?.index?.["hits@1"] !== undefined) {
      io.out(`Hits@1 of the index: ${change((f) => f?.index?.["hits@1"])}`);
    }
    io.out(`Run folder: ${run.path}`);
    io.out(`Next: deno task evaluate-model --run=${run.path}`);
  },
};
