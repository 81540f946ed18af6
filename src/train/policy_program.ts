/** Programs of a policy: what it says about its choices, and what it is to learn from them. @module */
import * as tf from "@tensorflow/tfjs-core";
import { parameterInputs, type Program, type ProgramInput } from "../graph/mod.ts";
import {
  type DecoderConfig,
  decoderParamSpecs,
  type PolicyOutputOptions,
  type PolicyOutputs,
  policyOutputs,
  type PolicyRules,
  trainingDropout,
  valueHeadParamSpecs,
} from "../model/mod.ts";
import { actionMean, k3, ppoPolicyLoss, reinforceLoss, valueLoss } from "../rl/mod.ts";
import { type F32, named, namedInts } from "../tensor/axes.ts";
import type { Params, ParamSpecs } from "../tensor/params.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Parameters of a policy: the decoder's, and those of its value head where it has one.
 *
 * @param config Sizes of the model
 * @param hasValues Whether there is a value head
 * @param valueRate Multiplies the learning rate of the head. Default 1
 */
export function policyParamSpecs(
  config: DecoderConfig,
  hasValues: boolean,
  valueRate?: number,
): ParamSpecs {
  return {
    ...decoderParamSpecs(config),
    ...(hasValues ? valueHeadParamSpecs(config.modelWidth, valueRate) : {}),
  };
}

const BATCH: Readonly<Record<string, ProgramInput>> = {
  inputIds: { dtype: "int32", shape: ["B", "S"] },
  isToken: { dtype: "float32", shape: ["B", "S"] },
  states: { dtype: "int32", shape: ["N"] },
  actions: { dtype: "int32", shape: ["N"] },
  mayRetrieve: { dtype: "float32", shape: ["N"] },
};

const perAction = (...names: string[]): Record<string, ProgramInput> =>
  Object.fromEntries(names.map((name) => [name, { dtype: "float32", shape: ["N"] }]));

function outputsOf(
  x: Params,
  config: DecoderConfig,
  rules: PolicyRules,
  options: PolicyOutputOptions = {},
): PolicyOutputs {
  const batch = {
    inputIds: namedInts(x.inputIds, "B S", {}),
    isToken: named(x.isToken, "B S", {}),
    states: namedInts(x.states, "N", {}),
    actions: namedInts(x.actions, "N", {}),
    mayRetrieve: named(x.mayRetrieve, "N", {}),
  };
  return policyOutputs(x, config, batch, rules, options);
}

/**
 * What a policy says about choices: `logProbs`, `entropies` and, with a value head, `values`, all [N].
 *
 * @param config Sizes of the model
 * @param specs Parameters of {@linkcode policyParamSpecs}
 * @param rules What could be chosen
 */
export function scoringProgram(
  config: DecoderConfig,
  specs: ParamSpecs,
  rules: PolicyRules,
): Program {
  return {
    name: `${config.family}_policy_scores`,
    inputs: { ...parameterInputs(specs), ...BATCH },
    run: (x) => {
      const { logProbs, entropies, values } = outputsOf(x, config, rules);
      return { logProbs, entropies, ...(values && { values }) };
    },
  };
}

/**
 * The loss of learning from demonstrations: −Σ w log π over the demonstrator's choices, in nats, with
 * the model's own rates of dropout. A negative weight makes a choice less likely.
 *
 * @param config Sizes of the model
 * @param specs Parameters
 * @param rules What could be chosen
 */
export function imitationProgram(
  config: DecoderConfig,
  specs: ParamSpecs,
  rules: PolicyRules,
): Program {
  return {
    name: `${config.family}_imitation`,
    inputs: { ...parameterInputs(specs), ...BATCH, ...perAction("weights") },
    run: (x) => {
      const { logProbs, values } = outputsOf(x, config, rules, {
        dropout: trainingDropout(config),
      });
      const ones = named(tf.onesLike(x.weights), "N", {});
      const advantages = named(x.weights, "N", {});
      const loss = reinforceLoss({ logProbs, advantages, weights: ones }) as Tensor;
      // A value head has nothing to learn here, but every parameter has a gradient.
      return { loss: values ? tf.add(loss, tf.mul(tf.sum(values as Tensor), 0)) : loss };
    },
  };
}

