/** Text to token ids and back, by any `tokenizer.json`. @module */
import { DataError, DeepragError } from "../errors.ts";
import { addedTokensOf, type Stretch, TokenFinder } from "./_added_tokens.ts";
import { cleanUp, decoderOf, type Stage } from "./_decoder.ts";
import { type Normalize, normalizerOf } from "./_normalizer.ts";
import { type PostProcess, postProcessorOf } from "./_post_processor.ts";
import { type Cut, preTokenizerOf } from "./_pre_tokenizer.ts";
import { fail, isObject, type JsonObject, show } from "./_tokenizer_part.ts";
import { type WordModel, wordModelOf } from "./_word_model.ts";
import type { AddedTokenJson } from "./tokenizer_json.ts";

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

/** Decodes ids one after another. What it gives, put together, is the text of all of them. */
export interface Decoding {
  /**
   * Takes the next id.
   *
   * @returns The text that is certain now and was not before
   * @throws {DataError} If no token has this id
   */
  push(id: number): string;
  /** The rest of the text. Nothing may be pushed after it. */
  end(): string;
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
  /** Begins to decode ids that come one after another. */
  startDecoding(options?: DecodeOptions): Decoding;
  /** The id of a token as the vocabulary spells it. */
  tokenToId(token: string): number | undefined;
  /** The token of an id as the vocabulary spells it. */
  idToToken(id: number): string | undefined;
}

/** Usual spellings, tried when no configuration names the token. */
const USUAL = {
  pad_token: ["<pad>", "[PAD]", "<|pad|>"],
  eos_token: ["</s>", "<|endoftext|>", "<|im_end|>", "<|end_of_text|>"],
  unk_token: ["<unk>", "[UNK]"],
} as const;

/** The text of a token as a configuration gives it: plain, or as an object with `content`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return isObject(value) && typeof value.content === "string" ? value.content : undefined;
}

/** The parts of a file, ready to be used. */
interface Parts {
  readonly added: readonly AddedTokenJson[];
  readonly normalize: Normalize;
  readonly cut: Cut;
  readonly model: WordModel;
  readonly postProcess: PostProcess;
  readonly decoder: Stage;
  readonly names: Readonly<Record<keyof typeof USUAL, string | undefined>>;
}

class HostTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly padId: number | undefined;
  readonly eosId: number | undefined;
  readonly unkId: number | undefined;
  readonly #parts: Parts;
  readonly #addedIds: ReadonlyMap<string, number>;
  readonly #tokens: ReadonlyMap<number, string>;
  readonly #special: ReadonlySet<number>;
  readonly #asWritten: TokenFinder;
  readonly #normalized: TokenFinder;

  constructor(parts: Parts) {
    const { added, model, names } = parts;
    this.#parts = parts;
    this.#addedIds = new Map(added.map(({ content, id }) => [content, id]));
    const tokens = new Map<number, string>();
    let size = 0;
    for (const [token, id] of model.vocab) {
      tokens.set(id, token);
      if (id >= size) size = id + 1;
    }
    for (const { content, id } of added) {
      tokens.set(id, content);
      if (id >= size) size = id + 1;
    }
    this.#tokens = tokens;
    this.vocabSize = size;
    const find = (name: keyof typeof USUAL): number | undefined =>
      (names[name] === undefined ? USUAL[name] : [names[name]])
        .map((token) => this.tokenToId(token)).find((id) => id !== undefined);
    this.padId = find("pad_token");
    this.eosId = find("eos_token");
    this.unkId = model.unkId ?? find("unk_token");
    const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
    if (this.padId !== undefined) special.add(this.padId);
    if (this.eosId !== undefined) special.add(this.eosId);
    this.#special = special;
    const asWritten = added.filter((token) => !token.normalized);
    const normalized = added.filter((token) => token.normalized);
    this.#asWritten = new TokenFinder(asWritten.map((token) => [token.content, token]));
    this.#normalized = new TokenFinder(
      normalized.map((token) => [parts.normalize(token.content), token]),
    );
    for (const id of parts.postProcess([])) {
      if (!tokens.has(id)) fail(`its PostProcessor adds the id ${id}, which no token has`);
    }
  }

  #encodeStretch(stretch: Stretch, ids: number[]): void {
    const { cut, model } = this.#parts;
    if (stretch.id !== undefined) ids.push(stretch.id);
    else {
      for (const word of cut(stretch.text, stretch.isFirst)) {
        const missing = word === "" ? undefined : model.encode(word, ids);
        if (missing === undefined) continue;
        throw new DataError(
          `Cannot encode ${show(stretch.text)}: the vocabulary has no ${show(missing)} and no ` +
            `unknown token to stand for it`,
        );
      }
    }
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const { addSpecialTokens = true } = options;
    const { normalize, postProcess } = this.#parts;
    const ids: number[] = [];
    try {
      for (const outer of this.#asWritten.split(text.toWellFormed())) {
        if (outer.id !== undefined) ids.push(outer.id);
        else {
          for (const inner of this.#normalized.split(normalize(outer.text))) {
            this.#encodeStretch({ ...inner, isFirst: inner.isFirst && outer.isFirst }, ids);
          }
        }
      }
    } catch (cause) {
      if (cause instanceof DeepragError) throw cause;
      // A pattern of the file can exhaust the stack or the longest string there can be.
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new DataError(`Cannot encode ${show(text)}: ${why}`, {}, { cause });
    }
    return Int32Array.from(addSpecialTokens ? postProcess(ids) : ids);
  }

  encodeBatch(texts: Iterable<string>, options: EncodeOptions = {}): Int32Array[] {
    return Array.from(texts, (text) => this.encode(text, options));
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const decoding = this.startDecoding(options);
    const pieces: string[] = [];
    for (let i = 0; i < ids.length; i++) pieces.push(decoding.push(ids[i]));
    pieces.push(decoding.end());
    return pieces.join("");
  }

  startDecoding(options: DecodeOptions = {}): Decoding {
    const { skipSpecialTokens = true } = options;
    let text = "";
    const sink = this.#parts.decoder({
      write(piece): void {
        text += piece;
      },
      end(): void {},
    });
    const take = (): string => {
      const taken = text;
      text = "";
      return taken;
    };
    return {
      push: (id): string => {
        const token = this.#tokens.get(id);
        if (token === undefined) {
          throw new DataError(
            `Cannot decode id ${id}: no token has it; ids run from 0 to ${this.vocabSize - 1}`,
          );
        }
        if (!skipSpecialTokens || !this.#special.has(id)) sink.write(token, true);
        return take();
      },
      end(): string {
        sink.end();
        return take();
      },
    };
  }

  tokenToId(token: string): number | undefined {
    return this.#addedIds.get(token) ?? this.#parts.model.vocab.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.#tokens.get(id);
  }
}

