/** The inner loop of the BPE trainer: pair counts that are kept up to date, and a heap over them. */
import { BYTE_CHARACTERS } from "./byte_level.ts";

/** What the caller of {@linkcode learnMerges} fixes. */
export interface MergeOptions {
  /** Tokens that exist before the first merge; the 256 byte characters among them. */
  tokens: readonly string[];
  /** How many tokens there may be in the end. */
  vocabSize: number;
  /** How often a pair must stand in the words to be merged. */
  minFrequency: number;
  /** Called now and then. */
  onProgress?: (progress: { phase: "merge"; done: number; total: number }) => void;
}

/** What was learnt. */
export interface Merges {
  /** Every token by id. */
  tokens: string[];
  /** Pairs of ids in the order in which they were merged. */
  merges: [left: number, right: number][];
}

const REPORT_EVERY_MERGES = 256;

/** Marks a place whose symbol was swallowed by its left neighbour, and the end of a word. */
const NONE = -1;

/** All words in one array of symbols, linked to their neighbours so that merging moves nothing. */
class Words {
  /** Token id at each place, or NONE. */
  readonly symbol: Int32Array;
  /** Place of the right neighbour, or NONE at the end of a word. */
  readonly next: Int32Array;
  /** Place of the left neighbour, or NONE at the start of a word. */
  readonly previous: Int32Array;
  /** How often the word of each place stands in the texts. */
  readonly count: Float64Array;

  constructor(counts: ReadonlyMap<string, number>, byteIds: Int32Array) {
    const encoder = new TextEncoder();
    const encoded = Array.from(counts, ([word, count]) => ({ bytes: encoder.encode(word), count }));
    const places = encoded.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.symbol = new Int32Array(places);
    this.next = new Int32Array(places);
    this.previous = new Int32Array(places);
    this.count = new Float64Array(places);
    let at = 0;
    for (const { bytes, count } of encoded) {
      for (let i = 0; i < bytes.length; i++, at++) {
        this.symbol[at] = byteIds[bytes[i]];
        this.previous[at] = i === 0 ? NONE : at - 1;
        this.next[at] = i === bytes.length - 1 ? NONE : at + 1;
        this.count[at] = count;
      }
    }
  }
}

/** Every pair seen so far: how often it stands, and where it may stand (places of its left symbol). */
class Pairs {
  readonly left: number[] = [];
  readonly right: number[] = [];
  readonly count: number[] = [];
  readonly places: number[][] = [];
  readonly #byKey = new Map<number, number>();

  /** The pair's index; a new pair starts with count 0. */
  at(left: number, right: number): number {
    const key = left * 2 ** 26 + right;
    let pair = this.#byKey.get(key);
    if (pair === undefined) {
      pair = this.left.length;
      this.#byKey.set(key, pair);
      this.left.push(left);
      this.right.push(right);
      this.count.push(0);
      this.places.push([]);
    }
    return pair;
  }

  /**
   * Places where the pair may stand; they are handed over and forgotten. They rise: all of them were
   * noted in one pass from left to right, that which made the newer of the two tokens.
   */
  take(pair: number): number[] {
    const places = this.places[pair];
    this.places[pair] = [];
    return places;
  }
}

/** A max-heap of pairs by the count they had when pushed; equal ones by smaller ids first. */
class PairHeap {
  readonly #pairs: Pairs;
  readonly #heap: { pair: number; count: number }[] = [];

  constructor(pairs: Pairs) {
    this.#pairs = pairs;
  }

