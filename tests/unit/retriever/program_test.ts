import * as tf from "@tensorflow/tfjs-core";
import { assertEquals } from "@std/assert";
import { assignDocids } from "../../../src/docid/assign.ts";
import { slotsOf } from "../../../src/docid/slots.ts";
import { buildTrie, type Trie, trieFromTokenSequences } from "../../../src/docid/trie.ts";
import type { Program } from "../../../src/graph/mod.ts";
import { lexicalParamSpecs, SLOT_EMBEDDING, STEM_WEIGHT } from "../../../src/model/lexical.ts";
import { exhaustiveProgram, searchProgram } from "../../../src/retriever/program.ts";
import { lexicalScorer } from "../../../src/retriever/tree_scorer.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { assertParity, type Tensors } from "../../parity.ts";

const VOCABULARY = 13;
const stream = randomStream({ seed: 4, stream: "program", step: 0 });

const floats = (shape: readonly number[]): HostTensor =>
  hostTensor("float32", Float32Array.from({ length: sizeOf(shape) }, () => stream.normal()), shape);

function questions(B: number, S: number): Tensors {
  const ids = Int32Array.from({ length: B * S }, () => stream.int(VOCABULARY));
  const isToken = Float32Array.from({ length: B * S }, (_, i) => i % S <= i / S ? 1 : 0);
  return {
    inputIds: hostTensor("int32", ids, [B, S]),
    isToken: hostTensor("float32", isToken, [B, S]),
  };
}

const tries: Record<string, Trie> = {
  atomic: buildTrie(assignDocids(9, { scheme: "atomic" })),
  "naive with holes": buildTrie(assignDocids(11, { scheme: "naive", base: 4 })),
  "of codes whose last one is not used": buildTrie(assignDocids(4, { scheme: "naive", base: 5 })),
  "of mixed depth": trieFromTokenSequences([[0], [1, 0], [1, 1, 0], [1, 1, 2], [2, 0], [2, 3]]),
  "of one document": trieFromTokenSequences([[3, 4]]),
};

for (const [name, trie] of Object.entries(tries)) {
  const slots = slotsOf(trie);
  const params = lexicalParamSpecs({
    vocabSize: VOCABULARY,
    width: 6,
    slotCount: slots.slotCount,
  });
  const constants = Object.fromEntries(
    Object.entries(params).map(([key, { shape }]) => [key, floats(shape)]),
  );
  const sets = [questions(1, 1), questions(2, 5), questions(5, 3)];

  Deno.test(`recorded search of a trie ${name} equals eager search at every size`, async () => {
    for (const compute of ["all", "visited"] as const) {
      for (const beam of [1, 3, 20]) {
        const program = searchProgram(lexicalScorer(slots, { compute }), trie, { params, beam });
        await assertParity(program, sets, { constants, dialects: ["export"] });
      }
    }
  });

  Deno.test(`exact log-probabilities of a trie ${name}: value and gradient`, async () => {
    const { inputs, run } = exhaustiveProgram(lexicalScorer(slots), trie, { params });
    const weights = tf.range(1, trie.docCount + 1);
    const values = weights.dataSync();
    weights.dispose();
    const program: Program = {
      name: "weighted",
      inputs,
      run: (x) => ({ loss: tf.sum(tf.mul(run(x).logProb, tf.tensor1d(values))) }),
    };
    await assertParity(program, sets.map((set) => ({ ...set, ...constants })), {
      gradients: { loss: "loss", parameters: [SLOT_EMBEDDING, STEM_WEIGHT] },
      dialects: ["training"],
    });
  });
}

Deno.test("inputs of a program: parameters first, then the questions", () => {
  const trie = tries.atomic;
  const params = lexicalParamSpecs({ vocabSize: 5, width: 2, slotCount: 9 });
  const program = searchProgram(lexicalScorer(slotsOf(trie)), trie, { params, beam: 2 });
  assertEquals(program.name, "search");
  assertEquals(Object.keys(program.inputs), [...Object.keys(params), "inputIds", "isToken"]);
});
