/** The files of a checkpoint: flat vectors with a checksum, and a manifest that names them. @module */
import { createHash } from "node:crypto";
import { join } from "@std/path";
import { z } from "zod";
import { CheckpointError } from "../errors.ts";
import type { ScheduleConfig } from "../optim/mod.ts";

/** Anything JSON can hold. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** One vector of a checkpoint: float32, little endian, laid out as `parameters` says. */
export interface VectorFile {
  /** Name of the file in the folder. */
  file: string;
  /** Its size. */
  sizeBytes: number;
  /** Its checksum, hexadecimal. */
  sha256: string;
}

/** What `manifest.json` of a checkpoint says. */
export interface CheckpointManifest {
  /** What this file is. */
  format: "deeprag-checkpoint";
  /** Version of the format. */
  version: 1;
  /** Training steps done. */
  step: number;
  /** How good the parameters are. */
  metric?: number;
  /** Seed of the run. */
  seed?: number;
  /** Learning-rate schedule. */
  schedule?: ScheduleConfig;
  /** Where reading the data stands. */
  position?: JsonValue;
  /** Whatever else the loop needs to go on. */
  state?: JsonValue;
  /** The optimiser; absent if only parameters were saved. */
  optimizer?: {
    /** Name of its rule. */
    name: string;
    /** Its hyperparameters. */
    options: Record<string, number | boolean>;
    /** Updates done. */
    updates: number;
  };
  /** Places of the parameters, in elements of a flat vector. */
  parameters: { name: string; shape: number[]; offset: number }[];
  /** Files. */
  vectors: {
    /** Parameters. */
    params: VectorFile;
    /** State of the optimiser. */
    state?: VectorFile;
    /** Moving average of the parameters. */
    average?: VectorFile;
  };
}

const count = z.number().int().nonnegative();

const vectorSchema = z.strictObject({
  file: z.string().regex(/^\w+\.f32$/),
  sizeBytes: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const manifestSchema: z.ZodType<CheckpointManifest> = z.strictObject({
  format: z.literal("deeprag-checkpoint"),
  version: z.literal(1),
  step: count,
  metric: z.number().optional(),
  seed: count.optional(),
  schedule: z.strictObject({
    kind: z.enum(["linear", "cosine", "constant", "inverseSqrt"]),
    warmupSteps: z.number().optional(),
    totalSteps: z.number().optional(),
    minFactor: z.number().optional(),
    timescale: z.number().optional(),
  }).optional(),
  position: z.json().optional(),
  state: z.json().optional(),
  optimizer: z.strictObject({
    name: z.string(),
    options: z.record(z.string(), z.union([z.number(), z.boolean()])),
    updates: count,
  }).optional(),
  parameters: z.array(z.strictObject({
    name: z.string(),
    shape: z.array(count),
    offset: count,
  })),
  vectors: z.strictObject({
    params: vectorSchema,
    state: vectorSchema.optional(),
    average: vectorSchema.optional(),
  }),
});

/** Name of the manifest. It is written last. */
export const MANIFEST = "manifest.json";

const CHUNK_BYTES = 1 << 24;
const REMEDY = "Delete this folder to continue from an older checkpoint.";

/** An error about a checkpoint, with what to do about it. */
export function broken(path: string, what: string, cause?: unknown): CheckpointError {
  return new CheckpointError(`Cannot read checkpoint ${path}: ${what}. ${REMEDY}`, { cause });
}

const bytesOf = (v: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
  new Uint8Array(v.buffer, v.byteOffset, v.byteLength);

/** Write bytes to a new file and flush it to the disk. */
export async function writeFlushed(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const file = await Deno.open(path, { write: true, createNew: true });
  try {
    for (let done = 0; done < bytes.length;) {
      done += await file.write(bytes.subarray(done, done + CHUNK_BYTES));
    }
    await file.sync();
  } finally {
    file.close();
  }
}

/** Write a vector into a folder. */
export async function writeVector(
  folder: string,
  name: string,
  vector: Float32Array<ArrayBuffer>,
): Promise<VectorFile> {
  const bytes = bytesOf(vector), file = `${name}.f32`;
  const hash = createHash("sha256");
  for (let i = 0; i < bytes.length; i += CHUNK_BYTES) {
    hash.update(bytes.subarray(i, i + CHUNK_BYTES));
  }
  await writeFlushed(join(folder, file), bytes);
  return { file, sizeBytes: bytes.length, sha256: hash.digest("hex") };
}

/**
 * Read a vector of a checkpoint, or only prove that it is what the manifest says.
 *
 * @param path The checkpoint
 * @param entry What the manifest says about the vector
 * @param into Where to put the elements; without it they are only checked
 * @throws {CheckpointError} If the file is missing, of another size, or has changed
 */
export async function readVector(
  path: string,
  entry: VectorFile,
  into?: Float32Array<ArrayBuffer>,
): Promise<void> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(join(path, entry.file));
  } catch (cause) {
    throw broken(path, `${entry.file} cannot be opened (${(cause as Error).message})`, cause);
  }
  try {
    const { size } = await file.stat();
    if (size !== entry.sizeBytes) {
      throw broken(path, `${entry.file} has ${size} of ${entry.sizeBytes} bytes`);
    }
    const target = into ? bytesOf(into) : new Uint8Array(Math.min(size, CHUNK_BYTES));
    const hash = createHash("sha256");
    for (let done = 0; done < size;) {
      const start = into ? done : 0;
      const n = await file.read(target.subarray(start, start + CHUNK_BYTES));
      if (n === null) throw broken(path, `${entry.file} ended at byte ${done} of ${size}`);
      hash.update(target.subarray(start, start + n));
      done += n;
    }
    if (hash.digest("hex") !== entry.sha256) {
      throw broken(path, `${entry.file} has changed: its checksum is another one`);
    }
  } finally {
    file.close();
  }
}

const problemsOf = (error: z.ZodError): string =>
  error.issues.map((i) => `${i.path.join(".") || "it"}: ${i.message}`).join("; ");

/**
 * The content of a manifest file.
 *
 * @throws {CheckpointError} If JSON cannot hold it: a metric that is NaN, for one
 */
export function encodeManifest(manifest: CheckpointManifest): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify(manifest, null, 1);
  const parsed = manifestSchema.safeParse(JSON.parse(text));
  if (parsed.success) return new TextEncoder().encode(text);
  throw new CheckpointError(
    `Cannot write the checkpoint of step ${manifest.step}: ${problemsOf(parsed.error)}`,
  );
}

/**
 * The manifest of a checkpoint.
 *
 * @throws {CheckpointError} If it is missing or is not a manifest of this version
 */
export async function readManifest(path: string): Promise<CheckpointManifest> {
  let text: string;
  try {
    text = await Deno.readTextFile(join(path, MANIFEST));
  } catch (cause) {
    throw broken(path, `${MANIFEST} cannot be opened (${(cause as Error).message})`, cause);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw broken(path, `${MANIFEST} is no JSON (${(cause as Error).message})`, cause);
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw broken(path, `${MANIFEST} is not a manifest of version 1 (${problemsOf(parsed.error)})`);
}

/** A rename survives a power cut only once its folder is flushed. Not every system can do that. */
export async function syncFolder(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  const handle = await Deno.open(folder);
  try {
    await handle.sync();
  } finally {
    handle.close();
  }
}
