/** What constrained search needs from a model: logits over the slots of a node. @module */
import type { ProgramInput } from "../graph/program.ts";
import type { Params } from "../tensor/params.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Tensors by name. */
export type Tensors = Record<string, Tensor>;

/**
 * What a model keeps between digits. Search never looks inside; it picks rows of `rows` as beams live
 * and die, and passes `shared` on as it is.
 */
export interface ScorerState {
  /** One row per question, [B, …]: the encoder's output, keys and values for cross-attention. */
  readonly shared: Tensors;
  /** One row per prefix, [B·K, …] with the K prefixes of a question side by side. */
  readonly rows: Tensors;
}

/** The prefixes whose next digit is asked for. */
export interface ScorerStep {
  /** Digits chosen so far. */
  readonly depth: number;
  /** Prefixes per question, K: 1 at the root. */
  readonly beams: number;
  /** [B·K] int32 inner node that each prefix stands at. */
  readonly node: Tensor;
  /** [B·K] int32 token that led there; nothing at the root. */
  readonly token?: Tensor;
}

/** Answer to a {@linkcode ScorerStep}. */
export interface ScorerOutput {
  /** [B·K, C] logits of the node's slots; what stands in empty slots does not matter. */
  readonly logits: Tensor;
  /**
   * [B·K, 1] logarithm of the sum of exp(logit) over everything the model could say. Where it is
   * given, log-probabilities are over all of that (as in Hugging Face's `generate`), and those of the
   * documents do not sum to 1. Without it they are over the filled slots of the node: p(d|q) of the
   * index.
   */
  readonly logTotal?: Tensor;
  /** Rows to keep for the next digit. */
  readonly rows: Tensors;
}

/** A model that can be searched. Pure functions of tensors. */
export interface DocidScorer {
  /** Inputs that hold the questions. The first size of the first one is B. */
  readonly inputs: Readonly<Record<string, ProgramInput>>;
  /** Read the questions. `rows` of the state has one row per question. */
  start(params: Params, inputs: Tensors): ScorerState;
  /** Logits of the next digit. */
  step(params: Params, state: ScorerState, step: ScorerStep): ScorerOutput;
}

/** Questions as padded token ids: the inputs of most models. */
export const QUESTION_INPUTS: Readonly<Record<string, ProgramInput>> = {
  inputIds: { dtype: "int32", shape: ["B", "S"] },
  isToken: { dtype: "float32", shape: ["B", "S"] },
};
