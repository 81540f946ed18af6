/** The way from the root to each document, as tables. @module */
import type { Trie } from "./trie.ts";

/** One row per document; columns beyond a docid's length hold -1. */
export interface PathTables {
  /** [N, L] inner node at which digit l is chosen. */
  readonly node: Int32Array;
  /** [N, L] slot chosen there. */
  readonly slot: Int32Array;
  /** [N, L] token that the slot stands for. */
  readonly token: Int32Array;
  /** [N] number of digits. */
  readonly length: Int32Array;
}

/** Number of digits above each inner node, [nodes]. */
export function nodeDepths(trie: Trie): Int32Array {
  const depths = new Int32Array(trie.nodeCount);
  for (let d = 0; d < trie.depth; d++) depths.fill(d, trie.levelStart[d], trie.levelStart[d + 1]);
  return depths;
}

/**
 * Nodes, slots and tokens of every docid: log p(d|q) is the sum of log p(slot | node, q) over a row.
 *
 * @param trie The trie
 * @example
 * ```ts
 * import { pathTables } from "./path.ts";
 * import { trieFromTokenSequences } from "./trie.ts";
 * import { assertEquals } from "@std/assert";
 * const paths = pathTables(trieFromTokenSequences([[10, 1], [10, 12, 1]]));
 * assertEquals([...paths.token], [10, 1, -1, 10, 12, 1]);
 * assertEquals([...paths.length], [2, 3]);
 * ```
 */
export function pathTables(trie: Trie): PathTables {
  const { docCount: N, depth: L, branching: C } = trie;
  const depths = nodeDepths(trie);
  const empty = (): Int32Array => new Int32Array(N * L).fill(-1);
  const tables = { node: empty(), slot: empty(), token: empty(), length: new Int32Array(N) };
  for (let doc = 0; doc < N; doc++) {
    let node = trie.docNode[doc], slot = trie.docSlot[doc];
    tables.length[doc] = depths[node] + 1;
    for (let l = depths[node]; l >= 0; l--) {
      tables.node[doc * L + l] = node;
      tables.slot[doc * L + l] = slot;
      tables.token[doc * L + l] = trie.childToken[node * C + slot];
      slot = trie.parentSlot[node];
      node = trie.parentNode[node];
    }
  }
  return tables;
}
