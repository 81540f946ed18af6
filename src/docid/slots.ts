/** Slots without gaps: every (node, child) pair of a trie gets one row of the model. @module */
import type { SlotLayout } from "../model/lexical.ts";
import { pathTables } from "./path.ts";
import type { Trie } from "./trie.ts";

/** A trie's slots numbered without gaps, node by node, and where each document's path runs. */
export interface Slots extends SlotLayout {
  /** Slots, P: one per edge of the trie. */
  readonly slotCount: number;
  /** [N, L] slot of each digit of each document, -1 beyond its end. */
  readonly path: Int32Array;
  /** Longest docid, L. */
  readonly depth: number;
  /** [P] document the slot is the last digit of, -1 for inner slots. */
  readonly doc: Int32Array;
  /** [P] slot of the digit before, -1 at the root. Parents stand before their children. */
  readonly parent: Int32Array;
}

/**
 * Number the slots of a trie.
 *
 * @param trie The trie
 * @example Two documents below the first digit, one beside it
 * ```ts
 * import { slotsOf } from "./slots.ts";
 * import { trieFromTokenSequences } from "./trie.ts";
 * import { assertEquals } from "@std/assert";
 * const slots = slotsOf(trieFromTokenSequences([[0, 0], [0, 1], [1]]));
 * assertEquals(slots.slotCount, 4);
 * assertEquals([...slots.path], [0, 2, 0, 3, 1, -1]);
 * assertEquals([...slots.parent], [-1, -1, 0, 0]);
 * ```
 */
export function slotsOf(trie: Trie): Slots {
  const { nodeCount: M, branching: C, depth: L, docCount: N } = trie;
  const padded = new Int32Array(M * C);
  const place: number[] = [];
  for (let at = 0; at < M * C; at++) {
    if (trie.childToken[at] < 0) continue;
    padded[at] = place.length;
    place.push(at);
  }
  const slotCount = place.length;
  const doc = new Int32Array(slotCount), parent = new Int32Array(slotCount);
  for (let at = 0; at < M * C; at++) {
    if (trie.childToken[at] < 0) {
      padded[at] = slotCount;
      continue;
    }
    const node = Math.floor(at / C), above = trie.parentNode[node];
    doc[padded[at]] = trie.childDoc[at];
    parent[padded[at]] = above < 0 ? -1 : padded[above * C + trie.parentSlot[node]];
  }
  const paths = pathTables(trie);
  const path = new Int32Array(N * L).fill(-1);
  for (let i = 0; i < N * L; i++) {
    if (paths.node[i] >= 0) path[i] = padded[paths.node[i] * C + paths.slot[i]];
  }
  return {
    nodeCount: M,
    branching: C,
    padded,
    place: Int32Array.from(place),
    slotCount,
    path,
    depth: L,
    doc,
    parent,
  };
}
