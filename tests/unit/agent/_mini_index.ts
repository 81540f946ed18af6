/** A small lexical index, searched as a trained one is. @module */
import type { Document } from "../../../src/data/mod.ts";
import { assignDocids } from "../../../src/docid/assign.ts";
import { slotsOf } from "../../../src/docid/slots.ts";
import { buildTrie } from "../../../src/docid/trie.ts";
import {
  lexicalParamSpecs,
  SLOT_BIAS,
  SLOT_EMBEDDING,
  STEM_EMBEDDING,
  STEM_WEIGHT,
} from "../../../src/model/lexical.ts";
import { searchProgram } from "../../../src/retriever/program.ts";
import { DocidSearcher } from "../../../src/retriever/searcher.ts";
import { lexicalScorer } from "../../../src/retriever/tree_scorer.ts";
import { eagerExecutor } from "../../../src/runtime/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { loadTokenizer, trainStemTokenizer } from "../../../src/text/mod.ts";

/** Of N documents by their titles: a stem's vector is 9 for each document whose title holds it. */
export async function miniIndex(documents: readonly Document[], beam = 6): Promise<DocidSearcher> {
  const tokenizer = loadTokenizer(trainStemTokenizer(documents.map(({ title }) => title)));
  const N = documents.length, V = tokenizer.vocabSize;
  const trie = buildTrie(assignDocids(N, { scheme: "atomic" }));
  const stems = new Float32Array(V * N);
  documents.forEach(({ title }, doc) => {
    for (const stem of tokenizer.encode(title)) stems[stem * N + doc] = 9;
  });
  const identity = Float32Array.from({ length: N * N }, (_, i) => i % (N + 1) === 0 ? 1 : 0);
  const program = searchProgram(lexicalScorer(slotsOf(trie)), trie, {
    params: lexicalParamSpecs({ vocabSize: V, width: N, slotCount: N }),
    beam,
  });
  const constants = {
    [STEM_EMBEDDING]: hostTensor("float32", stems, [V, N]),
    [STEM_WEIGHT]: hostTensor("float32", new Float32Array(V).fill(1), [V, 1]),
    [SLOT_EMBEDDING]: hostTensor("float32", identity, [N, N]),
    [SLOT_BIAS]: hostTensor("float32", new Float32Array(N), [N, 1]),
  };
  return new DocidSearcher({
    executable: await eagerExecutor("cpu").compile(program, { constants }),
    encode: (text) => tokenizer.encode(text),
    padId: 0,
  });
}
