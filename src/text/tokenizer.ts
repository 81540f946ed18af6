/** Text to token ids and back, by any `tokenizer.json`. @module */
import { Tokenizer as HfTokenizer } from "@huggingface/tokenizers";
import { DataError } from "../errors.ts";

/** Options of {@linkcode Tokenizer.encode}. */
export interface EncodeOptions {
  /** Whether the post-processor may put tokens such as `</s>` around the text. Default `true`. */
  addSpecialTokens?: boolean;
}

/** Options of {@linkcode Tokenizer.decode}. */
export interface DecodeOptions {
  /** Whether to leave out special tokens, padding and the end token. Default `true`. */
  skipSpecialTokens?: boolean;
}

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** V: every id is in [0, V). */
  readonly vocabSize: number;
  /** Id that fills up short rows, where the tokenizer has one. */
  readonly padId: number | undefined;
  /** Id that ends a text, where the tokenizer has one. */
  readonly eosId: number | undefined;
  /** Id of whatever is not in the vocabulary, where the tokenizer has one. */
  readonly unkId: number | undefined;
  /**
   * The ids of a text.
   *
   * @throws {DataError} If a part of the text is not in the vocabulary and there is no unknown token
   */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /** {@linkcode Tokenizer.encode} of each text. */
  encodeBatch(texts: Iterable<string>, options?: EncodeOptions): Int32Array[];
  /**
   * The text of ids.
   *
   * @throws {DataError} If an id is not in the vocabulary
   */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** The id of a token as the vocabulary spells it. */
  tokenToId(token: string): number | undefined;
  /** The token of an id as the vocabulary spells it. */
  idToToken(id: number): string | undefined;
}

type JsonObject = Record<string, unknown>;

const PARTS = ["normalizer", "pre_tokenizer", "post_processor", "decoder"] as const;
const MODELS = ["BPE", "Unigram", "WordLevel", "WordPiece"];

/** Usual spellings, tried when no configuration names the token. */
const USUAL = {
  pad_token: ["<pad>", "[PAD]", "<|pad|>"],
  eos_token: ["</s>", "<|endoftext|>", "<|im_end|>", "<|end_of_text|>"],
  unk_token: ["<unk>", "[UNK]"],
} as const;

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fail(state: string, cause?: unknown): never {
  throw new DataError(`Cannot load the tokenizer: ${state}`, {}, { cause });
}

/** Checks what the library would trip over later or not at all. */
function checked(tokenizerJson: unknown): JsonObject & { model: JsonObject } {
  if (!isObject(tokenizerJson)) {
    fail("tokenizer.json does not hold an object; pass the parsed JSON, not its text or path");
  }
  const { model, added_tokens: added = [] } = tokenizerJson;
  if (!isObject(model)) fail('tokenizer.json has no "model"; is it another file?');
  if (model.type !== undefined && !MODELS.includes(String(model.type))) {
    fail(`its model type is ${JSON.stringify(model.type)}; known types are ${MODELS.join(", ")}`);
  }
  if (!isObject(model.vocab) && !Array.isArray(model.vocab)) {
    fail(
      `its model has no vocabulary: "model.vocab" is ${
        model.vocab === null ? null : typeof model.vocab
      }`,
    );
  }
  if (isObject(model.vocab)) {
    for (const [token, id] of Object.entries(model.vocab)) {
      if (!Number.isInteger(id) || Number(id) < 0) {
        fail(`token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}, not a whole number`);
      }
    }
  }
  if (model.type === "BPE" && !Array.isArray(model.merges)) {
    fail('its BPE model has no list of merges: "model.merges" is missing');
  }
  if (!Array.isArray(added)) fail('"added_tokens" is not a list');
  for (const token of added) {
    if (!isObject(token) || typeof token.content !== "string" || !Number.isInteger(token.id)) {
      fail(`an added token needs "id" and "content", but one is ${JSON.stringify(token)}`);
    }
  }
  const complete: JsonObject & { model: JsonObject } = {
    ...tokenizerJson,
    model,
    added_tokens: added,
  };
  for (const part of PARTS) complete[part] ??= null;
  return complete;
}

