import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Trie, trieFromTokenSequences } from "../../../src/docid/trie.ts";
import { DeepragError } from "../../../src/errors.ts";
import { type BeamOptions, beamSearch } from "../../../src/retriever/beam.ts";
import { exhaustiveLogProbs } from "../../../src/retriever/exhaustive.ts";
import { enumerateDocuments, plainBeamSearch } from "../../../src/retriever/plain.ts";
import { anyTrie, toyLogProbs, toyScorer, toyTable } from "./_toy.ts";

/** Float32 sums of a few log-probabilities of size up to about 20. */
const LOG_PROB = 1e-5;

await tf.setBackend("cpu");

interface Found {
  doc: number[][];
  logProb: number[][];
  droppedMass: number[];
}

interface Case {
  trie: Trie;
  table: Float32Array;
  questions: number[];
  isOverVocabulary?: boolean;
}

function search(options: BeamOptions, { trie, table, questions, isOverVocabulary }: Case): Found {
  return tf.tidy(() => {
    const inputs = { question: tf.tensor1d(questions, "int32") };
    const scorer = toyScorer(trie, table, isOverVocabulary);
    const out = beamSearch(scorer, trie, { params: {}, inputs, options });
    return {
      doc: out.doc.arraySync() as number[][],
      logProb: out.logProb.arraySync() as number[][],
      droppedMass: out.droppedMass.arraySync() as number[],
    };
  });
}

function rankAll({ trie, table, questions, isOverVocabulary }: Case): number[][] {
  return tf.tidy(() => {
    const inputs = { question: tf.tensor1d(questions, "int32") };
    const scorer = toyScorer(trie, table, isOverVocabulary);
    return exhaustiveLogProbs(scorer, trie, { params: {}, inputs }).arraySync() as number[][];
  });
}

const cases = fc.record({
  trie: anyTrie,
  seed: fc.nat(1000),
  beam: fc.integer({ min: 1, max: 30 }),
  leaves: fc.constantFrom("collect" as const, "compete" as const),
  isOverVocabulary: fc.boolean(),
});

Deno.test("search agrees with the plain loop, for every question of a batch", () => {
  fc.assert(fc.property(cases, ({ trie, seed, beam, leaves, isOverVocabulary }) => {
    const table = toyTable(trie, 3, seed);
    const questions = [2, 0, 1, 1];
    const found = search({ beam, leaves }, { trie, table, questions, isOverVocabulary });
    questions.forEach((question, b) => {
      const logProbs = toyLogProbs(trie, table, { question, isOverVocabulary });
      const expected = plainBeamSearch(trie, logProbs, { beam, leaves });
      assertEquals(found.doc[b].length, beam);
      assertEquals(found.doc[b].filter((d) => d >= 0), expected.map((x) => x.doc));
      expected.forEach(({ logProb }, k) =>
        assertLess(Math.abs(found.logProb[b][k] - logProb), LOG_PROB)
      );
    });
  }));
});

Deno.test("what comes out: valid ids, none twice, in order, then -1 and -∞", () => {
  fc.assert(fc.property(cases, ({ trie, seed, beam, leaves }) => {
    const table = toyTable(trie, 1, seed);
    const { doc: [doc], logProb: [logProb], droppedMass: [dropped] } = search(
      { beam, leaves },
      { trie, table, questions: [0] },
    );
    const valid = doc.filter((d) => d !== -1);
    assert(valid.every((d) => d >= 0 && d < trie.docCount));
    assertEquals(new Set(valid).size, valid.length);
    assertEquals(doc.slice(valid.length), Array(beam - valid.length).fill(-1));
    assertEquals(logProb.slice(valid.length), Array(beam - valid.length).fill(-Infinity));
    for (let k = 1; k < valid.length; k++) assert(logProb[k] <= logProb[k - 1]);
    const mass = logProb.reduce((sum, x) => sum + Math.exp(x), 0);
    assertLess(Math.abs(dropped - (1 - mass)), LOG_PROB);
  }));
});

