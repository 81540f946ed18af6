/** Candidates: what they are, and that they stand for all documents. */
import { assert, assertAlmostEquals, assertEquals, assertLess, assertRejects } from "@std/assert";
import fc from "fast-check";
import { assignDocids, buildTrie, slotsOf } from "../../../src/docid/mod.ts";
import { DataError, DeepragError } from "../../../src/errors.ts";
import { lexicalParamSpecs } from "../../../src/model/mod.ts";
import {
  type CandidateSet,
  type DistributionOptions,
  type DocumentDistribution,
  firstCandidates,
  gumbelTopK,
  lexicalScorer,
  openDocumentDistribution,
  unreadPosterior,
} from "../../../src/retriever/mod.ts";
import { onnxExecutor } from "../../../src/runtime/mod.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { drawn } from "../model/_tiny_decoder.ts";

const N = 12, QUESTIONS = [[2, 3], [4], [2, 4, 5, 5]];
const trie = buildTrie(assignDocids(N, { scheme: "naive", base: 4 }), { slots: "compact" });
const specs = lexicalParamSpecs({
  vocabSize: 6,
  width: 5,
  slotCount: slotsOf(trie).slotCount,
});
/** One that is sure of little. */
const parameters = drawn(specs, 0.5);
const random = { seed: 3, stream: "candidates", step: 0 };

async function candidatesOf(
  options: Pick<DistributionOptions, "kind" | "size">,
): Promise<{ sets: CandidateSet[]; isRenormalized: boolean }> {
  const distribution = await openDocumentDistribution(onnxExecutor(), {
    ...options,
    scorer: lexicalScorer(slotsOf(trie)),
    trie,
    specs,
    parameters,
    padId: 0,
    batchSize: 2,
  });
  const { isRenormalized } = distribution;
  const sets = await distribution.candidates(QUESTIONS, random);
  await distribution.dispose();
  return { sets, isRenormalized };
}

const massOf = ({ docs, logProbs }: CandidateSet): number => {
  const byDoc = new Map(Array.from(docs, (d, k) => [d, Math.exp(logProbs[k])]));
  return [...byDoc.values()].reduce((a, b) => a + b, 0);
};

Deno.test("exact: every document once, with probabilities that sum to 1", async () => {
  const { sets, isRenormalized } = await candidatesOf({ kind: "exact" });
  assert(!isRenormalized);
  assertEquals(sets.length, QUESTIONS.length);
  for (const set of sets) {
    assertEquals([...set.docs].sort((a, b) => a - b), Array.from({ length: N }, (_, d) => d));
    assertAlmostEquals(massOf(set), 1, 1e-6);
    assertEquals(set.droppedMass, 0);
  }
});

Deno.test("exact with a size: the most probable documents, best first; the rest is dropped", async () => {
  const { sets: all } = await candidatesOf({ kind: "exact" });
  const { sets } = await candidatesOf({ kind: "exact", size: 5 });
  sets.forEach((set, i) => {
    assertEquals([...set.logProbs], [...all[i].logProbs].sort((a, b) => b - a).slice(0, 5));
    assertAlmostEquals(set.droppedMass, 1 - massOf(set), 1e-9);
    const first = firstCandidates(all[i], 5);
    assertEquals([first.docs, first.logProbs], [set.docs, set.logProbs]);
    assertAlmostEquals(first.droppedMass, set.droppedMass, 1e-6);
  });
});

Deno.test("what is unread holds at most the bound, and exactly that where its likelihood is 1", async () => {
  const { sets } = await candidatesOf({ kind: "exact" });
  const logLikelihoods = Array.from({ length: N }, (_, k) => -k / 3);
  for (const set of sets) {
    const posterior = (logs: number[], temperature: number): number[] => {
      const joint = logs.map((log, k) => Math.exp(set.logProbs[k] / temperature + log));
      const total = joint.reduce((a, b) => a + b, 0);
      return joint.map((x) => x / total);
    };
    const unread = (logs: number[], k: number, temperature: number): number =>
      posterior(logs, temperature).slice(k).reduce((a, b) => a + b, 0);
    for (const temperature of [1, 2.5]) {
      for (const k of [1, 4, N - 1]) {
        const read = logLikelihoods.slice(0, k), bound = unreadPosterior(set, read, temperature);
        assert(unread(logLikelihoods, k, temperature) <= bound);
        const worst = [...read, ...Array(N - k).fill(0)];
        assertAlmostEquals(unread(worst, k, temperature), bound, 1e-9);
      }
    }
    assertEquals(unreadPosterior(set, logLikelihoods), 0);
  }
});

