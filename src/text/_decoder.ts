/** The decoders of a `tokenizer.json`: they turn tokens into text, one token after another. */
import { bounded, Part } from "./_tokenizer_part.ts";
import { BYTE_CHARACTERS } from "./byte_level.ts";

/** Takes tokens in turn. A token may come in several pieces, so that long ones need not be waited for. */
export interface Sink {
  /** Takes a piece of a token; `isEnd` says whether it is the token's last. */
  write(piece: string, isEnd: boolean): void;
  /** Says that nothing follows. */
  end(): void;
}

/** A step: writes to `next` what becomes of the tokens it takes. It is made anew for every text. */
export type Stage = (next: Sink) => Sink;

const BYTE_OF = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

/** A step that looks at whole tokens. `end` may write what was held back. */
function byToken(take: (token: string, next: Sink) => void, end?: (next: Sink) => void): Stage {
  return (next) => {
    let held = "";
    return {
      write(piece, isEnd): void {
        held += piece;
        if (!isEnd) return;
        const token = held;
        held = "";
        take(token, next);
      },
      end(): void {
        end?.(next);
        next.end();
      },
    };
  };
}

/** A step that changes each token by itself, knowing whether it is the first. */
function mapped(change: (token: string, isFirst: boolean) => string): Stage {
  return (next) => {
    let isFirst = true;
    return byToken((token) => {
      next.write(change(token, isFirst), true);
      isFirst = false;
    })(next);
  };
}

/** A step that makes one token of all, passing pieces on as soon as they are certain. */
function fused(start: () => { write(piece: string): string; end(): string }): Stage {
  return (next) => {
    const state = start();
    return {
      write: (piece) => next.write(state.write(piece), false),
      end(): void {
        next.write(state.end(), true);
        next.end();
      },
    };
  };
}

/** UTF-8 bytes as one text. A token that is not made of byte characters counts as its own text. */
const utf8: Stage = fused(() => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const encoder = new TextEncoder();
  return {
    write(token): string {
      const bytes = Array.from(token, (character) => BYTE_OF.get(character));
      const known = bytes.includes(undefined)
        ? encoder.encode(token)
        : Uint8Array.from(bytes as number[]);
      return decoder.decode(known, { stream: true });
    },
    end: () => decoder.decode(),
  };
});

const byteLevel: Stage = (next) => byToken((token, sink) => sink.write(token, true))(utf8(next));

const fuse: Stage = fused(() => ({ write: (piece) => piece, end: () => "" }));

/** A run of `<0x…>` tokens is UTF-8, or one U+FFFD a byte where it is none. */
const byteFallback: Stage = (next) => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let run: number[] = [];
  const flush = (): void => {
    if (run.length === 0) return;
    let text: string;
    try {
      text = decoder.decode(Uint8Array.from(run));
    } catch {
      text = "\ufffd".repeat(run.length);
    }
    run = [];
    next.write(text, true);
  };
  return byToken((token) => {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
    if (byte !== null) run.push(parseInt(byte[1], 16));
    else {
      flush();
      next.write(token, true);
    }
  }, flush)(next);
};

/** Cuts up to `start` signs from the beginning of a token and up to `stop` from its end. */
function strip(part: Part): Stage {
  const sign = part.character("content"),
    start = part.count("start", 0),
    stop = part.count("stop", 0);
  return (next) => {
    let cut = 0, atStart = true, held = "";
    return {
      write(piece, isEnd): void {
        while (atStart && piece !== "") {
          if (cut >= start || !piece.startsWith(sign)) atStart = false;
          else {
            piece = piece.slice(sign.length);
            cut++;
          }
        }
        held += piece;
        let keep = held.length;
        for (let i = 0; i < stop && held.endsWith(sign, keep); i++) {
          keep -= sign.length;
        }
        next.write(held.slice(0, keep), isEnd);
        held = isEnd ? "" : held.slice(keep);
        if (isEnd) {
          cut = 0;
          atStart = true;
        }
      },
      end: () => next.end(),
    };
  };
}

