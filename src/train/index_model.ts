/** What the training loop needs of a retriever, whatever its family. @module */
import type { Trie } from "../docid/trie.ts";
import type { Program } from "../graph/program.ts";
import type { DocidScorer } from "../retriever/scorer.ts";
import type { HostTensors } from "../runtime/executor.ts";
import type { ParameterStore } from "../runtime/parameter_store.ts";
import type { ParamSpecs } from "../tensor/params.ts";

/** One example: the tokens of a text and the document it should lead to. */
export interface IndexExample {
  /** Token ids of the text, as the model's tokenizer gives them. */
  readonly tokenIds: ArrayLike<number>;
  /** Index of the right document. */
  readonly doc: number;
  /** Whether a person asked it; made examples (sentences, spans, …) say `false`. */
  readonly isReal: boolean;
}

/** The tensors of one step. */
export interface IndexBatch {
  /** Inputs of the training program other than parameters. */
  readonly inputs: HostTensors;
  /** Rows of each row-sparse parameter that take part, ascending. */
  readonly rows: Readonly<Record<string, Int32Array>>;
  /** Positions that hold a token, and all positions: their quotient tells the share of padding. */
  readonly tokens: number;
  /** See `tokens`. */
  readonly positions: number;
}

/** A retriever that can be trained and searched. Pure but for `start`. */
export interface IndexModel {
  /** `"lexical"` or `"t5"`. */
  readonly family: "lexical" | "t5";
  /** Parameters by name. */
  readonly specs: ParamSpecs;
  /** Docids. */
  readonly trie: Trie;
  /** How search asks it. */
  readonly scorer: DocidScorer;
  /** Parameters and a batch in; `loss` (nats per example) out. */
  readonly trainingProgram: Program;
  /** Fill the parameters for step 0. */
  start(store: ParameterStore): void;
  /** The tensors of one step. */
  batch(examples: readonly IndexExample[]): IndexBatch;
}
