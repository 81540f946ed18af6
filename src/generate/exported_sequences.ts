/** Exported files as models that generate: what an ONNX folder gives, without weights or recording. @module */
import type { Executable, HostTensors } from "../runtime/mod.ts";
import { type HostTensor, hostTensor, zeroTensor } from "../tensor/host_tensor.ts";
import {
  checkInStep,
  checkRows,
  type Columns,
  inColumns,
  isUnchanged,
  leftPadded,
  logSumExp,
  positionsOf,
  selectRows,
} from "./_rows.ts";
import type { NextTokenLogits, SequenceModel, SequenceState } from "./sequence_model.ts";

/** Sizes that a file does not say. */
export interface ExportedSizes {
  /** V */
  readonly vocabSize: number;
  /** J, heads of keys and values. */
  readonly heads: number;
  /** E, width of one head. */
  readonly headWidth: number;
  /** Tokens that end a text. */
  readonly endTokens: readonly number[];
  /** Most tokens of a row. Default: no limit. */
  readonly maxLength?: number;
}

/** Tokens of a row that are read at once, and logits of a batch. */
const MAX_COLUMNS = 512, MAX_LOGITS = 2 ** 26;

/** Logits after the last position of [B, S, V], and their log Σ exp. */
function lastLogits({ data, shape }: HostTensor): NextTokenLogits {
  const [B, S, V] = shape, all = data as Float32Array;
  const logits = new Float32Array(B * V), sums = new Float32Array(B);
  for (let b = 0; b < B; b++) {
    const row = all.subarray(((b + 1) * S - 1) * V, (b + 1) * S * V);
    logits.set(row, b * V);
    sums[b] = logSumExp(row);
  }
  return { logits, logSumExp: sums };
}

/** What comes out as `present…` goes in as `past_key_values…`. */
const toPast = (outputs: HostTensors): HostTensors =>
  Object.fromEntries(
    Object.entries(outputs)
      .filter(([name]) => name.startsWith("present."))
      .map(([name, t]) => [name.replace("present.", "past_key_values."), t]),
  );

const ints = (data: ArrayLike<number>, shape: number[]): HostTensor<"int32"> =>
  hostTensor("int32", Int32Array.from(data), shape);

/**
 * What to give as a past where there is none: nothing, and for the source of an encoder-decoder zeros
 * in its length, which are not read.
 */
function emptyPast(
  names: readonly string[],
  { heads, headWidth }: ExportedSizes,
  [rows, source]: readonly [rows: number, source: number],
): HostTensors {
  const zeros = (length: number): HostTensor =>
    zeroTensor("float32", [rows, heads, length, headWidth]);
  const [none, unread] = [zeros(0), zeros(source)];
  return Object.fromEntries(
    names.filter((name) => name.startsWith("past_key_values."))
      .map((name) => [name, name.includes(".encoder.") ? unread : none]),
  );
}

class DecoderFileState implements SequenceState {
  readonly #file: Executable;
  readonly #sizes: ExportedSizes;
  #past: HostTensors;
  /** [row][position] 1 where a token stands in the cache. */
  #isToken: number[][];
  #next: NextTokenLogits = { logits: new Float32Array(0), logSumExp: new Float32Array(0) };

  constructor(file: Executable, sizes: ExportedSizes, rows: number) {
    this.#file = file;
    this.#sizes = sizes;
    this.#past = emptyPast(Object.keys(file.inputs), sizes, [rows, 0]);
    this.#isToken = Array.from({ length: rows }, () => []);
  }

  get rows(): number {
    return this.#isToken.length;
  }

  get next(): NextTokenLogits {
    return this.#next;
  }

  get lengths(): readonly number[] {
    return this.#isToken.map((row) => row.reduce((a, b) => a + b, 0));
  }

  async extend(tokens: readonly ArrayLike<number>[]): Promise<void> {
    checkRows(tokens, this.rows);
    const { vocabSize } = this.#sizes;
    // The file gives logits at every position.
    const width = Math.max(
      1,
      Math.min(MAX_COLUMNS, Math.floor(MAX_LOGITS / vocabSize / tokens.length)),
    );
    for (const columns of inColumns(leftPadded(tokens, vocabSize), width)) {
      await this.#read(columns);
    }
  }

