/** Search and enumeration in plain loops over numbers: what the tensor programs must agree with. @module */
import type { Trie } from "../docid/trie.ts";
import type { BeamOptions } from "./beam.ts";

/** log p(slot | node) of one question for all slots of a node; empty slots may hold anything. */
export type SlotLogProbs = (node: number) => ArrayLike<number>;

/** A document and its log p(d|q). */
export interface ScoredDoc {
  /** Document index. */
  doc: number;
  /** Natural logarithm. */
  logProb: number;
}

/**
 * log p(d|q) of every document for one question, by walking the whole trie.
 *
 * @param trie Docids
 * @param slotLogProbs The model
 * @returns [N]
 * @example
 * ```ts
 * import { enumerateDocuments } from "./plain.ts";
 * import { trieFromTokenSequences } from "../docid/trie.ts";
 * import { assertEquals } from "@std/assert";
 * const trie = trieFromTokenSequences([[0, 0], [0, 1], [1]]);
 * assertEquals([...enumerateDocuments(trie, (node) => node === 0 ? [-1, -2] : [-4, -8])], [-5, -9, -2]);
 * ```
 */
export function enumerateDocuments(trie: Trie, slotLogProbs: SlotLogProbs): Float64Array {
  const all = new Float64Array(trie.docCount);
  const visit = (node: number, above: number): void => {
    const logProbs = slotLogProbs(node);
    for (let slot = 0; slot < trie.branching; slot++) {
      const at = node * trie.branching + slot;
      const logProb = above + logProbs[slot];
      if (trie.childDoc[at] >= 0) all[trie.childDoc[at]] = logProb;
      else if (trie.childNode[at] >= 0) visit(trie.childNode[at], logProb);
    }
  };
  visit(0, 0);
  return all;
}

/**
 * Beam search for one question. The definition of {@linkcode beamSearch}, digit by digit.
 *
 * @param trie Docids
 * @param slotLogProbs The model
 * @param options Beam and what counts as found
 * @returns At most K documents, best first
 */
export function plainBeamSearch(
  trie: Trie,
  slotLogProbs: SlotLogProbs,
  options: BeamOptions,
): ScoredDoc[] {
  const { beam: K, leaves = "collect" } = options;
  let found: ScoredDoc[] = [];
  let beams = [{ node: 0, logProb: 0 }];
  while (beams.length > 0) {
    const all = beams.flatMap(({ node, logProb }) => {
      const logProbs = slotLogProbs(node);
      return Array.from({ length: trie.branching }, (_, slot) => ({
        doc: trie.childDoc[node * trie.branching + slot],
        node: trie.childNode[node * trie.branching + slot],
        logProb: logProb + logProbs[slot],
      }));
    }).filter((x) => x.doc >= 0 || x.node >= 0).sort((a, b) => b.logProb - a.logProb);
    const done = (leaves === "compete" ? all.slice(0, K) : all).filter((x) => x.doc >= 0);
    found = [...found, ...done].sort((a, b) => b.logProb - a.logProb).slice(0, K);
    beams = all.filter((x) => x.node >= 0).slice(0, K);
  }
  return found.map(({ doc, logProb }) => ({ doc, logProb }));
}
