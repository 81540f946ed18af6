/** Language models to be trained on prompts and answers, whole or by low-rank adapters. @module */
import { ShapeError } from "../errors.ts";
import { inputsLike, parameterInputs, type Program } from "../graph/program.ts";
import {
  decoderLoss,
  type DecoderModel,
  type LoraConfig,
  loraParamSpecs,
  type LoraScaling,
  loraScaling,
  type Model,
  modelParamSpecs,
  modelProjections,
  t5Loss,
  type T5Model,
  trainingDropout,
} from "../model/mod.ts";
import { IGNORE } from "../nn/mod.ts";
import type { ParameterStore } from "../runtime/parameter_store.ts";
import { named, namedInts } from "../tensor/axes.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import type { Params } from "../tensor/params.ts";
import { padBatch } from "../text/mod.ts";
import type { TrainableModel, TrainingBatch } from "./trainable_model.ts";

/** A prompt and the answer to learn; the loss counts the answer's tokens alone. */
export interface TextExample {
  /** Token ids that are given. A decoder reads them, an encoder-decoder has them as its source. */
  readonly prompt: ArrayLike<number>;
  /** Token ids to learn, the end token included. */
  readonly answer: ArrayLike<number>;
}

/** Choices of {@linkcode textModel}. */
export interface TextModelOptions {
  /** Train low-rank adapters and leave the model as it is. Default: train every parameter. */
  readonly lora?: LoraConfig;
  /** Adapters to go on from. Default: new ones. */
  readonly adapters?: Readonly<Record<string, HostTensor<"float32">>>;
  /** Seed of new adapters. Default 0. */
  readonly seed?: number;
  /** Longest example in tokens, prompt and answer together; longer ones are refused. Default: no limit. */
  readonly maxTokens?: number;
}

const concat = (a: ArrayLike<number>, b: ArrayLike<number>): number[] => [
  ...Array.from(a),
  ...Array.from(b),
];

function lossOf(model: Model, lora?: LoraScaling): (x: Params) => Params {
  const { config } = model;
  return (x) => {
    const inputIds = namedInts(x.inputIds, "B S", {});
    const isToken = named(x.isToken, "B S", {});
    if (config.family === "t5") {
      const labels = namedInts(x.labels, "B T", {});
      const options = { dropoutRate: config.dropoutRate, lora };
      return { loss: t5Loss(x, config, { inputIds, isToken, labels }, options) };
    }
    const labels = namedInts(x.labels, "B S", {});
    const dropout = trainingDropout(config);
    return { loss: decoderLoss(x, config, { inputIds, isToken, labels }, { dropout, lora }) };
  };
}

/** Tokens and labels of a batch. */
function batchOf(model: Model, examples: readonly TextExample[]): TrainingBatch {
  const { config } = model;
  const isSeq2Seq = config.family === "t5";
  const pad = (rows: readonly ArrayLike<number>[], padId: number) => padBatch(rows, { padId });
  const source = pad(
    examples.map(({ prompt, answer }) => isSeq2Seq ? prompt : concat(prompt, answer)),
    config.padToken ?? 0,
  );
  const labels = pad(
    examples.map(({ prompt, answer }) =>
      isSeq2Seq ? answer : concat(new Int32Array(prompt.length).fill(IGNORE), answer)
    ),
    IGNORE,
  );
  const { inputIds, isToken } = source;
  return {
    inputs: { inputIds, isToken, labels: labels.inputIds },
    rows: {},
    tokens: isToken.data.reduce((a, b) => a + b, 0),
    positions: isToken.data.length,
  };
}

/**
 * A language model as something that can be trained: the loss is the mean over the answers' tokens, in
 * nats, with the model's own rates of dropout.
 *
 * With adapters the weights of the model are inputs that are read where they lie: only the adapters get
 * gradients and optimiser state.
 *
 * @param model The model to start from; it is not changed
 * @param options Adapters, and the longest example
 * @throws {ConfigError} If a target of the adapters is no projection of the model
 */
export function textModel(
  model: DecoderModel | T5Model | Model,
  options: TextModelOptions = {},
): TrainableModel<TextExample> {
  const { config, tensors } = model;
  const { lora, adapters, seed = 0, maxTokens = Infinity } = options;
  const scaling = lora && loraScaling(lora, { isTraining: true });
  const specs = lora ? loraParamSpecs(lora, modelProjections(config)) : modelParamSpecs(config);
  const target = config.family === "t5" ? "T" : "S";
  const trainingProgram: Program = {
    name: `${config.family}_training`,
    inputs: {
      ...inputsLike(tensors),
      ...parameterInputs(specs),
      inputIds: { dtype: "int32", shape: ["B", "S"] },
      isToken: { dtype: "float32", shape: ["B", "S"] },
      labels: { dtype: "int32", shape: ["B", target] },
    },
    run: lossOf(model, scaling),
  };
  return {
    family: config.family,
    specs,
    trainingProgram,
    start(store: ParameterStore): void {
      if (!lora) store.load(tensors);
      else if (adapters) store.load(adapters);
      else store.initialise(seed);
    },
    batch(examples): TrainingBatch {
      examples.forEach(({ prompt, answer }, i) => {
        const length = prompt.length + answer.length;
        if (!answer.length || length > maxTokens) {
          throw new ShapeError(
            `Cannot learn example ${i} of a batch: its answer has ${answer.length} tokens and it ` +
              `has ${length}; the answer needs one at least, and ${maxTokens} are allowed`,
          );
        }
        if (config.family === "t5" && !prompt.length) {
          throw new ShapeError(`Cannot learn example ${i} of a batch: its prompt has no token`);
        }
        if (config.family !== "t5" && length < 2) {
          throw new ShapeError(
            `Cannot learn example ${i} of a batch: nothing stands before its only token`,
          );
        }
      });
      const batch = batchOf(model, examples);
      return lora ? { ...batch, inputs: { ...tensors, ...batch.inputs } } : batch;
    },
  };
}

/** The adapters or parameters in a store, copied out of its memory. */
export function tensorsOf(store: ParameterStore): Record<string, HostTensor<"float32">> {
  return Object.fromEntries(
    Object.entries(store.params).map(([name, { data, shape }]) => [
      name,
      hostTensor("float32", data.slice(), shape),
    ]),
  );
}
