/**
 * Search over T5 against transformers: a wide beam equals the exhaustive ranking, a beam of 10 equals
 * Hugging Face's, eagerly and as one recorded graph.
 */
import { assertEquals, assertLess } from "@std/assert";
import { type Trie, trieFromTokenSequences } from "../../src/docid/trie.ts";
import { t5ParamSpecs } from "../../src/model/mod.ts";
import {
  type BeamOptions,
  exhaustiveProgram,
  searchProgram,
  t5Scorer,
  type T5ScorerOptions,
} from "../../src/retriever/mod.ts";
import { eagerExecutor } from "../../src/runtime/eager_executor.ts";
import type { Executor, HostTensors } from "../../src/runtime/executor.ts";
import { onnxExecutor } from "../../src/runtime/onnx_executor.ts";
import { hostBatch, type Reference, references } from "./_t5.ts";

/** Sums of up to five float32 log-probabilities of size about 5, computed by two libraries. */
const LOG_PROB = 5e-5;

/** `generate` of reference.json. */
interface Generated {
  beam10_trie: { sequences: number[][]; sequences_scores: number[] };
  exhaustive: {
    docid_token_sequences: number[][];
    logprob_full_vocab: number[][];
    logprob_trie_renormalised: number[][];
  };
}

const readGenerated = (name: string): Generated => {
  const file = new URL(`../../../shared/parity/${name}/reference.json`, import.meta.url);
  return JSON.parse(Deno.readTextFileSync(file)).generate;
};

const executors: Executor[] = [eagerExecutor("cpu"), onnxExecutor({ threads: 1 })];

interface Search extends BeamOptions {
  normalise: "trie" | "vocabulary";
}

async function search(
  executor: Executor,
  reference: Reference,
  { trie, ...options }: Search & { trie: Trie },
): Promise<HostTensors> {
  const { config, tensors } = reference;
  const program = searchProgram(t5Scorer(config, trie, options), trie, {
    params: t5ParamSpecs(config),
    ...options,
  });
  const executable = await executor.compile(program, { constants: tensors, dialect: "export" });
  const { inputIds, isToken } = hostBatch(reference.cases[0]);
  const output = await executable.run({ inputIds, isToken });
  await executable.dispose();
  return output;
}

async function rankAll(
  executor: Executor,
  { config, tensors, cases }: Reference,
  { trie, ...options }: T5ScorerOptions & { trie: Trie },
): Promise<ArrayLike<number>> {
  const scorer = t5Scorer(config, trie, options);
  const program = exhaustiveProgram(scorer, trie, { params: t5ParamSpecs(config) });
  const executable = await executor.compile(program, { constants: tensors, dialect: "export" });
  const { inputIds, isToken } = hostBatch(cases[0]);
  const { logProb } = await executable.run({ inputIds, isToken });
  await executable.dispose();
  return logProb.data;
}

for (const reference of references) {
  const { beam10_trie, exhaustive } = readGenerated(reference.name);
  const sequences = exhaustive.docid_token_sequences;
  const trie = trieFromTokenSequences(sequences);
  const N = sequences.length, B = exhaustive.logprob_full_vocab.length;
  const expected = {
    trie: exhaustive.logprob_trie_renormalised,
    vocabulary: exhaustive.logprob_full_vocab,
  };

  for (const executor of executors) {
    for (const normalise of ["trie", "vocabulary"] as const) {
      Deno.test(`${reference.name} on ${executor.name}: a beam of 128 is exhaustive over the ${normalise}`, async () => {
        const options = { trie, normalise, beam: 128 };
        const { doc, logProb, droppedMass } = await search(executor, reference, options);
        assertEquals(doc.shape, [B, 128]);
        for (let b = 0; b < B; b++) {
          const ranking = [...expected[normalise][b].keys()]
            .sort((x, y) => expected[normalise][b][y] - expected[normalise][b][x]);
          const found = [...doc.data.slice(b * 128, (b + 1) * 128)];
          assertEquals(found, [...ranking, ...Array(128 - N).fill(-1)]);
          let mass = 0;
          ranking.forEach((d, k) => {
            assertLess(Math.abs(logProb.data[b * 128 + k] - expected[normalise][b][d]), LOG_PROB);
            mass += Math.exp(expected[normalise][b][d]);
          });
          assertLess(Math.abs(droppedMass.data[b] - (1 - mass)), LOG_PROB);
        }
      });
    }

    Deno.test(`${reference.name} on ${executor.name}: exact log-probabilities`, async () => {
      const scores = await rankAll(executor, reference, { trie });
      expected.trie.flat().forEach((x, i) => assertLess(Math.abs(scores[i] - x), LOG_PROB));
    });

    Deno.test(`${reference.name} on ${executor.name}: a beam of 10 is Hugging Face's`, async () => {
      const { doc, logProb } = await search(executor, reference, {
        trie,
        normalise: "vocabulary",
        beam: 10,
        leaves: "compete",
      });
      const found = [...doc.data].map((d) => sequences[d]);
      const theirs = beam10_trie.sequences.map((s) => s.slice(1, s.indexOf(1) + 1));
      assertEquals(found, theirs);
      beam10_trie.sequences_scores.forEach((score, i) =>
        assertLess(Math.abs(logProb.data[i] - score), LOG_PROB)
      );
    });
  }

  Deno.test(`${reference.name}: docids in codes, translated to tokens, score the same`, async () => {
    // Codes are tokens minus 1: another trie, the same vocabulary.
    const coded = trieFromTokenSequences(sequences.map((s) => s.map((token) => token - 1)));
    const tokenOf = (_depth: number, code: number): number => code + 1;
    const scores = await rankAll(executors[0], reference, { trie: coded, tokenOf });
    expected.trie.flat().forEach((x, i) => assertLess(Math.abs(scores[i] - x), LOG_PROB));
  });
}
