/** `train-dsi`: train an index over documents. @module */
import type { Command } from "./command.ts";
import { resumedConfig } from "./_resumed.ts";

/** The command. */
export const trainDsiCommand: Command = {
  name: "train-dsi",
  summary: "train a Differentiable Search Index over documents",
  details: "Reads or generates the dataset, gives every document its docid, trains the model and " +
    "measures it beside BM25. The run folder gets the configuration, metrics.jsonl, checkpoints, " +
    "the model in Hugging Face layout and evaluation.json. Ctrl-C saves a checkpoint; " +
    "training.resume=<run folder> goes on from there.",
  takesConfig: true,
  flags: [],
  examples: [
    {
      text: "Ten steps over a generated dataset",
      line:
        "train-dsi --config-name=train/dsi_pretrain data=synthetic model=dsi_small training.max_steps=10",
    },
    {
      text: "Your own documents, atomic docids",
      line: "train-dsi data=jsonl data.path=my_documents docid=atomic",
    },
    {
      text: "Go on with a run that was interrupted",
      line: "train-dsi training.resume=outputs/2026-01-31/12-00-00",
    },
  ],
  async run({ io, config }): Promise<number | void> {
    const { loadDataset } = await import("../recipe/load_dataset.ts");
    const { trainDsi } = await import("../recipe/train_dsi.ts");
    const { terminalProgress } = await import("./progress.ts");
    const { onInterrupt } = await import("./interrupt.ts");

    const resolved = await resumedConfig(config, ({ training }) => training.resume);
    const dataset = await loadDataset(resolved.data, resolved.seed);
    const progress = terminalProgress({ label: "train-dsi", io });
    using interrupt = onInterrupt(() => progress.message("stopping after this step …"));
    const { run, training, evaluation } = await trainDsi(dataset, resolved, {
      progress,
      signal: interrupt.signal,
    });
    const resume = `deno task train-dsi training.resume=${run.path}`;
    if (training.ended === "interrupted") {
      io.out(`Interrupted and saved at step ${training.step}. To go on:\n  ${resume}`);
      return 130;
    }
    const minutes = (training.seconds / 60).toFixed(1);
    io.out(
      training.ended === "time"
        ? `Time was up at step ${training.step} after ${minutes} minutes. To go on:\n  ${resume} ` +
          "training.max_minutes=null"
        : `Trained ${training.step} steps in ${minutes} minutes; loss ${training.loss.toFixed(3)}`,
    );
    if (evaluation) {
      const { hitsAt1 } = evaluation.systems[0].rows[0];
      io.out(`Hits@1 on part dev: ${hitsAt1.value.toFixed(3)}`);
    }
    io.out(`Run folder: ${run.path}`);
    io.out(`Next: deno task retrieve "your question" --run=${run.path}`);
  },
};