Deno.test("a beam of N reaches every document and drops nothing", () => {
  fc.assert(fc.property(cases, ({ trie, seed, leaves }) => {
    const table = toyTable(trie, 2, seed);
    const N = trie.docCount;
    const found = search({ beam: N, leaves }, { trie, table, questions: [0, 1] });
    for (const question of [0, 1]) {
      const all = enumerateDocuments(trie, toyLogProbs(trie, table, { question }));
      assertEquals([...found.doc[question]].sort((a, b) => a - b), [...all.keys()]);
      found.doc[question].forEach((doc, k) =>
        assertLess(Math.abs(found.logProb[question][k] - all[doc]), LOG_PROB)
      );
      assertLess(Math.abs(found.droppedMass[question]), LOG_PROB);
    }
  }));
});

Deno.test("exact log-probabilities equal enumeration and sum to 1 over all documents", () => {
  fc.assert(fc.property(cases, ({ trie, seed, isOverVocabulary }) => {
    const table = toyTable(trie, 3, seed);
    const questions = [1, 2, 0];
    const found = rankAll({ trie, table, questions, isOverVocabulary });
    questions.forEach((question, b) => {
      const logProbs = toyLogProbs(trie, table, { question, isOverVocabulary });
      const expected = enumerateDocuments(trie, logProbs);
      assertEquals(found[b].length, trie.docCount);
      expected.forEach((x, doc) => assertLess(Math.abs(found[b][doc] - x), LOG_PROB));
      const mass = found[b].reduce((sum, x) => sum + Math.exp(x), 0);
      if (!isOverVocabulary) assertLess(Math.abs(mass - 1), LOG_PROB);
    });
  }));
});

Deno.test("a question is answered the same alone and in a batch", () => {
  fc.assert(
    fc.property(cases, ({ trie, seed, beam, leaves }) => {
      const table = toyTable(trie, 3, seed);
      const together = search({ beam, leaves }, { trie, table, questions: [0, 1, 2] });
      for (const question of [0, 1, 2]) {
        const alone = search({ beam, leaves }, { trie, table, questions: [question] });
        assertEquals(alone.doc[0], together.doc[question]);
        assertEquals(alone.logProb[0], together.logProb[question]);
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("a short docid costs no place in the beam, unless leaves compete", () => {
  // Documents: 1 | 2 1 | 3 1. At the root the leaf is best, then the node of document 1.
  const trie = trieFromTokenSequences([[1], [2, 1], [3, 1]]);
  const table = Float32Array.from([2, 1, 0, 0, 0, 0, 0, 0, 0]);
  const of = (leaves: "collect" | "compete", logits: Float32Array): number[] =>
    search({ beam: 1, leaves }, { trie, table: logits, questions: [0] }).doc[0];
  assertEquals(of("collect", table), [0]);
  assertEquals(of("compete", table), [0]);
  // The leaf is second best: it is still the best document when the only prefix fades.
  const fading = Float32Array.from([2, 2.5, 0, 0, 0, 0, 0, 0, 0]);
  assertEquals(of("collect", fading), [1]);
  const wide = trieFromTokenSequences([[1], [2, 1], [2, 2], [2, 3], [3, 1]]);
  const split = Float32Array.from([2, 2.5, 0, 0, 0, 0, 0, 0, 0]);
  assertEquals(search({ beam: 1 }, { trie: wide, table: split, questions: [0] }).doc[0], [0]);
  const compete = { beam: 1, leaves: "compete" } as const;
  assertEquals(search(compete, { trie: wide, table: split, questions: [0] }).doc[0], [1]);
});

Deno.test("a beam must be a positive integer", () => {
  const trie = trieFromTokenSequences([[1]]);
  for (const beam of [0, -1, 1.5, NaN]) {
    const run = (): Found => search({ beam }, { trie, table: Float32Array.of(0), questions: [0] });
    assertThrows(run, DeepragError, "positive integer");
  }
});
