/** Tokens added to a tokenizer that exists. @module */
import { DataError } from "../errors.ts";
import { addedTokensOf } from "./_added_tokens.ts";
import { fail, isObject, type JsonObject, show } from "./_tokenizer_part.ts";
import { wordModelOf } from "./_word_model.ts";
import type { AddedTokenJson } from "./tokenizer_json.ts";

/** A token to add. */
export interface NewToken {
  /** The text that stands for it. */
  content: string;
  /** Whether decoding may leave it out. Default `true`. */
  special?: boolean;
  /** Whether it swallows white space before it. Default `false`. */
  lstrip?: boolean;
  /** Whether it swallows white space after it. Default `false`. */
  rstrip?: boolean;
  /** Whether the text is normalised before it is looked for. Default: the opposite of `special`. */
  normalized?: boolean;
  /** Whether it only counts as a whole word. Default `false`. */
  singleWord?: boolean;
}

/** The parsed files of a tokenizer. */
export interface TokenizerFiles {
  /** Content of `tokenizer.json`. */
  tokenizerJson: unknown;
  /** Content of `tokenizer_config.json`. Default: empty. */
  tokenizerConfig?: unknown;
}

/** What {@linkcode addTokens} gives. */
export interface ExtendedTokenizer {
  /** New content of `tokenizer.json`. */
  tokenizerJson: Record<string, unknown>;
  /** New content of `tokenizer_config.json`. */
  tokenizerConfig: Record<string, unknown>;
  /** Id of each token asked for. */
  ids: Record<string, number>;
  /** V: every id is in [0, V). An embedding table with fewer rows must grow. */
  vocabSize: number;
}

/** Flags that are not given stay as they are, or get their defaults where the token is new. */
function merged(token: NewToken, known: AddedTokenJson | undefined, id: number): AddedTokenJson {
  const special = token.special ?? known?.special ?? true;
  return {
    id,
    content: token.content,
    single_word: token.singleWord ?? known?.single_word ?? false,
    lstrip: token.lstrip ?? known?.lstrip ?? false,
    rstrip: token.rstrip ?? known?.rstrip ?? false,
    normalized: token.normalized ?? known?.normalized ?? !special,
    special,
  };
}

/**
 * Whether Python's `tokenizers` gives the added tokens the ids that the file gives them. It numbers those
 * that the model does not know itself: from the number of the model's tokens on, or from the highest
 * added id on.
 */
function keepsIds(added: readonly AddedTokenJson[], vocab: ReadonlyMap<string, number>): boolean {
  let highest = -1;
  return added.every(({ content, id }) => {
    const given = vocab.get(content) ?? Math.max(highest + 1, vocab.size);
    highest = Math.max(highest, given);
    return given === id;
  });
}

/** The model with every added token in its own vocabulary, so that no library numbers them anew. */
function spelledOut(model: JsonObject, added: readonly AddedTokenJson[]): JsonObject {
  if (!isObject(model.vocab)) {
    throw new DataError(
      "Cannot add tokens: the ids of this tokenizer have gaps, which a Unigram model cannot hold; " +
        "save it with transformers first, which numbers its tokens anew",
    );
  }
  const ids = added.map(({ content, id }): [string, number] => [content, id]);
  return { ...model, vocab: { ...model.vocab, ...Object.fromEntries(ids) } };
}

