/** A policy that learns from demonstrations. @module */
import { policyBatchOf, type PolicyText } from "../agent/policy_text.ts";
import type { DecoderModel, PolicyRules } from "../model/mod.ts";
import { tokenMeanWeights } from "../rl/mod.ts";
import type { ParameterStore } from "../runtime/parameter_store.ts";
import { hostTensor } from "../tensor/host_tensor.ts";
import { imitationProgram, policyParamSpecs } from "./policy_program.ts";
import type { TrainableModel, TrainingBatch } from "./trainable_model.ts";

/** A demonstration, and what it counts. */
export interface Demonstration extends PolicyText {
  /**
   * Weight of each of its choices. Default: choices of a batch count alike and their weights sum to 1. To be
   * given where a step is taken from several batches of unlike size.
   */
  readonly weight?: number;
  /** [T] 1 where a choice is not to be learned. Default: nowhere. */
  readonly isTied?: ArrayLike<number>;
}

/**
 * A decoder that learns to choose as demonstrations do: the loss is the mean −log π over the
 * demonstrator's choices of a batch, in nats, or a weighted sum. What was put to the policy is read, never learned.
 *
 * @param model Where to start; without tensors from random numbers
 * @param rules What could be chosen
 * @param options Seed of random numbers; whether a value head stands among the parameters, untouched
 */
export function demonstrationModel(
  model: Pick<DecoderModel, "config"> & Partial<DecoderModel>,
  rules: PolicyRules,
  options: { seed: number; hasValues?: boolean },
): TrainableModel<Demonstration> {
  const { config, tensors } = model;
  const specs = policyParamSpecs(config, options.hasValues ?? false);
  return {
    family: config.family,
    specs,
    trainingProgram: imitationProgram(config, specs, rules),
    start(store: ParameterStore): void {
      if (tensors) store.load(tensors);
      else store.initialise(options.seed);
    },
    batch(texts): TrainingBatch {
      const { inputs, lengths, tokens, positions } = policyBatchOf(texts, config.padToken ?? 0);
      const weights = Float32Array.from(tokenMeanWeights(lengths));
      let at = 0;
      texts.forEach(({ weight, isTied }, i) => {
        const end = at + lengths[i];
        if (weight !== undefined) weights.fill(weight, at, end);
        for (let t = 0; isTied && t < lengths[i]; t++) if (isTied[t]) weights[at + t] = 0;
        at = end;
      });
      return {
        inputs: { ...inputs, weights: hostTensor("float32", weights, [weights.length]) },
        rows: {},
        tokens,
        positions,
      };
    },
  };
}
