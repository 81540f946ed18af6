/** What generation needs of a model, whatever its family. @module */

/** Logits of the next token of every row. */
export interface NextTokenLogits {
  /** [B, V], valid until the next call. */
  readonly logits: Float32Array;
  /** [B] log Σ exp of each row: `logits[v] − logSumExp` is the model's log-probability of token v. */
  readonly logSumExp: Float32Array;
}

/**
 * Rows of tokens that a model has read, and what it keeps of them. Rows may differ in length; they can
 * be extended, reordered, repeated and dropped.
 */
export interface SequenceState {
  /** B, rows at present. */
  readonly rows: number;
  /** Logits after the last token of each row. */
  readonly next: NextTokenLogits;
  /** Tokens read per row. */
  readonly lengths: readonly number[];
  /**
   * Read further tokens, at least one for each row; `next` follows.
   *
   * @throws {ShapeError} If a row is missing or empty, or becomes longer than the model can read
   */
  extend(tokens: readonly ArrayLike<number>[]): Promise<void>;
  /**
   * Keep these rows, in this order; a row may be kept several times. `next` is as before until the next
   * `extend`, which is for the rows that were kept.
   */
  select(rows: readonly number[]): void;
}

/** A model that says how likely each next token is. */
export interface SequenceModel {
  /** V */
  readonly vocabSize: number;
  /** Most tokens of a row, the prompt included; Infinity where there is no limit. */
  readonly maxLength: number;
  /** Tokens that end a text. */
  readonly endTokens: readonly number[];
  /** Do texts answer their prompts, as those of an encoder-decoder, instead of beginning with them? */
  readonly isEncoderDecoder: boolean;
  /**
   * Read prompts. For an encoder-decoder they are the sources, and each row starts with its start
   * token, which does not count as generated.
   *
   * @param prompts B rows of token ids, each at least one
   * @param expected Tokens that are likely to follow, for which memory may be set aside. Default 0
   * @throws {ShapeError} If a row is empty or too long, or an id is not in the vocabulary
   */
  start(prompts: readonly ArrayLike<number>[], expected?: number): Promise<SequenceState>;
  /** Free the programs. */
  dispose(): Promise<void>;
}
