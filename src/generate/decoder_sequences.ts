/** A decoder that reads rows of tokens step by step, keeping keys and values. @module */
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { inputsLike, type Program, type ProgramInput } from "../graph/mod.ts";
import {
  type DecoderConfig,
  decoderLogits,
  type DecoderModel,
  decoderStates,
  longestText,
  type LoraScaling,
  packDecoder,
} from "../model/mod.ts";
import type { Executable, Executor, HostTensors } from "../runtime/mod.ts";
import { type F32, named, namedInts } from "../tensor/axes.ts";
import { type DType, hostTensor, zeroTensor } from "../tensor/host_tensor.ts";
import type { Params } from "../tensor/params.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkRows, type Columns, inColumns, leftPadded, positionsOf } from "./_rows.ts";
import { KeyValueCache } from "./key_value_cache.ts";
import type { NextTokenLogits, SequenceModel, SequenceState } from "./sequence_model.ts";

/** Choices of a decoder that generates. */
export interface DecoderSequenceOptions {
  /** What runs it. */
  executor: Executor;
  /** Low-rank adapters, the parameters of which stand among the model's. */
  lora?: LoraScaling;
  /** Threads of one operator. Default: all cores. */
  threads?: number;
}

/** An output of a program. */
export interface HeadOutput {
  /** Element type. */
  readonly dtype: DType;
  /** Numbers per row, where there are several: the output is [B, width] and not [B]. */
  readonly width?: number;
}

/** What a program makes of the logits of the next token. */
export interface LogitsHead {
  /** Inputs of its own: one number per row. */
  readonly inputs: Readonly<Record<string, DType>>;
  /** Its outputs. */
  readonly outputs: Readonly<Record<string, HeadOutput>>;
  /**
   * Makes them.
   *
   * @param logits [B, V]
   * @param x Its inputs, each [B]
   */
  run(logits: F32<"B V">, x: Params): Readonly<Record<string, Tensor>>;
}

/** What a step of a decoder has beyond its layers. */
export interface DecoderStepOptions {
  /** Low-rank adapters, the parameters of which stand among the model's. */
  readonly lora?: LoraScaling;
  /** What is made of the logits. Default: {@linkcode plainHead}. */
  readonly head?: LogitsHead;
}

/** The logits [B, V] themselves, and their log Σ exp. */
export function plainHead({ vocabSize }: DecoderConfig): LogitsHead {
  return {
    inputs: {},
    outputs: { logits: { dtype: "float32", width: vocabSize }, logSumExp: { dtype: "float32" } },
    run: (logits) => ({ logits: logits as Tensor, logSumExp: tf.logSumExp(logits as Tensor, -1) }),
  };
}

/** Tokens of a row that are read at once. */
const MAX_COLUMNS = 512;

/**
 * The program that reads new tokens, of any number and after any past: one graph for prompts and for
 * single steps, so that the weights are held once.
 *
 * Of B rows with S new tokens, padded on the left, behind pasts of at most P tokens, it gives what the head
 * makes of the logits after the last token, and keys and values of the new tokens for the cache.
 *
 * @param config Sizes of the model
 * @param parameters Inputs that are parameters
 * @param options Adapters among them; what is made of the logits
 */
export function decoderStepProgram(
  config: DecoderConfig,
  parameters: Readonly<Record<string, ProgramInput>>,
  { lora, head = plainHead(config) }: DecoderStepOptions = {},
): Program {
  const cache: ProgramInput = {
    dtype: "float32",
    shape: ["B", config.keyValueHeads, "P", config.headWidth],
  };
  const layers = Array.from({ length: config.layers }, (_, i) => i);
  return {
    name: `${config.family}_step`,
    inputs: {
      ...parameters,
      inputIds: { dtype: "int32", shape: ["B", "S"] },
      positions: { dtype: "int32", shape: ["B", "S"] },
      isToken: { dtype: "float32", shape: ["B", "S"] },
      pastLengths: { dtype: "int32", shape: ["B"] },
      ...perRow(head.inputs),
      ...Object.fromEntries(
        layers.flatMap((i) => [[`past.${i}.keys`, cache], [`past.${i}.values`, cache]]),
      ),
    },
    run: (x) => {
      const room = x["past.0.keys"].shape[2]!;
      const isPast = tf.less(
        tf.expandDims(tf.range(0, room, 1, "int32"), 0),
        tf.expandDims(x.pastLengths, 1),
      );
      const { hidden, keysValues } = decoderStates(x, config, {
        inputIds: namedInts(x.inputIds, "B S", {}),
        positions: namedInts(x.positions, "B S", {}),
        isToken: named(x.isToken, "B S", {}),
        past: {
          isToken: named(tf.cast(isPast, "float32"), "B P", {}),
          keysValues: layers.map((i) => ({
            keys: named(x[`past.${i}.keys`], "B J M E", {}),
            values: named(x[`past.${i}.values`], "B J M E", {}),
          })),
        },
      }, { lora, onlyLast: true });
      const [B, , D] = hidden.shape as number[];
      const logits = decoderLogits(x, config, tf.reshape(hidden as Tensor, [B, D]));
      return {
        ...head.run(named(logits, "B V", {}), x),
        ...Object.fromEntries(
          presentNames(config.layers).map((name, i) => {
            const { keys, values } = keysValues[i >> 1];
            return [name, (i % 2 ? values : keys) as Tensor];
          }),
        ),
      };
    },
  };
}

/** Inputs of one number per row. */
const perRow = (dtypes: Readonly<Record<string, DType>>): Record<string, ProgramInput> =>
  Object.fromEntries(
    Object.entries(dtypes).map(([name, dtype]) => [name, { dtype, shape: ["B"] }]),
  );

