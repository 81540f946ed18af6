/**
 * What low-rank adapters save: fine-tuning a model as a whole and by adapters, each in a process of its
 * own.
 *
 *     deno run -A bench/fine_tune.ts [--steps=6] [--batch=8] [--rank=8] [--layers=12]
 *
 * A Llama of 55 M parameters (width 512, 12 layers, vocabulary 32,000, tied), random weights; 8 pairs of
 * about 50 tokens a step. Prints trained parameters, the memory for them with gradients and optimiser
 * state, the peak of the process (Linux only), and the median time of a step.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { decoderParamSpecs, loraConfig } from "../src/model/mod.ts";
import { adamw } from "../src/optim/mod.ts";
import { createTrainStep, onnxExecutor, Optimizer, ParameterStore } from "../src/runtime/mod.ts";
import { randomStream } from "../src/tensor/random.ts";
import { tensorsOf, textModel } from "../src/train/mod.ts";
import { llama } from "./_llama.ts";

const options = parseArgs(Deno.args, {
  string: ["mode", "steps", "batch", "rank", "layers"],
  default: { steps: "6", batch: "8", rank: "8", layers: "12" },
});
const [steps, batch, rank, layers] = [options.steps, options.batch, options.rank, options.layers]
  .map(Number);
const TOKENS = 25;

async function measure(mode: string): Promise<Record<string, number>> {
  const config = llama(layers);
  const start = new ParameterStore(decoderParamSpecs(config));
  start.initialise(1);
  const model = textModel({ config, tensors: tensorsOf(start) }, {
    lora: mode === "adapters"
      ? loraConfig({ targets: "all-linear", rank, alpha: 2 * rank })
      : undefined,
  });
  const store = new ParameterStore(model.specs, { rule: adamw() });
  model.start(store);
  const optimizer = new Optimizer(store);
  const train = await createTrainStep(onnxExecutor(), model.trainingProgram, store);
  const stream = randomStream({ seed: 2, stream: "bench/fine_tune", step: 0 });
  const text = () => Array.from({ length: TOKENS }, () => stream.int(config.vocabSize));
  const times: number[] = [];
  for (let step = 0; step < steps; step++) {
    const pairs = Array.from({ length: batch }, () => ({ prompt: text(), answer: text() }));
    const began = performance.now();
    await train.step(model.batch(pairs).inputs);
    optimizer.step(1e-3, { clipNorm: 1 });
    times.push(performance.now() - began);
  }
  const peak = /VmHWM:\s+(\d+)/.exec(await Deno.readTextFile("/proc/self/status"))?.[1];
  return {
    parameters: store.parameterCount,
    trainingMiB: store.memory.sizeBytes / 2 ** 20,
    peakMiB: Number(peak) / 1024,
    stepMs: times.slice(1).sort((a, b) => a - b)[(times.length - 1) >> 1],
  };
}

if (options.mode) console.log(JSON.stringify(await measure(options.mode)));
else {
  const figures: Record<string, Record<string, number>> = {};
  for (const mode of ["whole", "adapters"]) {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", import.meta.url, `--mode=${mode}`, ...Deno.args],
      stderr: "inherit",
    }).output();
    const f = figures[mode] = JSON.parse(new TextDecoder().decode(stdout));
    console.log(
      `${mode.padEnd(9)} ${f.parameters} trained, ${f.trainingMiB.toFixed(0)} MiB for them, ` +
        `peak ${f.peakMiB.toFixed(0)} MiB, ${f.stepMs.toFixed(0)} ms a step`,
    );
  }
  const ratio = (key: string) => (figures.adapters[key] / figures.whole[key]).toFixed(3);
  console.log(
    `adapters / whole: parameters ${ratio("parameters")}, memory for them ${
      ratio("trainingMiB")
    }, ` +
      `peak ${ratio("peakMiB")}, time ${ratio("stepMs")}`,
  );
}