/** `tokenizer_config.json` with the new tokens wherever it lists tokens. */
function extendedConfig(config: JsonObject, tokens: readonly AddedTokenJson[]): JsonObject {
  const extended = { ...config };
  if (isObject(config.added_tokens_decoder)) {
    const entries = tokens.map(({ id, ...flags }): [string, unknown] => [String(id), flags]);
    extended.added_tokens_decoder = {
      ...config.added_tokens_decoder,
      ...Object.fromEntries(entries),
    };
  }
  const special = tokens.filter((token) => token.special).map(({ content }) => content);
  const lists = ["extra_special_tokens", "additional_special_tokens"]
    .filter((key) => Array.isArray(config[key]));
  // Where there is neither list, the older name serves: every version of transformers reads it.
  for (const key of lists.length > 0 ? lists : ["additional_special_tokens"]) {
    const listed = config[key] ?? [];
    if (!Array.isArray(listed)) {
      throw new DataError(`Cannot add tokens: "${key}" of tokenizer_config.json is no list`);
    }
    const texts = new Set(listed.map((token) => isObject(token) ? token.content : token));
    const fresh = special.filter((token) => !texts.has(token));
    if (fresh.length > 0) extended[key] = [...listed, ...fresh];
  }
  return extended;
}

/**
 * A tokenizer's files with more tokens in them. The arguments stay as they are.
 *
 * A token that exists keeps its id; others get the ids behind the highest, in the order given. Both this
 * project and Python's `transformers` read the same ids from the files. An embedding table may have more
 * rows than its tokenizer has tokens (Qwen2's has 151,936 for 151,665), so compare `vocabSize` with the
 * rows there are before making it larger.
 *
 * @param files Content of `tokenizer.json` and `tokenizer_config.json`
 * @param tokens What to add; a text stands for a special token of that text
 * @throws {DataError} If a token is empty or no text, or the files are broken
 * @example
 * ```ts
 * import { addTokens } from "./add_tokens.ts";
 * import { loadTokenizer } from "./tokenizer.ts";
 * import { assertEquals } from "@std/assert";
 * const tokenizerJson = {
 *   pre_tokenizer: { type: "WhitespaceSplit" },
 *   model: { type: "WordLevel", unk_token: "<unk>", vocab: { "<unk>": 0, see: 1 } },
 * };
 * const files = addTokens({ tokenizerJson }, ["<docid:17>"]);
 * assertEquals(files.ids, { "<docid:17>": 2 });
 * assertEquals([...loadTokenizer(files.tokenizerJson).encode("see<docid:17>")], [1, 2]);
 * ```
 */
export function addTokens(
  files: TokenizerFiles,
  tokens: readonly (string | NewToken)[],
): ExtendedTokenizer {
  const { tokenizerJson, tokenizerConfig = {} } = files;
  if (!isObject(tokenizerJson)) fail("tokenizer.json does not hold an object");
  if (!isObject(tokenizerConfig)) fail("tokenizer_config.json does not hold an object");
  const { vocab } = wordModelOf(tokenizerJson.model);
  const added = new Map(addedTokensOf(tokenizerJson.added_tokens).map((t) => [t.content, t]));
  let vocabSize = 0;
  for (const id of vocab.values()) vocabSize = Math.max(vocabSize, id + 1);
  for (const { id } of added.values()) vocabSize = Math.max(vocabSize, id + 1);

  const ids = new Map<string, number>();
  for (const entry of tokens) {
    const token: NewToken = typeof entry === "string" ? { content: entry } : entry;
    if (typeof token?.content !== "string" || token.content === "") {
      throw new DataError(`Cannot add the token ${show(token?.content)}: it must be a text`);
    }
    if (!token.content.isWellFormed()) {
      throw new DataError(
        `Cannot add the token ${show(token.content)}: half a character stands in it`,
      );
    }
    const known = added.get(token.content);
    const id = known?.id ?? vocab.get(token.content) ?? vocabSize++;
    added.set(token.content, merged(token, known, id));
    ids.set(token.content, id);
  }
  const list = [...added.values()].sort((a, b) => a.id - b.id);
  const model = tokenizerJson.model as JsonObject;
  const changed = [...ids.keys()].map((content) => added.get(content)!);
  return {
    tokenizerJson: {
      ...tokenizerJson,
      added_tokens: list,
      model: keepsIds(list, vocab) ? model : spelledOut(model, list),
    },
    tokenizerConfig: extendedConfig(tokenizerConfig, changed),
    ids: Object.fromEntries(ids),
    vocabSize,
  };
}
