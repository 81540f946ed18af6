/** T5 reading sources and writing targets step by step, keeping keys and values. @module */
import * as tf from "@tensorflow/tfjs-core";
import { inputsLike, type Program, type ProgramInput } from "../graph/mod.ts";
import {
  type KeysValues,
  type LoraScaling,
  type T5Config,
  t5CrossKeysValues,
  t5DecodeStep,
  t5Encode,
  t5Logits,
  type T5Model,
  t5SideOf,
} from "../model/mod.ts";
import type { Executable, HostTensors } from "../runtime/mod.ts";
import { type F32, named, namedInts } from "../tensor/axes.ts";
import { hostTensor } from "../tensor/host_tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkInStep, checkRows, isUnchanged, leftPadded, selectRows } from "./_rows.ts";
import type { DecoderSequenceOptions } from "./decoder_sequences.ts";
import type { NextTokenLogits, SequenceModel, SequenceState } from "./sequence_model.ts";

type Tensors = Record<string, Tensor>;

/** Keys and values of all layers by name, and back. */
const flatten = (prefix: string, list: readonly KeysValues[]): Tensors =>
  Object.fromEntries(list.flatMap(({ keys, values }, i) => [
    [`${prefix}.${i}.keys`, keys as Tensor],
    [`${prefix}.${i}.values`, values as Tensor],
  ]));

const gather = (prefix: string, { decoderLayers }: T5Config, x: Tensors): KeysValues[] => {
  const of = (name: string): F32<"B H M E"> => named(x[name], "B H M E", {});
  return Array.from({ length: decoderLayers }, (_, i) => ({
    keys: of(`${prefix}.${i}.keys`),
    values: of(`${prefix}.${i}.values`),
  }));
};

const cacheInputs = (
  prefix: string,
  { decoderLayers, heads, headWidth }: T5Config,
  positions: string,
): Record<string, ProgramInput> =>
  Object.fromEntries(
    Array.from({ length: decoderLayers }, (_, i) =>
      ["keys", "values"].map((part): [string, ProgramInput] => [
        `${prefix}.${i}.${part}`,
        { dtype: "float32", shape: ["B", heads, positions, headWidth] },
      ])).flat(),
  );

/** Parameters of one side of the model; the embedding table is on both. */
function parametersOf(
  tensors: HostTensors,
  side: "encoder" | "decoder",
): { tensors: HostTensors; inputs: Record<string, ProgramInput> } {
  const own = t5SideOf(tensors, side);
  // The keys and values of the source are made once, beside the encoder.
  for (const name of Object.keys(tensors).filter((n) => /\.EncDecAttention\.[kv]\./.test(n))) {
    if (side === "encoder") own[name] = tensors[name];
    else delete own[name];
  }
  return { tensors: own, inputs: inputsLike(own) };
}

const SOURCE: Record<string, ProgramInput> = {
  inputIds: { dtype: "int32", shape: ["B", "S"] },
  isToken: { dtype: "float32", shape: ["B", "S"] },
};

const encoderProgram = (
  config: T5Config,
  parameters: Record<string, ProgramInput>,
  lora?: LoraScaling,
): Program => ({
  name: "t5_source",
  inputs: { ...parameters, ...SOURCE },
  run: (x) => {
    const source = {
      inputIds: namedInts(x.inputIds, "B S", {}),
      isToken: named(x.isToken, "B S", {}),
    };
    const memory = t5Encode(x, config, source, { lora });
    return flatten("cross", t5CrossKeysValues(x, config, memory, { lora }));
  },
});

const stepProgram = (
  config: T5Config,
  parameters: Record<string, ProgramInput>,
  lora?: LoraScaling,
): Program => ({
  name: "t5_step",
  inputs: {
    ...parameters,
    token: { dtype: "int32", shape: ["B"] },
    isToken: SOURCE.isToken,
    ...cacheInputs("cross", config, "S"),
    ...cacheInputs("self", config, "P"),
  },
  run: (x) => {
    const { hidden, cache } = t5DecodeStep(x, config, {
      token: namedInts(x.token, "N", {}),
      isToken: named(x.isToken, "B S", {}),
      cache: gather("self", config, x),
      crossKeysValues: gather("cross", config, x),
    }, { lora });
    const logits = t5Logits(x, config, hidden as Tensor);
    return { logits, logSumExp: tf.logSumExp(logits, -1), ...flatten("next", cache) };
  },
});

