/** Search over a T5 model that spells docids in tokens of its vocabulary. @module */
import * as tf from "@tensorflow/tfjs-core";
import { nodeDepths } from "../docid/path.ts";
import type { Trie } from "../docid/trie.ts";
import { ShapeError } from "../errors.ts";
import {
  type KeysValues,
  type T5Config,
  t5CrossKeysValues,
  t5DecodeStep,
  t5Encode,
  t5Logits,
  type T5LogitsOptions,
} from "../model/mod.ts";
import { type F32, type I32, named, namedInts } from "../tensor/axes.ts";
import {
  type DocidScorer,
  QUESTION_INPUTS,
  type ScorerOutput,
  type ScorerState,
  type Tensors,
} from "./scorer.ts";

/** Choices of {@linkcode t5Scorer}. */
export interface T5ScorerOptions {
  /** Vocabulary token of a docid's digit. Default: the trie's tokens are those of the vocabulary. */
  tokenOf?: (depth: number, code: number) => number;
  /**
   * `"trie"`: p(digit) is over the children of a node; only their logits are computed.
   * `"vocabulary"`: over all tokens, as in Hugging Face's `generate` with
   * `prefix_allowed_tokens_fn`. Default `"trie"`.
   */
  normalise?: "trie" | "vocabulary";
}

/** How the slots of one level stand in the vocabulary. */
interface LevelTokens {
  /** Rows of the output layer that are needed; nothing for all. */
  readonly rows?: { start: number; size: number } | Int32Array;
  /** [nodes, C] column of each slot among those rows; nothing where they are the slots. */
  readonly columns?: Int32Array;
  /** Token of each code, to be fed at the next digit; nothing where it is the code. */
  readonly tokens?: Int32Array;
  /** Number of the level's first node, and of its nodes. */
  readonly firstNode: number;
  /** See {@linkcode firstNode}. */
  readonly nodes: number;
}

/**
 * T5 as a scorer. Keys and values of the question are computed once and shared by its beams; those of
 * the docid grow by one position per digit and follow their beams.
 *
 * @param config Sizes of the model
 * @param trie Docids
 * @param options Which tokens, and what probabilities are over
 * @throws {ShapeError} If a token is outside the vocabulary
 */
export function t5Scorer(
  config: T5Config,
  trie: Trie,
  options: T5ScorerOptions = {},
): DocidScorer {
  const isOverVocabulary = options.normalise === "vocabulary";
  const levels = tokensOfLevels(config, trie, options);
  const C = trie.branching;
  return {
    inputs: QUESTION_INPUTS,
    start(params, { inputIds, isToken }): ScorerState {
      const source = {
        inputIds: namedInts(inputIds, "B S", {}),
        isToken: named(isToken, "B S", {}),
      };
      const memory = t5Encode(params, config, source);
      const cross = t5CrossKeysValues(params, config, memory);
      const start = tf.fill([inputIds.shape[0]], config.startToken, "int32");
      return { shared: { ...flatten(cross), isToken }, rows: { start } };
    },
    step(params, { shared, rows }, { depth, beams, node, token }): ScorerOutput {
      const level = levels[depth];
      const { hidden, cache } = t5DecodeStep(params, config, {
        token: (token ? translate(token, levels[depth - 1].tokens) : rows.start) as I32<"N">,
        isToken: shared.isToken as F32<"B S">,
        cache: token ? unflatten(rows, config) : [],
        crossKeysValues: unflatten(shared, config),
        beams,
      });
      const logits = t5Logits(params, config, hidden, toLogitsOptions(level));
      return {
        logits: level.columns ? pickColumns(logits, level, { node, branching: C }) : logits,
        logTotal: isOverVocabulary ? tf.logSumExp(logits, 1, true) : undefined,
        rows: flatten(cache),
      };
    },
  };
}

