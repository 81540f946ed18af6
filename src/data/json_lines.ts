/** JSON Lines, read as a stream, with the line in every complaint. @module */
import { DataError } from "../errors.ts";

/** One line of a text file. */
export interface TextLine {
  /** 1-based line number. */
  readonly line: number;
  /** The line without its end. */
  readonly text: string;
}

/** One record of a JSON Lines file. */
export interface JsonLine {
  /** 1-based line number. */
  readonly line: number;
  /** The parsed record: any JSON value. */
  readonly value: unknown;
}

/** Choices of {@linkcode readJsonLines}. */
export interface ReadLinesOptions {
  /** Longest line accepted, in bytes. Default 64 MiB. */
  maxLineBytes?: number;
}

const MAX_LINE_BYTES = 64 * 2 ** 20;
const SNIPPET_CHARACTERS = 30;
const LINE_FEED = 10;

/**
 * Records of a JSON Lines file, one at a time: memory does not grow with the file.
 *
 * Byte order marks (also where files were joined), CRLF line ends, blank lines and a missing last line end are fine.
 *
 * @param path File to read
 * @throws {DataError} With file and line: broken JSON (with the place), bytes that are not UTF-8, a
 *   line longer than the limit. With the file: if it cannot be read
 * @example
 * ```ts
 * import { readJsonLines } from "./json_lines.ts";
 * import { assertEquals } from "@std/assert";
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, '{"a": 1}\n\n{"a": 2}\n');
 * const records = await Array.fromAsync(readJsonLines(path));
 * assertEquals(records, [{ line: 1, value: { a: 1 } }, { line: 3, value: { a: 2 } }]);
 * await Deno.remove(path);
 * ```
 */
export async function* readJsonLines(
  path: string,
  options: ReadLinesOptions = {},
): AsyncGenerator<JsonLine, void, undefined> {
  for await (const { line, text } of readTextLines(path, options)) {
    const parsed = parseJson(text);
    if ("problem" in parsed) {
      const { problem, cause } = parsed;
      throw new DataError(`Cannot read this line: ${problem}`, { file: path, line }, { cause });
    }
    yield { line, value: parsed.value };
  }
}

/**
 * Lines of a UTF-8 file that are not blank, as a stream.
 *
 * @throws {DataError} As {@linkcode readJsonLines}, except for JSON
 */
export async function* readTextLines(
  path: string,
  options: ReadLinesOptions = {},
): AsyncGenerator<TextLine, void, undefined> {
  const { maxLineBytes = MAX_LINE_BYTES } = options;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 0;
  for await (const bytes of readByteLines(path, maxLineBytes)) {
    line++;
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch (cause) {
      throw new DataError(
        "Cannot read this line: it is not UTF-8. Save the file as UTF-8",
        { file: path, line },
        { cause },
      );
    }
    if (text.endsWith("\r")) text = text.slice(0, -1);
    if (text.trim() !== "") yield { line, text };
  }
}

/** The value of a line, or what is wrong with it and where. */
export function parseJson(text: string): { value: unknown } | { problem: string; cause: unknown } {
  try {
    return { value: JSON.parse(text) };
  } catch (cause) {
    const message = (cause as Error).message.replace(/ \(line 1 column \d+\)/, "");
    const at = /position (\d+)/.exec(message)?.[1];
    // V8 quotes the surroundings itself where it gives no position, except at the end of the line.
    const quotes = message.includes("is not valid JSON");
    const near = quotes ? "" : `, near ${snippet(text, Number(at ?? text.length))}`;
    return { problem: `broken JSON: ${message}${near}`, cause };
  }
}

function snippet(text: string, at: number): string {
  const start = Math.max(0, at - SNIPPET_CHARACTERS), end = at + SNIPPET_CHARACTERS;
  const left = start > 0 ? "…" : "", right = end < text.length ? "…" : "";
  return `«${left}${text.slice(start, end)}${right}»`;
}

/** Bytes of each line, without the line feed. A yielded array is only valid until the next one. */
async function* readByteLines(path: string, maxLineBytes: number): AsyncGenerator<Uint8Array> {
  using file = await open(path);
  let buffer = new Uint8Array(1 << 16);
  let used = 0, line = 1;
  while (true) {
    if (used === buffer.length) {
      const larger = new Uint8Array(2 * buffer.length);
      larger.set(buffer);
      buffer = larger;
    }
    const count = await read(file, buffer.subarray(used), path);
    if (count === null) break;
    let searchFrom = used, start = 0;
    used += count;
    for (let end; (end = buffer.subarray(0, used).indexOf(LINE_FEED, searchFrom)) >= 0;) {
      if (end - start > maxLineBytes) break;
      yield buffer.subarray(start, end);
      line++;
      start = searchFrom = end + 1;
    }
    buffer.copyWithin(0, start, used);
    used -= start;
    if (used > maxLineBytes) {
      throw new DataError(
        `Cannot read this line: it is longer than ${maxLineBytes} bytes. JSON Lines holds one ` +
          "record a line; is this a plain JSON file?",
        { file: path, line },
      );
    }
  }
  if (used > 0) yield buffer.subarray(0, used);
}

async function open(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

async function read(
  file: Deno.FsFile,
  into: Uint8Array<ArrayBuffer>,
  path: string,
): Promise<number | null> {
  try {
    return await file.read(into);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): DataError {
  const reason = cause instanceof Deno.errors.NotFound
    ? "there is no such file"
    : cause instanceof Deno.errors.IsADirectory
    ? "it is a folder"
    : (cause as Error).message;
  return new DataError(`Cannot read ${path}: ${reason}`, {}, { cause });
}
