/** Give every document its docid. @module */
import { DataError } from "../errors.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import type { Docids, DocidScheme } from "./docids.ts";
import { kMeans, takeRows } from "./kmeans.ts";

/** Choices of {@linkcode assignDocids}. */
export interface AssignOptions {
  /** How documents get their docids. */
  scheme: DocidScheme;
  /** Codes per digit, C ≥ 2. Default 10 for `naive`, 64 for `semantic`; `atomic` has N. */
  base?: number;
  /** Seed of the clustering. Default 0. */
  seed?: number;
  /** `semantic`: clusters of one node get equal shares of its documents. Default `false`. */
  balanced?: boolean;
  /** `semantic`: a cluster of at most this many documents is not divided further. Default C. */
  leafSize?: number;
  /** `semantic`: digits at most. Default: two more than the fewest that can hold N. */
  maxDepth?: number;
  /** `semantic`: independent k-means starts at each node. Default 1. */
  restarts?: number;
  /** `semantic`: rounds of Lloyd's algorithm. Default 20. */
  maxRounds?: number;
}

/**
 * Docids after Tay et al. 2022, "Transformer Memory as a Differentiable Search Index", §3.2:
 *
 * - `atomic`: one digit, which is the document's index; C = N.
 * - `naive`: the document's index written in base C, with leading zeros.
 * - `semantic`: hierarchical k-means (Algorithm 1). Documents are put into C clusters by their
 *   vectors; the digit is the cluster. A cluster of more than `leafSize` documents is divided
 *   further, in any other the last digit is the position in it.
 *
 * Departures: a cluster of one document is that document, without a position 0 below it, so docids
 * differ in length; no cluster may grow beyond what `maxDepth` digits can hold, so that depth is
 * bounded.
 *
 * Collisions: every document gets a docid of its own. Documents with equal vectors that are too many
 * for one leaf are divided evenly by position; {@linkcode Docids.collisions} counts the documents
 * whose vector equals an earlier one. Empty clusters do not occur: digits are dense.
 *
 * @param documents Number of documents, or their vectors [N, W], which `semantic` needs
 * @param options Scheme, base, seed and limits
 * @throws {DataError} If there are no documents, a vector is not finite, or they cannot fit
 * @example
 * ```ts
 * import { assignDocids } from "./assign.ts";
 * import { formatDocid } from "./docids.ts";
 * import { assertEquals } from "@std/assert";
 * const docids = assignDocids(12, { scheme: "naive", base: 10 });
 * assertEquals(formatDocid(docids.digits[7]), "0-7");
 * ```
 */
export function assignDocids(
  documents: number | HostTensor<"float32">,
  options: AssignOptions,
): Docids {
  const N = typeof documents === "number" ? documents : documents.shape[0];
  if (!Number.isSafeInteger(N) || N < 1) {
    throw new DataError(`Cannot assign docids: there are ${N} documents`);
  }
  const base = options.scheme === "atomic"
    ? N
    : options.base ?? (options.scheme === "naive" ? 10 : 64);
  if (options.scheme !== "atomic" && (!Number.isSafeInteger(base) || base < 2)) {
    throw new DataError(
      `Cannot assign docids: base is ${base}, it must be an integer of 2 or more`,
    );
  }
  switch (options.scheme) {
    case "atomic":
      return {
        scheme: "atomic",
        base,
        digits: Array.from({ length: N }, (_, i) => Int32Array.of(i)),
        collisions: 0,
      };
    case "naive": {
      const length = digitsFor(N, base);
      const digits = Array.from({ length: N }, (_, i) => inBase(i, base, length));
      return { scheme: "naive", base, digits, collisions: 0 };
    }
    case "semantic":
      if (typeof documents === "number") {
        throw new DataError("Cannot assign semantic docids: they need a vector for every document");
      }
      return assignSemantic(documents, base, options);
  }
}

/** Fewest digits of `base` that tell N documents apart. */
function digitsFor(N: number, base: number): number {
  let length = 1;
  for (let room = base; room < N; room *= base) length++;
  return length;
}

