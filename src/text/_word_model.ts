/** The models of a `tokenizer.json`: they turn one word into ids. */
import { BPE, Unigram, WordPiece } from "@huggingface/tokenizers";
import { fail, isObject, type JsonObject, Part, show } from "./_tokenizer_part.ts";

/**
 * Ids reach up to here. No vocabulary comes near it; a larger id is a broken file, and whoever reserves
 * a row for each id should not have to find that out.
 */
export const MAX_IDS = 2 ** 24;

/** Words whose ids a Unigram model remembers, and how long they may be. */
const MAX_KNOWN_WORDS = 10_000;
const MAX_KNOWN_LENGTH = 64;

/** A model that has been read. */
export interface WordModel {
  /** Id of every token. */
  readonly vocab: ReadonlyMap<string, number>;
  /** Id of what the model does not know. */
  readonly unkId: number | undefined;
  /**
   * Appends the ids of a word. Returns what it has no id for, if there is such a thing.
   *
   * @param word Never empty
   */
  encode(word: string, out: number[]): string | undefined;
}

/** Whether `id` can be one. */
export function isId(id: unknown): id is number {
  return Number.isInteger(id) && Number(id) >= 0 && Number(id) < MAX_IDS;
}

function vocabOf({ json }: Part): Map<string, number> {
  const vocab = json.vocab as JsonObject;
  const ids = new Map<string, number>();
  for (const token of Object.keys(vocab)) {
    const id = vocab[token];
    if (!isId(id)) fail(`token ${show(token)} has the id ${show(id)}, ${NOT_AN_ID}`);
    ids.set(token, id);
  }
  return ids;
}

/** What is wrong with an id. */
export const NOT_AN_ID = `not a whole number from 0 to ${MAX_IDS - 1}`;

/** The 256 ids of `<0x00>` … `<0xFF>`; `undefined` where one is missing. */
function byteIdsOf(vocab: ReadonlyMap<string, number>): (number | undefined)[] {
  return Array.from(
    { length: 256 },
    (_, byte) => vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  );
}

/** The id of `unk_token`, which must be in the vocabulary if it is named. */
function unkIdOf(part: Part, vocab: ReadonlyMap<string, number>): number | undefined {
  return part.json.unk_token == null ? undefined : vocab.get(part.text("unk_token"));
}

/**
 * Appends the ids of `pieces`. What is not in the vocabulary becomes bytes where the model falls back on
 * them, or else the unknown token, one for a run of such pieces where `fuse` says so. Where there is no
 * unknown token it is left out if `drop` says so, as BPE does, or else returned.
 */
function appendIds(
  pieces: readonly string[],
  out: number[],
  { vocab, unkId, byteIds, fuse, drop = false }: {
    vocab: ReadonlyMap<string, number>;
    unkId: number | undefined;
    byteIds?: readonly (number | undefined)[];
    fuse: boolean;
    drop?: boolean;
  },
): string | undefined {
  let wasUnknown = false;
  for (const piece of pieces) {
    const id = vocab.get(piece);
    const bytes = id === undefined && byteIds !== undefined
      ? Array.from(new TextEncoder().encode(piece), (byte) => byteIds[byte])
      : [id];
    const isUnknown = bytes.includes(undefined);
    if (!isUnknown) { for (const byte of bytes) out.push(byte!); }
    else if (unkId === undefined) {
      if (!drop) return piece;
    } else if (!(fuse && wasUnknown)) out.push(unkId);
    wasUnknown = isUnknown;
  }
  return undefined;
}

function mergesOf({ json }: Part, prefix: string, vocab: Map<string, number>): [string, string][] {
  if (!Array.isArray(json.merges)) {
    fail('its BPE model has no list of merges: "model.merges" is missing');
  }
  return json.merges.map((merge: unknown, i): [string, string] => {
    const pair: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(pair) || pair.length !== 2 || pair.some((t) => typeof t !== "string")) {
      fail(`merge ${i} is ${show(merge)}, not two tokens`);
    }
    const [left, right]: string[] = pair;
    for (const token of [left, right, left + right.slice(prefix.length)]) {
      if (!vocab.has(token)) {
        fail(`merge ${i} needs the token ${show(token)}, which is not in the vocabulary`);
      }
    }
    return [left, right];
  });
}

