/** The hash by which the Hub names the content of a file. @module */
import { createHash } from "node:crypto";

/** What an etag says and what the file has. */
export interface HashCheck {
  /** Name of the hash. */
  readonly algorithm: string;
  /** Hash of the file, as hexadecimal digits. */
  readonly actual: string;
}

const READ_BYTES = 1 << 20;

/**
 * Hash of a file, by the method that made the etag: 64 hexadecimal digits are the SHA-256 of the
 * content (large files), 40 are git's blob hash, the SHA-1 of `blob <size>\0` and the content.
 *
 * @returns Undefined if the etag is no such hash
 * @example
 * ```ts
 * import { hashFile } from "./content_hash.ts";
 * import { assertEquals } from "@std/assert";
 * const path = await Deno.makeTempFile();
 * // The empty blob has this hash in every git repository.
 * const etag = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
 * assertEquals((await hashFile(path, etag))?.actual, etag);
 * await Deno.remove(path);
 * ```
 */
export async function hashFile(path: string, etag: string): Promise<HashCheck | undefined> {
  const isSha256 = /^[0-9a-f]{64}$/.test(etag);
  if (!isSha256 && !/^[0-9a-f]{40}$/.test(etag)) return undefined;
  using file = await Deno.open(path);
  const hash = createHash(isSha256 ? "sha256" : "sha1");
  if (!isSha256) hash.update(`blob ${(await file.stat()).size}\0`);
  const buffer = new Uint8Array(READ_BYTES);
  for (let count; (count = await file.read(buffer)) !== null;) {
    hash.update(buffer.subarray(0, count));
  }
  return { algorithm: isSha256 ? "SHA-256" : "git SHA-1", actual: hash.digest("hex") };
}