Deno.test("top_k: the best of the exact ones; what is dropped is the rest", async () => {
  const { sets: all } = await candidatesOf({ kind: "exact" });
  const { sets, isRenormalized } = await candidatesOf({ kind: "top_k", size: 4 });
  assert(isRenormalized);
  sets.forEach((set, i) => {
    assertEquals([...set.docs].slice(0, 2), [...all[i].docs].slice(0, 2));
    const logOf = (doc: number): number => all[i].logProbs[all[i].docs.indexOf(doc)];
    set.docs.forEach((d, k) => assertAlmostEquals(set.logProbs[k], logOf(d), 1e-5));
    assertAlmostEquals(set.droppedMass, 1 - massOf(set), 1e-6);
  });
});

Deno.test("draws: as often as is probable; the same key draws the same", async () => {
  const { sets: all } = await candidatesOf({ kind: "exact" });
  const size = 20_000, { sets } = await candidatesOf({ kind: "draws", size });
  const again = (await candidatesOf({ kind: "draws", size: 5 })).sets;
  assertEquals(again, (await candidatesOf({ kind: "draws", size: 5 })).sets);
  sets.forEach((set, i) => {
    const counts = new Float64Array(N);
    set.docs.forEach((d) => counts[d]++);
    counts.forEach((count, d) => {
      const p = Math.exp(all[i].logProbs[all[i].docs.indexOf(d)]),
        deviation = Math.sqrt(p * (1 - p) / size);
      assertLess(Math.abs(count / size - p), 5 * deviation + 1e-4);
    });
  });
});

Deno.test("gumbel_top_k: weighted samples have the right expectation", () => {
  const logProbs = [0.4, 0.3, 0.15, 0.1, 0.05].map(Math.log), value = [3, -1, 2, 7, -4];
  const truth = logProbs.reduce((sum, log, i) => sum + Math.exp(log) * value[i], 0);
  const runs = 20_000;
  let total = 0, squares = 0;
  for (let step = 0; step < runs; step++) {
    const { indices, logInclusion } = gumbelTopK(
      logProbs,
      2,
      randomStream({ seed: 1, stream: "gumbel", step }),
    );
    const estimate = Array.from(indices).reduce(
      (sum, i, k) => sum + Math.exp(logProbs[i] - logInclusion[k]) * value[i],
      0,
    );
    total += estimate;
    squares += estimate ** 2;
  }
  const mean = total / runs, error = Math.sqrt((squares / runs - mean ** 2) / runs);
  assertLess(Math.abs(mean - truth), 4 * error);
});

Deno.test("gumbel_top_k: no index twice; all of them where there is room", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 40 }), (n, k) => {
      const { indices, logInclusion } = gumbelTopK(
        Array.from({ length: n }, () => -Math.log(n)),
        k,
        randomStream({ seed: n, stream: "gumbel", step: k }),
      );
      assertEquals(new Set(indices).size, Math.min(n, k));
      if (k >= n) assertEquals([...logInclusion], Array(n).fill(0));
      else assert(logInclusion.every((x) => x < 0));
    }),
  );
});

Deno.test("sizes, masses and questions that make no sense are refused", async () => {
  const open = (options: Partial<DistributionOptions>): Promise<DocumentDistribution> =>
    openDocumentDistribution(onnxExecutor(), {
      kind: "exact",
      scorer: lexicalScorer(slotsOf(trie)),
      trie,
      specs,
      parameters,
      padId: 0,
      ...options,
    });
  await assertRejects(() => open({ kind: "top_k" }), DeepragError, "undefined");
  await assertRejects(() => open({ kind: "draws", size: 0 }), DeepragError, "0 candidates");
  const distribution = await open({});
  await assertRejects(() => distribution.candidates([[2], []], random), DataError, "question 2");
  await distribution.dispose();
});
