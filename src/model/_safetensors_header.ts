import { DataError } from "../errors.ts";

/** One tensor of the header; `begin` and `end` count from the start of the file. */
export interface TensorEntry {
  name: string;
  type: string;
  shape: number[];
  begin: number;
  end: number;
}

/** What the header says, checked. */
export interface Header {
  /** In the order of their bytes. */
  entries: TensorEntry[];
  metadata: Record<string, string>;
}

/** The file that a header belongs to. */
export interface HeaderFile {
  /** For messages; empty where the bytes have no name. */
  name: string;
  sizeBytes: number;
}

/** Bytes per element of every type of the format whose elements take whole bytes. */
const WIDTHS: Record<string, number> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
  C64: 8,
};

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

/** As many as PyTorch and NumPy allow. */
const MAX_AXES = 64;

/** Bytes in front of the header: its length. */
export const PREFIX_BYTES = 8;

const isIndex = (x: unknown): x is number =>
  Number.isSafeInteger(x) && (x as number) >= 0 && !Object.is(x, -0);
const isRecord = (x: unknown): x is Record<string, unknown> =>
  typeof x === "object" && x !== null && !Array.isArray(x);

const SHOWN = 100;

/** A value of the header for a message; the file decides how long it is, so it is cut. */
function show(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** Complaints about one file. */
class Complaints {
  constructor(readonly file: string) {}

  fail(message: string): never {
    const location = this.file ? { file: this.file } : {};
    throw new DataError(`Cannot read safetensors: ${message}`, location);
  }
}

/**
 * Where the tensors start, from the first {@linkcode PREFIX_BYTES} bytes.
 *
 * @param prefix The bytes, fewer if the file has fewer
 */
export function headerEnd(prefix: Uint8Array, { name, sizeBytes }: HeaderFile): number {
  const complain = new Complaints(name);
  if (sizeBytes < PREFIX_BYTES) {
    complain.fail(`the file has ${sizeBytes} bytes; its first ${PREFIX_BYTES} are a length`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    complain.fail(`the header claims ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed`);
  }
  const end = PREFIX_BYTES + Number(length);
  if (end > sizeBytes) {
    complain.fail(
      `the header claims ${length} bytes but the file ends after ${sizeBytes}: truncated?`,
    );
  }
  return end;
}

/**
 * Names of a JSON object's own keys as they stand in `text`, which is known to be valid JSON.
 * JSON.parse keeps the last of two equal keys without a word; here they must be seen.
 */
function duplicateKey(text: string): string | undefined {
  // Strings are skipped whole, so braces inside of them do not count.
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;
  const stack: (Set<string> | null)[] = [];
  let isKey = false;
  for (const [token] of text.matchAll(tokens)) {
    const keys = stack[stack.length - 1];
    if (token === "{") stack.push(new Set()), isKey = true;
    else if (token === "[") stack.push(null), isKey = false;
    else if (token === "}" || token === "]") stack.pop(), isKey = false;
    else if (token === ",") isKey = keys !== null;
    else if (token === ":") isKey = false;
    else if (isKey && keys) {
      const key = JSON.parse(token) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function parseMetadata(value: unknown, complain: Complaints): Record<string, string> {
  if (!isRecord(value)) return complain.fail("__metadata__ is not an object");
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      complain.fail(`__metadata__.${show(key)} is ${show(text)}, not a string`);
    }
  }
  return value as Record<string, string>;
}

/** Bytes of a tensor, or undefined if the count is beyond any file. */
function bytesOf(shape: readonly number[], width: number): number | undefined {
  let bytes = width;
  let isEmpty = false;
  for (const size of shape) {
    if (size === 0) isEmpty = true;
    else bytes *= size;
    // Checked at every axis, as a zero further on would hide it.
    if (bytes > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return isEmpty ? 0 : bytes;
}

/** `start` is where the tensors start in the file, `size` what is left from there. */
function parseEntry(
  [key, value]: [string, unknown],
  { start, size }: { start: number; size: number },
  complain: Complaints,
): TensorEntry {
  const name = show(key);
  if (!isRecord(value)) return complain.fail(`tensor ${name} is ${show(value)}, not an object`);
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) complain.fail(`tensor ${name} has an unknown field ${show(unknown)}`);
  if (typeof dtype !== "string" || !Object.hasOwn(WIDTHS, dtype)) {
    return complain.fail(`tensor ${name} has dtype ${show(JSON.stringify(dtype))}`);
  }
  if (!Array.isArray(shape) || !shape.every(isIndex)) {
    return complain.fail(`tensor ${name} has shape ${show(shape)}`);
  }
  if (shape.length > MAX_AXES) {
    complain.fail(`tensor ${name} has ${shape.length} axes; at most ${MAX_AXES} are allowed`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isIndex)) {
    return complain.fail(`tensor ${name} has data_offsets ${show(offsets)}`);
  }
  const [begin, end] = offsets;
  if (end < begin || end > size) {
    complain.fail(`tensor ${name} takes bytes ${begin} to ${end} of ${size}`);
  }
  const expected = bytesOf(shape, WIDTHS[dtype]);
  if (expected !== end - begin) {
    const claimed = expected === undefined
      ? "more bytes than a file can have"
      : `${expected} bytes`;
    complain.fail(
      `tensor ${name} is ${dtype} [${show(shape.join())}], ${claimed}, but takes ${end - begin}`,
    );
  }
  return { name: key, type: dtype, shape, begin: start + begin, end: start + end };
}

/**
 * The header of a file, checked: the entries cover the bytes after it exactly once.
 *
 * @param bytes The header itself, without the length in front
 */
export function parseHeader(bytes: Uint8Array, { name, sizeBytes }: HeaderFile): Header {
  const complain = new Complaints(name);
  const start = PREFIX_BYTES + bytes.length, size = sizeBytes - start;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return complain.fail("the header is not UTF-8");
  }
  if (!text.startsWith("{")) complain.fail("the header does not start with {");
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    return complain.fail(`the header is not JSON (${(error as Error).message})`);
  }
  if (!isRecord(header)) return complain.fail("the header is not an object");
  const twice = duplicateKey(text);
  if (twice !== undefined) complain.fail(`the header has the key ${show(twice)} twice`);
  let metadata: Record<string, string> = {};
  const entries: TensorEntry[] = [];
  for (const [key, value] of Object.entries(header)) {
    if (key === "__metadata__") metadata = parseMetadata(value, complain);
    else entries.push(parseEntry([key, value], { start, size }, complain));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = start;
  for (const { name, begin, end } of entries) {
    if (begin !== at) {
      complain.fail(
        `tensor ${show(name)} starts at byte ${begin - start}, where ${at - start} bytes are taken`,
      );
    }
    at = end;
  }
  if (at !== sizeBytes) complain.fail(`${sizeBytes - at} bytes at the end belong to no tensor`);
  return { entries, metadata };
}
