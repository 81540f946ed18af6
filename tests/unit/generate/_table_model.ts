/** A model without weights: the logits of the next token are any function of the tokens so far. */
import type { SequenceModel, SequenceState } from "../../../src/generate/mod.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { logSumExp } from "../nn/_reference.ts";

/** What a {@linkcode tableModel} is made of. */
export interface TableOptions {
  /** V */
  vocabSize: number;
  /** Logits after a row of tokens; a prompt begins it. Default: drawn by the row. */
  logits?: (tokens: readonly number[]) => number[];
  endTokens?: readonly number[];
  maxLength?: number;
  /** Then the prompt is no part of the row, which starts with token 0. Default `false`. */
  isEncoderDecoder?: boolean;
}

/** Normal logits that depend on the row alone. */
export function drawnLogits(vocabSize: number): (tokens: readonly number[]) => number[] {
  return (tokens) => {
    const stream = randomStream({ seed: 2, stream: tokens.join(), step: 0 });
    return Array.from({ length: vocabSize }, () => Math.fround(stream.normal()));
  };
}

/** The model, and the number of rows of each call of `extend`. */
export function tableModel(options: TableOptions): { model: SequenceModel; calls: number[] } {
  const { vocabSize, logits = drawnLogits(vocabSize), endTokens = [] } = options;
  const { maxLength = Infinity, isEncoderDecoder = false } = options;
  const calls: number[] = [];
  const read = (rows: number[][]) => {
    const all = rows.map(logits);
    return {
      logits: Float32Array.from(all.flat()),
      logSumExp: Float32Array.from(all, logSumExp),
    };
  };
  const model: SequenceModel = {
    vocabSize,
    maxLength,
    endTokens,
    isEncoderDecoder,
    start(prompts): Promise<SequenceState> {
      let rows = prompts.map((ids) => isEncoderDecoder ? [0] : Array.from(ids));
      let next = read(rows);
      return Promise.resolve({
        get rows() {
          return rows.length;
        },
        get next() {
          return next;
        },
        get lengths() {
          return rows.map(({ length }) => length);
        },
        extend(tokens): Promise<void> {
          calls.push(tokens.length);
          if (tokens.length !== rows.length) throw new Error("other rows than there are");
          rows = rows.map((row, b) => [...row, ...Array.from(tokens[b])]);
          next = read(rows);
          return Promise.resolve();
        },
        select(kept): void {
          rows = kept.map((row) => rows[row]);
        },
      });
    },
    dispose: () => Promise.resolve(),
  };
  return { model, calls };
}