  #isBefore(a: { pair: number; count: number }, b: { pair: number; count: number }): boolean {
    if (a.count !== b.count) return a.count > b.count;
    const { left, right } = this.#pairs;
    if (left[a.pair] !== left[b.pair]) return left[a.pair] < left[b.pair];
    return right[a.pair] < right[b.pair];
  }

  push(pair: number): void {
    const heap = this.#heap;
    const entry = { pair, count: this.#pairs.count[pair] };
    let i = heap.length;
    for (; i > 0; i = (i - 1) >> 1) {
      const parent = heap[(i - 1) >> 1];
      if (!this.#isBefore(entry, parent)) break;
      heap[i] = parent;
    }
    heap[i] = entry;
  }

  #pop(): { pair: number; count: number } | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1], heap[child])) child++;
      if (!this.#isBefore(heap[child], last)) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = last;
    return top;
  }

  /** The most frequent pair by its present count. Entries that fell since are put back in their place. */
  popBest(): number | undefined {
    for (let top = this.#pop(); top !== undefined; top = this.#pop()) {
      const now = this.#pairs.count[top.pair];
      if (now === top.count) return top.pair;
      if (now > 0 && now < top.count) this.push(top.pair);
    }
    return undefined;
  }
}

/** Replaces every occurrence of `pair` by `token`. Returns the pairs that became more frequent. */
function merge(words: Words, pairs: Pairs, pair: number, token: number): Set<number> {
  const { symbol, next, previous, count } = words;
  const left = pairs.left[pair], right = pairs.right[pair];
  const grown = new Set<number>();
  const change = (a: number, b: number, place: number, by: number): void => {
    const changed = pairs.at(a, b);
    pairs.count[changed] += by;
    if (by > 0) {
      pairs.places[changed].push(place);
      grown.add(changed);
    }
  };
  for (const place of pairs.take(pair)) {
    const swallowed = next[place];
    if (symbol[place] !== left || swallowed === NONE || symbol[swallowed] !== right) continue;
    const before = previous[place], after = next[swallowed], times = count[place];
    if (before !== NONE) change(symbol[before], left, before, -times);
    if (after !== NONE) change(right, symbol[after], swallowed, -times);
    symbol[place] = token;
    symbol[swallowed] = NONE;
    next[place] = after;
    if (after !== NONE) previous[after] = place;
    if (before !== NONE) change(symbol[before], token, before, times);
    if (after !== NONE) change(token, symbol[after], place, times);
    pairs.count[pair] -= times;
  }
  return grown;
}

/**
 * Merges the most frequent pair until there are enough tokens or no pair is frequent enough. A merge that
 * spells a special token shares its id.
 *
 * @param counts How often each word stands in the texts
 */
export function learnMerges(counts: ReadonlyMap<string, number>, options: MergeOptions): Merges {
  const { vocabSize, minFrequency, onProgress } = options;
  const tokens = [...options.tokens];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const words = new Words(counts, Int32Array.from(BYTE_CHARACTERS, (c) => ids.get(c)!));
  const pairs = new Pairs();
  for (let place = 0; place < words.symbol.length; place++) {
    if (words.next[place] === NONE) continue;
    const pair = pairs.at(words.symbol[place], words.symbol[words.next[place]]);
    pairs.count[pair] += words.count[place];
    pairs.places[pair].push(place);
  }
  const heap = new PairHeap(pairs);
  for (let pair = 0; pair < pairs.count.length; pair++) heap.push(pair);

  const merges: [number, number][] = [];
  while (tokens.length < vocabSize) {
    const best = heap.popBest();
    if (best === undefined || pairs.count[best] < minFrequency) break;
    const [left, right] = [pairs.left[best], pairs.right[best]];
    const spelling = tokens[left] + tokens[right];
    let token = ids.get(spelling);
    if (token === undefined) {
      token = tokens.length;
      tokens.push(spelling);
      ids.set(spelling, token);
    }
    merges.push([left, right]);
    for (const grown of merge(words, pairs, best, token)) heap.push(grown);
    if (merges.length % REPORT_EVERY_MERGES === 0) {
      onProgress?.({ phase: "merge", done: tokens.length, total: vocabSize });
    }
  }
  onProgress?.({ phase: "merge", done: tokens.length, total: vocabSize });
  return { tokens, merges };
}
