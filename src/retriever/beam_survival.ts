/** Where a beam search loses documents, seen from the exact distribution. @module */
import type { Trie } from "../docid/trie.ts";
import { DeepragError, ShapeError } from "../errors.ts";

/** What a beam search of some width keeps. */
export interface BeamSurvival {
  /** [N] digit at which each document's prefix falls out of the beam; −1 where it is found. */
  readonly lostAt: Int32Array;
  /** The most probable document among those that are found. */
  readonly best: number;
  /** log p of the most probable document of all, less that of `best`: 0 where the search finds it. */
  readonly regret: number;
}

/**
 * What beam search would find, computed from p(d|q) of every document: the probability of a prefix is the
 * sum over the documents below it, and the search keeps the most probable prefixes of each length.
 *
 *   p(prefix | q) = Σ_{d below prefix} p(d | q)
 *
 * holds because each digit is normalised over the trie. Equal prefixes are kept in the order of their nodes.
 *
 * @param logProbs [N] log p(d|q), natural logarithm
 * @param trie Docids
 * @param beam Prefixes kept at each length
 * @throws {ShapeError} If there are more or fewer documents than the trie has
 * @throws {DeepragError} If the beam is not a positive whole number
 * @example The best document stands alone behind a prefix that two middling ones outweigh
 * ```ts
 * import { buildTrie } from "../docid/mod.ts";
 * import { beamSurvival } from "./beam_survival.ts";
 * import { assertEquals } from "@std/assert";
 * const digits = [[0, 0], [1, 0], [1, 1]].map((row) => Int32Array.from(row));
 * const trie = buildTrie({ scheme: "naive", base: 2, digits, collisions: 0 });
 * const { lostAt, best } = beamSurvival([0.4, 0.35, 0.25].map(Math.log), trie, 1);
 * assertEquals([...lostAt], [0, -1, -1]);
 * assertEquals(best, 1);
 * ```
 */
export function beamSurvival(
  logProbs: ArrayLike<number>,
  trie: Trie,
  beam: number,
): BeamSurvival {
  const { docCount: N, levelStart, parentNode, docNode, nodeCount, depth } = trie;
  if (logProbs.length !== N) {
    throw new ShapeError(
      `Cannot follow a search: there are ${logProbs.length} probabilities and ${N} documents`,
    );
  }
  if (!Number.isSafeInteger(beam) || beam < 1) {
    throw new DeepragError(`Cannot search with a beam of ${beam}: it must be a positive integer`);
  }
  const mass = new Float64Array(nodeCount);
  for (let d = 0; d < N; d++) mass[docNode[d]] += Math.exp(logProbs[d]);
  for (let node = nodeCount - 1; node > 0; node--) mass[parentNode[node]] += mass[node];
  /** [nodes] digit at which a node's prefix is lost; −1 while it is in the beam. */
  const nodeLostAt = new Int32Array(nodeCount).fill(-1);
  for (let level = 1; level < depth; level++) {
    const alive: number[] = [];
    for (let node = levelStart[level]; node < levelStart[level + 1]; node++) {
      const above = nodeLostAt[parentNode[node]];
      if (above < 0) alive.push(node);
      else nodeLostAt[node] = above;
    }
    alive.sort((a, b) => mass[b] - mass[a] || a - b);
    for (const node of alive.slice(beam)) nodeLostAt[node] = level - 1;
  }
  const lostAt = Int32Array.from(docNode, (node) => nodeLostAt[node]);
  let best = -1, top = 0;
  for (let d = 0; d < N; d++) {
    if (logProbs[d] > logProbs[top]) top = d;
    if (lostAt[d] < 0 && (best < 0 || logProbs[d] > logProbs[best])) best = d;
  }
  return { lostAt, best, regret: logProbs[top] - logProbs[best] };
}
