/** From a configuration to everything an agent needs: policy, protocol, documents, retriever, teacher. @module */
import {
  type AgentEnvironment,
  agentProtocol,
  agentTokens,
  bm25Retriever,
  type Demonstrator,
  type DocumentRetriever,
  emptyRetriever,
  exactRetriever,
  indexRetriever,
  noisyRetriever,
  oracleRetriever,
  plainDemonstrator,
  randomRetriever,
  worldDemonstrator,
} from "../agent/mod.ts";
import type { AgentConfig, ResolvedConfig } from "../config/mod.ts";
import { corpusFingerprint, type Dataset, type Document, type Query } from "../data/mod.ts";
import { type World, worldDataset } from "../data/world/mod.ts";
import { CheckpointError, ConfigError, DataError } from "../errors.ts";
import { type LoadedModel, loadModel, type ModelSideFiles } from "../hub/mod.ts";
import {
  type DecoderConfig,
  type DecoderModel,
  isDecoder,
  parseModelConfig,
  resizeVocabulary,
} from "../model/mod.ts";
import type { Executor, OnnxExecutorOptions } from "../runtime/mod.ts";
import { onnxOptionsOf } from "./executor_of.ts";
import { addTokens, loadTokenizer, type Tokenizer, trainBpe } from "../text/mod.ts";
import { loadDataset, worldOf } from "./load_dataset.ts";
import { findTrainedRun, openIndex } from "./open_index.ts";

/** A dataset for an agent, with what is known about it. */
export interface AgentData extends Dataset {
  /** The world it comes from, where it does. */
  readonly world?: World;
}

/**
 * Read or generate what an agent is asked about.
 *
 * @throws {DataError} If files are missing or wrong
 */
export async function loadAgentData(config: ResolvedConfig): Promise<AgentData> {
  if (config.data.format !== "world") return await loadDataset(config.data, config.seed);
  return worldOf(config.data, config.seed);
}

/** A policy before its training, and how it is spoken to. */
export interface PolicyStart extends ModelSideFiles {
  /** Sizes of the model. */
  readonly config: DecoderConfig;
  /** Its weights, where it does not start from random numbers. */
  readonly tensors?: DecoderModel["tensors"];
  /** Its tokenizer, with the agent's tokens. */
  readonly tokenizer: Tokenizer;
}

/** Entities of the world whose texts the vocabulary is learned from. */
const VOCABULARY_ENTITIES = 3000;
/** Longest row that a policy from random numbers can read. */
const MAX_POSITIONS = 4096;

/**
 * Texts to learn a vocabulary from. For a world these are texts about other entities, made of the same
 * words: else a name's number of tokens would tell whether it was seen often.
 */
function* vocabularyTexts(data: AgentData, config: ResolvedConfig): Generator<string> {
  const { documents, queries } = data.world
    ? worldDataset({ seed: config.seed + 1, entities: VOCABULARY_ENTITIES })
    : data;
  for (const { title, text } of documents) yield ` ${title} ${text}`;
  for (const { query, answers } of queries.train ?? []) yield ` ${[query, ...answers].join(" ")}`;
  for (const cost of config.agent.costs) yield ` ${cost}`;
}

/** A small Llama and a vocabulary for the data. */
function freshPolicy(data: AgentData, config: ResolvedConfig): PolicyStart {
  const { policy } = config.agent;
  const tokenizerJson = trainBpe(vocabularyTexts(data, config), {
    vocabSize: policy.vocab_size,
    specialTokens: ["<pad>", ...agentTokens],
  });
  const tokenizer = loadTokenizer(tokenizerJson);
  return {
    config: parseModelConfig({
      model_type: "llama",
      vocab_size: tokenizer.vocabSize,
      hidden_size: policy.width,
      intermediate_size: policy.inner_width,
      num_hidden_layers: policy.layers,
      num_attention_heads: policy.heads,
      max_position_embeddings: MAX_POSITIONS,
      tie_word_embeddings: true,
      // Wide enough for a narrow model: 0.02 is meant for widths of a thousand and more.
      initializer_range: Math.max(0.02, 0.7 * policy.width ** -0.5),
      bos_token_id: null,
      eos_token_id: tokenizer.tokenToId("<END>"),
      pad_token_id: tokenizer.padId,
    }) as DecoderConfig,
    tokenizer,
    tokenizerJson,
    tokenizerConfig: { pad_token: "<pad>", eos_token: "<END>" },
  };
}

