/** How evenly docids use their digits: to be read before any training. @module */
import type { Docids } from "./docids.ts";
import { nodeDepths } from "./path.ts";
import { buildTrie } from "./trie.ts";

/** What {@linkcode balanceReport} finds. */
export interface BalanceReport {
  /** How docids were made. */
  scheme: string;
  /** Codes per digit, C. */
  base: number;
  /** Number of documents, N. */
  docCount: number;
  /** Number of inner nodes of the trie. */
  nodeCount: number;
  /** Documents by number of digits; index 0 counts docids of one digit. */
  lengths: number[];
  /** Children of an inner node: fewest, middle and most. */
  children: { min: number; median: number; max: number };
  /** Inner nodes with a single child: their digit tells nothing. */
  chainNodes: number;
  /** Nats in the docid of a uniformly drawn document, digit by digit given the digits before. */
  digitEntropy: number[];
  /** Largest share of the documents below one first digit, and what an even split would give. */
  largestFirst: { share: number; even: number };
  /** Share of the N × L digit table that is padding, because docids differ in length. */
  digitPadding: number;
  /** Share of the nodes × C slot table that is empty. */
  emptySlots: number;
  /** See {@linkcode Docids.collisions}. */
  collisions: number;
}

/**
 * Measures docids by their trie. `digitEntropy` sums to ln N: what is low at the front is left to
 * later digits.
 *
 * @param docids Docids of all documents
 * @throws {DataError} If they do not make a trie
 * @example
 * ```ts
 * import { assignDocids } from "./assign.ts";
 * import { balanceReport } from "./balance.ts";
 * import { assertEquals } from "@std/assert";
 * const report = balanceReport(assignDocids(6, { scheme: "naive", base: 4 }));
 * assertEquals(report.lengths, [0, 6]);
 * assertEquals(report.children, { min: 2, median: 2, max: 4 });
 * ```
 */
export function balanceReport(docids: Docids): BalanceReport {
  const trie = buildTrie(docids);
  const { docCount: N, branching: C, nodeCount, depth } = trie;
  const below = documentsBelow(trie.childNode, trie.childDoc, nodeCount, C);
  const depths = nodeDepths(trie);
  const lengths: number[] = Array(depth).fill(0);
  const digitEntropy: number[] = Array(depth).fill(0);
  const counts: number[] = [];
  let chainNodes = 0, largest = 0;
  for (let node = 0; node < nodeCount; node++) {
    let children = 0;
    for (let at = node * C; at < (node + 1) * C; at++) {
      const inside = trie.childDoc[at] >= 0
        ? 1
        : trie.childNode[at] >= 0
        ? below[trie.childNode[at]]
        : 0;
      if (inside === 0) continue;
      children++;
      if (trie.childDoc[at] >= 0) lengths[depths[node]]++;
      if (node === 0) largest = Math.max(largest, inside);
      digitEntropy[depths[node]] += inside / N * Math.log(below[node] / inside);
    }
    counts.push(children);
    if (children === 1 && N > 1) chainNodes++;
  }
  counts.sort((a, b) => a - b);
  const half = counts.length >> 1;
  const median = counts.length % 2 ? counts[half] : (counts[half - 1] + counts[half]) / 2;
  const digits = docids.digits.reduce((sum, d) => sum + d.length, 0);
  return {
    scheme: docids.scheme,
    base: docids.base,
    docCount: N,
    nodeCount,
    lengths,
    children: { min: counts[0], median, max: counts[counts.length - 1] },
    chainNodes,
    digitEntropy,
    largestFirst: { share: largest / N, even: 1 / Math.min(C, N) },
    digitPadding: 1 - digits / (N * depth),
    emptySlots: 1 - (N + nodeCount - 1) / (nodeCount * C),
    collisions: docids.collisions,
  };
}

/** Documents under each inner node. Nodes come breadth first, so children after their parent. */
function documentsBelow(
  childNode: Int32Array,
  childDoc: Int32Array,
  nodeCount: number,
  C: number,
): Int32Array {
  const below = new Int32Array(nodeCount);
  for (let node = nodeCount - 1; node >= 0; node--) {
    for (let at = node * C; at < (node + 1) * C; at++) {
      if (childDoc[at] >= 0) below[node]++;
      else if (childNode[at] >= 0) below[node] += below[childNode[at]];
    }
  }
  return below;
}

/** The report in a few lines of plain words. */
export function formatBalance(report: BalanceReport): string {
  const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
  const { children, largestFirst } = report;
  const total = report.digitEntropy.reduce((a, b) => a + b, 0);
  return [
    `${report.docCount} documents, ${report.scheme} docids of base ${report.base}: ` +
    `${report.lengths.length} digits at most, ${report.nodeCount} inner nodes`,
    `documents by digits    ${
      report.lengths.map((n, i) => n > 0 ? `${i + 1}: ${n}` : "").filter(Boolean).join(", ")
    }`,
    `children of a node     fewest ${children.min}, middle ${children.median}, most ${children.max}` +
    `; ${report.chainNodes} with one`,
    `largest first digit    ${percent(largestFirst.share)} of all documents (an even split: ` +
    `${percent(largestFirst.even)})`,
    `nats decided per digit ${report.digitEntropy.map((h) => h.toFixed(2)).join(" + ")} = ${
      total.toFixed(2)
    }`,
    `padding                ${percent(report.digitPadding)} of digits, ` +
    `${percent(report.emptySlots)} of slots`,
    `equal vectors          ${report.collisions} documents told apart by position alone`,
  ].join("\n");
}
