/** A trained index on disk: weights and configuration in Hugging Face layout, tokenizer, docids. @module */
import { join } from "@std/path";
import { writeAtomically } from "../data/mod.ts";
import { buildTrie, type Docids, docidsFromJson, docidsToJson, slotsOf } from "../docid/mod.ts";
import { CheckpointError } from "../errors.ts";
import type { Trie } from "../docid/mod.ts";
import {
  type LexicalConfig,
  lexicalParamSpecs,
  parseT5Config,
  readSafetensors,
  type T5Config,
  t5ParamSpecs,
  writeSafetensors,
} from "../model/mod.ts";
import { type DocidScorer, lexicalLeafScorer, lexicalScorer, t5Scorer } from "../retriever/mod.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { loadTokenizer, type Tokenizer, type TokenizerJson } from "../text/mod.ts";
import { digitTokenOf } from "../train/t5_index.ts";
import { IndexReader } from "./_index_reader.ts";

/** Files of an index folder. */
export const INDEX_FILES = {
  config: "config.json",
  weights: "model.safetensors",
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  docids: "docids.json",
} as const;

/** Parameters that a complaint about weights names. */
const MAX_LISTED = 8;

/** What is saved. */
export interface IndexFiles {
  /** `config.json`. */
  readonly modelConfig: Record<string, unknown>;
  /** Parameters by name. */
  readonly tensors: Readonly<Record<string, HostTensor>>;
  /** `tokenizer.json`. */
  readonly tokenizerJson: TokenizerJson;
  /** Docids. */
  readonly docids: Docids;
}

/** A trained index, loaded. */
export interface LoadedIndex extends IndexFiles {
  /** `"lexical"` or `"t5"`. */
  readonly family: "lexical" | "t5";
  /** Parameters of the model. */
  readonly specs: ParamSpecs;
  /** The tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Docids as a trie. */
  readonly trie: Trie;
  /** How search asks the model. */
  readonly scorer: DocidScorer;
}

/** The parameters of a loaded index: of its tensors those that its model has. */
export function parametersOf({ tensors, specs }: LoadedIndex): LoadedIndex["tensors"] {
  return Object.fromEntries(Object.keys(specs).map((name) => [name, tensors[name]]));
}

/** Contents of `tokenizer_config.json`: what loaders want to know beside the tokenizer itself. */
export function tokenizerConfigOf(tokenizer: Tokenizer): Record<string, unknown> {
  const name = (id: number | undefined) => id === undefined ? undefined : tokenizer.idToToken(id);
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    pad_token: name(tokenizer.padId),
    eos_token: name(tokenizer.eosId),
    unk_token: name(tokenizer.unkId),
  };
}

/** Write an index folder; each file is replaced atomically. */
export async function saveIndex(folder: string, index: IndexFiles): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const tokenizer = loadTokenizer(index.tokenizerJson);
  const files: [string, string | Uint8Array][] = [
    [INDEX_FILES.config, json(index.modelConfig)],
    [INDEX_FILES.tokenizer, JSON.stringify(index.tokenizerJson)],
    [INDEX_FILES.tokenizerConfig, json(tokenizerConfigOf(tokenizer))],
    [INDEX_FILES.docids, JSON.stringify(docidsToJson(index.docids))],
    [INDEX_FILES.weights, writeSafetensors(index.tensors, { format: "pt" })],
  ];
  for (const [name, content] of files) await writeAtomically(join(folder, name), content);
}

/**
 * Read an index folder.
 *
 * @throws {CheckpointError} If a file is missing, broken or does not fit the others
 */
