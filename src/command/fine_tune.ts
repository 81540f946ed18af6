/** `fine-tune`: teach a language model prompts and answers. @module */
import { UsageError } from "../errors.ts";
import { hubOf, modelFlags, modelOf, numberOf, refuseTogether } from "./_model_flags.ts";
import type { Command } from "./command.ts";

/** The command. */
export const fineTuneCommand: Command = {
  name: "fine-tune",
  summary: "teach a language model answers to prompts, by low-rank adapters or as a whole",
  details:
    'Learns from lines such as {"prompt": "…", "answer": "…"}; only answers count in the loss. ' +
    "The folder gets adapter_config.json and adapter_model.safetensors, which PEFT loads too, or with " +
    "--whole the whole model. Ctrl-C saves a checkpoint; the same command with --resume goes on, with " +
    "the same data, model and settings.",
  takesConfig: false,
  flags: [
    ...modelFlags.filter(({ name }) => name !== "adapter"),
    { name: "data", value: "file", description: "JSON Lines with prompt and answer." },
    { name: "out", value: "folder", description: "Where to save." },
    { name: "chat", description: "Prompts are what a user says to a chat model." },
    { name: "whole", description: "Train every parameter instead of adapters." },
    {
      name: "targets",
      value: "names",
      description: "Projections with an adapter, separated by commas; all-linear by default.",
    },
    { name: "rank", value: "n", description: "Rank of the adapters; 8 by default." },
    {
      name: "alpha",
      value: "n",
      description: "The adapters are multiplied by alpha / rank; 16 by default.",
    },
    {
      name: "dropout",
      value: "p",
      description: "Rate of dropout on the adapters' inputs; 0 by default.",
    },
    { name: "steps", value: "n", description: "Steps; 100 by default." },
    { name: "batch", value: "n", description: "Examples of a step; 8 by default." },
    { name: "rate", value: "x", description: "Learning rate; 1e-3, or 5e-5 with --whole." },
    { name: "max-tokens", value: "n", description: "Longest example; longer ones are an error." },
    { name: "minutes", value: "n", description: "Stop after so long even if steps are left." },
    {
      name: "seed",
      value: "n",
      description: "Seed of order, dropout and new adapters; 0 by default.",
    },
    { name: "resume", description: "Go on from the latest checkpoint in --out." },
  ],
  examples: [
    {
      text: "Adapters on all projections",
      line: "fine-tune --model=my_model --data=pairs.jsonl --out=my_adapter --steps=200",
    },
    {
      text: "Go on after Ctrl-C",
      line: "fine-tune --model=my_model --data=pairs.jsonl --out=my_adapter --steps=200 --resume",
    },
  ],
  async run({ flags, io }): Promise<number | void> {
    const source = modelOf("fine-tune", flags);
    const [data, folder] = ["data", "out"].map((name) => {
      if (typeof flags[name] === "string") return flags[name];
      throw new UsageError(`Cannot fine-tune: --${name} is missing; see fine-tune --help`);
    });
    if (flags.whole) {
      const adapters = ["targets", "rank", "alpha", "dropout"];
      refuseTogether(flags, adapters, "there are no adapters with --whole");
    }
    const targets = (flags.targets as string | undefined) ?? "all-linear";
    const lora = flags.whole ? undefined : {
      targets: targets === "all-linear" ? targets : targets.split(","),
      rank: numberOf(flags, "rank", { least: 1, most: 4096 }) ?? 8,
      alpha: numberOf(flags, "alpha", { least: 1e-6, isWhole: false }) ?? 16,
      dropoutRate: numberOf(flags, "dropout", { least: 0, most: 0.99, isWhole: false }) ?? 0,
    };
    const options = {
      lora,
      steps: numberOf(flags, "steps", { least: 1 }),
      batchSize: numberOf(flags, "batch", { least: 1 }),
      learningRate: numberOf(flags, "rate", { least: 0, isWhole: false }),
      maxTokens: numberOf(flags, "max-tokens", { least: 2 }),
      maxMinutes: numberOf(flags, "minutes", { least: 0.01, isWhole: false }),
      seed: numberOf(flags, "seed", { least: 0 }),
    };
    const { readPairs } = await import("../data/mod.ts");
    const { loadModel } = await import("../hub/mod.ts");
    const { fineTune } = await import("../recipe/fine_tune.ts");
    const { terminalProgress } = await import("./progress.ts");
    const { onInterrupt } = await import("./interrupt.ts");

    const pairs = await readPairs(data);
    const model = await loadModel(source, hubOf({ flags, io }));
    const progress = terminalProgress({ label: "fine-tune", io });
    using interrupt = onInterrupt(() => progress.message("stopping after this step …"));
    const { training, parameterCount, trainingBytes } = await fineTune(model, pairs, {
      ...options,
      folder,
      isChat: flags.chat === true,
      resume: flags.resume === true,
      progress,
      signal: interrupt.signal,
    });
    if (training.ended === "interrupted") {
      io.out(
        `Interrupted and saved at step ${training.step}. To go on, run the same command with --resume`,
      );
      return 130;
    }
    io.out(
      `${training.step} steps over ${pairs.length} pairs in ${
        (training.seconds / 60).toFixed(1)
      } minutes` + (Number.isFinite(training.loss) ? `; loss ${training.loss.toFixed(3)}` : ""),
    );
    io.out(
      `${parameterCount} parameters trained; ${
        (trainingBytes / 2 ** 20).toFixed(1)
      } MiB for them, ` +
        "their gradients and the optimiser",
    );
    io.out(
      training.ended === "time" ? `Saved in ${folder}; --resume goes on` : `Saved in ${folder}`,
    );
    io.out(
      flags.whole
        ? `Next: deno task generate-text --model=${folder} "…"`
        : `Next: deno task generate-text --model=${source} --adapter=${folder} "…"`,
    );
  },
};
