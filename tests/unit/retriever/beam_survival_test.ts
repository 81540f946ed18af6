import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { slotsOf, type Trie } from "../../../src/docid/mod.ts";
import { DeepragError, ShapeError } from "../../../src/errors.ts";
import { lexicalParamSpecs } from "../../../src/model/mod.ts";
import {
  beamSurvival,
  lexicalScorer,
  openDocumentDistribution,
} from "../../../src/retriever/mod.ts";
import type { CandidateSet } from "../../../src/retriever/mod.ts";
import { eagerExecutor } from "../../../src/runtime/mod.ts";
import { drawn } from "../model/_tiny_decoder.ts";
import { anyKindOfTrie } from "./_toy.ts";

/** log p of float32 on either side. */
const LOGS = 1e-4;

/** What a random index says about one question: of every document, and by a search. */
async function ask(
  trie: Trie,
  beam: number,
): Promise<{ logProbs: Float64Array; found: CandidateSet }> {
  const slots = slotsOf(trie);
  const specs = lexicalParamSpecs({ vocabSize: 4, width: 3, slotCount: slots.slotCount });
  const common = {
    scorer: lexicalScorer(slots),
    trie,
    specs,
    parameters: drawn(specs, 1),
    padId: 0,
  };
  const sets: CandidateSet[] = [];
  for (const options of [{ kind: "exact" }, { kind: "top_k", size: beam }] as const) {
    const distribution = await openDocumentDistribution(eagerExecutor("cpu"), {
      ...common,
      ...options,
    });
    sets.push(
      ...await distribution.candidates([[2, 3]], { seed: 1, stream: "beam", step: 0 }),
    );
    await distribution.dispose();
  }
  const logProbs = new Float64Array(trie.docCount);
  sets[0].docs.forEach((doc, k) => logProbs[doc] = sets[0].logProbs[k]);
  return { logProbs, found: sets[1] };
}

Deno.test("what the search finds is what survives, and the best of it comes first", async () => {
  await fc.assert(
    fc.asyncProperty(anyKindOfTrie, fc.integer({ min: 1, max: 5 }), async (trie, beam) => {
      const { logProbs, found } = await ask(trie, beam);
      const { lostAt, best, regret } = beamSurvival(logProbs, trie, beam);
      for (const doc of found.docs) assertEquals(lostAt[doc], -1);
      assertAlmostEquals(found.logProbs[0], logProbs[best], LOGS);
      assertAlmostEquals(regret, Math.max(...logProbs) - found.logProbs[0], LOGS);
      const survivors = lostAt.filter((at) => at < 0).length;
      assertEquals(found.docs.length, Math.min(beam, survivors));
      assert(lostAt.every((at) => at < trie.depth - 1));
    }),
    { numRuns: 40 },
  );
});

Deno.test("a beam as wide as the corpus loses nothing; what does not fit is refused", () => {
  fc.assert(fc.property(anyKindOfTrie, (trie) => {
    const even = new Float64Array(trie.docCount).fill(-Math.log(trie.docCount));
    const { lostAt, regret } = beamSurvival(even, trie, trie.docCount);
    assertEquals([...lostAt], Array(trie.docCount).fill(-1));
    assertEquals(regret, 0);
    assertThrows(() => beamSurvival([...even, 0], trie, 1), ShapeError, "probabilities");
    assertThrows(() => beamSurvival(even, trie, 0), DeepragError, "beam of 0");
  }));
});