/** Outputs of {@linkcode decoderStepProgram} with keys and values of the new tokens, layer by layer. */
const presentNames = (layers: number): string[] =>
  Array.from({ length: layers }, (_, i) => [`present.${i}.keys`, `present.${i}.values`]).flat();

/** Memory for the results of single steps of B rows, which come again and again. */
export function stepOutputs(
  config: DecoderConfig,
  B: number,
  head: LogitsHead = plainHead(config),
): HostTensors {
  const { layers, keyValueHeads, headWidth } = config;
  return {
    ...Object.fromEntries(
      presentNames(layers).map((name) => [
        name,
        zeroTensor("float32", [B, keyValueHeads, 1, headWidth]),
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(head.outputs).map(([name, { dtype, width }]) => [
        name,
        zeroTensor(dtype, width === undefined ? [B] : [B, width]),
      ]),
    ),
  };
}

/** Choices of {@linkcode readColumns}. */
interface ReadOptions {
  /** Rows of the cache that read; their keys are copied out. Default: all, where they lie. */
  rows?: readonly number[];
  /** Memory for the results. */
  outputs?: HostTensors;
  /** Parameters that are no constants of the program, and inputs of its head. */
  inputs?: HostTensors;
}

/**
 * Run {@linkcode decoderStepProgram} over columns of new tokens; their keys and values go into the cache.
 * A row without tokens among them waits: what is returned for it means nothing.
 *
 * @returns Outputs of the head; valid until the next call
 */
export async function readColumns(
  step: Executable,
  cache: KeyValueCache,
  columns: Columns,
  { rows, outputs, inputs }: ReadOptions = {},
): Promise<HostTensors> {
  const { inputIds, isToken, counts } = columns;
  const before = rows ? rows.map((row) => cache.lengths[row]) : cache.lengths;
  const made = await step.run({
    ...inputs,
    inputIds,
    isToken,
    positions: hostTensor("int32", positionsOf(columns, before), inputIds.shape),
    pastLengths: hostTensor("int32", Int32Array.from(before), [before.length]),
    ...cache.tensors(rows),
  }, { outputs });
  const present = presentNames(cache.layers);
  cache.append(present.map((name) => made[name].data as Float32Array), counts, rows);
  return Object.fromEntries(Object.entries(made).filter(([name]) => !present.includes(name)));
}

class DecoderState implements SequenceState {
  readonly #step: Executable;
  readonly #config: DecoderConfig;
  #cache: KeyValueCache;
  #outputs: HostTensors | undefined;
  #next: NextTokenLogits = { logits: new Float32Array(0), logSumExp: new Float32Array(0) };

  constructor(step: Executable, config: DecoderConfig, rows: number, expected: number) {
    this.#step = step;
    this.#config = config;
    const { layers, keyValueHeads, headWidth } = config;
    this.#cache = new KeyValueCache({ layers, heads: keyValueHeads, headWidth }, rows, expected);
  }

  get rows(): number {
    return this.#cache.lengths.length;
  }

  get next(): NextTokenLogits {
    return this.#next;
  }

  get lengths(): readonly number[] {
    return this.#cache.lengths;
  }

  /** Single steps of as many rows write into the same memory. */
  #outputsOf(B: number): HostTensors {
    if (this.#outputs?.logSumExp.shape[0] !== B) this.#outputs = stepOutputs(this.#config, B);
    return this.#outputs;
  }

  async extend(tokens: readonly ArrayLike<number>[]): Promise<void> {
    const { vocabSize, maxPositions, rotary } = this.#config, before = this.#cache.lengths;
    checkRows(tokens, before.length);
    tokens.forEach(({ length }, b) => {
      const end = before[b] + length;
      if (rotary || end <= maxPositions) return;
      throw new ShapeError(
        `Cannot read ${end} tokens in row ${b}: the model has ${maxPositions} positions. ` +
          "Shorten the prompt or generate fewer tokens.",
      );
    });
    for (const columns of inColumns(leftPadded(tokens, vocabSize), MAX_COLUMNS)) {
      await this.#read(columns);
    }
  }

  async #read(columns: Columns): Promise<void> {
    const [B, S] = columns.inputIds.shape;
    const outputs = S === 1 ? this.#outputsOf(B) : undefined;
    const { logits, logSumExp } = await readColumns(this.#step, this.#cache, columns, { outputs });
    this.#next = {
      logits: logits.data as Float32Array,
      logSumExp: logSumExp.data as Float32Array,
    };
  }

  select(rows: readonly number[]): void {
    this.#cache.select(rows);
  }
}

/**
 * A decoder ready to generate. Its weights become constants of the graph, which ONNX Runtime packs for
 * its matrix products: the model's own tensors may be dropped afterwards.
 *
 * @param model The model; with adapters, their parameters stand among its tensors
 * @param options What runs it
 */
export async function openDecoder(
  model: DecoderModel,
  options: DecoderSequenceOptions,
): Promise<SequenceModel> {
  const { config } = model;
  const { executor, lora, threads } = options;
  const tensors = lora ? model.tensors : packDecoder(model);
  const program = decoderStepProgram(config, inputsLike(tensors), { lora });
  const step = await executor.compile(program, { constants: tensors, threads });
  return {
    vocabSize: config.vocabSize,
    maxLength: longestText(config),
    endTokens: config.endTokens,
    isEncoderDecoder: false,
    async start(prompts, expected = 0): Promise<SequenceState> {
      const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
      const state = new DecoderState(step, config, prompts.length, longest + expected);
      await state.extend(prompts);
      return state;
    },
    dispose: () => step.dispose(),
  };
}
