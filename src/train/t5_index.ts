/** A T5 that generates docids digit by digit, ready to be trained. @module */
import * as tf from "@tensorflow/tfjs-core";
import { pathTables } from "../docid/path.ts";
import type { Trie } from "../docid/trie.ts";
import { ShapeError } from "../errors.ts";
import { parameterInputs, type Program } from "../graph/program.ts";
import { type T5Config, t5Decode, t5Encode, t5Logits, t5ParamSpecs } from "../model/mod.ts";
import { maskedLogSoftmax } from "../nn/mod.ts";
import { exhaustiveProgram } from "../retriever/program.ts";
import type { DocidScorer } from "../retriever/scorer.ts";
import { t5Scorer } from "../retriever/t5_scorer.ts";
import { named, namedInts } from "../tensor/axes.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import type { Params, ParamSpecs } from "../tensor/params.ts";
import { padBatch } from "../text/pad_batch.ts";
import type { IndexExample, IndexModel } from "./index_model.ts";
import type { TrainingBatch } from "./trainable_model.ts";

/** What a T5 index is made of. */
export interface T5IndexOptions {
  /** Sizes; its vocabulary holds the text's tokens and, from `firstDigit` on, C for each digit. */
  readonly config: T5Config;
  /** Docids, with codes as slots: digit l of code c is the token `firstDigit + l·C + c`. */
  readonly trie: Trie;
  /** Token of code 0 of the first digit. */
  readonly firstDigit: number;
  /** Tokens kept of a text. */
  readonly maxTokens: number;
  /** Seed of the random start. */
  readonly seed: number;
  /** Weights to start from instead, by name: all of them, digits included. */
  readonly weights?: Readonly<Record<string, HostTensor>>;
}

/** Tokens that the digits of a trie need. */
export function digitTokens(trie: Trie): number {
  return trie.depth * trie.branching;
}

/** Token of each code of each digit: every digit has C tokens of its own, from `firstDigit` on. */
export function digitTokenOf(
  trie: Trie,
  firstDigit: number,
): (depth: number, code: number) => number {
  return (depth, code) => firstDigit + depth * trie.branching + code;
}

/**
 * A T5 over a corpus. Trained on p(d|q), the product of softmaxes over the children of each node of
 * the trie, which is also what search ranks by; other tokens are never scored.
 *
 * Source: Tay et al. 2022. Departure: the loss is normalised over the trie, not the vocabulary.
 *
 * @throws {ShapeError} If the vocabulary has no room for the digits, or the trie's slots are not its
 *   codes
 */
export function t5Index(options: T5IndexOptions): IndexModel {
  const { config, trie, firstDigit, maxTokens } = options;
  const { branching: C, depth: L } = trie;
  if (firstDigit + digitTokens(trie) > config.vocabSize) {
    throw new ShapeError(
      `Cannot make an index: ${
        digitTokens(trie)
      } digit tokens from ${firstDigit} on do not fit into ` +
        `a vocabulary of ${config.vocabSize}`,
    );
  }
  if (trie.childToken.some((code, at) => code >= 0 && code !== at % C)) {
    throw new ShapeError(
      'Cannot make an index: the slots of its trie are not its codes; build it with slots "code"',
    );
  }
  const specs = t5ParamSpecs(config);
  const paths = pathTables(trie);
  const tokenOf = digitTokenOf(trie, firstDigit);
  const scorer = t5Scorer(config, trie, { tokenOf });
  return {
    family: "t5",
    specs,
    trie,
    scorer,
    jointProgram: jointProgram(scorer, trie, specs),
    jointBatch({ weighed, replay, replayWeight }): TrainingBatch {
      const B = weighed.length + replay.length, N = trie.docCount;
      if (B === 0) throw new ShapeError("Cannot build a batch: there are no examples");
      const texts = [...weighed, ...replay].map((e) => Array.from(e.tokenIds).slice(0, maxTokens));
      const weights = new Float32Array(B * N);
      weighed.forEach((e, b) => {
        for (let k = 0; k < e.docs.length; k++) weights[b * N + e.docs[k]] += e.weights[k];
      });
      replay.forEach(({ doc }, i) => {
        weights[(weighed.length + i) * N + doc] = replayWeight / replay.length;
      });
      const { inputIds, isToken } = padBatch(texts, { padId: config.padToken });
      return {
        inputs: { inputIds, isToken, weights: hostTensor("float32", weights, [B, N]) },
        rows: {},
        tokens: texts.reduce((n, ids) => n + ids.length, 0),
        positions: inputIds.data.length,
      };
    },
    trainingProgram: trainingProgram(options),
    start(store): void {
      if (options.weights) store.load(options.weights);
      else store.initialise(options.seed);
    },
    batch(examples: readonly IndexExample[]): TrainingBatch {
      const B = examples.length;
      const texts = examples.map((e) => Array.from(e.tokenIds).slice(0, maxTokens));
      const { inputIds, isToken } = padBatch(texts, { padId: config.padToken });
      const table = () => new Int32Array(B * L);
      const decoderIds = table(), slot = table(), node = table(), isDigit = new Float32Array(B * L);
      examples.forEach(({ doc }, b) => {
        decoderIds[b * L] = config.startToken;
        for (let l = 0; l < paths.length[doc]; l++) {
          slot[b * L + l] = paths.slot[doc * L + l];
          node[b * L + l] = paths.node[doc * L + l];
          isDigit[b * L + l] = 1;
          if (l + 1 < L) decoderIds[b * L + l + 1] = tokenOf(l, paths.token[doc * L + l]);
        }
      });
      return {
        inputs: {
          inputIds,
          isToken,
          decoderIds: hostTensor("int32", decoderIds, [B, L]),
          slot: hostTensor("int32", slot, [B, L]),
          node: hostTensor("int32", node, [B, L]),
          isDigit: hostTensor("float32", isDigit, [B, L]),
        },
        rows: {},
        tokens: texts.reduce((n, ids) => n + ids.length, 0),
        positions: inputIds.data.length,
      };
    },
  };
}

