/** Files that are either the old one or the new one, never half of one. @module */
import { basename, dirname, join } from "@std/path";
import { DataError } from "../errors.ts";

/** Text (written as UTF-8) or bytes, whole or in pieces. */
export type FileContent =
  | string
  | Uint8Array
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>;

/** New content that lies complete on disk beside the file it will replace. */
export interface StagedFile {
  /** The file that will be replaced. */
  readonly path: string;
  /** Replace the file. */
  commit(): Promise<void>;
  /** Delete the new content; does nothing after `commit`. */
  discard(): Promise<void>;
}

/** Small pieces are gathered into writes of about this size. */
const WRITE_BYTES = 1 << 20;

/**
 * Write `content` to a temporary file in the folder of `path`, flush it to the disk, and leave it
 * there: several files can be staged before the first one is replaced.
 *
 * @param path File to replace; its folder must exist
 * @throws {DataError} If the file cannot be written
 */
export async function stageFile(path: string, content: FileContent): Promise<StagedFile> {
  const temporary = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}.tmp`);
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true });
    try {
      for await (const bytes of batches(content)) {
        for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      }
      await file.sync();
    } finally {
      file.close();
    }
  } catch (cause) {
    await removeIfThere(temporary);
    throw unwritable(path, cause);
  }
  return {
    path,
    async commit(): Promise<void> {
      try {
        await Deno.rename(temporary, path);
      } catch (cause) {
        await removeIfThere(temporary);
        throw unwritable(path, cause);
      }
      await syncFolder(dirname(path));
    },
    discard: () => removeIfThere(temporary),
  };
}

/**
 * Write a file so that a crash at any moment leaves either the old file or the new one.
 *
 * @param path File to write or replace; its folder must exist
 * @throws {DataError} If the file cannot be written
 * @example
 * ```ts
 * import { writeAtomically } from "./atomic_write.ts";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * await writeAtomically(`${folder}/a.txt`, ["one\n", "two\n"]);
 * assertEquals(await Deno.readTextFile(`${folder}/a.txt`), "one\ntwo\n");
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeAtomically(path: string, content: FileContent): Promise<void> {
  await (await stageFile(path, content)).commit();
}

async function* batches(content: FileContent): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const bytesOf = (piece: string | Uint8Array) =>
    typeof piece === "string" ? encoder.encode(piece) : piece;
  if (typeof content === "string" || content instanceof Uint8Array) {
    yield bytesOf(content);
    return;
  }
  const buffer = new Uint8Array(WRITE_BYTES);
  let used = 0;
  for await (const piece of content) {
    const bytes = bytesOf(piece);
    if (used + bytes.length > WRITE_BYTES) {
      yield buffer.subarray(0, used);
      used = 0;
    }
    if (bytes.length > WRITE_BYTES) {
      yield bytes;
    } else {
      buffer.set(bytes, used);
      used += bytes.length;
    }
  }
  yield buffer.subarray(0, used);
}

/** A rename survives a power cut only once its folder is flushed. Not every system can do that. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await Deno.open(folder, { read: true });
    try {
      await handle.sync();
    } finally {
      handle.close();
    }
  } catch (error) {
    if (Deno.build.os !== "windows") throw unwritable(folder, error);
  }
}

/**
 * Make a folder and those above it, where they are not there.
 *
 * @throws {DataError} If that can't be done
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new DataError(`Cannot make the folder ${folder}: ${(cause as Error).message}`, {}, {
      cause,
    });
  }
}

/** Remove a file, or nothing if there is none. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function unwritable(path: string, cause: unknown): Error {
  if (!isSystemError(cause)) return cause as Error;
  return new DataError(`Cannot write ${path}: ${cause.message}`, {}, { cause });
}

/** What the operating system refuses, as opposed to what the producer of the content throws. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error &&
    (Object.values(Deno.errors).some((known) => error instanceof known) || "code" in error);
}