  async #read(columns: Columns): Promise<void> {
    const { inputIds, isToken } = columns, before = this.lengths;
    const [B, S] = inputIds.shape;
    this.#isToken = this.#isToken.map((row, b) => [
      ...row,
      ...isToken.data.subarray(b * S, (b + 1) * S),
    ]);
    const all: HostTensors = {
      input_ids: inputIds,
      attention_mask: ints(this.#isToken.flat(), [B, this.#isToken[0].length]),
      position_ids: ints(positionsOf(columns, before), [B, S]),
      ...this.#past,
    };
    // Not every exporter asks for positions.
    const outputs = await this.#file.run(
      Object.fromEntries(Object.keys(this.#file.inputs).map((name) => [name, all[name]])),
    );
    this.#past = toPast(outputs);
    this.#next = lastLogits(outputs.logits);
  }

  select(rows: readonly number[]): void {
    if (isUnchanged(rows, this.rows)) return;
    this.#past = selectRows(this.#past, rows);
    this.#isToken = rows.map((row) => [...this.#isToken[row]]);
  }
}

/**
 * An exported decoder, `model.onnx`, ready to generate.
 *
 * @param file The opened file; it is disposed with the model
 * @param sizes Sizes of the model
 */
export function exportedDecoder(file: Executable, sizes: ExportedSizes): SequenceModel {
  return {
    vocabSize: sizes.vocabSize,
    maxLength: sizes.maxLength ?? Infinity,
    endTokens: sizes.endTokens,
    isEncoderDecoder: false,
    async start(prompts): Promise<SequenceState> {
      const state = new DecoderFileState(file, sizes, prompts.length);
      await state.extend(prompts);
      return state;
    },
    dispose: () => file.dispose(),
  };
}

class Seq2SeqFileState implements SequenceState {
  readonly #decoder: Executable;
  readonly #sizes: ExportedSizes;
  /** `encoder_hidden_states`, `encoder_attention_mask` and the past. */
  #seen: HostTensors;
  #rows: number;
  #length = 0;
  #next: NextTokenLogits = { logits: new Float32Array(0), logSumExp: new Float32Array(0) };

  constructor(decoder: Executable, sizes: ExportedSizes, source: HostTensors) {
    this.#decoder = decoder;
    this.#sizes = sizes;
    const [rows, length] = source.encoder_attention_mask.shape;
    this.#rows = rows;
    this.#seen = {
      ...source,
      ...emptyPast(Object.keys(decoder.inputs), sizes, [rows, length]),
    };
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
    const { inputIds } = leftPadded(tokens, this.#sizes.vocabSize);
    checkInStep(tokens);
    const outputs = await this.#decoder.run({
      ...this.#seen,
      input_ids: inputIds,
      use_cache_branch: hostTensor("bool", Uint8Array.of(this.#length ? 1 : 0), [1]),
    });
    this.#seen = { ...this.#seen, ...toPast(outputs) };
    this.#length += inputIds.shape[1];
    this.#next = lastLogits(outputs.logits);
  }

  select(rows: readonly number[]): void {
    if (isUnchanged(rows, this.#rows)) return;
    this.#seen = selectRows(this.#seen, rows);
    this.#rows = rows.length;
  }
}

/** Both files of an exported encoder-decoder. */
export interface Seq2SeqFiles {
  /** `encoder_model.onnx` */
  readonly encoder: Executable;
  /** `decoder_model_merged.onnx` */
  readonly decoder: Executable;
}

/**
 * An exported encoder-decoder ready to generate.
 *
 * @param files The opened files; they are disposed with the model
 * @param sizes Sizes of the model, and the token that every answer starts with
 */
export function exportedSeq2Seq(
  files: Seq2SeqFiles,
  sizes: ExportedSizes & { readonly startToken: number },
): SequenceModel {
  return {
    vocabSize: sizes.vocabSize,
    maxLength: sizes.maxLength ?? Infinity,
    endTokens: sizes.endTokens,
    isEncoderDecoder: true,
    async start(prompts): Promise<SequenceState> {
      const { inputIds, isToken } = leftPadded(prompts, sizes.vocabSize);
      const mask = ints(isToken.data, [...isToken.shape]);
      const encoded = await files.encoder.run({ input_ids: inputIds, attention_mask: mask });
      const state = new Seq2SeqFileState(files.decoder, sizes, {
        encoder_hidden_states: encoded.last_hidden_state,
        encoder_attention_mask: mask,
      });
      await state.extend(prompts.map(() => [sizes.startToken]));
      return state;
    },
    async dispose(): Promise<void> {
      await files.encoder.dispose();
      await files.decoder.dispose();
    },
  };
}
