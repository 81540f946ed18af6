/** Compiled kernels on disk: compiling takes seconds, reading them a millisecond. @module */
import { join } from "@std/path";
import { makeFolder, writeAtomically } from "../../data/atomic_write.ts";
import { type Environment, userCacheFolder } from "../user_cache.ts";

/** What a compiled kernel depends on. */
export interface KernelKey {
  /** The source. */
  readonly source: string;
  /** `"sm_90"`. */
  readonly architecture: string;
  /** Name and version of the compiler: `"nvrtc 13.0"`. */
  readonly compiler: string;
  /** Options it is given. */
  readonly options: readonly string[];
}

/** A cache of compiled kernels. Nothing that goes wrong with it is an error. */
export interface KernelCache {
  /** Folder the files lie in; undefined if nothing is cached. */
  readonly folder?: string;
  /** What was kept under a key; undefined if nothing was, or it is damaged. */
  get(key: KernelKey): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Keep something. */
  put(key: KernelKey, content: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** First bytes of each file: what it is, and the version of its layout. */
const MAGIC = new TextEncoder().encode("DRAGCUB1");
const HASH_BYTES = 32;
const HEADER_BYTES = MAGIC.length + HASH_BYTES;
const SUFFIX = ".cubin";
/** Bytes that are kept at most; the ones unused for longest go first. */
const LIMIT_BYTES = 512 << 20;

/**
 * Folder for compiled kernels: DEEPRAG_CACHE, else `$XDG_CACHE_HOME/deeprag/kernels`, else
 * `~/.cache/deeprag/kernels`; undefined if there is no home.
 */
export function kernelCacheFolder(
  environment: Environment = (name) => Deno.env.get(name),
): string | undefined {
  return environment("DEEPRAG_CACHE") || userCacheFolder("kernels", environment);
}

/**
 * Cache compiled kernels in a folder. Each file holds a mark, the SHA-256 of its content, and the
 * content; one that does not fit is ignored and replaced.
 *
 * @param folder Made when something is first kept; undefined or false: nothing is cached
 * @param limitBytes Bytes of files at most. Default: 512 MiB
 */
export function openKernelCache(
  folder: string | false | undefined,
  limitBytes: number = LIMIT_BYTES,
): KernelCache {
  if (!folder) return { get: () => Promise.resolve(undefined), put: () => Promise.resolve() };
  const fileOf = async (key: KernelKey) => join(folder, `${await nameOf(key)}${SUFFIX}`);
  return {
    folder,
    async get(key): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const path = await fileOf(key);
      try {
        const content = await unpack(await Deno.readFile(path));
        // When it was last used decides what goes first; not being able to say so is no harm.
        if (content) await Deno.utime(path, new Date(), new Date()).catch(() => {});
        return content;
      } catch {
        return undefined;
      }
    },
    async put(key, content): Promise<void> {
      const path = await fileOf(key);
      try {
        await makeFolder(folder);
        await writeAtomically(path, await pack(content));
        await prune(folder, limitBytes);
      } catch {
        // A folder that can't be written only means that the next run compiles again.
      }
    },
  };
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

async function nameOf({ source, architecture, compiler, options }: KernelKey): Promise<string> {
  const parts = JSON.stringify([source, architecture, compiler, options]);
  return (await sha256(new TextEncoder().encode(parts))).toHex();
}

async function pack(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const file = new Uint8Array(HEADER_BYTES + content.length);
  file.set(MAGIC);
  file.set(await sha256(content), MAGIC.length);
  file.set(content, HEADER_BYTES);
  return file;
}

async function unpack(
  file: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (file.length <= HEADER_BYTES || !MAGIC.every((byte, i) => file[i] === byte)) return undefined;
  const content = file.slice(HEADER_BYTES);
  const hash = await sha256(content);
  return hash.every((byte, i) => file[MAGIC.length + i] === byte) ? content : undefined;
}

async function prune(folder: string, limitBytes: number): Promise<void> {
  const files: { path: string; bytes: number; usedMs: number }[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile || !name.endsWith(SUFFIX)) continue;
    const path = join(folder, name);
    const info = await Deno.stat(path).catch(() => undefined);
    if (info) files.push({ path, bytes: info.size, usedMs: info.mtime?.getTime() ?? 0 });
  }
  let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { path, bytes } of files.sort((a, b) => a.usedMs - b.usedMs)) {
    if (total <= limitBytes) return;
    await Deno.remove(path).catch(() => {});
    total -= bytes;
  }
}
