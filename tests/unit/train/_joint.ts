/** A small index and a small reader over 50 documents, and both in one graph. */
import * as tf from "@tensorflow/tfjs-core";
import type { AgentProtocol, PolicyText, Situation } from "../../../src/agent/mod.ts";
import { readingText } from "../../../src/agent/mod.ts";
import { policyBatchOf } from "../../../src/agent/policy_text.ts";
import type { Document } from "../../../src/data/mod.ts";
import { assignDocids, buildTrie } from "../../../src/docid/mod.ts";
import { parameterInputs, type Program } from "../../../src/graph/mod.ts";
import { type DecoderConfig, policyOutputs, type PolicyRules } from "../../../src/model/mod.ts";
import { exhaustiveLogProbs } from "../../../src/retriever/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { padBatch } from "../../../src/text/pad_batch.ts";
import { lexicalIndex, policyParamSpecs } from "../../../src/train/mod.ts";
import type { IndexModel } from "../../../src/train/mod.ts";
import { type JointObjectiveOptions, jointObjectiveProgram } from "../../../src/train/mod.ts";
import { drawn, tinyDecoderConfig } from "../model/_tiny_decoder.ts";

/** Documents. */
export const N = 50;
/** Tokens of the reader: 0 pads, 1 answers, 2 ends, 3 retrieves, 4 and 5 are tags; the rest are words. */
const ids = { answer: 1, end: 2, retrieve: 3, documentStart: 4, documentEnd: 5, cost: 6 };
const random = randomStream({ seed: 11, stream: "joint", step: 0 });
const word = (): number => 7 + random.int(4);

/** Documents of two or three words. */
export const documents: readonly Document[] = Array.from({ length: N }, (_, d) => ({
  docId: `d${d}`,
  title: "",
  text: Array.from({ length: 2 + random.int(2) }, word).join(" "),
}));

/** The little that the learner needs of a protocol; words are numbers. */
export const protocol = {
  ids,
  budget: 1,
  documentTokens: 4,
  words: (text: string) => text.split(" ").map(Number),
  document: ({ text }: Document) => [
    ids.documentStart,
    ...text.split(" ").map(Number),
    ids.documentEnd,
  ],
} as unknown as AgentProtocol;

/** What the reader may choose. */
export const rules: PolicyRules = { forbidden: [0, 4, 5], retrieveToken: 3, temperature: 1 };

/** Two questions that are looked up at once. */
export const situations: readonly Situation[] = [["8 10", "9"], ["7", "8 7"]].map(
  ([query, answer], i) => {
    const prompt = [...protocol.words(query), ids.cost];
    return {
      question: { queryId: `q${i}`, query, docIds: [], answers: [answer] },
      cost: 0.2,
      query,
      prompt,
      prefix: [...prompt, ids.retrieve],
      left: 0,
      target: [ids.answer, ...protocol.words(answer), ids.end],
      mayRetrieve: [0, ...protocol.words(answer).map(() => 0), 0],
    };
  },
);

/** Stems of a query: the words less 5, so that the first is 2. */
export const encode = (query: string): number[] => protocol.words(query).map((w) => w - 5);

/** Sizes of the reader. */
export const readerConfig: DecoderConfig = tinyDecoderConfig("llama", {
  max_position_embeddings: 24,
});
/** Its parameters. */
export const readerSpecs = policyParamSpecs(readerConfig, false);
export const readerTensors = drawn(readerSpecs);

/** A lexical index over the documents, one vector a slot, docids of two and three digits. */
export function smallIndex(): IndexModel {
  return lexicalIndex({
    bm25: {
      rows: 6,
      cols: N,
      offsets: new Int32Array(7),
      indices: new Int32Array(0),
      values: new Float32Array(0),
    },
    trie: buildTrie(assignDocids(N, { scheme: "naive", base: 6 }), { slots: "compact" }),
    head: "tree",
    width: 4,
    init: "random",
    distill: { weight: 0, temperature: 1 },
    slotRateFactor: 1,
    isUnseen: new Uint8Array(N),
    firstStem: 2,
    seed: 5,
  });
}

/** Values of its parameters. */
export const indexTensors = (index: IndexModel): Record<string, HostTensor<"float32">> =>
  drawn(index.specs, 0.5);

/** Every text of the reader: question by question, document by document. */
export const readerTexts: readonly PolicyText[] = situations.flatMap((situation) =>
  documents.map((document) => readingText(situation, document, protocol))
);

/** The whole: p(d|q) of every document, p(y|q,d) of every document, and the loss, as one program. */
export function wholeProgram(index: IndexModel, options: JointObjectiveOptions): Program {
  const objective = jointObjectiveProgram(options);
  const B = situations.length, R = readerTexts.length;
  const A = readerTexts.reduce((sum, { actions }) => sum + actions.length, 0);
  return {
    name: "whole",
    inputs: {
      ...parameterInputs(index.specs),
      ...parameterInputs(readerSpecs),
      inputIds: { dtype: "int32", shape: [B, "S"] },
      isToken: { dtype: "float32", shape: [B, "S"] },
      readIds: { dtype: "int32", shape: [R, "T"] },
      isRead: { dtype: "float32", shape: [R, "T"] },
      states: { dtype: "int32", shape: [A] },
      actions: { dtype: "int32", shape: [A] },
      mayRetrieve: { dtype: "float32", shape: [A] },
      owner: { dtype: "float32", shape: [R, A] },
    },
    run: (x) => {
      const logProbs = exhaustiveLogProbs(index.scorer, index.trie, {
        params: x,
        inputs: { inputIds: x.inputIds, isToken: x.isToken },
      });
      const said = policyOutputs(x, readerConfig, {
        inputIds: namedInts(x.readIds, "B S", {}),
        isToken: named(x.isRead, "B S", {}),
        states: namedInts(x.states, "N", {}),
        actions: namedInts(x.actions, "N", {}),
        mayRetrieve: named(x.mayRetrieve, "N", {}),
      }, rules);
      const sums = tf.matMul(
        x.owner as tf.Tensor2D,
        tf.reshape(said.logProbs as tf.Tensor, [-1, 1]) as tf.Tensor2D,
      );
      const result = objective.run({
        logProbs,
        logLikelihoods: tf.reshape(sums, [B, N]),
        isCandidate: tf.onesLike(logProbs),
        logInclusion: tf.zerosLike(logProbs),
      });
      return { loss: result.loss };
    },
  };
}

/** The inputs of {@linkcode wholeProgram} besides parameters. */
export function wholeInputs(): Record<string, HostTensor> {
  const { inputs, lengths } = policyBatchOf(readerTexts, 0);
  const questions = padBatch(situations.map(({ query }) => encode(query)), { padId: 0 });
  const choices = inputs.actions.shape[0], owner = new Float32Array(lengths.length * choices);
  let at = 0;
  lengths.forEach((length, i) => {
    for (let t = 0; t < length; t++) owner[i * choices + at++] = 1;
  });
  return {
    inputIds: questions.inputIds,
    isToken: questions.isToken,
    readIds: inputs.inputIds,
    isRead: inputs.isToken,
    states: inputs.states,
    actions: inputs.actions,
    mayRetrieve: inputs.mayRetrieve,
    owner: hostTensor("float32", owner, [lengths.length, choices]),
  };
}
