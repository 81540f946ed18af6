/** Cuts the tokens out of a text that a `tokenizer.json` adds to its model's. */
import { fail, isObject, show } from "./_tokenizer_part.ts";
import { isId, NOT_AN_ID } from "./_word_model.ts";
import type { AddedTokenJson } from "./tokenizer_json.ts";

/** A stretch of a text: a token, or what stands between two of them. */
export interface Stretch {
  /** Id of the token; `undefined` between tokens. */
  readonly id: number | undefined;
  /** What stands there; never empty between tokens. */
  readonly text: string;
  /** Whether it stands at the start of the text. */
  readonly isFirst: boolean;
}

interface Node {
  readonly children: Map<number, Node>;
  token?: AddedTokenJson;
}

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

/** The code point that ends before `at`. */
function before(text: string, at: number): string {
  const low = text.charCodeAt(at - 1) >= 0xdc00 && text.charCodeAt(at - 1) <= 0xdfff;
  return text.slice(low ? at - 2 : at - 1, at);
}

/**
 * Finds tokens in texts: from left to right, at each place the longest. `single_word`, `lstrip` and
 * `rstrip` mean what they mean in Python's `tokenizers`.
 */
export class TokenFinder {
  readonly #root: Node = { children: new Map() };

  /** @param tokens What to look for, and as which token it counts; a later one replaces an equal one */
  constructor(tokens: Iterable<readonly [text: string, token: AddedTokenJson]>) {
    for (const [text, token] of tokens) {
      let node = this.#root;
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i);
        let child = node.children.get(code);
        if (child === undefined) node.children.set(code, child = { children: new Map() });
        node = child;
      }
      if (node !== this.#root) node.token = token;
    }
  }

  /** The longest token at `start`, and where it ends. */
  #at(text: string, start: number): { token: AddedTokenJson; end: number } | undefined {
    let node: Node | undefined = this.#root.children.get(text.charCodeAt(start));
    let found: { token: AddedTokenJson; end: number } | undefined;
    for (let end = start + 1; node !== undefined; end++) {
      if (node.token !== undefined) found = { token: node.token, end };
      node = end < text.length ? node.children.get(text.charCodeAt(end)) : undefined;
    }
    return found;
  }

  /** The stretches of a text, in order. */
  split(text: string): Stretch[] {
    const stretches: Stretch[] = [];
    let done = 0;
    if (this.#root.children.size > 0) {
      for (let i = 0; i < text.length;) {
        const found = this.#at(text, i);
        if (found === undefined) {
          i++;
          continue;
        }
        const { token } = found;
        let start = i, end = found.end;
        i = end;
        if (token.single_word) {
          const joinsLeft = start > 0 && WORD.test(before(text, start));
          const next = end < text.length ? String.fromCodePoint(text.codePointAt(end)!) : "";
          if (joinsLeft || WORD.test(next)) continue;
        }
        if (token.lstrip) { while (start > done && SPACE.test(text[start - 1])) start--; }
        if (token.rstrip) { while (end < text.length && SPACE.test(text[end])) end++; }
        if (done < start) {
          stretches.push({ id: undefined, text: text.slice(done, start), isFirst: done === 0 });
        }
        stretches.push({ id: token.id, text: token.content, isFirst: start === 0 });
        done = end;
      }
    }
    if (done < text.length) {
      stretches.push({ id: undefined, text: text.slice(done), isFirst: done === 0 });
    }
    return stretches;
  }
}

/**
 * The added tokens of a file.
 *
 * @param json Content of `added_tokens`
 * @throws {DataError} If one of them is broken
 */
export function addedTokensOf(json: unknown): AddedTokenJson[] {
  if (json === undefined || json === null) return [];
  if (!Array.isArray(json)) fail('"added_tokens" is not a list');
  return json.map((entry: unknown) => {
    if (!isObject(entry) || typeof entry.content !== "string") {
      fail(`an added token needs "id" and "content", but one is ${show(entry)}`);
    }
    const { content, id } = entry;
    if (!isId(id)) fail(`the added token ${show(content)} has the id ${show(id)}, ${NOT_AN_ID}`);
    const flag = (key: string, fallback: boolean): boolean => {
      const value = entry[key] ?? fallback;
      if (typeof value !== "boolean") {
        fail(`"${key}" of the added token ${show(content)} is ${show(value)}, not true or false`);
      }
      return value;
    };
    const special = flag("special", false);
    return {
      id,
      content,
      single_word: flag("single_word", false),
      lstrip: flag("lstrip", false),
      rstrip: flag("rstrip", false),
      normalized: flag("normalized", !special),
      special,
    };
  });
}
