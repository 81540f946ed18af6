/** Files as sources of bytes. @module */
import { DataError } from "../errors.ts";
import type { ByteSource } from "../model/safetensors_source.ts";

/** An open file; closed by `await using`. */
export interface FileSource extends ByteSource, AsyncDisposable {}

/**
 * Opens a file for reading from any position. Reads that overlap wait for each other, since a file
 * has one position.
 *
 * @param path File to open
 * @throws {DataError} If there is no such file, or later if it ends sooner than it did when opened
 * @example
 * ```ts
 * import { openFileSource } from "./file_source.ts";
 * import { assertEquals } from "@std/assert";
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "hello");
 * {
 *   await using file = await openFileSource(path);
 *   const two = new Uint8Array(2);
 *   await file.read(3, two);
 *   assertEquals(new TextDecoder().decode(two), "lo");
 * }
 * await Deno.remove(path);
 * ```
 */
export async function openFileSource(path: string): Promise<FileSource> {
  const { file, sizeBytes } = await openWithSize(path);
  let last: Promise<void> = Promise.resolve();
  return {
    name: path,
    sizeBytes,
    read(at, into): Promise<void> {
      const turn = last.then(() => readAt(file, path, { at, into }));
      last = turn.catch(() => {});
      return turn;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await last;
      file.close();
    },
  };
}

async function openWithSize(path: string): Promise<{ file: Deno.FsFile; sizeBytes: number }> {
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path);
    const { isDirectory, size } = await file.stat();
    if (isDirectory) throw new Error("it is a folder, not a file");
    return { file, sizeBytes: size };
  } catch (cause) {
    file?.close();
    throw unreadable(path, cause);
  }
}

async function readAt(
  file: Deno.FsFile,
  path: string,
  { at, into }: { at: number; into: Uint8Array },
): Promise<void> {
  try {
    await file.seek(at, Deno.SeekMode.Start);
    for (let done = 0; done < into.length;) {
      const count = await file.read(into.subarray(done));
      if (count === null) {
        throw new Error(`it ends after ${at + done} bytes; it was longer when it was opened`);
      }
      done += count;
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): DataError {
  const reason = cause instanceof Deno.errors.NotFound
    ? "there is no such file"
    : (cause as Error).message;
  return new DataError(`Cannot read this file: ${reason}`, { file: path }, { cause });
}
