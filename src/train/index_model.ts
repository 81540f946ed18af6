/** What training and search need of a retriever, whatever its family. @module */
import type { Trie } from "../docid/trie.ts";
import type { DocidScorer } from "../retriever/scorer.ts";
import type { TrainableModel } from "./trainable_model.ts";

/** One example: the tokens of a text and the document it should lead to. */
export interface IndexExample {
  /** Token ids of the text, as the model's tokenizer gives them. */
  readonly tokenIds: ArrayLike<number>;
  /** Index of the right document. */
  readonly doc: number;
  /** Whether a person asked it; made examples (sentences, spans, …) say `false`. */
  readonly isReal: boolean;
}

/** A retriever that can be trained and searched. */
export interface IndexModel extends TrainableModel<IndexExample> {
  /** `"lexical"` or `"t5"`. */
  readonly family: "lexical" | "t5";
  /** Docids. */
  readonly trie: Trie;
  /** How search asks it. */
  readonly scorer: DocidScorer;
}
