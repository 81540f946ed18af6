/** A language model fine-tuned on prompts and answers, by low-rank adapters or as a whole. @module */
import { createHash } from "node:crypto";
import { join } from "@std/path";
import { makeFolder, type PromptAnswer } from "../data/mod.ts";
import { CheckpointError, ConfigError, DataError, ShapeError } from "../errors.ts";
import { type Adapter, type LoadedModel, saveAdapter, saveModel } from "../hub/mod.ts";
import { longestText, type LoraConfig, loraConfig } from "../model/mod.ts";
import { adamw } from "../optim/mod.ts";
import { type Executor, onnxExecutor } from "../runtime/mod.ts";
import { encodeChat } from "../text/mod.ts";
import {
  type ProgressReporter,
  shuffledEpochs,
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
  /** Are prompts what a user says to a chat model, and answers what it replies? Default `false`. */
  isChat?: boolean;
  /** Longest example in tokens; longer ones are an error. Default: what the model can read. */
  maxTokens?: number;
  /** Seed of the order, of dropout and of new adapters. Default 0. */
  seed?: number;
  /** Stop after this much time even if steps are left. */
  maxMinutes?: number;
  /**
   * Where to save: checkpoints while it runs, then the adapters or the model. Default: nowhere. Not the
   * folder of a model that is trained as a whole.
   */
  folder?: string;
  /** Go on from the latest checkpoint of `folder`, with the same data and options. Default `false`. */
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

/** The token that ends an answer: the tokenizer's where the model ends there, as chat models do. */
function endOf({ config, tokenizer }: LoadedModel): number | undefined {
  if (config.family === "t5") return config.endToken;
  const own = tokenizer!.eosId;
  return own !== undefined && config.endTokens.includes(own) ? own : config.endTokens[0];
}

/** Tokens of a pair. */
function exampleOf(
  model: LoadedModel,
  { prompt, answer }: PromptAnswer,
  isChat: boolean,
): TextExample {
  const tokenizer = model.tokenizer!, end = endOf(model);
  const ids = tokenizer.encode(answer, { addSpecialTokens: false });
  return {
    prompt: isChat
      ? encodeChat(tokenizer, model, [{ role: "user", content: prompt }], {
        addGenerationPrompt: true,
      })
      : tokenizer.encode(prompt),
    answer: end === undefined ? ids : [...ids, end],
  };
}

/** What a run depends on, as a checksum: resuming needs the same. Of weights, the first numbers count. */
function identityOf(model: LoadedModel, what: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify([model.config, what]));
  for (const { data } of Object.values(model.tensors)) {
    hash.update(new Uint8Array(data.buffer, data.byteOffset, Math.min(data.byteLength, 4096)));
  }
  return hash.digest("hex");
}

/** A new run must not find the checkpoints of another one. */
async function refuseCheckpoints(folder: string): Promise<void> {
  try {
    for await (const _ of Deno.readDir(folder)) {
      throw new CheckpointError(
        `Cannot start a training in ${folder}: it holds checkpoints of one that did not end. Go on ` +
          "with `resume` (--resume), or name another folder",
      );
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Whether two paths are one folder. */
async function isSameFolder(a: string, b: string): Promise<boolean> {
  try {
    return await Deno.realPath(a) === await Deno.realPath(b);
  } catch {
    return false;
  }
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
 * @throws {CheckpointError} If `folder` holds checkpoints of an unfinished training and `resume` was not
 *   asked for, or they belong to another one
 * @throws {ShapeError} If a pair is too long, which is told with its number before anything is trained
 */
export async function fineTune(
  model: LoadedModel,
  pairs: readonly PromptAnswer[],
  options: FineTuneOptions = {},
): Promise<FineTuned> {
  const { steps = 100, batchSize = 8, seed = 0, clipNorm = 1, folder, resume = false } = options;
  const { executor = onnxExecutor(), adapter, isChat = false } = options;
  if (adapter && options.lora) {
    throw new ConfigError([{ key: "lora", message: "can't be given with adapters to go on from" }]);
  }
  const lora = adapter?.config ?? (options.lora && loraConfig(options.lora));
  const learningRate = options.learningRate ?? (lora ? 1e-3 : 5e-5);
  for (const [key, value] of Object.entries({ steps, batchSize })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new ConfigError([{ key, message: `is ${value}, not a positive integer` }]);
    }
  }
  for (const [key, value] of Object.entries({ learningRate, clipNorm })) {
    if (!(value > 0 && value < Infinity)) {
      throw new ConfigError([{ key, message: `is ${value}, not a positive number` }]);
    }
  }
  if (!model.tokenizer) throw new DataError(`Cannot read texts: ${model.folder} has no tokenizer`);
  if (!pairs.length) throw new DataError("Cannot fine-tune: there is no example");
  const { config } = model;
  const maxTokens = options.maxTokens ?? longestText(config);
  const examples = pairs.map((pair, i) => {
    const example = exampleOf(model, pair, isChat);
    const length = example.prompt.length + example.answer.length;
    const isShort = length < 2 || !example.answer.length ||
      (config.family === "t5" && !example.prompt.length);
    if (length > maxTokens || isShort) {
      throw new ShapeError(
        `Cannot learn example ${i}: it has ${length} tokens, ${example.answer.length} of them in its ` +
          `answer; at most ${maxTokens} are allowed, and an answer needs one and one before it`,
      );
    }
    return example;
  });
  const subject = textModel(model, { lora, adapters: adapter?.tensors, seed, maxTokens });
  const at = shuffledEpochs(examples, { seed, stream: "fine-tune" });
  const checkpoints = folder && join(folder, "checkpoints");
  if (folder && checkpoints) {
    if (!lora && await isSameFolder(folder, model.folder)) {
      throw new DataError(`Cannot save into ${folder}: it holds the model that is trained`);
    }
    await makeFolder(folder); // rather told now than after the training
    if (!resume) await refuseCheckpoints(checkpoints);
  }
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
    checkpoints: checkpoints
      ? {
        folder: checkpoints,
        every: Math.max(1, Math.ceil(steps / 5)),
        keepLast: 1,
        resume,
        identity: identityOf(model, [
          examples.map(({ prompt, answer }) => [Array.from(prompt), Array.from(answer)]),
          lora,
          { steps, batchSize, learningRate, clipNorm },
        ]),
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
  const isOver = training.ended === "finished";
  if (lora) {
    const trained: Adapter = { config: { baseModel: model.source, ...lora }, tensors };
    if (folder) await saveAdapter(folder, trained, config);
    if (checkpoints && isOver) await Deno.remove(checkpoints, { recursive: true });
    return { model, adapter: trained, training, ...sizes };
  }
  const whole: LoadedModel = { ...model, tensors };
  if (folder) await saveModel(folder, whole);
  if (checkpoints && isOver) await Deno.remove(checkpoints, { recursive: true });
  return { model: whole, training, ...sizes };
}
