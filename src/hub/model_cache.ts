/** The folder in which models from the Hub are kept, in the layout that huggingface_hub uses. @module */
import { dirname, join, relative } from "@std/path";
import { writeAtomically } from "../data/atomic_write.ts";
import { DataError } from "../errors.ts";
import { isCommit } from "./model_id.ts";
import { WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from "./weight_index.ts";

/**
 * Where huggingface_hub keeps models: `HF_HUB_CACHE`, else `HF_HOME/hub`, else
 * `XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`.
 *
 * @throws {DataError} If none of these is set and there is no home folder
 */
export function defaultCacheDir(): string {
  const env = (name: string) => Deno.env.get(name) || undefined;
  const home = env("HOME") ?? env("USERPROFILE");
  const expand = (path: string) => home ? path.replace(/^~(?=$|[/\\])/, () => home) : path;
  const cache = env("HF_HUB_CACHE");
  if (cache) return expand(cache);
  const hfHome = env("HF_HOME");
  if (hfHome) return join(expand(hfHome), "hub");
  const xdg = env("XDG_CACHE_HOME");
  if (xdg) return join(expand(xdg), "huggingface", "hub");
  if (home) return join(home, ".cache", "huggingface", "hub");
  throw new DataError(
    "Cannot tell where models are kept: no home folder is known. Set HF_HUB_CACHE to a folder",
  );
}

/** What the cache knows about a file of a commit. */
export type CacheState = "there" | "missing on the Hub" | "unknown";

/**
 * The cache of one model:
 *
 *   blobs/<etag>                   contents, named by their hash
 *   snapshots/<commit>/<file>      links to them
 *   refs/<revision>                the commit that a branch or tag meant last
 *   .no_exist/<commit>/<file>      empty: the commit has no such file
 */
export class ModelCache {
  /** Folder of the model. */
  readonly folder: string;

  /**
   * Touches nothing.
   *
   * @param cacheDir Folder of all models
   * @param id Checked id of the model
   */
  constructor(readonly cacheDir: string, id: string) {
    this.folder = join(cacheDir, `models--${id.replace("/", "--")}`);
  }

  /** Where the content with this etag belongs. */
  blobPath(etag: string): string {
    return join(this.folder, "blobs", etag);
  }

  /** File to lock while that content is downloaded; huggingface_hub locks the same one. */
  lockPath(etag: string): string {
    return join(this.cacheDir, ".locks", relative(this.cacheDir, this.folder), `${etag}.lock`);
  }

  /** Folder that shows the files of a commit. */
  snapshotFolder(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** The commit that a revision meant last, if that is known. */
  async readRef(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    try {
      const commit = (await Deno.readTextFile(join(this.folder, "refs", revision))).trim();
      return isCommit(commit) ? commit : undefined;
    } catch {
      return undefined;
    }
  }

  /** Notes which commit a revision means; a commit means itself. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit || await this.readRef(revision) === commit) return;
    const path = join(this.folder, "refs", revision);
    await makeFolder(dirname(path));
    await writeAtomically(path, commit);
  }

  /** What is known about a file of a commit. */
  async stateOf(commit: string, file: string): Promise<CacheState> {
    // Through the link: one whose content was deleted counts for nothing.
    if (await isFile(join(this.snapshotFolder(commit), file))) return "there";
    if (await isFile(join(this.folder, ".no_exist", commit, file))) return "missing on the Hub";
    // Nobody needs the single file where the files of an index are.
    const isSharded = file === WEIGHTS_FILE &&
      await isFile(join(this.snapshotFolder(commit), WEIGHTS_INDEX_FILE));
    return isSharded ? "missing on the Hub" : "unknown";
  }

  /** Notes that a commit has no such file; in a cache that can't be written, it doesn't. */
  async markMissing(commit: string, file: string): Promise<void> {
    const path = join(this.folder, ".no_exist", commit, file);
    try {
      await makeFolder(dirname(path));
      await writeAtomically(path, "");
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
    }
  }

  /** Shows downloaded content as a file of a commit: by a relative link, else by a copy. */
  async show(commit: string, file: string, etag: string): Promise<void> {
    const path = join(this.snapshotFolder(commit), file);
    const folder = dirname(path);
    await makeFolder(folder);
    const temporary = join(folder, `.${crypto.randomUUID()}.tmp`);
    const blob = this.blobPath(etag);
    try {
      try {
        await Deno.symlink(relative(folder, blob), temporary, { type: "file" });
      } catch {
        // Windows without developer mode, some network drives.
        await Deno.copyFile(blob, temporary);
      }
      await Deno.rename(temporary, path);
    } catch (cause) {
      await Deno.remove(temporary).catch(() => {});
      throw new DataError(`Cannot write ${path}: ${(cause as Error).message}`, {}, { cause });
    }
  }
}

/**
 * Makes a folder of the cache.
 *
 * @throws {DataError} If that is not possible
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new DataError(
      `Cannot write to the model cache in ${folder}: ${(cause as Error).message}. ` +
        "Set HF_HUB_CACHE to a folder that can be written",
      {},
      { cause },
    );
  }
}

/** Is there a file, or a link to one? */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
