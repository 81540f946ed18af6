/** A language model fine-tuned on prompts and answers, by low-rank adapters or as a whole. @module */
import { join } from "@std/path";
import type { PromptAnswer } from "../data/mod.ts";
import { ConfigError, DataError, ShapeError } from "../errors.ts";
import { type Adapter, type LoadedModel, saveAdapter, saveModel } from "../hub/mod.ts";
import { type LoraConfig, loraConfig } from "../model/mod.ts";
import { adamw } from "../optim/mod.ts";
import { type Executor, onnxExecutor } from "../runtime/mod.ts";
import { randomStream } from "../tensor/random.ts";
import {
  type ProgressReporter,
  tensorsOf,
  type TextExample,
  textModel,
  type TrainingRecord,
  trainModel,
  type TrainModelResult,
} from "../train/mod.ts";

/** Choices of {@linkcode fineTune}. */
export interface FineTuneOptions {
  /** Adapters to train; `targets` at least. Without them every parameter is trained. */
  lora?: Partial<LoraConfig> & Pick<LoraConfig, "targets">;
  /** Adapters to go on from. */
  adapter?: Adapter;
  /** Steps. Default 100. */
  steps?: number;
  /** Examples of a step. Default 8. */
  batchSize?: number;
  /** Highest learning rate; a tenth of the steps warm up, then a cosine. Default 1e-3 with adapters, 5e-5 without. */
  learningRate?: number;
  /** Largest norm of the gradient. Default 1. */
  clipNorm?: number;
  /** Longest example in tokens; longer ones are an error. Default: what the model can read. */
  maxTokens?: number;
  /** Seed of the order, of dropout and of new adapters. Default 0. */
  seed?: number;
  /** Stop after this much time even if steps are left. */
  maxMinutes?: number;
  /** Where to save, and to resume from: checkpoints, then the adapters or the model. Default: nowhere. */
  folder?: string;
  /** Go on from the latest checkpoint of `folder`. Default `false`. */
  resume?: boolean;
  /** Takes note of loss and speed. */
  log?: (record: TrainingRecord) => void;
  /** Shows progress. */
  progress?: ProgressReporter;
  /** Ends the training; what was reached until then is saved and returned. */
  signal?: AbortSignal;
  /** What runs it. Default: ONNX Runtime in this thread. */
  executor?: Executor;
}

/** What came of it. */
export interface FineTuned {
  /** The model; with adapters the one that went in. */
  readonly model: LoadedModel;
  /** The adapters, if these were trained. */
  readonly adapter?: Adapter;
  /** How the training ended. */
  readonly training: Omit<TrainModelResult, "store">;
  /** Numbers that were trained. */
  readonly parameterCount: number;
  /** Bytes held for parameters that are trained, their gradients and the optimiser's state. */
  readonly trainingBytes: number;
}

/** Tokens of a pair. The answer ends with the model's end token. */
function exampleOf(model: LoadedModel, { prompt, answer }: PromptAnswer): TextExample {
  const { config } = model, tokenizer = model.tokenizer!;
  const end = config.family === "t5" ? config.endToken : config.endTokens[0];
  const ids = tokenizer.encode(answer, { addSpecialTokens: false });
  return {
    prompt: tokenizer.encode(prompt),
    answer: end === undefined ? ids : [...ids, end],
  };
}

/**
 * Fine-tune a model so that it writes the answers to the prompts. The order of the examples is a pure
 * function of seed and step: every example comes once before one comes twice.
 *
 * @param model A loaded model with its tokenizer
 * @param pairs What to learn
 * @param options Adapters, steps and the rest
 * @throws {ConfigError} If an option is out of range
 * @throws {DataError} If there is nothing to learn, or no tokenizer
 * @throws {ShapeError} If a pair is too long, which is told with its number before anything is trained
 */
export async function fineTune(
  model: LoadedModel,
  pairs: readonly PromptAnswer[],
  options: FineTuneOptions = {},
): Promise<FineTuned> {
  const { steps = 100, batchSize = 8, seed = 0, clipNorm = 1, folder, resume = false } = options;
  const { executor = onnxExecutor(), adapter } = options;
  const lora = adapter?.config ?? (options.lora && loraConfig(options.lora));
  const learningRate = options.learningRate ?? (lora ? 1e-3 : 5e-5);
  for (const [key, value] of Object.entries({ steps, batchSize })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ConfigError([{ key, message: `is ${value}, not a positive integer` }]);
    }
  }
  if (!model.tokenizer) throw new DataError(`Cannot read texts: ${model.folder} has no tokenizer`);
  if (!pairs.length) throw new DataError("Cannot fine-tune: there is no example");
  const { config } = model;
  const longest = config.family === "gpt2" ? config.maxPositions : Infinity;
  const maxTokens = options.maxTokens ?? longest;
  const examples = pairs.map((pair, i) => {
    const example = exampleOf(model, pair);
    const length = example.prompt.length + example.answer.length;
    if (length > maxTokens || !example.answer.length) {
      throw new ShapeError(
        `Cannot learn example ${i}: it has ${length} tokens, ${example.answer.length} of them in its ` +
          `answer; at most ${maxTokens} are allowed and the answer needs one`,
      );
    }
    return example;
  });
  const subject = textModel(model, { lora, adapters: adapter?.tensors, seed, maxTokens });
  const order = (epoch: number): number[] =>
    randomStream({ seed, stream: "fine-tune", step: epoch })
      .shuffle(examples.map((_, i) => i));
  const orders = new Map<number, number[]>();
  const at = (n: number): TextExample => {
    const epoch = Math.floor(n / examples.length);
    if (!orders.has(epoch)) {
      orders.clear();
      orders.set(epoch, order(epoch));
    }
    return examples[orders.get(epoch)![n % examples.length]];
  };
  const { store, ...training } = await trainModel<TextExample>({
    model: subject,
    executor,
    examples: {
      batch: (step, size) => Array.from({ length: size }, (_, i) => at(step * size + i)),
    },
    seed,
    rule: adamw({ weightDecay: 0 }),
    learningRate,
    schedule: { kind: "cosine", warmupSteps: Math.ceil(steps / 10), totalSteps: steps },
    steps,
    batchSize,
    clipNorm,
    maxMinutes: options.maxMinutes,
    checkpoints: folder
      ? {
        folder: join(folder, "checkpoints"),
        every: Math.max(1, Math.ceil(steps / 5)),
        keepLast: 1,
        resume,
        identity: `${config.family} ${examples.length} ${JSON.stringify(lora ?? "whole")}`,
      }
      : undefined,
    log: (record) => {
      if ("loss" in record) options.log?.(record as TrainingRecord);
    },
    progress: options.progress,
    signal: options.signal,
  });
  const tensors = tensorsOf(store);
  const sizes = { parameterCount: store.parameterCount, trainingBytes: store.memory.sizeBytes };
  if (lora) {
    const trained: Adapter = { config: { baseModel: model.folder, ...lora }, tensors };
    if (folder) await saveAdapter(folder, trained, config);
    return { model, adapter: trained, training, ...sizes };
  }
  const whole: LoadedModel = { ...model, tensors };
  if (folder) await saveModel(folder, whole);
  return { model: whole, training, ...sizes };
}
