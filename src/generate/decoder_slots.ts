/** A decoder whose rows come and go: each slot holds one text, and another one when that has ended. @module */
import { ShapeError } from "../errors.ts";
import { inputsLike } from "../graph/mod.ts";
import { type DecoderModel, longestText } from "../model/mod.ts";
import type { Executor, HostTensors } from "../runtime/mod.ts";
import { hostTensor, zeroTensor } from "../tensor/host_tensor.ts";
import { checkTokens, isUnchanged, mergeRows, padLeft, selectRows } from "./_rows.ts";
import {
  decoderStepProgram,
  type LogitsHead,
  plainHead,
  readColumns,
  stepOutputs,
} from "./decoder_sequences.ts";
import { KeyValueCache } from "./key_value_cache.ts";

/** Choices of {@linkcode openDecoderSlots}. */
export interface DecoderSlotsOptions {
  /** What runs it. */
  readonly executor: Executor;
  /** Number of slots. */
  readonly slots: number;
  /** Tokens of a text to set memory aside for; more are possible. Default 0. */
  readonly expected?: number;
  /**
   * Whether the model's tensors are read at each step where they lie, so that a model in training can
   * write. Default `false`: they become constants, which is faster and leaves them alone.
   */
  readonly isLive?: boolean;
  /** Threads of one operator. Default: all cores. */
  readonly threads?: number;
  /** What is made of the logits in the same graph. Default: {@linkcode plainHead}. */
  readonly head?: LogitsHead;
}

/** Inputs of a head: of each, a number for every slot that is read. */
export type HeadInputs = Readonly<Record<string, ArrayLike<number>>>;

/** Texts in slots. */
export interface DecoderSlots {
  /** V */
  readonly vocabSize: number;
  /** Most tokens of a text. */
  readonly maxLength: number;
  /** Tokens read per slot. */
  readonly lengths: readonly number[];
  /**
   * Read further tokens in some of the slots; the others wait. Slots that get one token each are read
   * together with all the others; where several tokens come, only the slots that get them are computed, and
   * those together that get a similar number, so that little is padded.
   *
   * @param slots Different slots
   * @param tokens Tokens of each, at least one
   * @param inputs Inputs of the head, a number for each of those slots
   * @returns What the head made of the logits of the next token of those slots, in their order
   * @throws {ShapeError} If rows and slots differ, there is no such slot, no token or no such token, a
   * text becomes longer than the model can read, or an input of the head is missing
   */
  read(
    slots: readonly number[],
    tokens: readonly ArrayLike<number>[],
    inputs?: HeadInputs,
  ): Promise<HostTensors>;
  /** Empty a slot. */
  clear(slot: number): void;
  /** Empty all slots, as if they had just been opened: what follows does not depend on what was before. */
  reset(): void;
  /** Free the program. */
  dispose(): Promise<void>;
}

/** Of rows that are read together the longest is at most this many times as long as the shortest. */
const SIMILAR = 1.25;

/** Rows that can be read together without much padding, as indices. */
function similarLengths(
  slots: readonly number[],
  tokens: readonly ArrayLike<number>[],
): number[][] {
  const all = slots.map((_, i) => i);
  const length = (i: number): number => tokens[i].length;
  const groups: number[][] = [];
  for (const i of all.toSorted((a, b) => length(a) - length(b) || slots[a] - slots[b])) {
    const group = groups.at(-1);
    if (group && length(group[0]) * SIMILAR >= length(i)) group.push(i);
    else groups.push([i]);
  }
  // In the order of the slots, which saves a copy of all that was read.
  return groups.length === 1 ? [all] : groups;
}

/**
 * A decoder that writes into slots: when the text of one has ended, it is cleared and takes the next,
 * while the others go on.
 *
 * @param model A decoder
 * @param options What runs it, and how many slots there are
 */
