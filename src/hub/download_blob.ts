/** One file of the Hub into the cache: resumed, checked, and by one process at a time. @module */
import { dirname } from "@std/path";
import { DataError, DeepragError, RemoteError } from "../errors.ts";
import { type Answer, ask, type Connection, pause } from "./connection.ts";
import { hashFile } from "./content_hash.ts";
import { isFile, makeFolder } from "./model_cache.ts";
import { type FileAddress, refusal, type RemoteFile, urlOf } from "./remote_file.ts";

/** What to download, and where to. */
export interface Download {
  /** The file; its revision is a commit. */
  readonly address: FileAddress;
  /** What the Hub said about it. */
  readonly remote: RemoteFile;
  /** Where the content belongs. Until it is complete it lies beside it as `.incomplete`. */
  readonly blobPath: string;
  /** File to lock meanwhile. */
  readonly lockPath: string;
  /** Told after every piece how many bytes are there. */
  readonly onBytes: (doneBytes: number) => void;
}

/** What came is not what was announced, so it must not be gone on with. */
class WrongContentError extends RemoteError {}

const LOCK_POLL_MS = 200;

/** A connection that brought so much before it broke has earned a fresh count of attempts. */
const PROGRESS_BYTES = 1 << 20;

/**
 * Downloads the content of a file, unless it is there. A broken connection is resumed where it
 * ended, in this call and in later ones; size and hash are checked before the content gets its name.
 *
 * @throws {RemoteError} If it can't be had, or is not what its etag and size say; such content is
 * removed
 * @throws {DataError} If it can't be written, because the disk is full for example; what came before
 * is kept
 */
export async function downloadBlob(connection: Connection, download: Download): Promise<void> {
  const { blobPath, lockPath } = download;
  await makeFolder(dirname(blobPath));
  await makeFolder(dirname(lockPath));
  const path = `${blobPath}.incomplete`;
  try {
    using _lock = await lockFile(lockPath, connection.signal);
    if (await isFile(blobPath)) return;
    {
      using file = await Deno.open(path, { read: true, write: true, create: true });
      await fill(connection, download, { file, path });
      await file.sync();
    }
    await verify(path, download);
    await Deno.rename(path, blobPath);
  } catch (error) {
    if (error instanceof WrongContentError) await Deno.remove(path);
    connection.signal?.throwIfAborted();
    if (error instanceof DeepragError) throw error;
    // All that is left is the file system.
    throw new DataError(`Cannot write ${blobPath}: ${(error as Error).message}`, {}, {
      cause: error,
    });
  }
}

/** Closing the file gives the lock back, and so does the end of the process, however it comes. */
async function lockFile(path: string, signal?: AbortSignal): Promise<Deno.FsFile> {
  const file = await Deno.open(path, { write: true, create: true });
  try {
    while (!await file.tryLock(true)) await pause(LOCK_POLL_MS, signal);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

interface Incomplete {
  file: Deno.FsFile;
  path: string;
}

async function fill(
  connection: Connection,
  download: Download,
  incomplete: Incomplete,
): Promise<void> {
  const { address: { id, file: name }, remote: { sizeBytes } } = download;
  const { signal, retryDelaysMs } = connection;
  const { file } = incomplete;
  if (sizeBytes !== undefined && (await file.stat()).size > sizeBytes) await file.truncate(0);
  for (let failures = 0;;) {
    const before = (await file.stat()).size;
    download.onBytes(before);
    if (before === sizeBytes) return;
    let problem: unknown = new Error("the connection ended early");
    try {
      await receive(connection, download, incomplete);
      if (sizeBytes === undefined || (await file.stat()).size === sizeBytes) return;
    } catch (error) {
      if (error instanceof DeepragError) throw error;
      problem = error;
    }
    const { size } = await file.stat();
    failures = size - before >= PROGRESS_BYTES ? 1 : failures + 1;
    if (failures > retryDelaysMs.length) {
      throw new RemoteError(
        `Cannot download ${name} of the model ${id}: ${
          (problem as Error).message
        }, after ${size} ` +
          `of ${
            sizeBytes ?? "an unknown number of"
          } bytes and ${failures} attempts. What came is ` +
          "kept: run the same again and it goes on from there",
        { cause: problem },
      );
    }
    await pause(retryDelaysMs[failures - 1], signal);
  }
}

/** One answer of the server, appended to what is there. */
async function receive(
  connection: Connection,
  { address, remote, onBytes }: Download,
  { file, path }: Incomplete,
): Promise<void> {
  let done = (await file.stat()).size;
  const url = urlOf(connection.endpoint, address);
  const headers: Record<string, string> = done > 0 ? { range: `bytes=${done}-` } : {};
  const answer = await ask(connection, { method: "GET", url, headers });
  try {
    if (!continues(answer, done, remote, address, connection)) {
      await file.truncate(0);
      done = 0;
      if (answer.response.status !== 200) throw new Error("the server refused to go on");
    }
    await file.seek(done, Deno.SeekMode.Start);
    const { sizeBytes = Infinity } = remote;
    for await (const chunk of answer.response.body ?? []) {
      answer.feed();
      if (done + chunk.length > sizeBytes) {
        throw new WrongContentError(
          `Cannot use ${address.file} of the model ${address.id}: more came than the ${sizeBytes} ` +
            "bytes that were announced. It was removed; try again",
        );
      }
      await append(file, path, { chunk, done });
      done += chunk.length;
      onBytes(done);
    }
  } finally {
    await answer.close();
  }
}

/** Does the answer go on after `done` bytes? Otherwise it starts over, or has to be asked for. */
function continues(
  answer: Answer,
  done: number,
  { sizeBytes }: RemoteFile,
  address: FileAddress,
  connection: Connection,
): boolean {
  const { status, headers } = answer.response;
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
    return range !== null && Number(range[1]) === done &&
      (range[2] === "*" || sizeBytes === undefined || Number(range[2]) === sizeBytes);
  }
  if (status === 416) return false;
  if (status !== 200) throw refusal(connection, address, answer);
  const announced = headers.get("content-length");
  if (announced !== null && sizeBytes !== undefined && Number(announced) !== sizeBytes) {
    throw new WrongContentError(
      `Cannot use ${address.file} of the model ${address.id}: the Hub says it has ${sizeBytes} ` +
        `bytes, but ${announced} are sent. Try again`,
    );
  }
  return done === 0;
}

async function append(
  file: Deno.FsFile,
  path: string,
  { chunk, done }: { chunk: Uint8Array; done: number },
): Promise<void> {
  try {
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
  } catch (cause) {
    throw new DataError(
      `Cannot write ${path}: ${(cause as Error).message}. The first ${done} bytes are kept: make ` +
        "room, or set HF_HUB_CACHE to another disk, and run the same again",
      {},
      { cause },
    );
  }
}

async function verify(path: string, { address, remote }: Download): Promise<void> {
  const check = await hashFile(path, remote.etag);
  if (check === undefined || check.actual === remote.etag) return;
  throw new WrongContentError(
    `Cannot use ${address.file} of the model ${address.id}: its ${check.algorithm} is ` +
      `${check.actual}, not ${remote.etag}. It was removed; run the same again to download it anew`,
  );
}
