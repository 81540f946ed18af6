/** What training and search need of a retriever, whatever its family. @module */
import type { Trie } from "../docid/trie.ts";
import type { DocidScorer } from "../retriever/scorer.ts";
import type { Program } from "../graph/program.ts";
import type { TrainableModel, TrainingBatch } from "./trainable_model.ts";

/** One example: the tokens of a text and the document it should lead to. */
export interface IndexExample {
  /** Token ids of the text, as the model's tokenizer gives them. */
  readonly tokenIds: ArrayLike<number>;
  /** Index of the right document. */
  readonly doc: number;
  /** Whether a person asked it; made examples (sentences, spans, …) say `false`. */
  readonly isReal: boolean;
}

/** A question, and how its loss weighs the log-probability of documents: −Σ c_d log p(d|q). */
export interface WeighedExample {
  /** Token ids of the question. */
  readonly tokenIds: ArrayLike<number>;
  /** Documents; the others weigh nothing. One that stands there twice weighs the sum. */
  readonly docs: ArrayLike<number>;
  /** c of each, of either sign; no gradient flows to it. */
  readonly weights: ArrayLike<number>;
}

/** What a step of joint training teaches an index. */
export interface JointExamples {
  /** Questions whose documents were weighed by an answer's likelihood. */
  readonly weighed: readonly WeighedExample[];
  /** Supervised pairs that are replayed. */
  readonly replay: readonly IndexExample[];
  /** Weight of the mean loss of the replayed pairs. */
  readonly replayWeight: number;
}

/** A retriever that can be trained and searched. */
export interface IndexModel extends TrainableModel<IndexExample> {
  /** `"lexical"` or `"t5"`. */
  readonly family: "lexical" | "t5";
  /** Docids. */
  readonly trie: Trie;
  /** How search asks it. */
  readonly scorer: DocidScorer;
  /**
   * Parameters and a batch of {@linkcode IndexModel.jointBatch} in; `loss` out:
   *
   *   L = −Σ_q Σ_d c_qd log p(d|q) + λ · mean of the replayed pairs' losses
   *
   * p(d|q) is over all documents, as in search, without dropout.
   */
  readonly jointProgram: Program;
  /**
   * The tensors of a step of joint training.
   *
   * @throws {ShapeError} If there is no example at all
   */
  jointBatch(examples: JointExamples): TrainingBatch;
}