/** A pretrained decoder whose vocabulary has the agent's tokens. */
function extendedPolicy(loaded: LoadedModel, seed: number): PolicyStart {
  if (!isDecoder(loaded)) {
    throw new ConfigError([{
      key: "agent.policy.pretrained",
      message: `is a ${loaded.config.family}; an agent needs a decoder (GPT-2, Llama, Qwen2)`,
    }]);
  }
  const { tokenizerJson, tokenizerConfig, ...side } = loaded;
  if (tokenizerJson === undefined) {
    throw new DataError(`Cannot use the model in ${loaded.folder}: it has no tokenizer.json`);
  }
  const extended = addTokens({ tokenizerJson, tokenizerConfig }, [...agentTokens]);
  const model = loaded.config.vocabSize < extended.vocabSize
    ? resizeVocabulary(loaded, extended.vocabSize, { seed })
    : loaded;
  return {
    ...side,
    ...extended,
    config: model.config as DecoderConfig,
    tensors: model.tensors,
    tokenizer: loadTokenizer(extended.tokenizerJson, extended.tokenizerConfig),
  };
}

/** A retriever, to be closed after use. */
export interface PreparedRetriever extends AsyncDisposable {
  /** With noise, where there is any. */
  readonly retriever: DocumentRetriever;
  /** The same without noise. */
  readonly base: DocumentRetriever;
}

/** Choices of {@linkcode prepareRetriever}. */
export interface RetrieverOptions {
  /** What runs an index. */
  readonly executor?: Executor;
  /** Threads and provider of an exported one. Default: all cores, cpu. */
  readonly onnx?: OnnxExecutorOptions;
  /** Documents that a retrieval may return. Default 1. */
  readonly top?: number;
  /** The run that `agent.retriever=own` means. */
  readonly own?: string;
}

/**
 * The retriever of a configuration. One over a trained index has to be closed.
 *
 * @throws {CheckpointError} If the index was trained on other documents
 */
export async function prepareRetriever(
  { retriever, index, noise, title_weight }: Pick<
    AgentConfig,
    "retriever" | "index" | "noise" | "title_weight"
  >,
  documents: readonly Document[],
  options: RetrieverOptions = {},
): Promise<PreparedRetriever> {
  let dispose = async (): Promise<void> => {};
  const openRunIndex = async (path: string): Promise<DocumentRetriever> => {
    const run = await findTrainedRun(path);
    const { top = 1, executor, onnx } = options;
    const opened = await openIndex(run, { beam: Math.max(10, top), executor, onnx });
    dispose = async () => await opened[Symbol.asyncDispose]();
    if (opened.documents.fingerprint !== corpusFingerprint(documents)) {
      await dispose();
      throw new CheckpointError(
        `Cannot retrieve with the index of ${run.path}: it was trained on other documents. Train ` +
          "one on the documents of this configuration with train-dsi",
      );
    }
    return indexRetriever(opened.searcher);
  };
  const choose = async (): Promise<DocumentRetriever> => {
    switch (retriever) {
      case "bm25":
        return bm25Retriever(documents, { titleWeight: title_weight });
      case "exact":
        return exactRetriever(documents);
      case "oracle":
        return oracleRetriever(documents);
      case "empty":
        return emptyRetriever();
      case "random":
        return randomRetriever(documents.length);
      case "index":
        return await openRunIndex(index!);
      case "own":
        if (options.own !== undefined) return await openRunIndex(options.own);
        throw new ConfigError([{
          key: "agent.retriever",
          message:
            "is own, but this run trains no index: use train-joint, or index with agent.index",
        }]);
    }
  };
  return noiseAround(await choose(), noise, documents.length, () => dispose());
}