function bpe(part: Part): WordModel {
  const vocab = vocabOf(part);
  const text = (key: string): string => part.json[key] == null ? "" : part.text(key);
  const prefix = text("continuing_subword_prefix"), suffix = text("end_of_word_suffix");
  if (prefix !== "") {
    fail(`BPE with the continuing_subword_prefix ${show(prefix)} is not supported`);
  }
  const model = new BPE({
    type: "BPE",
    vocab: Object.fromEntries(vocab),
    merges: mergesOf(part, prefix, vocab),
    unk_token: "",
    byte_fallback: false,
    ignore_merges: part.flag("ignore_merges", false),
    ...(suffix === "" ? {} : { end_of_word_suffix: suffix }),
  });
  const unkId = unkIdOf(part, vocab);
  const byteIds = part.flag("byte_fallback", false) ? byteIdsOf(vocab) : undefined;
  const fuse = part.flag("fuse_unk", false);
  return {
    vocab,
    unkId,
    encode(word, out): string | undefined {
      const whole = model.ignore_merges ? vocab.get(word) : undefined;
      if (whole !== undefined) out.push(whole);
      else appendIds(model.bpe(word), out, { vocab, unkId, byteIds, fuse, drop: true });
      return undefined;
    },
  };
}

function unigram(part: Part): WordModel {
  const list = part.json.vocab as unknown[];
  if (list.length === 0) fail("its Unigram vocabulary is empty");
  const pieces = list.map((entry, i): [string, number] => {
    const [token, score] = Array.isArray(entry) ? entry : [];
    if (typeof token !== "string" || typeof score !== "number") {
      fail(`entry ${i} of its Unigram vocabulary is ${show(entry)}, not a token and its score`);
    }
    return [token, score];
  });
  const unkId = part.json.unk_id == null ? undefined : part.count("unk_id");
  if (unkId !== undefined && unkId >= pieces.length) {
    fail(`its unk_id is ${unkId}, but its vocabulary has ${pieces.length} tokens`);
  }
  const model = new Unigram({ type: "Unigram", vocab: pieces, unk_id: unkId ?? -1 }, "");
  const vocab = new Map(pieces.map(([token], id) => [token, id]));
  const byteIds = part.flag("byte_fallback", false) ? byteIdsOf(vocab) : undefined;
  const known = new Map<string, readonly number[]>();
  return {
    vocab,
    unkId,
    encode(word, out): string | undefined {
      let ids = known.get(word);
      if (ids === undefined) {
        const fresh: number[] = [];
        const missing = appendIds(model.tokenize(word), fresh, {
          vocab,
          unkId,
          byteIds,
          fuse: true,
        });
        if (missing !== undefined) return missing;
        if (known.size >= MAX_KNOWN_WORDS) known.clear();
        if (word.length <= MAX_KNOWN_LENGTH) known.set(word, fresh);
        ids = fresh;
      }
      for (const id of ids) out.push(id);
      return undefined;
    },
  };
}

function wordPiece(part: Part): WordModel {
  const vocab = vocabOf(part), unk = part.text("unk_token", "[UNK]");
  const unkId = vocab.get(unk);
  const model = new WordPiece({
    type: "WordPiece",
    vocab: Object.fromEntries(vocab),
    unk_token: unk,
    continuing_subword_prefix: part.text("continuing_subword_prefix", "##"),
    max_input_chars_per_word: part.count("max_input_chars_per_word", 100),
  });
  return {
    vocab,
    unkId,
    encode: (word, out) => appendIds(model.encode([word]), out, { vocab, unkId, fuse: false }),
  };
}

function wordLevel(part: Part): WordModel {
  const vocab = vocabOf(part);
  const unkId = unkIdOf(part, vocab);
  return {
    vocab,
    unkId,
    encode(word, out): string | undefined {
      const id = vocab.get(word) ?? unkId;
      if (id === undefined) return word;
      out.push(id);
      return undefined;
    },
  };
}

const MODELS: Record<string, (part: Part) => WordModel> = {
  BPE: bpe,
  Unigram: unigram,
  WordLevel: wordLevel,
  WordPiece: wordPiece,
};

/** Old files do not say which model they hold. */
function guessedType(model: JsonObject): string {
  if (Array.isArray(model.vocab)) return "Unigram";
  if (model.merges !== undefined) return "BPE";
  return model.continuing_subword_prefix === undefined ? "WordLevel" : "WordPiece";
}

/**
 * The model of a file.
 *
 * @param json Content of `model`
 * @throws {DataError} If it is missing, broken or unknown
 */
export function wordModelOf(json: unknown): WordModel {
  if (!isObject(json)) fail('tokenizer.json has no "model"; is it another file?');
  const type = json.type ?? guessedType(json);
  const read = typeof type === "string" && Object.hasOwn(MODELS, type) ? MODELS[type] : undefined;
  if (read === undefined) {
    fail(`its model type is ${show(type)}; known types are ${Object.keys(MODELS).join(", ")}`);
  }
  const { vocab } = json;
  if (type === "Unigram" ? !Array.isArray(vocab) : !isObject(vocab)) {
    fail(`its model has no vocabulary: "model.vocab" is ${show(vocab)}`);
  }
  return read(new Part("Model", { ...json, type }));
}
