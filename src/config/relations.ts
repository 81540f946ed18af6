/** What keys must satisfy together: checks that no single range can express. @module */
import type { ConfigProblem } from "../errors.ts";
import type { ResolvedConfig } from "./types.ts";

interface Relation {
  /** Keys it reads. It is skipped when one of them has a problem of its own. */
  reads: readonly string[];
  /** The sentence that names the problem, if there is one. The first key read is to blame. */
  problem(config: ResolvedConfig): string | undefined;
}

const usesCuda = (executor: string): boolean => executor === "cuda" || executor === "auto";

const relations: readonly Relation[] = [
  {
    reads: ["data.path", "data.format"],
    problem: ({ data }) =>
      data.format !== "synthetic" && data.format !== "world" && data.path === null
        ? `is needed because data.format is ${data.format}: set data.path=<folder>`
        : undefined,
  },
  {
    reads: ["training.shuffle_labels", "training.distill", "model"],
    problem: ({ training, model }) =>
      training.shuffle_labels && model.family === "lexical" &&
        (model.init !== "random" || training.distill.weight > 0)
        ? "is a control only if nothing else knows the documents: set model.init=random " +
          "training.distill.weight=0"
        : undefined,
  },
  {
    reads: ["training.optimizer", "model.family"],
    problem: ({ training, model }) =>
      training.optimizer === "adafactor" && model.family === "lexical"
        ? "must be adamw for a lexical model: adafactor keeps statistics of whole matrices, and a " +
          "step touches only some rows"
        : undefined,
  },
  {
    reads: ["training.accumulate", "model.family"],
    problem: ({ training, model }) =>
      training.accumulate > 1 && model.family === "lexical"
        ? "must be 1 for a lexical model, whose batches touch different rows; use a larger " +
          "training.batch_size"
        : undefined,
  },
  {
    reads: ["agent.index", "agent.retriever"],
    problem: ({ agent }) =>
      agent.retriever === "index" && agent.index === null
        ? "is needed because agent.retriever is index: set agent.index=<run folder of train-dsi>"
        : undefined,
  },
  {
    reads: ["agent.policy.heads", "agent.policy.width"],
    problem: ({ agent: { policy } }) =>
      policy.width % (2 * policy.heads)
        ? `must divide half of agent.policy.width, ${policy.width / 2}: heads have an even width`
        : undefined,
  },
  {
    reads: ["agent.group_size", "agent.algorithm"],
    problem: ({ agent }) =>
      agent.algorithm !== "ppo" && agent.group_size < 2
        ? `must be 2 or more for ${agent.algorithm}, whose baseline is the others of the group`
        : undefined,
  },
  {
    reads: ["joint.distribution", "joint.objective"],
    problem: ({ joint }) =>
      (joint.objective === "drawn_utility") === (joint.distribution === "draws")
        ? undefined
        : joint.objective === "drawn_utility"
        ? "must be draws for joint.objective=drawn_utility"
        : "can be draws only with joint.objective=drawn_utility",
  },
  {
    reads: ["joint.objective", "joint.distribution"],
    problem: ({ joint }) =>
      joint.objective === "annealed" && joint.distribution === "gumbel_top_k"
        ? "can't be annealed with joint.distribution=gumbel_top_k, whose weights correct for the chance of " +
          "being drawn and must not be flattened: take exact or top_k"
        : undefined,
  },
  {
    reads: ["joint.candidates", "joint.distribution"],
    problem: ({ joint }) =>
      joint.candidates === null && joint.distribution !== "exact"
        ? `is needed for joint.distribution=${joint.distribution}: give a number`
        : joint.distribution === "draws" && joint.candidates! < 2
        ? "must be 2 or more for joint.distribution=draws: a draw is compared with the others"
        : undefined,
  },
  {
    reads: ["joint.pretrain", "joint.index"],
    problem: ({ joint }) =>
      !joint.pretrain && joint.index !== null
        ? "is false, but joint.index names a trained index: leave one of them out"
        : undefined,
  },
  {
    reads: ["joint.gate_weight", "joint.distribution"],
    problem: ({ joint }) =>
      joint.gate_weight > 0 && joint.distribution === "draws"
        ? "must be 0 for joint.distribution=draws: the value of a retrieval is a sum over different documents"
        : undefined,
  },
  {
    reads: ["joint.gate_weight", "agent.budget"],
    problem: ({ joint, agent }) =>
      joint.gate_weight > 0 && agent.budget < 1
        ? "needs agent.budget of 1 or more: without one there is nothing to decide"
        : undefined,
  },
  {
    reads: ["device.precision", "device.executor"],
    problem: ({ device }) =>
      device.precision !== "float32" && !usesCuda(device.executor)
        ? `must be float32 for device.executor=${device.executor}: only cuda and auto compute in another one`
        : undefined,
  },
  {
    reads: ["device.libraries", "device.executor"],
    problem: ({ device }) =>
      device.libraries !== null && !usesCuda(device.executor)
        ? `must be null for device.executor=${device.executor}: only cuda and auto use CUDA's libraries`
        : undefined,
  },
  {
    reads: ["device.provider", "device.executor"],
    problem: ({ device }) =>
      device.provider !== "cpu" && !device.executor.startsWith("onnx")
        ? `must be cpu for device.executor=${device.executor}: providers belong to onnx and onnx-worker`
        : undefined,
  },
  {
    reads: ["training.mix"],
    problem: ({ training }) =>
      Object.values(training.mix).every((ratio) => ratio === 0)
        ? "needs at least one ratio above 0"
        : undefined,
  },
];

/**
 * Problems of keys that are each in range but do not fit together.
 *
 * @param config A configuration of the right shape
 * @param suspects Keys that already have a problem
 */
export function relationProblems(
  config: ResolvedConfig,
  suspects: readonly string[],
): ConfigProblem[] {
  const touches = (key: string): boolean =>
    suspects.some((s) => s === key || s.startsWith(`${key}.`) || key.startsWith(`${s}.`));
  return relations.flatMap(({ reads, problem }) => {
    const message = reads.some(touches) ? undefined : problem(config);
    return message ? [{ key: reads[0], message }] : [];
  });
}
