/** Texts from a model, token by token. @module */
import { DeepragError } from "../errors.ts";
import { randomStream } from "../tensor/random.ts";
import { logSumExp } from "./_rows.ts";
import { searchBeams, type TextStart } from "./beam_search.ts";
import {
  forbidTokens,
  type LogitsProcessor,
  noRepeatNgrams,
  repetitionPenalty,
  temperature,
  topK,
  topP,
} from "./logits_processors.ts";
import { checkGenerateOptions, type GenerateOptions, MAX_NEW_TOKENS } from "./options.ts";
import type { SequenceModel, SequenceState } from "./sequence_model.ts";

/** Memory is set aside for so many tokens at most. */
const MAX_SET_ASIDE = 1024;

/** A generated text. */
export interface GeneratedText {
  /** Generated tokens, a stop token included; the prompt is not repeated. */
  readonly tokens: Int32Array;
  /**
   * Natural log of the probability with which each token was chosen: after all processors, temperature,
   * top k and top p. Without any of these it is the model's own. In a beam it is the model's own as the
   * processors leave it: no probability any more, as in transformers.
   */
  readonly logProbs: Float32Array;
  /** Natural log of the probability that the model itself gives each token. */
  readonly modelLogProbs: Float32Array;
  /** Why it ended: a stop token, the longest length, or the caller. */
  readonly end: "stop" | "length" | "aborted";
  /** In a beam: Σ logProbs / lengthᵖ, p the length penalty. */
  readonly score?: number;
}

/** All processors of some options, in the order in which they act. */
export function processorsOf(
  options: GenerateOptions,
  stopTokens: readonly number[],
): LogitsProcessor[] {
  const { minNewTokens = 0, sampling, processors = [] } = options;
  const { repetitionPenalty: penalty = 1 } = options;
  const all: LogitsProcessor[] = [];
  if (penalty !== 1) all.push(repetitionPenalty(penalty));
  if (options.noRepeatNgramSize) all.push(noRepeatNgrams(options.noRepeatNgramSize));
  if (minNewTokens > 0) all.push(forbidTokens(stopTokens, minNewTokens));
  all.push(...processors);
  if (sampling?.temperature !== undefined && sampling.temperature !== 1) {
    all.push(temperature(sampling.temperature));
  }
  if (sampling?.topK !== undefined) all.push(topK(sampling.topK));
  if (sampling?.topP !== undefined && sampling.topP < 1) all.push(topP(sampling.topP));
  return all;
}

/** One text that is still growing. */
interface Growing {
  readonly prompt: number;
  /** Most tokens to generate. */
  readonly limit: number;
  /** What processors see. */
  readonly tokens: number[];
  readonly generated: number[];
  readonly logProbs: number[];
  readonly modelLogProbs: number[];
}

/** The first likeliest token. */
function argMax(logits: Float32Array): number {
  let best = 0, top = logits[0];
  for (let v = 1; v < logits.length; v++) {
    if (logits[v] > top) [top, best] = [logits[v], v];
  }
  return best;
}

/** The token at the share `u` in [0, 1) of the cumulated probabilities, by id. */
function draw(logits: Float32Array, logSum: number, u: number): number {
  let mass = 0, last = -1;
  for (let v = 0; v < logits.length; v++) {
    if (logits[v] === -Infinity) continue;
    mass += Math.exp(logits[v] - logSum);
    last = v;
    if (mass > u) return v;
  }
  return last;
}

/**
 * Continue prompts, or answer sources with an encoder-decoder. Rows that end leave the batch, so the
 * others go on faster. Random numbers are a pure function of seed, stream, prompt number and step: the
 * same whatever else is in the batch.
 *
 * @param model A model ready to generate
 * @param prompts Token ids; they are not padded
 * @param options How to choose tokens, and when to end
 * @returns For each prompt one text, or `beam.count` texts, best first
 * @throws {ConfigError} If options are out of range or contradict each other
 * @throws {ShapeError} If a prompt is empty, too long, or has an id outside of the vocabulary
 * @throws {DeepragError} If processors forbid every token, or a logit is no number
 */