function inBase(index: number, base: number, length: number): Int32Array {
  const digits = new Int32Array(length);
  for (let l = length - 1; l >= 0; l--, index = Math.floor(index / base)) digits[l] = index % base;
  return digits;
}

function assignSemantic(
  vectors: HostTensor<"float32">,
  base: number,
  options: AssignOptions,
): Docids {
  const { data, shape: [N, W] } = vectors;
  const leafSize = options.leafSize ?? base;
  if (!Number.isSafeInteger(leafSize) || leafSize < 1 || leafSize > base) {
    throw new DataError(
      `Cannot assign docids: leafSize is ${leafSize}, it must be in 1 … ${base}, the base`,
    );
  }
  const bad = data.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) {
    throw new DataError(
      `Cannot assign docids: the vector of document ${Math.floor(bad / W)} holds ${data[bad]}`,
    );
  }
  const fewest = 1 + (N > leafSize ? digitsFor(Math.ceil(N / leafSize), base) : 0);
  const maxDepth = options.maxDepth ?? fewest + 2;
  if (maxDepth < fewest) {
    throw new DataError(
      `Cannot assign docids: ${N} documents need ${fewest} digits of base ${base} with ` +
        `${leafSize} to a leaf, but maxDepth is ${maxDepth}`,
    );
  }
  const digits: number[][] = Array.from({ length: N }, () => []);
  let clusterings = 0;
  const divide = (members: Int32Array, depth: number): void => {
    if (members.length <= leafSize) {
      if (members.length > 1 || depth === 0) members.forEach((doc, i) => digits[doc].push(i));
      return;
    }
    const limit = leafSize * base ** (maxDepth - depth - 2);
    const share = Math.ceil(members.length / base);
    const capacity = options.balanced ? Math.min(limit, Math.max(leafSize, share)) : limit;
    const part = takeRows(data, members, W);
    const random = { seed: options.seed ?? 0, stream: "docid/kmeans", step: clusterings++ };
    const { assignment, clusters } = kMeans(
      hostTensor("float32", part, [members.length, W]),
      {
        clusters: base,
        random,
        capacity,
        restarts: options.restarts,
        maxRounds: options.maxRounds,
      },
    );
    const parts: number[][] = Array.from({ length: clusters }, () => []);
    if (clusters > 1) members.forEach((doc, i) => parts[assignment[i]].push(doc));
    const divided = clusters > 1 ? parts : evenParts(members, base, leafSize);
    divided.forEach((docs, digit) => {
      for (const doc of docs) digits[doc].push(digit);
      divide(Int32Array.from(docs), depth + 1);
    });
  };
  divide(Int32Array.from({ length: N }, (_, i) => i), 0);
  return {
    scheme: "semantic",
    base,
    digits: digits.map((d) => Int32Array.from(d)),
    collisions: countRepeats(data, N, W),
  };
}

/** Documents that no vector tells apart, divided by position into as few parts as hold them. */
function evenParts(members: Int32Array, base: number, leafSize: number): number[][] {
  const count = Math.min(base, Math.ceil(members.length / leafSize));
  return Array.from({ length: count }, (_, i) => [
    ...members.subarray(
      Math.floor(i * members.length / count),
      Math.floor((i + 1) * members.length / count),
    ),
  ]);
}

/** Rows that equal an earlier row. */
function countRepeats(data: Float32Array, N: number, W: number): number {
  const byHash = new Map<number, number[]>();
  let repeats = 0;
  for (let i = 0; i < N; i++) {
    let hash = 0x811c9dc5;
    for (let j = i * W; j < (i + 1) * W; j++) {
      hash = Math.imul(hash ^ Math.fround(data[j] * 4096), 0x01000193);
    }
    const others = byHash.get(hash) ?? [];
    const equal = others.some((o) => {
      for (let j = 0; j < W; j++) if (data[o * W + j] !== data[i * W + j]) return false;
      return true;
    });
    if (equal) repeats++;
    else byHash.set(hash, [...others, i]);
  }
  return repeats;
}
