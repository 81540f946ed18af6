/** From documents and questions to everything a training of an index needs. @module */
import type { ResolvedConfig, T5ModelConfig } from "../config/mod.ts";
import { type Dataset, documentText } from "../data/mod.ts";
import {
  assignDocids,
  type BalanceReport,
  balanceReport,
  buildTrie,
  type Docids,
  lsaVectors,
} from "../docid/mod.ts";
import { DataError } from "../errors.ts";
import { type LoadedModel, loadModel } from "../hub/mod.ts";
import {
  parseT5Config,
  resizeVocabulary,
  type T5Config,
  t5ConfigToJson,
  type T5Model,
} from "../model/mod.ts";
import { transposeCsr } from "../tensor/sparse.ts";
import type { SparseMatrix } from "../tensor/sparse.ts";
import { randomStream } from "../tensor/random.ts";
import {
  bm25Index,
  loadTokenizer,
  STOP_WORDS,
  type Tokenizer,
  type TokenizerJson,
  trainBpe,
  trainStemTokenizer,
} from "../text/mod.ts";
import { bucketed, type ExampleSource } from "../train/bucketed.ts";
import type { IndexModel } from "../train/index_model.ts";
import { lexicalIndex } from "../train/lexical_index.ts";
import { createExampleSampler } from "../train/pseudo_queries/mod.ts";
import { digitTokens, t5Index } from "../train/t5_index.ts";

/** A retriever with its tokenizer and docids: what is saved, searched and exported. */
export interface IndexParts {
  /** The retriever. */
  readonly model: IndexModel;
  /** `config.json` of the model. */
  readonly modelConfig: Record<string, unknown>;
  /** `tokenizer.json`. */
  readonly tokenizerJson: TokenizerJson;
  /** The same, loaded. */
  readonly tokenizer: Tokenizer;
  /** Docids of all documents. */
  readonly docids: Docids;
}

/** Everything a training needs. */
export interface PreparedIndex extends IndexParts {
  /** Draws training examples. */
  readonly examples: ExampleSource;
  /** How evenly the docids divide the documents. */
  readonly balance: BalanceReport;
}

/** Stem ids below this one are `<pad>` and `<unk>`. */
export const FIRST_STEM = 2;

/** Tokens of a text that a T5 index reads. */
export const T5_MAX_TOKENS = 64;

/**
 * BM25 over stems without stop words: docids, teacher and start of the lexical model come from it.
 *
 * @param tokenizer A stem tokenizer
 * @param texts N documents
 * @returns [V, N]
 */
export function stemMatrix(tokenizer: Tokenizer, texts: readonly string[]): SparseMatrix {
  const stopIds = [...STOP_WORDS].flatMap((word) => [...tokenizer.encode(word)]);
  const ignoredIds = [...new Set([0, 1, ...stopIds])];
  return bm25Index(tokenizer.encodeBatch(texts), tokenizer.vocabSize, { ignoredIds });
}

/** Docids by the scheme of the configuration. */
function docidsOf(config: ResolvedConfig, matrix: SparseMatrix): Docids {
  const { scheme, base, balanced, leaf_size, max_depth, lsa_dimensions, restarts } = config.docid;
  const options = {
    scheme,
    base: scheme === "atomic" ? undefined : base,
    seed: config.seed,
    balanced,
    leafSize: leaf_size ?? undefined,
    maxDepth: max_depth ?? undefined,
    restarts,
  };
  if (scheme !== "semantic") return assignDocids(matrix.cols, options);
  const vectors = lsaVectors(transposeCsr(matrix), {
    dimensions: lsa_dimensions,
    seed: config.seed,
  });
  return assignDocids(vectors, options);
}

/** Permute the labels of all examples, the same way throughout: the control that must end at chance. */
function withShuffledLabels(source: ExampleSource, docCount: number, seed: number): ExampleSource {
  const order = Array.from({ length: docCount }, (_, d) => d);
  randomStream({ seed, stream: "shuffle-labels", step: 0 }).shuffle(order);
  return {
    batch: (step, size) => source.batch(step, size).map((e) => ({ ...e, doc: order[e.doc] })),
  };
}

/** What is prepared besides dataset and configuration. */
export interface PrepareOptions {
  /** The model that `model.pretrained` names, loaded. */
  readonly pretrained?: LoadedModel;
  /** Docids of an index that is to be gone on with. Default: assigned by the scheme of the configuration. */
  readonly docids?: Docids;
}

/** The model that `model.pretrained` names, loaded; nothing where there is none. */
export async function loadPretrained(
  { model }: ResolvedConfig,
  onNote: (note: string) => void,
): Promise<LoadedModel | undefined> {
  if (model.family !== "t5" || model.pretrained === null) return undefined;
  return await loadModel(model.pretrained, { onNote });
}

/** A T5 to start from: its tokenizer, and its weights with room for the digits. */
interface T5Start {
  readonly config: T5Config;
  readonly tokenizerJson: TokenizerJson;
  readonly tokenizer: Tokenizer;
  readonly weights?: T5Model["tensors"];
}

