/** Texts in which a policy chose some of the tokens. @module */
import { ShapeError } from "../errors.ts";
import type { HostTensors } from "../runtime/mod.ts";
import { hostTensor } from "../tensor/host_tensor.ts";
import { padBatch } from "../text/mod.ts";

/** A row of tokens, and which of them the policy chose. */
export interface PolicyText {
  /** Everything it read and wrote. */
  readonly tokens: ArrayLike<number>;
  /** [T] positions of the tokens it chose, rising, each at least 1. The others were given. */
  readonly actions: ArrayLike<number>;
  /** [T] 1 where it could have chosen to retrieve. */
  readonly mayRetrieve: ArrayLike<number>;
}

/** A teacher's episode. */
export interface Lesson extends PolicyText {
  /** [T] 1 where another choice was as good, or may be at a high price. */
  readonly isTied: ArrayLike<number>;
}

/** Tensors of {@linkcode policyBatchOf}. */
export interface PolicyBatchTensors {
  /** `inputIds`, `isToken`, `states`, `actions`, `mayRetrieve`, as a policy's programs want them. */
  readonly inputs: HostTensors;
  /** T of each text. */
  readonly lengths: readonly number[];
  /** Positions that hold a token. */
  readonly tokens: number;
  /** All positions. */
  readonly positions: number;
}

/**
 * Texts as one batch: rows padded on the right, and the choices of all rows one after another.
 *
 * @param texts B texts
 * @param padId Fills up short rows
 * @throws {ShapeError} If a choice has no token before it or stands outside of its text
 */
export function policyBatchOf(texts: readonly PolicyText[], padId: number): PolicyBatchTensors {
  const { inputIds, isToken } = padBatch(texts.map(({ tokens }) => tokens), { padId });
  const S = inputIds.shape[1];
  const lengths = texts.map(({ actions }) => actions.length);
  const count = lengths.reduce((a, b) => a + b, 0);
  const states = new Int32Array(count), actions = new Int32Array(count);
  const mayRetrieve = new Float32Array(count);
  let n = 0;
  texts.forEach((text, b) => {
    for (let t = 0; t < text.actions.length; t++) {
      const at = text.actions[t];
      if (!(at >= 1 && at < text.tokens.length)) {
        throw new ShapeError(
          `Cannot score choice ${t} of text ${b}: it stands at ${at} of ${text.tokens.length} ` +
            "tokens, and the first has nothing before it",
        );
      }
      states[n] = b * S + at - 1;
      actions[n] = text.tokens[at];
      mayRetrieve[n++] = text.mayRetrieve[t];
    }
  });
  return {
    inputs: {
      inputIds,
      isToken,
      states: hostTensor("int32", states, [count]),
      actions: hostTensor("int32", actions, [count]),
      mayRetrieve: hostTensor("float32", mayRetrieve, [count]),
    },
    lengths,
    tokens: isToken.data.reduce((a, b) => a + b, 0),
    positions: isToken.data.length,
  };
}