export async function loadIndex(folder: string): Promise<LoadedIndex> {
  const reader = new IndexReader(
    folder,
    "train-dsi writes an index into the folder model of its run",
  );
  const modelConfig = await reader.readObject(INDEX_FILES.config, (json) => json);
  const sizes = reader.guard(INDEX_FILES.config, () => modelSizes(modelConfig));
  const tokenizerConfig = await reader.readObject(INDEX_FILES.tokenizerConfig, (json) => json);
  const tokenizerJson = await reader.readObject(INDEX_FILES.tokenizer, (json) => json);
  const tokenizer = reader.guard(
    INDEX_FILES.tokenizer,
    () => loadTokenizer(tokenizerJson, tokenizerConfig),
  );
  const docids = await reader.readObject(INDEX_FILES.docids, docidsFromJson);
  const parts = reader.guard(
    "its files do not fit each other",
    () =>
      sizes.family === "t5" ? t5Of(sizes, docids, tokenizer) : lexicalOf(sizes, docids, tokenizer),
  );
  const tensors = await reader.read(
    INDEX_FILES.weights,
    (bytes) => readSafetensors(bytes).tensors,
  );
  const problems = Object.entries(parts.specs).flatMap(([name, { shape }]) => {
    const found = tensors[name];
    if (!found) return [`${name} is missing`];
    const is = `${found.dtype} [${found.shape}]`, wanted = `float32 [${shape}]`;
    return is === wanted ? [] : [`${name} is ${is}, not ${wanted}`];
  });
  if (problems.length) {
    const more = problems.length - MAX_LISTED;
    throw reader.error(
      `${INDEX_FILES.weights}: ${problems.slice(0, MAX_LISTED).join("; ")}` +
        (more > 0 ? `; and ${more} more` : ""),
    );
  }
  return {
    ...parts,
    modelConfig,
    tokenizerJson: tokenizerJson as unknown as TokenizerJson,
    tokenizer,
    docids,
    tensors,
  };
}

/** What `config.json` says about a lexical model. */
interface LexicalSizes extends LexicalConfig {
  readonly family: "lexical";
  readonly head: "leaf" | "tree";
}

/** What `config.json` says about a T5. */
interface T5Sizes {
  readonly family: "t5";
  readonly config: T5Config;
}

function modelSizes(config: Record<string, unknown>): LexicalSizes | T5Sizes {
  const { model_type, head } = config;
  if (model_type === "t5") return { family: "t5", config: parseT5Config(config) };
  const fail = (problem: string): never => {
    throw new CheckpointError(problem);
  };
  if (model_type !== "deeprag-lexical") {
    fail(`model_type is ${JSON.stringify(model_type)}, not "t5" or "deeprag-lexical"`);
  }
  if (head !== "leaf" && head !== "tree") {
    return fail(`head is ${JSON.stringify(head)}, not "leaf" or "tree"`);
  }
  const size = (key: string): number => {
    const value = config[key];
    return Number.isSafeInteger(value) && value as number > 0
      ? value as number
      : fail(`${key} is ${JSON.stringify(value)}, not a positive whole number`);
  };
  return {
    family: "lexical",
    head,
    vocabSize: size("vocab_size"),
    width: size("width"),
    slotCount: size("slot_count"),
  };
}

/** Model, docids as a trie, and how search asks. */
type ModelParts = Pick<LoadedIndex, "family" | "specs" | "trie" | "scorer">;

function checkCount(what: string, said: number, needed: number): void {
  if (said !== needed) {
    throw new CheckpointError(
      `${INDEX_FILES.config} says ${said} ${what}, the other files need ${needed}`,
    );
  }
}

function t5Of({ config }: T5Sizes, docids: Docids, tokenizer: Tokenizer): ModelParts {
  const trie = buildTrie(docids, { slots: "code" });
  const firstDigit = tokenizer.vocabSize;
  return {
    family: "t5",
    specs: t5ParamSpecs(config),
    trie,
    scorer: t5Scorer(config, trie, { tokenOf: digitTokenOf(trie, firstDigit) }),
  };
}

function lexicalOf(sizes: LexicalSizes, docids: Docids, tokenizer: Tokenizer): ModelParts {
  const trie = buildTrie(docids, { slots: "compact" }), slots = slotsOf(trie);
  checkCount("stems", sizes.vocabSize, tokenizer.vocabSize);
  const isLeaf = sizes.head === "leaf";
  checkCount("slots", sizes.slotCount, isLeaf ? trie.docCount : slots.slotCount);
  return {
    family: "lexical",
    specs: lexicalParamSpecs(sizes),
    trie,
    scorer: isLeaf ? lexicalLeafScorer(trie) : lexicalScorer(slots),
  };
}
