/**
 * The trie of all docids as flat arrays: what search may produce, and over what p(d|q) normalises.
 *
 * @module
 */
import { DataError } from "../errors.ts";
import type { Docids } from "./docids.ts";

/**
 * Rows are inner nodes in breadth-first order (0 is the root), columns are slots. Empty slots hold
 * -1. Documents may stand at different depths.
 */
export interface Trie {
  /** Longest docid, in digits. */
  readonly depth: number;
  /** Slots per node, C: the most children any node has, or the base where slots are codes. */
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
  /** [depth + 1] nodes at depth d are levelStart[d] … levelStart[d + 1] - 1. */
  readonly levelStart: Int32Array;
  /** [nodes] node above, -1 for the root. */
  readonly parentNode: Int32Array;
  /** [nodes] slot of the node above that leads here, -1 for the root. */
  readonly parentSlot: Int32Array;
  /** [N] node that a document's last digit is chosen at. */
  readonly docNode: Int32Array;
  /** [N] slot of that node that holds the document. */
  readonly docSlot: Int32Array;
}

/** Choices of {@linkcode buildTrie}. */
export interface TrieOptions {
  /**
   * `"code"`: the slot of a digit is the digit, so that a node's row is the model's row of logits.
   * `"compact"`: children stand side by side in the order of their digits, so that no column is
   * empty in every node. Default `"code"`.
   */
  slots?: "code" | "compact";
}

/**
 * The trie of assigned docids; tokens are the digits themselves.
 *
 * @param docids Digits of every document
 * @param options How slots are laid out
 * @throws {DataError} If two documents share a docid, or one docid is the beginning of another
 * @example Three documents under two first digits
 * ```ts
 * import { buildTrie } from "./trie.ts";
 * import { assertEquals } from "@std/assert";
 * const digits = [[0, 0], [0, 1], [1, 0]].map((d) => Int32Array.from(d));
 * const trie = buildTrie({ scheme: "naive", base: 2, digits, collisions: 0 });
 * assertEquals([...trie.childNode.slice(0, 2)], [1, 2]);
 * assertEquals([...trie.childDoc.slice(4)], [2, -1]);
 * ```
 */
export function buildTrie(docids: Docids, options: TrieOptions = {}): Trie {
  const compact = options.slots === "compact";
  return layOut(docids.digits, compact ? undefined : docids.base);
}

/**
 * The trie of token sequences of a vocabulary, such as docids spelled in T5's words and closed by
 * the end-of-sequence token. Slots are compact and in ascending order of their tokens.
 *
 * @param sequences Tokens of every document, of any length
 * @throws {DataError} If two sequences are equal, or one is the beginning of another: close every
 *   sequence with an end token
 * @example
 * ```ts
 * import { trieFromTokenSequences } from "./trie.ts";
 * import { assertEquals } from "@std/assert";
 * const trie = trieFromTokenSequences([[10, 1], [10, 12, 1]]);
 * assertEquals([...trie.childToken], [10, -1, 1, 12, 1, -1]);
 * ```
 */
export function trieFromTokenSequences(sequences: readonly (readonly number[])[]): Trie {
  return layOut(sequences);
}

/** A node while the trie is being built. */
interface Draft {
  children: Map<number, Draft>;
  doc: number;
}

function insertAll(sequences: readonly ArrayLike<number>[]): Draft {
  const root: Draft = { children: new Map(), doc: -1 };
  sequences.forEach((sequence, doc) => {
    if (sequence.length === 0) {
      throw new DataError(`Cannot build a trie: document ${doc} has an empty docid`);
    }
    let at = root;
    for (let i = 0; i < sequence.length; i++) {
      const token = sequence[i];
      if (!Number.isInteger(token) || token < 0) {
        throw new DataError(
          `Cannot build a trie: digit ${i} of document ${doc} is ${token}, not an integer ≥ 0`,
        );
      }
      let next = at.children.get(token);
      if (!next) at.children.set(token, next = { children: new Map(), doc: -1 });
      else if (next.doc >= 0) clash(doc, next.doc, i === sequence.length - 1);
      at = next;
    }
    if (at.children.size > 0) clash(firstDoc(at), doc, false);
    at.doc = doc;
  });
  return root;
}

function firstDoc(at: Draft): number {
  while (at.doc < 0) at = at.children.values().next().value!;
  return at.doc;
}

function clash(longer: number, shorter: number, equal: boolean): never {
  throw new DataError(
    equal
      ? `Cannot build a trie: documents ${shorter} and ${longer} have the same docid`
      : `Cannot build a trie: the docid of document ${shorter} is the beginning of that of ` +
        `document ${longer}. Close every docid with an end token`,
  );
}

/** Number the inner nodes breadth first and write the tables. `base` fixes slot = token. */
function layOut(sequences: readonly ArrayLike<number>[], base?: number): Trie {
  const N = sequences.length;
  if (N === 0) throw new DataError("Cannot build a trie: there are no documents");
  const nodes: Draft[] = [insertAll(sequences)];
  const levelStart = [0];
  let branching = base ?? 0;
  for (let start = 0; start < nodes.length;) {
    const end = nodes.length;
    for (let i = start; i < end; i++) {
      branching = Math.max(branching, nodes[i].children.size);
      const children = [...nodes[i].children].sort((a, b) => a[0] - b[0]);
      nodes[i].children = new Map(children);
      for (const [, child] of children) if (child.doc < 0) nodes.push(child);
    }
    levelStart.push(start = end);
  }
  const size = nodes.length * branching;
  const empty = (n: number): Int32Array => new Int32Array(n).fill(-1);
  const trie = {
    depth: levelStart.length - 1,
    branching,
    nodeCount: nodes.length,
    docCount: N,
    childToken: empty(size),
    childNode: empty(size),
    childDoc: empty(size),
    levelStart: Int32Array.from(levelStart),
    parentNode: empty(nodes.length),
    parentSlot: empty(nodes.length),
    docNode: empty(N),
    docSlot: empty(N),
  };
  let next = 1;
  nodes.forEach((node, n) => {
    let position = 0;
    for (const [token, child] of node.children) {
      const slot = base === undefined ? position++ : token;
      if (slot >= branching) {
        throw new DataError(`Cannot build a trie: digit ${token} does not fit base ${base}`);
      }
      const at = n * branching + slot;
      trie.childToken[at] = token;
      if (child.doc >= 0) {
        trie.childDoc[at] = child.doc;
        trie.docNode[child.doc] = n;
        trie.docSlot[child.doc] = slot;
      } else {
        trie.childNode[at] = next;
        trie.parentNode[next] = n;
        trie.parentSlot[next++] = slot;
      }
    }
  });
  return trie;
}
