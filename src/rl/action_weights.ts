/** What each sampled action counts in a loss over several sequences. @module */
import { ShapeError } from "../errors.ts";

/** One weight for each action, in order; `weightOf` gives that of all actions of a sequence. */
function repeated(
  lengths: ArrayLike<number>,
  weightOf: (length: number, sequence: number) => number,
): Float64Array {
  return Float64Array.from(
    Array.from(lengths).flatMap((length, g) => new Array<number>(length).fill(weightOf(length, g))),
  );
}

/**
 * Every action counts the same: masked sum / mask count, as in PPO.
 *
 *   w = 1 / Σ lengths
 *
 * Long sequences count more than short ones. Departure from TRL: none.
 *
 * @param lengths [G] sampled actions of each sequence: no documents, tags or prompts
 * @returns [N] with N = Σ lengths, in the order of the sequences; their sum is 1
 * @example
 * ```ts
 * import { tokenMeanWeights } from "./action_weights.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals([...tokenMeanWeights([3, 1])], [0.25, 0.25, 0.25, 0.25]);
 * ```
 */
export function tokenMeanWeights(lengths: ArrayLike<number>): Float64Array {
  const total = Array.from(lengths).reduce((a, b) => a + b, 0);
  return repeated(lengths, () => 1 / total);
}

/**
 * Every sequence counts the same: the mean over sequences of the mean over their actions, as in
 * GRPO (Shao et al. 2024, eq. 3).
 *
 *   w = 1 / (G · length)
 *
 * A sequence without actions has no weights and still counts in G, as in TRL, whose mean over such
 * a sequence is 0; the weights then sum to less than 1.
 *
 * @param lengths [G] sampled actions of each sequence
 * @returns [N] with N = Σ lengths, in the order of the sequences
 * @example
 * ```ts
 * import { sequenceMeanWeights } from "./action_weights.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals([...sequenceMeanWeights([2, 1])], [0.25, 0.25, 0.5]);
 * ```
 */
export function sequenceMeanWeights(lengths: ArrayLike<number>): Float64Array {
  return repeated(lengths, (length) => 1 / (lengths.length * length));
}

/**
 * Every action counts the same, whatever the lengths of its batch: the normalisation of Dr. GRPO
 * (Liu et al. 2025), free of GRPO's preference for long wrong answers.
 *
 *   w = 1 / (G · maxLength)
 *
 * @param lengths [G] sampled actions of each sequence
 * @param maxLength Most actions that a sequence may have
 * @returns [N] with N = Σ lengths, in the order of the sequences; they sum to 1 if all are full
 * @throws {ShapeError} If a sequence is longer than `maxLength`
 * @example
 * ```ts
 * import { fixedLengthWeights } from "./action_weights.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals([...fixedLengthWeights([2, 1], 4)], [0.125, 0.125, 0.125]);
 * ```
 */
export function fixedLengthWeights(lengths: ArrayLike<number>, maxLength: number): Float64Array {
  return repeated(lengths, (length, g) => {
    if (length > maxLength) {
      throw new ShapeError(
        `Cannot weigh sequence ${g}: it has ${length} actions, more than maxLength ${maxLength}`,
      );
    }
    return 1 / (lengths.length * maxLength);
  });
}
