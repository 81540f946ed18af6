/** The expected reward of one decision whether to retrieve. @module */
import * as tf from "@tensorflow/tfjs-core";
import { type F32, named } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What either way is worth. */
export interface GateTerms {
  /** [B] log g, the probability of retrieving, nats. */
  readonly logGate: F32<"B">;
  /** [B] log of (1 − g) times the probability of the right answer without a document, nats. */
  readonly logClosed: F32<"B">;
  /** [B] Σ_d w_d U_d, what a retrieval is worth before its price, in the unit of the reward. */
  readonly openValue: F32<"B">;
  /** [B] price of a retrieval, in the unit of the reward. */
  readonly cost: F32<"B">;
}

/**
 * The expected reward of a policy that decides once, negated:
 *
 *   E[R] = (1 − g)·U₀ + g·(Σ_d w_d U_d − c)
 *
 * with U₀ = ρ·p(y|q) for a reward ρ of the right answer. (1 − g)·p(y|q) is the probability of answering y at
 * once, which is how a language model states it. The gradient is exact: it flows to the gate, to both
 * answers and, through `openValue`, to the retriever; nothing is sampled.
 *
 * Departure: a policy may also write a query first, or answer otherwise than by y; those ways are not
 * counted, so this is a lower bound of the expected reward where no utility is negative.
 *
 * @param terms What either way is worth
 * @param reward ρ, reward of a right answer
 * @returns [B] in the unit of the reward
 * @throws {ShapeError} If the sizes differ
 * @example Retrieving always brings the answer and costs 0.1; without it half of the answers are right
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { named } from "../tensor/axes.ts";
 * import { gateLoss } from "./gate_loss.ts";
 * import { assertAlmostEquals } from "@std/assert";
 * const one = (x: number) => named(tf.tensor1d([x]), "B", {});
 * const loss = gateLoss({
 *   logGate: one(Math.log(0.5)),
 *   logClosed: one(Math.log(0.5 * 0.5)),
 *   openValue: one(1),
 *   cost: one(0.1),
 * }, 1);
 * assertAlmostEquals(loss.dataSync()[0], -(0.25 + 0.5 * 0.9), 1e-6);
 * ```
 */
export function gateLoss(terms: GateTerms, reward: number): F32<"B"> {
  const dims = {};
  const column = (name: keyof GateTerms): Tensor =>
    named(terms[name], "B", dims, { as: name }) as Tensor;
  const closed = tf.mul(tf.exp(column("logClosed")), reward);
  const open = tf.mul(
    tf.exp(column("logGate")),
    tf.sub(column("openValue"), column("cost")),
  );
  return named(tf.neg(tf.add(closed, open)), "B", {});
}
