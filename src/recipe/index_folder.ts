/** A trained index on disk: weights and configuration in Hugging Face layout, tokenizer, docids. @module */
import { join } from "@std/path";
import { writeAtomically } from "../data/mod.ts";
import { buildTrie, type Docids, docidsFromJson, docidsToJson, slotsOf } from "../docid/mod.ts";
import { CheckpointError, DeepragError } from "../errors.ts";
import type { Trie } from "../docid/mod.ts";
import {
  lexicalParamSpecs,
  parseT5Config,
  readSafetensors,
  t5ParamSpecs,
  writeSafetensors,
} from "../model/mod.ts";
import { type DocidScorer, lexicalScorer, t5Scorer } from "../retriever/mod.ts";
import { lexicalLeafScorer } from "../retriever/leaf_scorer.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { loadTokenizer, type Tokenizer, type TokenizerJson } from "../text/mod.ts";

/** Files of an index folder. */
export const INDEX_FILES = {
  config: "config.json",
  weights: "model.safetensors",
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  docids: "docids.json",
} as const;

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
 * @throws {CheckpointError} If a file is missing or does not fit the others
 */
export async function loadIndex(folder: string): Promise<LoadedIndex> {
  const read = async (name: string): Promise<Uint8Array> => {
    try {
      return await Deno.readFile(join(folder, name));
    } catch (cause) {
      const reason = cause instanceof Deno.errors.NotFound
        ? `there is no ${name} in it`
        : `${name}: ${(cause as Error).message}`;
      throw new CheckpointError(
        `Cannot load an index from ${folder}: ${reason}. train-dsi writes an index into the folder ` +
          "model of its run",
        { cause },
      );
    }
  };
  const readJson = async (name: string): Promise<unknown> => {
    const text = new TextDecoder().decode(await read(name));
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new CheckpointError(
        `Cannot load an index from ${folder}: ${name} is no JSON (${(cause as Error).message})`,
        { cause },
      );
    }
  };
  const modelConfig = await readJson(INDEX_FILES.config) as Record<string, unknown>;
  const tokenizerJson = await readJson(INDEX_FILES.tokenizer) as TokenizerJson;
  const tokenizer = loadTokenizer(tokenizerJson, await readJson(INDEX_FILES.tokenizerConfig));
  const docids = docidsFromJson(await readJson(INDEX_FILES.docids));
  let tensors: Record<string, HostTensor>;
  try {
    ({ tensors } = readSafetensors(await read(INDEX_FILES.weights)));
  } catch (cause) {
    if (!(cause instanceof DeepragError)) throw cause;
    const path = join(folder, INDEX_FILES.weights);
    throw new CheckpointError(`Cannot load the weights ${path}: ${cause.message}`, { cause });
  }
  const parts = modelOf(modelConfig, docids, tokenizer);
  const problems = Object.entries(parts.specs).flatMap(([name, { shape }]) => {
    const found = tensors[name];
    if (!found) return [`${name} is missing`];
    return `${found.shape}` === `${shape}` ? [] : [`${name} is [${found.shape}], not [${shape}]`];
  });
  if (problems.length) {
    throw new CheckpointError(
      `Cannot load an index from ${folder}: its weights do not fit\n` +
        problems.slice(0, 20).map((p) => `  ${p}`).join("\n"),
    );
  }
  return { ...parts, modelConfig, tokenizerJson, tokenizer, docids, tensors };
}

function modelOf(
  config: Record<string, unknown>,
  docids: Docids,
  tokenizer: Tokenizer,
): Pick<LoadedIndex, "family" | "specs" | "trie" | "scorer"> {
  if (config.model_type === "t5") {
    const t5 = parseT5Config(config);
    const trie = buildTrie(docids, { slots: "code" });
    const tokenOf = (depth: number, code: number): number =>
      tokenizer.vocabSize + depth * trie.branching + code;
    return {
      family: "t5",
      specs: t5ParamSpecs(t5),
      trie,
      scorer: t5Scorer(t5, trie, { tokenOf }),
    };
  }
  if (config.model_type !== "deeprag-lexical") {
    throw new CheckpointError(
      `Cannot load an index: model_type is ${JSON.stringify(config.model_type)}, not t5 or ` +
        "deeprag-lexical",
    );
  }
  const sizes = { vocab_size: 0, width: 0, slot_count: 0 };
  for (const key of Object.keys(sizes) as (keyof typeof sizes)[]) {
    const value = config[key];
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw new CheckpointError(`Cannot load an index: ${key} is ${value} in config.json`);
    }
    sizes[key] = value as number;
  }
  const trie = buildTrie(docids, { slots: "compact" });
  return {
    family: "lexical",
    specs: lexicalParamSpecs({
      vocabSize: sizes.vocab_size,
      width: sizes.width,
      slotCount: sizes.slot_count,
    }),
    trie,
    scorer: config.head === "leaf" ? lexicalLeafScorer(trie) : lexicalScorer(slotsOf(trie)),
  };
}
