/** Questions in, ranked documents out: a search graph with its tokenizer, ready to be asked. @module */
import { DataError } from "../errors.ts";
import type { Executable, HostTensors } from "../runtime/executor.ts";
import { padBatch } from "../text/pad_batch.ts";

/** One ranked document. */
export interface Hit {
  /** Index of the document in its corpus. */
  readonly doc: number;
  /** log p(d | q), natural logarithm. */
  readonly logProb: number;
}

/** The answer to one question. */
export interface SearchResult {
  /** Best first. Fewer than asked for where the corpus or the beam holds fewer. */
  readonly hits: readonly Hit[];
  /** Probability of all documents that are not among the hits, in [0, 1]. */
  readonly droppedMass: number;
}

/** What a {@linkcode DocidSearcher} is made of. */
export interface SearcherOptions {
  /** A search graph: `inputIds` [B, S] and `isToken` [B, S] to `doc`, `logProb` [B, K] and `droppedMass` [B]. */
  readonly executable: Executable;
  /** Parameters, where the graph takes them as inputs instead of holding them. */
  readonly parameters?: HostTensors;
  /** Token ids of a question. */
  readonly encode: (text: string) => ArrayLike<number>;
  /** Id that fills up short rows. */
  readonly padId: number;
  /** Tokens kept of a question; the rest is cut off. Default 256. */
  readonly maxTokens?: number;
}

/** A search graph with its tokenizer. */
export class DocidSearcher {
  readonly #options: SearcherOptions;

  /**
   * Puts graph and tokenizer together; loads nothing.
   *
   * @param options Graph and tokenizer
   */
  constructor(options: SearcherOptions) {
    this.#options = options;
  }

  /** Provider of ONNX Runtime that the graph was opened on, where ONNX Runtime runs it. */
  get provider(): Executable["provider"] {
    return this.#options.executable.provider;
  }

  /**
   * Search for every text. Texts of similar length are searched together, so little is padded.
   *
   * @param texts Questions; an empty one is a `DataError`
   * @param batchSize Questions per run of the graph. Default 32
   * @returns One result per text, in their order
   * @throws {DataError} If a text is blank, or the batch size is not a positive whole number
   */
  async search(texts: readonly string[], batchSize = 32): Promise<SearchResult[]> {
    const { encode, padId, executable, parameters, maxTokens = 256 } = this.#options;
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw new DataError(`Cannot search in batches of ${batchSize}: give a positive whole number`);
    }
    const ids = texts.map((text, i) => {
      if (!text.trim()) {
        throw new DataError(`Cannot search for text ${i + 1} of ${texts.length}: it is blank`);
      }
      return Array.from(encode(text)).slice(0, maxTokens);
    });
    const order = ids.map((_, i) => i).sort((a, b) => ids[a].length - ids[b].length || a - b);
    const results: SearchResult[] = new Array(texts.length);
    for (let start = 0; start < order.length; start += batchSize) {
      const members = order.slice(start, start + batchSize);
      const { inputIds, isToken } = padBatch(members.map((i) => ids[i]), { padId });
      const { doc, logProb, droppedMass } = await executable.run({
        ...parameters,
        inputIds,
        isToken,
      });
      const K = doc.shape[1];
      members.forEach((text, row) => {
        const hits: Hit[] = [];
        for (let k = row * K; k < (row + 1) * K; k++) {
          if (doc.data[k] >= 0) hits.push({ doc: doc.data[k], logProb: logProb.data[k] });
        }
        results[text] = { hits, droppedMass: Math.min(1, Math.max(0, droppedMass.data[row])) };
      });
    }
    return results;
  }

  /** Free the graph. */
  async dispose(): Promise<void> {
    await this.#options.executable.dispose();
  }
}
