/** Beam search over the texts a model may write. @module */
import { DeepragError } from "../errors.ts";
import { logSumExp } from "./_rows.ts";
import type { GeneratedText } from "./generate.ts";
import type { LogitsProcessor } from "./logits_processors.ts";
import type { GenerateOptions, TextBeamOptions } from "./options.ts";
import type { SequenceState } from "./sequence_model.ts";

/** A text on the way. */
interface Beam {
  readonly tokens: readonly number[];
  readonly logProbs: readonly number[];
  readonly modelLogProbs: readonly number[];
  /** Σ logProbs */
  readonly sum: number;
}

/** One way to go on: which beam, which token. */
interface Candidate {
  readonly beam: number;
  readonly token: number;
  readonly logProb: number;
  readonly sum: number;
}

/** Everything about one prompt. */
interface Search {
  readonly prompt: number;
  readonly start: TextStart;
  beams: Beam[];
  finished: (GeneratedText & { score: number })[];
  isDone: boolean;
}

/** The best `count` candidates seen so far, best first; equal ones in the order they came. */
class Best {
  readonly list: Candidate[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** The sum a candidate must beat. */
  get least(): number {
    return this.list.length < this.#count ? -Infinity : this.list[this.list.length - 1].sum;
  }

  add(candidate: Candidate): void {
    let at = this.list.length;
    while (at > 0 && this.list[at - 1].sum < candidate.sum) at--;
    this.list.splice(at, 0, candidate);
    if (this.list.length > this.#count) this.list.pop();
  }
}

/** How a text starts. */
export interface TextStart {
  /** What processors see before the generated tokens: a decoder's prompt. */
  readonly tokens: readonly number[];
  /** Most tokens to generate. */
  readonly limit: number;
}

/** Options of a search, defaults filled in; each text has a limit of its own. */
export type BeamSearchOptions = Omit<GenerateOptions, "maxNewTokens"> & {
  readonly stopTokens: readonly number[];
  readonly processors: readonly LogitsProcessor[];
  readonly beam: TextBeamOptions;
};

/** The texts a search ends with. */
function textOf(beam: Beam, end: GeneratedText["end"], score: number): GeneratedText & {
  score: number;
} {
  return {
    tokens: Int32Array.from(beam.tokens),
    logProbs: Float32Array.from(beam.logProbs),
    modelLogProbs: Float32Array.from(beam.modelLogProbs),
    end,
    score,
  };
}

/**
 * Beam search with the rules of transformers: of the likeliest continuations of K texts, those that end
 * are set aside if they are among the first K, and the first K that go on are pursued; at the longest
 * length all end. A text's score is Σ logProbs / lengthᵖ.
 *
 * Processors change log-probabilities here, not logits, and what they leave is not normalised again, so
 * that the mass of a forbidden token is lost to the score.
 *
 * @param state Prompts that were read, one row each
 * @param starts What processors see of them, and how far to go
 * @param options How to search
 * @returns For each prompt `beam.count` texts, best first
 * @throws {DeepragError} If processors forbid every token of a row, or a logit is no number
 */
export async function searchBeams(
  state: SequenceState,
  starts: readonly TextStart[],
  options: BeamSearchOptions,
): Promise<GeneratedText[][]> {
  const { stopTokens, processors, signal } = options;
  const { beams: K, lengthPenalty = 1, earlyStopping = false, count = 1 } = options.beam;
  const scoreOf = (sum: number, length: number): number => sum / length ** lengthPenalty;
  const empty: Beam = { tokens: [], logProbs: [], modelLogProbs: [], sum: 0 };
  const searches = starts.map((start, prompt): Search => ({
    prompt,
    start,
    beams: [empty],
    finished: [],
    isDone: false,
  }));
  const setAside = (search: Search, text: GeneratedText & { score: number }): void => {
    search.finished.push(text);
    search.finished.sort((a, b) => b.score - a.score);
    search.finished.length = Math.min(search.finished.length, K);
  };
  const isEnough = ({ finished, start }: Search, bestSum: number, length: number): boolean => {
    if (finished.length < K) return false;
    if (earlyStopping === true) return true;
    const at = earlyStopping === "never" && lengthPenalty > 0 ? start.limit : length;
    return finished[K - 1].score >= scoreOf(bestSum, at);
  };

  let active = searches;
  for (let step = 0; active.length; step++) {
    if (signal?.aborted) break;
    const { logits, logSumExp: sums } = state.next;
    const V = logits.length / active.reduce((n, { beams }) => n + beams.length, 0);
    const sources: number[] = [], tokens: number[][] = [];
    let first = 0;
    for (const search of active) {
      const { prompt, start } = search, isLast = step + 1 === start.limit;
      const best = new Best(Math.max(2, 1 + stopTokens.length) * K);
      search.beams.forEach((beam, b) => {
        const row = first + b;
        let scores = logits.subarray(row * V, (row + 1) * V), sum = sums[row];
        let logMass = sum;
        if (processors.length) {
          const all = [...start.tokens, ...beam.tokens];
          scores = scores.map((logit) => logit - sum);
          sum = 0;
          for (const process of processors) {
            process(scores, { prompt, tokens: all, generated: step });
          }
          logMass = logSumExp(scores);
        }
        if (!Number.isFinite(logMass)) {
          throw new DeepragError(
            `Cannot choose token ${step} of prompt ${prompt}: the processors leave none, or a ` +
              "logit is no number",
          );
        }
        for (let token = 0; token < V; token++) {
          const logProb = scores[token] - sum, total = beam.sum + logProb;
          if (total > best.least) best.add({ beam: b, token, logProb, sum: total });
        }
      });
      const goOn: Candidate[] = [];
      const extended = ({ beam: b, token, logProb, sum }: Candidate): Beam => {
        const { tokens, logProbs, modelLogProbs } = search.beams[b];
        return {
          tokens: [...tokens, token],
          logProbs: [...logProbs, logProb],
          modelLogProbs: [...modelLogProbs, logits[(first + b) * V + token] - sums[first + b]],
          sum,
        };
      };
      best.list.forEach((candidate, rank) => {
        const isStop = stopTokens.includes(candidate.token);
        if (isStop || isLast) {
          if (rank >= K) return;
          const beam = extended(candidate), end = isStop ? "stop" : "length";
          setAside(search, textOf(beam, end, scoreOf(candidate.sum, step + 1)));
        } else if (goOn.length < K) goOn.push(candidate);
      });
      search.isDone = !goOn.length || isEnough(search, goOn[0].sum, step + 1);
      const next = goOn.map(extended);
      if (!search.isDone) {
        for (const { beam, token } of goOn) {
          sources.push(first + beam);
          tokens.push([token]);
        }
      }
      first += search.beams.length;
      search.beams = next;
    }
    active = active.filter((search) => !search.isDone);
    if (!active.length) break;
    state.select(sources);
    await state.extend(tokens);
  }
  for (const search of active) {
    for (const beam of search.beams) {
      if (!beam.tokens.length) continue;
      setAside(search, textOf(beam, "aborted", scoreOf(beam.sum, beam.tokens.length)));
    }
  }
  return searches.map(({ finished }) => finished.slice(0, count));
}
