import { DataError } from "../errors.ts";

/** One tensor of the header; `begin` and `end` count from the start of the file. */
export interface TensorEntry {
  name: string;
  type: string;
  shape: number[];
  begin: number;
  end: number;
}

/** Bytes per element of every type of the format. */
const WIDTHS: Record<string, number> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
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
};

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

const fail = (message: string): never => {
  throw new DataError(`Cannot read safetensors: ${message}`);
};

const isIndex = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;
const isRecord = (x: unknown): x is Record<string, unknown> =>
  typeof x === "object" && x !== null && !Array.isArray(x);

/** The header as text, after its length was found to be sane. */
function headerText(bytes: Uint8Array): { text: string; start: number } {
  if (bytes.length < 8) fail(`the file has ${bytes.length} bytes; its first 8 are a length`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    fail(`the header claims ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed`);
  }
  const start = 8 + Number(length);
  if (start > bytes.length) {
    fail(`the header claims ${length} bytes but the file ends after ${bytes.length}: truncated?`);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes.subarray(8, start));
    return { text, start };
  } catch {
    return fail("the header is not UTF-8");
  }
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

function parseMetadata(value: unknown): Record<string, string> {
  if (!isRecord(value)) return fail("__metadata__ is not an object");
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      fail(`__metadata__.${key} is ${JSON.stringify(text)}, not a string`);
    }
  }
  return value as Record<string, string>;
}

function parseEntry(name: string, value: unknown, start: number, size: number): TensorEntry {
  if (!isRecord(value)) return fail(`tensor ${name} is ${JSON.stringify(value)}, not an object`);
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) fail(`tensor ${name} has an unknown field ${unknown}`);
  if (typeof dtype !== "string" || !Object.hasOwn(WIDTHS, dtype)) {
    return fail(`tensor ${name} has dtype ${JSON.stringify(dtype)}`);
  }
  if (!Array.isArray(shape) || !shape.every(isIndex)) {
    return fail(`tensor ${name} has shape ${JSON.stringify(shape)}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isIndex)) {
    return fail(`tensor ${name} has data_offsets ${JSON.stringify(offsets)}`);
  }
  const [begin, end] = offsets;
  if (end < begin || end > size) {
    fail(`tensor ${name} takes bytes ${begin} to ${end} of ${size}`);
  }
  // As a product of doubles this is exact wherever it could match.
  const expected = shape.reduce((a, b) => a * b, WIDTHS[dtype]);
  if (expected !== end - begin) {
    fail(`tensor ${name} is ${dtype} [${shape}], ${expected} bytes, but takes ${end - begin}`);
  }
  return { name, type: dtype, shape, begin: start + begin, end: start + end };
}

/** The header of a file, checked: the entries cover the bytes after it exactly once. */
export function parseHeader(
  bytes: Uint8Array,
): { entries: TensorEntry[]; metadata: Record<string, string> } {
  const { text, start } = headerText(bytes);
  if (!text.startsWith("{")) fail("the header does not start with {");
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    return fail(`the header is not JSON (${(error as Error).message})`);
  }
  if (!isRecord(header)) return fail("the header is not an object");
  const twice = duplicateKey(text);
  if (twice !== undefined) fail(`the header has the key ${twice} twice`);
  let metadata: Record<string, string> = {};
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") metadata = parseMetadata(value);
    else entries.push(parseEntry(name, value, start, bytes.length - start));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = start;
  for (const { name, begin, end } of entries) {
    if (begin !== at) {
      fail(`tensor ${name} starts at byte ${begin - start}, where ${at - start} bytes are taken`);
    }
    at = end;
  }
  if (at !== bytes.length) fail(`${bytes.length - at} bytes at the end belong to no tensor`);
  return { entries, metadata };
}