/** −Σ c log p(d|q) over all documents, enumerated. */
function jointProgram(scorer: DocidScorer, trie: Trie, specs: ParamSpecs): Program {
  const { inputs, run } = exhaustiveProgram(scorer, trie, { params: specs });
  return {
    name: "t5-index-joint",
    inputs: { ...inputs, weights: { dtype: "float32", shape: ["B", trie.docCount] } },
    run: (x): Params => ({ loss: tf.neg(tf.sum(tf.mul(run(x).logProb, x.weights))) }),
  };
}

/** −log p(d|q), mean over the batch. */
function trainingProgram({ config, trie, firstDigit }: T5IndexOptions): Program {
  const { branching: C, depth: L, nodeCount: M } = trie;
  const specs = t5ParamSpecs(config);
  const isChild = Float32Array.from(trie.childToken, (token) => token >= 0 ? 1 : 0);
  return {
    name: "t5-index-training",
    inputs: {
      ...parameterInputs(specs),
      inputIds: { dtype: "int32", shape: ["B", "S"] },
      isToken: { dtype: "float32", shape: ["B", "S"] },
      decoderIds: { dtype: "int32", shape: ["B", L] },
      slot: { dtype: "int32", shape: ["B", L] },
      node: { dtype: "int32", shape: ["B", L] },
      isDigit: { dtype: "float32", shape: ["B", L] },
    },
    run(x): Params {
      const params = Object.fromEntries(Object.keys(specs).map((name) => [name, x[name]]));
      // A docid has fewer digits than a question has words: project the queries, not the source.
      const dropout = { dropoutRate: config.dropoutRate, hasShortTargets: true };
      const dims = {};
      const isToken = named(x.isToken, "B S", dims);
      const inputIds = namedInts(x.inputIds, "B S", dims);
      const memory = t5Encode(params, config, { inputIds, isToken }, dropout);
      const decoderIds = namedInts(x.decoderIds, "B T", {});
      const hidden = t5Decode(params, config, { decoderIds, memory, isToken }, dropout);
      const column = (t: tf.Tensor, l: number) =>
        tf.reshape(tf.slice(t, [0, l], [t.shape[0], 1]), [-1]);
      const children = tf.tensor2d(isChild, [M, C]);
      let logProb: tf.Tensor | undefined;
      for (let l = 0; l < L; l++) {
        const B = x.slot.shape[0];
        const state = tf.reshape(
          tf.slice(hidden as tf.Tensor, [0, l, 0], [B, 1, config.modelWidth]),
          [B, config.modelWidth],
        );
        const rows = { start: firstDigit + l * C, size: C };
        const logits = t5Logits(params, config, state, { rows });
        const isAllowed = tf.gather(children, column(x.node, l) as tf.Tensor1D);
        const all = maskedLogSoftmax(logits, isAllowed);
        const chosen = tf.oneHot(column(x.slot, l) as tf.Tensor1D, C, 1, 0, "float32");
        const digit = tf.mul(tf.sum(tf.mul(all, chosen), 1), column(x.isDigit, l));
        logProb = logProb ? tf.add(logProb, digit) : digit;
      }
      return { loss: tf.neg(tf.mean(logProb!)) };
    },
  };
}