class T5State implements SequenceState {
  readonly #step: Executable;
  readonly #vocabSize: number;
  /** Everything of the source: `isToken` and `cross.*`. */
  #source: HostTensors;
  /** `self.*` */
  #cache: HostTensors;
  #rows: number;
  #length = 0;
  #next: NextTokenLogits = { logits: new Float32Array(0), logSumExp: new Float32Array(0) };

  constructor(step: Executable, config: T5Config, source: HostTensors) {
    this.#step = step;
    this.#vocabSize = config.vocabSize;
    this.#source = source;
    this.#rows = source.isToken.shape[0];
    const shape = [this.#rows, config.heads, 0, config.headWidth];
    this.#cache = Object.fromEntries(
      Object.keys(cacheInputs("self", config, "P")).map((name) => [
        name,
        hostTensor("float32", new Float32Array(0), shape),
      ]),
    );
  }

  get rows(): number {
    return this.#rows;
  }

  get next(): NextTokenLogits {
    return this.#next;
  }

  get lengths(): readonly number[] {
    return Array(this.#rows).fill(this.#length);
  }

  async extend(tokens: readonly ArrayLike<number>[]): Promise<void> {
    checkRows(tokens, this.#rows);
    const { inputIds } = leftPadded(tokens, this.#vocabSize);
    checkInStep(tokens);
    const count = inputIds.shape[1];
    for (let t = 0; t < count; t++) {
      const token = Int32Array.from({ length: this.#rows }, (_, b) => inputIds.data[b * count + t]);
      const { logits, logSumExp, ...next } = await this.#step.run({
        token: hostTensor("int32", token, [this.#rows]),
        ...this.#source,
        ...this.#cache,
      });
      this.#cache = Object.fromEntries(
        Object.entries(next).map(([name, tensor]) => [name.replace("next.", "self."), tensor]),
      );
      this.#length++;
      this.#next = {
        logits: logits.data as Float32Array,
        logSumExp: logSumExp.data as Float32Array,
      };
    }
  }

  select(rows: readonly number[]): void {
    if (isUnchanged(rows, this.#rows)) return;
    this.#source = selectRows(this.#source, rows);
    this.#cache = selectRows(this.#cache, rows);
    this.#rows = rows.length;
  }
}

/**
 * T5 ready to generate: an encoder that makes keys and values of the source once, and a decoder that
 * goes step by step.
 *
 * @param model The model; with adapters, their parameters stand among its tensors
 * @param options What runs it
 */
export async function openT5(
  model: T5Model,
  options: DecoderSequenceOptions,
): Promise<SequenceModel> {
  const { config } = model;
  const { executor, lora, threads } = options;
  const [left, right] = (["encoder", "decoder"] as const).map((side) =>
    parametersOf(model.tensors, side)
  );
  const encoder = await executor.compile(encoderProgram(config, left.inputs, lora), {
    constants: left.tensors,
    threads,
  });
  const step = await executor.compile(stepProgram(config, right.inputs, lora), {
    constants: right.tensors,
    threads,
  });
  return {
    vocabSize: config.vocabSize,
    maxLength: Infinity,
    endTokens: [config.endToken],
    isEncoderDecoder: true,
    async start(prompts): Promise<SequenceState> {
      const { inputIds, isToken } = leftPadded(prompts, config.vocabSize);
      const cross = await encoder.run({ inputIds, isToken });
      const state = new T5State(step, config, { isToken, ...cross });
      await state.extend(prompts.map(() => [config.startToken]));
      return state;
    },
    async dispose(): Promise<void> {
      await encoder.dispose();
      await step.dispose();
    },
  };
}