function metaspace(part: Part): Stage {
  const sign = part.character("replacement", "▁");
  const scheme = part.json.add_prefix_space === false && part.json.prepend_scheme == null
    ? "never"
    : part.text("prepend_scheme", "always");
  return mapped((token, isFirst) =>
    token.replaceAll(sign, isFirst && scheme !== "never" ? "" : " ")
  );
}

const CLEANED = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

/** A text without the spaces that tokenizing put in front of marks and contractions. */
function cleaned(text: string): string {
  return CLEANED.reduce((clean, [from, to]) => clean.replaceAll(from, to), text);
}

function wordPiece(part: Part): Stage {
  const prefix = part.text("prefix", "##"), cleans = part.flag("cleanup", true);
  return mapped((token, isFirst) => {
    const joined = isFirst
      ? token
      : token.startsWith(prefix)
      ? token.slice(prefix.length)
      : ` ${token}`;
    return cleans ? cleaned(joined) : joined;
  });
}

/** The suffix of a word is a space, but not at the end of the text. */
function bpe(part: Part): Stage {
  const suffix = part.text("suffix", "</w>");
  return (next) => {
    let held: string | undefined;
    const release = (space: string): void => {
      if (held !== undefined) {
        next.write(suffix === "" ? held : held.replaceAll(suffix, space), true);
      }
    };
    return byToken((token) => {
      release(" ");
      held = token;
    }, () => release(""))(next);
  };
}

/** Repeated tokens count once, padding not at all. */
function ctc(part: Part): Stage {
  const pad = part.text("pad_token", "<pad>"), cleans = part.flag("cleanup", true);
  const delimiter = part.text("word_delimiter_token", "|");
  return (next) => {
    let previous: string | undefined;
    return byToken((token) => {
      if (token === previous) return;
      previous = token;
      const text = pad === "" ? token : token.replaceAll(pad, "");
      next.write(cleans ? cleaned(text).replaceAll(delimiter, " ") : text, true);
    })(next);
  };
}

function stage(part: Part): Stage {
  switch (part.type) {
    case "Sequence": {
      const stages = part.steps("decoders").map(stage);
      return (next) => stages.reduceRight((sink, step) => step(sink), next);
    }
    case "ByteLevel":
      return byteLevel;
    case "ByteFallback":
      return byteFallback;
    case "Fuse":
      return fuse;
    case "Strip":
      return strip(part);
    case "Metaspace":
      return metaspace(part);
    case "Replace": {
      const pattern = part.pattern(), content = part.text("content");
      return mapped((token) => {
        const text = token.replace(pattern, () => content);
        return text.length <= token.length ? text : bounded(text, 0);
      });
    }
    case "WordPiece":
      return wordPiece(part);
    case "BPEDecoder":
      return bpe(part);
    case "CTC":
      return ctc(part);
    default:
      return part.unknown();
  }
}

/**
 * What the `decoder` of a file does.
 *
 * @param json Its content; `null` puts a space between tokens
 * @throws {DataError} If it is broken or unknown
 */
export function decoderOf(json: unknown): Stage {
  const part = Part.of("Decoder", json);
  return part === undefined
    ? mapped((token, isFirst) => isFirst ? token : ` ${token}`)
    : stage(part);
}

/**
 * The step behind a decoder that takes spaces before marks and contractions out again. No pattern spans
 * a place behind a character other than space, `'`, n, v and r, so everything up to the last such
 * place is certain.
 */
export const cleanUp: Stage = fused(() => {
  let held = "";
  return {
    write(piece): string {
      held += piece;
      let sure = held.length;
      while (sure > 0 && " 'nvr".includes(held[sure - 1])) sure--;
      const text = cleaned(held.slice(0, sure));
      held = held.slice(sure);
      return text;
    },
    end: () => cleaned(held),
  };
});