/** The T5 that the configuration names, or one of its sizes with a tokenizer trained on the texts. */
function t5Start(
  c: T5ModelConfig,
  texts: readonly string[],
  { digits, seed, pretrained }: { digits: number; seed: number; pretrained?: LoadedModel },
): T5Start {
  if (c.pretrained === null) {
    const tokenizerJson = trainBpe(texts, {
      vocabSize: c.vocab_size,
      specialTokens: ["<pad>", "</s>", "<unk>"],
      endToken: "</s>",
    });
    const tokenizer = loadTokenizer(tokenizerJson);
    const config = parseT5Config({
      model_type: "t5",
      vocab_size: tokenizer.vocabSize + digits,
      d_model: c.d_model,
      d_ff: c.d_ff,
      d_kv: c.d_kv,
      num_layers: c.num_layers,
      num_decoder_layers: c.num_decoder_layers,
      num_heads: c.num_heads,
      feed_forward_proj: c.feed_forward_proj,
      tie_word_embeddings: c.feed_forward_proj !== "gated-gelu",
      dropout_rate: c.dropout_rate,
      decoder_start_token_id: 0,
    });
    return { config, tokenizerJson, tokenizer };
  }
  const { tokenizer, tokenizerJson } = pretrained ?? {};
  if (pretrained?.config.family !== "t5" || !tokenizer) {
    throw new DataError(
      `Cannot start from ${c.pretrained}: ${
        !pretrained
          ? "it was not loaded"
          : pretrained.config.family !== "t5"
          ? `it is a ${pretrained.config.family}, not a T5`
          : "it has no tokenizer.json"
      }`,
    );
  }
  // Digits follow the tokens; published tables have some spare rows there already.
  const model = resizeVocabulary(
    { config: { ...pretrained.config, dropoutRate: c.dropout_rate }, tensors: pretrained.tensors },
    tokenizer.vocabSize + digits,
    { seed },
  );
  return {
    config: model.config,
    tokenizerJson: tokenizerJson as TokenizerJson,
    tokenizer,
    weights: model.tensors,
  };
}

/**
 * Train the tokenizer, give every document its docid, and set the model and its examples up. A pure
 * function of dataset and configuration.
 *
 * @param dataset Documents, and questions in the part `train`
 * @param config A resolved configuration
 * @param options The model that the configuration starts from
 * @throws {DataError} If there are fewer than two documents, or the model to start from is no T5
 */
export function prepareIndex(
  dataset: Dataset,
  config: ResolvedConfig,
  options: PrepareOptions = {},
): PreparedIndex {
  const { documents } = dataset, { training, seed } = config;
  const N = documents.length;
  if (N < 2) throw new DataError(`Cannot train an index over ${N} documents: it needs at least 2`);
  const trainQueries = dataset.queries.train ?? [];
  const texts = documents.map(documentText);
  const allTexts = [...texts, ...trainQueries.map((q) => q.query)];

  const minFrequency = config.model.family === "lexical" ? config.model.vocab_min_frequency : 1;
  const stemJson = trainStemTokenizer(allTexts, { minFrequency });
  const stems = loadTokenizer(stemJson);
  const matrix = stemMatrix(stems, texts);
  const docids = options.docids ?? docidsOf(config, matrix);
  const balance = balanceReport(docids);

  const { question, ...made } = training.mix;
  const sampling = {
    documents,
    trainQueries,
    seed,
    mix: { real: question, ...made },
    tokenDropout: training.token_dropout,
    unseenShare: training.unseen_share,
  };
  const finish = (source: ExampleSource) =>
    training.shuffle_labels ? withShuffledLabels(source, N, seed) : source;

  if (config.model.family === "lexical") {
    const { width, init, head } = config.model;
    const sampler = createExampleSampler({ ...sampling, encode: (w) => stems.encode(w), stems });
    const trie = buildTrie(docids, { slots: "compact" });
    const model = lexicalIndex({
      bm25: matrix,
      trie,
      head,
      width,
      init,
      distill: training.distill,
      slotRateFactor: training.slot_rate_factor,
      // Shuffled labels make every document the label of some question: none may be masked.
      isUnseen: training.mask_unseen_negatives && !training.shuffle_labels
        ? sampler.isUnseen
        : new Uint8Array(N),
      firstStem: FIRST_STEM,
      seed,
    });
    const [vocab_size, actualWidth] = model.specs["stem.embedding"].shape;
    const [slot_count] = model.specs["slot.embedding"].shape;
    const modelConfig = {
      model_type: "deeprag-lexical",
      vocab_size,
      width: actualWidth,
      slot_count,
      head,
    };
    return {
      model,
      modelConfig,
      tokenizerJson: stemJson,
      tokenizer: stems,
      docids,
      balance,
      examples: finish(sampler),
    };
  }

  const trie = buildTrie(docids, { slots: "code" });
  const start = t5Start(config.model, allTexts, { digits: digitTokens(trie), seed, ...options });
  const { tokenizer, tokenizerJson, config: t5Config, weights } = start;
  const sampler = createExampleSampler({ ...sampling, encode: (w) => stems.encode(w), stems });
  // Whole texts are encoded as search encodes questions, end token included.
  const tokens: ExampleSource = {
    batch: (step, size) =>
      sampler.batch(step, size).map((e) => ({ ...e, tokenIds: tokenizer.encode(e.text) })),
  };
  return {
    model: t5Index({
      config: t5Config,
      trie,
      firstDigit: tokenizer.vocabSize,
      maxTokens: T5_MAX_TOKENS,
      seed,
      weights,
    }),
    modelConfig: t5ConfigToJson(t5Config),
    tokenizerJson,
    tokenizer,
    docids,
    balance,
    examples: finish(bucketed(tokens, { seed })),
  };
}