/** How policies are improved. */
export type PolicyAlgorithm = "ppo" | "grpo" | "reinforce";

/** Choices of a policy's loss. */
export interface PolicyLossOptions {
  /** Which loss. */
  readonly algorithm: PolicyAlgorithm;
  /** The ratio is clipped to 1 − clipLow … 1 + clipHigh (PPO, GRPO). */
  readonly clipLow: number;
  /** See `clipLow`. */
  readonly clipHigh: number;
  /** Values are clipped to this much around those of the rollout, reward (PPO). */
  readonly clipValue: number;
  /** Weight of the value loss (PPO). */
  readonly valueCoefficient: number;
  /**
   * What the value loss trains (PPO): the head alone, on states that it doesn't change, or the whole
   * decoder through it. Default `"all"`.
   */
  readonly valueGradient?: "head" | "all";
  /** Weight of the entropy, which is subtracted: reward per nat. */
  readonly entropyCoefficient: number;
}

/**
 * The loss of a step of policy optimisation, and its statistics:
 *
 *   PPO        L = L_clip + c_v L_value − c_e Σ w H + β Σ w k3
 *   GRPO       L = L_clip − c_e Σ w H + β Σ w k3
 *   REINFORCE  L = −Σ w A log π − c_e Σ w H + β Σ w k3
 *
 * H is the entropy of a choice, k3 its divergence from the reference. Everything is a sum over choices
 * with their weights, so that a batch may be taken in parts whose gradients are added. β is an input,
 * `klCoefficient`, so that it may adapt. There is no dropout: the choices were made without any.
 *
 * @param config Sizes of the model
 * @param specs Parameters
 * @param rules What could be chosen
 * @param options Which loss
 */
export function policyLossProgram(
  config: DecoderConfig,
  specs: ParamSpecs,
  rules: PolicyRules,
  options: PolicyLossOptions,
): Program {
  const { algorithm, clipLow, clipHigh, clipValue, valueCoefficient, entropyCoefficient } = options;
  const isValueDetached = options.valueGradient === "head";
  const isPpo = algorithm === "ppo";
  return {
    name: `${config.family}_${algorithm}`,
    inputs: {
      ...parameterInputs(specs),
      ...BATCH,
      ...perAction("behaviorLogProbs", "referenceLogProbs", "advantages", "weights"),
      ...(isPpo ? perAction("returns", "behaviorValues") : {}),
      klCoefficient: { dtype: "float32", shape: [] },
    },
    run: (x) => {
      const column = (name: string): F32<"N"> => named(x[name], "N", {});
      const { logProbs, entropies, values } = outputsOf(x, config, rules, { isValueDetached });
      const weights = column("weights"), advantages = column("advantages");
      const behaviorLogProbs = column("behaviorLogProbs");
      const referenceLogProbs = column("referenceLogProbs");
      const divergences = k3(logProbs, referenceLogProbs, weights);
      const ratios = ppoPolicyLoss(
        { logProbs, behaviorLogProbs, advantages, weights },
        { clipLow, clipHigh },
      );
      const weighted = (x: F32<"N">): Tensor => tf.sum(tf.mul(x as Tensor, weights as Tensor));
      const terms: Tensor[] = [
        algorithm === "reinforce"
          ? reinforceLoss({ logProbs, advantages, weights }) as Tensor
          : ratios.loss as Tensor,
        tf.mul(x.klCoefficient, weighted(divergences)),
        tf.mul(weighted(entropies), -entropyCoefficient),
      ];
      const statistics: Record<string, Tensor> = {
        kl: actionMean(divergences, weights),
        entropy: actionMean(entropies, weights),
        clipShare: ratios.clipShare,
        meanRatio: ratios.meanRatio,
        largestRatioError: ratios.largestRatioError,
        approximateKl: ratios.approximateKl,
      };
      if (isPpo) {
        const value = valueLoss({
          values: values!,
          behaviorValues: column("behaviorValues"),
          returns: column("returns"),
          weights,
        }, { clip: clipValue });
        terms.push(tf.mul(value.loss as Tensor, valueCoefficient));
        statistics.valueLoss = value.loss;
        statistics.valueClipShare = value.clipShare;
      }
      return { loss: terms.reduce((a, b) => tf.add(a, b)), ...statistics };
    },
  };
}