/** A retriever with noise, if there is any. */
function noiseAround(
  base: DocumentRetriever,
  rate: number,
  documents: number,
  dispose: () => Promise<void> = async () => {},
): PreparedRetriever {
  return {
    base,
    retriever: rate > 0 ? noisyRetriever(base, { rate, documents }) : base,
    [Symbol.asyncDispose]: dispose,
  };
}

/** Everything a training of an agent needs. */
export interface PreparedAgent extends AsyncDisposable {
  /** What it is asked about. */
  readonly data: AgentData;
  /** The policy to start from. */
  readonly start: PolicyStart;
  /** What it lives in. */
  readonly environment: AgentEnvironment;
  /** Its retriever without noise. */
  readonly base: DocumentRetriever;
  /** Shows how questions are answered. */
  readonly teacher: Demonstrator;
  /** Questions to learn from, by a teacher and by reward: over two hops also those over one. */
  readonly lessons: readonly Query[];
}

/** The environment of a configuration around a tokenizer and a retriever. */
export function environmentOf(
  { agent }: ResolvedConfig,
  tokenizer: Tokenizer,
  documents: readonly Document[],
  retriever: DocumentRetriever,
): AgentEnvironment {
  return {
    protocol: agentProtocol(tokenizer, {
      budget: agent.budget,
      documentTokens: agent.document_tokens,
    }),
    documents,
    retriever,
    turnTokens: agent.turn_tokens,
  };
}

/** Choices of {@linkcode prepareAgent}. */
export interface PrepareAgentOptions {
  /** What runs an index. */
  readonly executor?: Executor;
  /** Finds its documents. Default: the retriever of the configuration. */
  readonly retriever?: DocumentRetriever;
  /** Told what takes long. */
  readonly onNote?: (note: string) => void;
}

/**
 * Prepare an agent for its training. Close it afterwards.
 *
 * @param config A resolved configuration
 * @param data What it is asked about
 * @param options What runs an index; a tokenizer and model to go on with
 * @throws {DataError} If there is no question with an answer to learn from
 */
export async function prepareAgent(
  config: ResolvedConfig,
  data: AgentData,
  options: PrepareAgentOptions = {},
): Promise<PreparedAgent> {
  const { agent, seed } = config;
  const start = agent.policy.pretrained === null
    ? freshPolicy(data, config)
    : extendedPolicy(await loadModel(agent.policy.pretrained, { onNote: options.onNote }), seed);
  const { world } = config.data;
  const oneHop = data.world && world.hops === 2
    ? worldOf({ ...config.data, world: { ...world, hops: 1 } }, seed).queries.train
    : [];
  const lessons = [...data.queries.train ?? [], ...oneHop].filter(({ answers }) => answers.length);
  if (!lessons.length) {
    throw new DataError(
      "Cannot train an agent: no question of the part train has an answer. Give the questions answers",
    );
  }
  const prepared = options.retriever
    ? noiseAround(options.retriever, agent.noise, data.documents.length)
    : await prepareRetriever(agent, data.documents, {
      executor: options.executor,
      onnx: onnxOptionsOf(config.device),
    });
  const environment = environmentOf(config, start.tokenizer, data.documents, prepared.retriever);
  const { protocol } = environment;
  const { closed_share: closedShare, distractor_share: distractorShare } = agent.warm_start;
  const teacher = data.world
    ? worldDemonstrator(data.world, protocol, { distractorShare })
    : plainDemonstrator(data.documents, protocol, { closedShare, distractorShare });
  return {
    data,
    start,
    environment,
    base: prepared.base,
    teacher,
    lessons,
    [Symbol.asyncDispose]: () => prepared[Symbol.asyncDispose](),
  };
}