/**
 * The tokenizer that a `tokenizer.json` describes: the same ids and texts as Python's `tokenizers` gives
 * for it. The models themselves are those of `@huggingface/tokenizers`.
 *
 * Parts left out of the file count as `null`. Departures from Python: lone surrogates count as U+FFFD;
 * `truncation`, `padding` and `dropout` are ignored; decoding also leaves out the padding and end token
 * where the file does not call them special, gives an added token as the file spells it even where it is
 * looked for in normalised text, and takes spaces before punctuation out where `tokenizer_config.json`
 * asks for `clean_up_tokenization_spaces`. `BertNormalizer` is the library's approximation. Characters
 * younger than the Unicode tables of one side may be cut differently. BPE with a
 * `continuing_subword_prefix` and pre-tokenization by `UnicodeScripts` are refused.
 *
 * A file may come from anybody: whatever is wrong in it is an error, and none of its ids or lengths is
 * taken on trust. Only its regular expressions are: one that backtracks without end cannot be stopped.
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
  if (!isObject(tokenizerJson)) {
    fail("tokenizer.json does not hold an object; pass the parsed JSON, not its text or path");
  }
  if (!isObject(tokenizerConfig)) fail("tokenizer_config.json does not hold an object");
  const { normalizer, pre_tokenizer, post_processor, decoder, added_tokens } = tokenizerJson;
  const model = wordModelOf(tokenizerJson.model);
  const added = addedTokensOf(added_tokens);
  const addedIds = new Map(added.map(({ content, id }) => [content, id]));
  const stage = decoderOf(decoder);
  const cleans = tokenizerConfig.clean_up_tokenization_spaces === true;
  const modelJson = tokenizerJson.model as JsonObject;
  return new HostTokenizer({
    added,
    model,
    normalize: normalizerOf(normalizer),
    cut: preTokenizerOf(pre_tokenizer),
    postProcess: postProcessorOf(
      post_processor,
      (token) => addedIds.get(token) ?? model.vocab.get(token),
    ),
    decoder: cleans ? (next): ReturnType<Stage> => stage(cleanUp(next)) : stage,
    names: {
      pad_token: tokenText(tokenizerConfig.pad_token),
      eos_token: tokenText(tokenizerConfig.eos_token),
      unk_token: tokenText(tokenizerConfig.unk_token) ?? tokenText(modelJson.unk_token),
    },
  });
}
