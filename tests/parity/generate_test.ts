/** Greedy generation and beam search of every family against transformers. */
import { assert, assertEquals } from "@std/assert";
import { generate, openDecoder, openT5, type SequenceModel } from "../../src/generate/mod.ts";
import type { Executor } from "../../src/runtime/executor.ts";
import { onnxExecutor } from "../../src/runtime/onnx_executor.ts";
import { deviceExecutors } from "./_executors.ts";
import { type Generation, isAvailable, references as decoders } from "./_decoder.ts";
import { references as t5s } from "./_t5.ts";

/** The references give scores with six decimals. */
const SCORE_TOLERANCE = 2e-6;

const executor = onnxExecutor();

/** Rows without their padding. */
const rowsOf = (ids: number[][], isToken: number[][]): number[][] =>
  ids.map((row, b) => row.filter((_, t) => isToken[b][t]));

interface Subject {
  name: string;
  open: (on?: Executor) => Promise<SequenceModel>;
  prompts: number[][];
  greedy: Generation;
  beams: { name: string; lengthPenalty: number; expected: Generation }[];
  padded?: Generation;
  /** Tokens of a sequence before the first generated one. */
  skipped: (row: number) => number;
  padToken: number;
}

const subjects: Subject[] = [
  ...decoders.map((reference): Subject => ({
    name: reference.name,
    open: (on = executor) => openDecoder(reference, { executor: on }),
    prompts: reference.cases[0].input_ids,
    greedy: reference.generate.greedy,
    beams: [{
      name: "length penalty 1",
      lengthPenalty: 1,
      expected: reference.generate.beam4_length_penalty_1,
    }],
    padded: reference.generate.greedy_left_padded,
    skipped: () => reference.cases[0].input_ids[0].length,
    padToken: reference.config.padToken ?? 0,
  })),
  ...t5s.map((reference): Subject => ({
    name: reference.name,
    open: (on = executor) => openT5(reference, { executor: on }),
    prompts: rowsOf(reference.cases[0].input_ids, reference.cases[0].attention_mask),
    greedy: reference.greedy,
    beams: [0, 1].map((lengthPenalty) => ({
      name: `length penalty ${lengthPenalty}`,
      lengthPenalty,
      expected: reference.beams[lengthPenalty],
    })),
    skipped: () => 1,
    padToken: reference.config.padToken,
  })),
];

/** Generated tokens as transformers returns them: filled up to the longest row. */
const filled = (tokens: Int32Array, length: number, pad: number): number[] =>
  Array.from({ length }, (_, t) => tokens[t] ?? pad);

for (const subject of subjects) {
  const { name, prompts, greedy, padded, skipped, padToken } = subject;
  Deno.test({
    name: `${name}: greedy generation, with log-probabilities`,
    ignore: !isAvailable,
    fn: async () => {
      const model = await subject.open();
      const results = await generate(model, prompts, { maxNewTokens: greedy.max_new_tokens });
      results.forEach(([{ tokens, logProbs, modelLogProbs }], b) => {
        const expected = greedy.sequences[b].slice(skipped(b));
        assertEquals(filled(tokens, expected.length, padToken), expected);
        assertEquals(logProbs, modelLogProbs);
        assert(logProbs.every((x) => x <= 0 && x > -6), `${logProbs}`);
      });
      await model.dispose();
    },
  });

  for (const { executor: on, ignore, ...options } of deviceExecutors) {
    Deno.test({
      name: `${name} on ${on.name}: greedy generation`,
      ignore: ignore || !isAvailable,
      ...options,
      fn: async () => {
        const model = await subject.open(on);
        const results = await generate(model, prompts, { maxNewTokens: greedy.max_new_tokens });
        results.forEach(([{ tokens }], b) => {
          const expected = greedy.sequences[b].slice(skipped(b));
          assertEquals(filled(tokens, expected.length, padToken), expected);
        });
        await model.dispose();
      },
    });
  }

  // The references of T5 have none.
  if (padded) {
    Deno.test({
      name: `${name}: rows of different length`,
      fn: async () => {
        const { input_ids, attention_mask, sequences, max_new_tokens } = padded;
        const model = await subject.open();
        const rows = rowsOf(input_ids!, attention_mask!);
        const results = await generate(model, rows, { maxNewTokens: max_new_tokens });
        results.forEach(([{ tokens }], b) => {
          const expected = sequences[b].slice(input_ids![0].length);
          assertEquals(filled(tokens, expected.length, padToken), expected);
        });
        await model.dispose();
      },
    });
  }

  for (const { name: which, lengthPenalty, expected } of subject.beams) {
    Deno.test({
      name: `${name}: four beams, ${which}`,
      ignore: !isAvailable,
      fn: async () => {
        const model = await subject.open();
        const results = await generate(model, prompts, {
          maxNewTokens: expected.max_new_tokens,
          beam: { beams: 4, count: 4, lengthPenalty },
        });
        results.flat().forEach(({ tokens, score }, i) => {
          const sequence = expected.sequences[i].slice(skipped(0));
          assertEquals(filled(tokens, sequence.length, padToken), sequence, `text ${i}`);
          const error = Math.abs(score! - expected.sequences_scores![i]);
          assert(error <= SCORE_TOLERANCE * Math.abs(score!) + 1e-6, `score ${i} off by ${error}`);
        });
        await model.dispose();
      },
    });
  }
}