export async function generate(
  model: SequenceModel,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions = {},
): Promise<GeneratedText[][]> {
  checkGenerateOptions(options);
  const maxNewTokens = options.maxNewTokens ?? MAX_NEW_TOKENS;
  const starts = prompts.map((ids): TextStart => {
    // The start token of an encoder-decoder stands in its row too.
    const tokens = model.isEncoderDecoder ? [] : Array.from(ids);
    const room = model.maxLength - Math.max(1, tokens.length);
    return { tokens, limit: Math.max(1, Math.min(maxNewTokens, room)) };
  });
  const stopTokens = options.stopTokens ?? model.endTokens;
  const processors = processorsOf(options, stopTokens);
  const state = await model.start(prompts, Math.min(maxNewTokens, MAX_SET_ASIDE));
  const whole = { ...options, stopTokens, processors };
  if (options.beam) return await searchBeams(state, starts, { ...whole, beam: options.beam });
  const texts = await sample(state, starts, whole);
  return texts.map((text) => [text]);
}

type Resolved = GenerateOptions & {
  stopTokens: readonly number[];
  processors: readonly LogitsProcessor[];
};

async function sample(
  state: SequenceState,
  starts: readonly TextStart[],
  { stopTokens, processors, sampling, onToken, signal }: Resolved,
): Promise<GeneratedText[]> {
  const { seed = 0, stream = "generate" } = sampling ?? {};
  const results: GeneratedText[] = [];
  const finish = (row: Growing, end: GeneratedText["end"]): void => {
    results[row.prompt] = {
      tokens: Int32Array.from(row.generated),
      logProbs: Float32Array.from(row.logProbs),
      modelLogProbs: Float32Array.from(row.modelLogProbs),
      end,
    };
  };
  let growing: Growing[] = starts.map(({ tokens, limit }, prompt) => ({
    prompt,
    limit,
    tokens: [...tokens],
    generated: [],
    logProbs: [],
    modelLogProbs: [],
  }));
  for (let step = 0; growing.length; step++) {
    if (signal?.aborted) {
      growing.forEach((row) => finish(row, "aborted"));
      break;
    }
    const { logits: all, logSumExp: sums } = state.next;
    const V = all.length / growing.length;
    const kept: number[] = [];
    growing.forEach((row, i) => {
      let logits = all.subarray(i * V, (i + 1) * V), logSum = sums[i];
      if (processors.length) {
        logits = logits.slice();
        const { prompt, tokens } = row;
        for (const process of processors) process(logits, { prompt, tokens, generated: step });
        logSum = logSumExp(logits);
      }
      if (!Number.isFinite(logSum)) {
        throw new DeepragError(
          `Cannot choose token ${step} of prompt ${row.prompt}: the processors leave none, or a ` +
            "logit is no number",
        );
      }
      const token = sampling
        ? draw(
          logits,
          logSum,
          randomStream({ seed, stream: `${stream}/${row.prompt}`, step }).uniform(),
        )
        : argMax(logits);
      const logProb = logits[token] - logSum;
      row.tokens.push(token);
      row.generated.push(token);
      row.logProbs.push(logProb);
      row.modelLogProbs.push(all[i * V + token] - sums[i]);
      const goesOn = onToken?.({ prompt: row.prompt, step, token, logProb }) ?? true;
      if (stopTokens.includes(token)) finish(row, "stop");
      else if (!goesOn) finish(row, "aborted");
      else if (step + 1 === row.limit) finish(row, "length");
      else kept.push(i);
    });
    if (kept.length < growing.length) {
      growing = kept.map((i) => growing[i]);
      state.select(kept);
    }
    if (growing.length) await state.extend(growing.map((row) => row.generated.slice(-1)));
  }
  return results;
}