export async function openDecoderSlots(
  model: DecoderModel,
  options: DecoderSlotsOptions,
): Promise<DecoderSlots> {
  const { executor, slots: count, expected = 0, isLive = false, threads } = options;
  const { config } = model, { head = plainHead(config) } = options;
  // Not packed: with many rows the copies that take joined results apart cost more than they save. (With
  // few rows that was not measured.)
  const tensors: HostTensors = model.tensors;
  const program = decoderStepProgram(config, inputsLike(tensors), { head });
  const step = await executor.compile(
    program,
    isLive ? { threads } : { constants: tensors, threads },
  );
  const parameters = isLive ? tensors : {};
  const { layers, keyValueHeads, headWidth, vocabSize } = config;
  const cache = new KeyValueCache({ layers, heads: keyValueHeads, headWidth }, count, expected);
  const maxLength = longestText(config);

  const outputs = stepOutputs(config, count, head);

  /** Inputs of the head for some rows, on rows that may be more; what stands on the others is 0. */
  function headInputs(
    given: HeadInputs,
    rows: readonly number[],
    height: number,
  ): HostTensors {
    return Object.fromEntries(
      Object.entries(head.inputs).map(([name, dtype]) => {
        const column = zeroTensor(dtype, [height]);
        rows.forEach((row, i) => column.data[row] = given[name][i]);
        return [name, column];
      }),
    );
  }

  /** Fail unless all of it can be read. */
  function check(
    slots: readonly number[],
    tokens: readonly ArrayLike<number>[],
    inputs: HeadInputs,
  ): void {
    if (slots.length !== tokens.length || new Set(slots).size !== slots.length) {
      throw new ShapeError(
        `Cannot read: ${tokens.length} rows of tokens are meant for the slots ${slots}`,
      );
    }
    slots.forEach((slot, i) => {
      if (!(slot in cache.lengths)) {
        throw new ShapeError(
          `Cannot read: there is no slot ${slot}; slots are 0 to ${count - 1}`,
        );
      }
      const end = cache.lengths[slot] + tokens[i].length;
      if (end <= maxLength) return;
      throw new ShapeError(
        `Cannot read ${end} tokens in slot ${slot}: the model has ${maxLength} positions`,
      );
    });
    checkTokens(tokens, vocabSize);
    for (const name of Object.keys(head.inputs)) {
      if (inputs[name]?.length === slots.length) continue;
      throw new ShapeError(
        `Cannot read: the head needs "${name}", a number for each of ${slots.length} slots`,
      );
    }
  }

  /** One token for some slots, a padding one for the others: cheaper than to copy their keys. */
  async function readOne(
    slots: readonly number[],
    tokens: readonly ArrayLike<number>[],
    given: HeadInputs,
  ): Promise<HostTensors> {
    const inputIds = new Int32Array(count), isToken = new Float32Array(count);
    slots.forEach((slot, i) => {
      inputIds[slot] = tokens[i][0];
      isToken[slot] = 1;
    });
    const all = await readColumns(step, cache, {
      inputIds: hostTensor("int32", inputIds, [count, 1]),
      isToken: hostTensor("float32", isToken, [count, 1]),
      counts: [...isToken],
    }, { inputs: { ...parameters, ...headInputs(given, slots, count) }, outputs });
    return isUnchanged(slots, count) ? all : selectRows(all, slots);
  }

  /** Rows of similar length. */
  async function readGroup(
    slots: readonly number[],
    tokens: readonly ArrayLike<number>[],
    given: HeadInputs,
  ): Promise<HostTensors> {
    const counts = tokens.map(({ length }) => length);
    const isOne = slots.every((slot, i) => counts[i] === 1 && cache.lengths[slot] > 0);
    if (isOne) return await readOne(slots, tokens, given);
    const all = slots.map((_, i) => i);
    return await readColumns(step, cache, { ...padLeft(tokens), counts }, {
      rows: slots,
      inputs: { ...parameters, ...headInputs(given, all, slots.length) },
    });
  }

  return {
    vocabSize,
    maxLength,
    get lengths(): readonly number[] {
      return cache.lengths;
    },
    async read(slots, tokens, inputs = {}): Promise<HostTensors> {
      // Before anything is read, so that a failure leaves all slots as they were.
      check(slots, tokens, inputs);
      const groups = similarLengths(slots, tokens);
      if (groups.length === 1) return await readGroup(slots, tokens, inputs);
      const made: HostTensors[] = [];
      for (const group of groups) {
        const of = <T>(all: ArrayLike<T>): T[] => group.map((i) => all[i]);
        const given = Object.fromEntries(
          Object.entries(inputs).map(([name, values]) => [name, of(values)]),
        );
        made.push(await readGroup(of(slots), of(tokens), given));
      }
      return mergeRows(made, groups);
    },
    clear: (slot) => cache.clear(slot),
    reset: () => cache.reset(),
    dispose: () => step.dispose(),
  };
}
