/** What is done to logits before a token is chosen. @module */
import { DeepragError } from "../errors.ts";

/** Where a processor is. */
export interface LogitsContext {
  /** Which prompt the row belongs to. */
  readonly prompt: number;
  /** Tokens so far: of a decoder the prompt's, then those generated; of an encoder-decoder the latter. */
  readonly tokens: readonly number[];
  /** How many of them were generated. */
  readonly generated: number;
}

/**
 * Changes the logits [V] of one row in place. −Infinity forbids a token; at least one has to be left.
 */
export type LogitsProcessor = (logits: Float32Array, context: LogitsContext) => void;

function refuse(what: string): never {
  throw new DeepragError(`Cannot process logits: ${what}`);
}

/**
 * Divide by a temperature: below 1 likely tokens become likelier, above 1 less so.
 *
 * @param t τ > 0
 * @throws {DeepragError} If τ is not a positive number
 */
export function temperature(t: number): LogitsProcessor {
  if (!(t > 0 && Number.isFinite(t))) refuse(`the temperature is ${t}; it must be above 0`);
  return (logits) => {
    for (let v = 0; v < logits.length; v++) logits[v] /= t;
  };
}

/** The value of rank `k` (from 1) of a row, by quickselect on a copy. */
function rankedValue(row: Float32Array, k: number): number {
  const x = row.slice();
  let [from, to] = [0, x.length - 1];
  while (from < to) {
    const pivot = x[(from + to) >> 1];
    let [i, j] = [from, to];
    while (i <= j) {
      while (x[i] > pivot) i++;
      while (x[j] < pivot) j--;
      if (i <= j) [x[i++], x[j--]] = [x[j], x[i]];
    }
    if (k - 1 <= j) to = j;
    else if (k - 1 >= i) from = i;
    else break;
  }
  return x[k - 1];
}

/**
 * Forbid all but the `k` likeliest tokens (Fan et al. 2018); ties with the last of them stay.
 *
 * @param k At least 1
 * @throws {DeepragError} If `k` is not a positive integer
 */
export function topK(k: number): LogitsProcessor {
  if (!(Number.isSafeInteger(k) && k > 0)) refuse(`top k is ${k}; it must be a positive integer`);
  return (logits) => {
    if (k >= logits.length) return;
    const least = rankedValue(logits, k);
    for (let v = 0; v < logits.length; v++) if (logits[v] < least) logits[v] = -Infinity;
  };
}

/**
 * Nucleus sampling (Holtzman et al. 2020): forbid all but the fewest likeliest tokens whose
 * probabilities add up to at least `p`. Equal ones: those with smaller ids stay first.
 *
 * @param p In (0, 1]
 * @throws {DeepragError} If `p` is out of range
 */
export function topP(p: number): LogitsProcessor {
  if (!(p > 0 && p <= 1)) refuse(`top p is ${p}; it must be in (0, 1]`);
  return (logits) => {
    if (p === 1) return;
    let top = -Infinity;
    for (let v = 0; v < logits.length; v++) if (logits[v] > top) top = logits[v];
    let sum = 0;
    for (let v = 0; v < logits.length; v++) sum += Math.exp(logits[v] - top);
    // Few tokens hold the mass, so only those that could be among them are sorted. A token below
    // (1 − p)/V can't be: all such together are less than what may be left out.
    const floor = Math.min(Math.log((1 - p) * sum / logits.length) + top, top);
    const likely = logits.filter((x) => x >= floor).sort();
    let mass = 0, at = likely.length;
    while (at > 0 && mass < p * sum) mass += Math.exp(likely[--at] - top);
    // Of those equal to the last one taken, the first by id stay.
    const least = likely[at];
    let equals = likely.length - at;
    for (let i = at; i < likely.length; i++) if (likely[i] > least) equals--;
    for (let v = 0; v < logits.length; v++) {
      if (logits[v] > least || (logits[v] === least && equals-- > 0)) continue;
      logits[v] = -Infinity;
    }
  };
}

/**
 * Make tokens that stand in the text less likely (Keskar et al. 2019): positive logits are divided by
 * the penalty, negative ones multiplied.
 *
 * @param penalty Above 1 to discourage
 * @throws {DeepragError} If it is not positive
 */
export function repetitionPenalty(penalty: number): LogitsProcessor {
  if (!(penalty > 0)) refuse(`the repetition penalty is ${penalty}; it must be above 0`);
  return (logits, { tokens }) => {
    for (const v of new Set(tokens)) {
      logits[v] = logits[v] < 0 ? logits[v] * penalty : logits[v] / penalty;
    }
  };
}

/**
 * Forbid tokens that would repeat a run of `n` tokens of the text (Paulus et al. 2018;
 * `no_repeat_ngram_size` of transformers).
 *
 * @param n Length of the runs, at least 1
 * @throws {DeepragError} If it is not a positive integer
 */
export function noRepeatNgrams(n: number): LogitsProcessor {
  if (!(Number.isSafeInteger(n) && n > 0)) refuse(`runs of ${n} tokens can't be forbidden`);
  return (logits, { tokens }) => {
    const last = tokens.slice(tokens.length - n + 1);
    if (tokens.length < n) return;
    for (let i = 0; i + n <= tokens.length; i++) {
      if (last.every((token, k) => tokens[i + k] === token)) logits[tokens[i + n - 1]] = -Infinity;
    }
  };
}

/**
 * Forbid tokens.
 *
 * @param ids The tokens
 * @param until Only as long as fewer tokens than this were generated. Default: always
 */
export function forbidTokens(ids: readonly number[], until = Infinity): LogitsProcessor {
  return (logits, { generated }) => {
    if (generated < until) { for (const v of ids) logits[v] = -Infinity; }
  };
}

/**
 * Forbid all tokens but some.
 *
 * @param allowed What may come next in a given place
 */
export function allowTokens(
  allowed: (context: LogitsContext) => Iterable<number>,
): LogitsProcessor {
  return (logits, context) => {
    const kept = Array.from(allowed(context), (v) => [v, logits[v]] as const);
    logits.fill(-Infinity);
    for (const [v, logit] of kept) logits[v] = logit;
  };
}
