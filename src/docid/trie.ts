/**
 * The trie of all docids as flat arrays: what search may produce, and over what p(d|q) normalises.
 *
 * @module
 */

/** Rows are inner nodes (0 is the root), columns are slots. Empty slots hold -1. */
export interface Trie {
  /** Longest docid, in digits. */
  readonly depth: number;
  /** Slots per node, C: the most children any node has (or the base, if slots are codes). */
  readonly branching: number;
  /** Number of inner nodes. */
  readonly nodeCount: number;
  /** Number of documents, N. */
  readonly docCount: number;
  /** [nodes, C] token (or code) that leads to the child, -1 where the slot is empty. */
  readonly childToken: Int32Array;
  /** [nodes, C] inner node the slot leads to, -1 where it is empty or a leaf. */
  readonly childNode: Int32Array;
  /** [nodes, C] document the slot leads to, -1 where it is empty or an inner node. */
  readonly childDoc: Int32Array;
}