/** The text of a token as a configuration gives it: plain, or as an object with `content`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return isObject(value) && typeof value.content === "string" ? value.content : undefined;
}

class HostTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly padId: number | undefined;
  readonly eosId: number | undefined;
  readonly unkId: number | undefined;
  readonly #inner: HfTokenizer;
  readonly #special: ReadonlySet<number>;

  constructor(inner: HfTokenizer, names: Record<keyof typeof USUAL, string | undefined>) {
    this.#inner = inner;
    let size = 0;
    for (const id of inner.get_vocab().values()) size = Math.max(size, id + 1);
    this.vocabSize = size;
    const find = (name: keyof typeof USUAL): number | undefined =>
      (names[name] === undefined ? USUAL[name] : [names[name]])
        .map((token) => this.tokenToId(token)).find((id) => id !== undefined);
    this.padId = find("pad_token");
    this.eosId = find("eos_token");
    this.unkId = inner.model?.unk_token_id ?? find("unk_token");
    const special = new Set<number>();
    for (const [id, token] of inner.get_added_tokens_decoder()) if (token.special) special.add(id);
    if (this.padId !== undefined) special.add(this.padId);
    if (this.eosId !== undefined) special.add(this.eosId);
    this.#special = special;
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const { addSpecialTokens = true } = options;
    const { ids, tokens } = this.#inner.encode(text, { add_special_tokens: addSpecialTokens });
    const out = new Int32Array(ids.length);
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] === undefined) {
        throw new DataError(
          `Cannot encode ${JSON.stringify(text.slice(0, 40))}: the vocabulary has no ` +
            `${JSON.stringify(tokens[i])} and no unknown token to stand for it`,
        );
      }
      out[i] = ids[i];
    }
    return out;
  }

  encodeBatch(texts: Iterable<string>, options: EncodeOptions = {}): Int32Array[] {
    return Array.from(texts, (text) => this.encode(text, options));
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const { skipSpecialTokens = true } = options;
    const kept: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      if (this.idToToken(ids[i]) === undefined) {
        throw new DataError(
          `Cannot decode id ${ids[i]}: the vocabulary holds ids 0 to ${this.vocabSize - 1}`,
        );
      }
      if (!skipSpecialTokens || !this.#special.has(ids[i])) kept.push(ids[i]);
    }
    return kept.length === 0 ? "" : this.#inner.decode(kept);
  }

  tokenToId(token: string): number | undefined {
    return this.#inner.token_to_id(token);
  }

  idToToken(id: number): string | undefined {
    return this.#inner.id_to_token(id);
  }
}

/**
 * The tokenizer that a `tokenizer.json` describes.
 *
 * Departures from `@huggingface/tokenizers`, which does the work: parts left out of the file count as
 * `null`; the unknown token of a word-level model is taken from the file; decoding keeps spaces before
 * punctuation unless the configuration asks for `clean_up_tokenization_spaces`.
 *
 * @param tokenizerJson Parsed content of `tokenizer.json`
 * @param tokenizerConfig Parsed content of `tokenizer_config.json`: names the padding and end tokens.
 * Without it their usual spellings are looked for
 * @throws {DataError} If something in either is missing, broken or unknown
 * @example
 * ```ts
 * import { loadTokenizer } from "./tokenizer.ts";
 * import { assertEquals } from "@std/assert";
 * const tokenizer = loadTokenizer({
 *   pre_tokenizer: { type: "WhitespaceSplit" },
 *   model: { type: "WordLevel", unk_token: "<unk>", vocab: { "<unk>": 0, good: 1, day: 2 } },
 * });
 * assertEquals([...tokenizer.encode("good old day")], [1, 0, 2]);
 * assertEquals(tokenizer.decode([1, 2]), "good day");
 * ```
 */
export function loadTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown = {}): Tokenizer {
  const json = checked(tokenizerJson);
  if (!isObject(tokenizerConfig)) fail("tokenizer_config.json does not hold an object");
  const names = {
    pad_token: tokenText(tokenizerConfig.pad_token),
    eos_token: tokenText(tokenizerConfig.eos_token),
    unk_token: tokenText(tokenizerConfig.unk_token) ?? tokenText(json.model.unk_token),
  };
  const config: JsonObject = { clean_up_tokenization_spaces: false, ...tokenizerConfig };
  for (const [name, text] of Object.entries(names)) if (text !== undefined) config[name] = text;
  let inner: HfTokenizer;
  try {
    inner = new HfTokenizer(json, config);
  } catch (cause) {
    fail(cause instanceof Error ? cause.message : String(cause), cause);
  }
  return new HostTokenizer(inner, names);
}