function tokensOfLevels(
  { vocabSize }: T5Config,
  trie: Trie,
  { tokenOf, normalise }: T5ScorerOptions,
): LevelTokens[] {
  const { branching: C, childToken, levelStart } = trie;
  const depths = nodeDepths(trie);
  const vocabulary = childToken.map((code, at) => {
    if (code < 0) return -1;
    const depth = depths[Math.floor(at / C)];
    const token = tokenOf ? tokenOf(depth, code) : code;
    if (Number.isInteger(token) && token >= 0 && token < vocabSize) return token;
    throw new ShapeError(
      `Cannot search with digit ${code} at depth ${depth}: its token ${token} is not in the ` +
        `vocabulary of ${vocabSize}`,
    );
  });
  return Array.from({ length: trie.depth }, (_, depth) => {
    const firstNode = levelStart[depth], nodes = levelStart[depth + 1] - firstNode;
    const here = vocabulary.subarray(firstNode * C, (firstNode + nodes) * C);
    const codes = childToken.subarray(firstNode * C, (firstNode + nodes) * C);
    const base = { firstNode, nodes, tokens: tokenOf && tableOf(codes, here) };
    if (normalise === "vocabulary") return { ...base, columns: here.map((x) => Math.max(x, 0)) };
    const at = here.findIndex((token) => token >= 0);
    const start = here[at] - at % C;
    const isAligned = here.every((token, i) => token < 0 || token === start + i % C);
    if (isAligned && start >= 0 && start + C <= vocabSize) {
      return { ...base, rows: { start, size: C } };
    }
    const used = Int32Array.from(new Set(here.filter((token) => token >= 0))).sort();
    const column = new Map([...used].map((token, i) => [token, i]));
    const isRange = used[used.length - 1] - used[0] === used.length - 1;
    return {
      ...base,
      rows: isRange ? { start: used[0], size: used.length } : used,
      columns: here.map((token) => column.get(token) ?? 0),
    };
  });
}

/** Token of each code that occurs. */
function tableOf(codes: Int32Array, tokens: Int32Array): Int32Array {
  const table = new Int32Array(1 + codes.reduce((a, b) => Math.max(a, b), 0));
  codes.forEach((code, at) => {
    if (code >= 0) table[code] = tokens[at];
  });
  return table;
}

function translate(codes: tf.Tensor, tokens?: Int32Array): tf.Tensor {
  return tokens ? tf.gather(tf.tensor1d(tokens, "int32"), codes as tf.Tensor1D) : codes;
}

function toLogitsOptions({ rows }: LevelTokens): T5LogitsOptions {
  if (!(rows instanceof Int32Array)) return { rows };
  return { rows: namedInts(tf.tensor1d(rows, "int32"), "C", {}) };
}

/** [R, X] logits to those of each prefix's slots, [R, C]. */
function pickColumns(
  logits: tf.Tensor,
  { columns, nodes, firstNode }: LevelTokens,
  { node, branching: C }: { node: tf.Tensor; branching: number },
): tf.Tensor {
  const [R, X] = logits.shape;
  const local = tf.sub(node, tf.scalar(firstNode, "int32")) as tf.Tensor1D;
  const wanted = tf.gather(tf.tensor2d(columns!, [nodes, C], "int32"), local);
  const row = tf.mul(tf.range(0, R, 1, "int32"), tf.scalar(X!, "int32"));
  const at = tf.add(wanted, tf.expandDims(row, 1)) as tf.Tensor2D;
  return tf.gather(tf.reshape(logits, [-1]), at);
}

function flatten(layers: readonly KeysValues[]): Tensors {
  return Object.fromEntries(
    layers.flatMap(({ keys, values }, i) => [[`keys.${i}`, keys], [`values.${i}`, values]]),
  );
}

function unflatten(tensors: Tensors, { decoderLayers }: T5Config): KeysValues[] {
  return Array.from({ length: decoderLayers }, (_, i) => ({
    keys: named(tensors[`keys.${i}`], "B H M E", {}),
    values: named(tensors[`values.${i}`], "B H M E", {}),
  }));
}
