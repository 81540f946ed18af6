/** A model by its folder or by its name on the Hub. @module */
import { isAbsolute, join } from "@std/path";
import { DataError, RemoteError } from "../errors.ts";
import { type Connection, UnreachableError } from "./connection.ts";
import { downloadBlob } from "./download_blob.ts";
import { defaultCacheDir, isFile, ModelCache } from "./model_cache.ts";
import { checkFileName, checkRevision, isModelId } from "./model_id.ts";
import { lookUp } from "./remote_file.ts";
import { type FilePlace, getFiles, MODEL_FILES, type WantedFiles } from "./wanted_files.ts";

/** How far a download is. */
export interface DownloadProgress {
  /** Name of the file. */
  readonly file: string;
  /** Bytes that are there, those of an earlier attempt included. */
  readonly doneBytes: number;
  /** Bytes of the whole file, where the server says so. */
  readonly totalBytes?: number;
}

/** Where and how {@linkcode findModel} looks. */
export interface FindModelOptions {
  /** Branch, tag or commit; `main` if left out. */
  revision?: string;
  /** Folder of all downloaded models; huggingface_hub's if left out, see {@linkcode defaultCacheDir}. */
  cacheDir?: string;
  /** Address of the Hub; the environment variable `HF_ENDPOINT` or `https://huggingface.co` if left out. */
  endpoint?: string;
  /** For gated and private models; `HF_TOKEN`, or what `hf auth login` left, if left out. */
  token?: string;
  /** Use the cache alone; true if left out where `HF_HUB_OFFLINE` is 1. */
  offline?: boolean;
  /** Which files are asked for; {@linkcode MODEL_FILES} if left out. */
  files?: WantedFiles;
  /** Told how far a download is, after every piece. */
  onProgress?: (progress: DownloadProgress) => void;
  /** Told what a user should know, such as that the cache was used because the Hub is out of reach. */
  onNote?: (note: string) => void;
  /** Ends downloads; what came is kept. */
  signal?: AbortSignal;
  /** Sends one request; the global `fetch` if left out. */
  fetch?: typeof fetch;
  /** Waits before further attempts at a failed request; 0.5, 2 and 5 seconds if left out. */
  retryDelaysMs?: readonly number[];
  /** An answer that brings nothing for so long counts as lost; a minute if left out. */
  stallMs?: number;
}

/**
 * The folder of a model on this machine: a folder as it is, or a model of the Hub, which is
 * downloaded where it isn't in the cache.
 *
 * The cache has the layout of huggingface_hub, so that models which Python downloaded are found, and
 * the other way round. What is downloaded is checked against the hash the Hub names it by. A commit
 * whose files are all known needs no network; a branch costs one request to learn its commit.
 *
 * @param idOrFolder `./folder`, an absolute path or an existing folder; else `owner/name` or `name`
 * @returns Path of a folder with the wanted files
 * @throws {DataError} If a folder lacks a required file, the id or a name is none, or the cache can't
 * be written
 * @throws {RemoteError} If the Hub does not have the model or does not give it, or the files are not
 * in the cache and can't be downloaded
 * @example A folder
 * ```ts
 * import { findModel } from "./find_model.ts";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${folder}/config.json`, "{}");
 * assertEquals(await findModel(folder, { files: { required: ["config.json"] } }), folder);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function findModel(
  idOrFolder: string,
  options: FindModelOptions = {},
): Promise<string> {
  const wanted = checkWanted(options.files ?? MODEL_FILES);
  if (await isFile(idOrFolder)) {
    throw new DataError(`Cannot use the model ${idOrFolder}: it is a file, not a folder`);
  }
  if (looksLocal(idOrFolder) || await isFolder(idOrFolder)) {
    return await useFolder(idOrFolder, wanted);
  }
  if (!isModelId(idOrFolder)) {
    throw new DataError(
      `Cannot find the model ${
        JSON.stringify(idOrFolder)
      }: there is no such folder, and it is no ` +
        "name on the Hub, which are like owner/name",
    );
  }
  const revision = checkRevision(options.revision ?? "main");
  const cache = new ModelCache(options.cacheDir ?? defaultCacheDir(), idOrFolder);
  const model: HubModel = { id: idOrFolder, revision, cache, wanted };
  if (options.offline ?? isOfflineByDefault()) {
    return await fromCache(model) ?? await refuseOffline(model);
  }
  const ready = await knownCommit(model);
  if (ready !== undefined) return ready;
  const copy = await fromCache(model);
  try {
    return await fromHub(model, connect(options, copy !== undefined), options.onProgress);
  } catch (error) {
    if (!(error instanceof UnreachableError) || copy === undefined) throw error;
    options.onNote?.(`${error.message}. Using the copy in ${copy}`);
    return copy;
  }
}

interface HubModel {
  id: string;
  revision: string;
  cache: ModelCache;
  wanted: WantedFiles;
}

function checkWanted(wanted: WantedFiles): WantedFiles {
  for (const file of [...wanted.required, ...wanted.optional ?? []]) checkFileName(file);
  return wanted;
}

function isOfflineByDefault(): boolean {
  return /^(1|true|yes|on)$/i.test(Deno.env.get("HF_HUB_OFFLINE") ?? "");
}

function looksLocal(path: string): boolean {
  return isAbsolute(path) || /^\.{1,2}([/\\]|$)/.test(path);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

/** What a folder on this machine offers. */
function folderPlace(folder: string): FilePlace {
  return {
    get: (file) => isFile(join(folder, file)),
    readText: (file) => Deno.readTextFile(join(folder, file)),
  };
}

async function useFolder(folder: string, wanted: WantedFiles): Promise<string> {
  const missing = await isFolder(folder)
    ? await getFiles(wanted, folderPlace(folder))
    : ["such folder"];
  if (missing.length === 0) return folder;
  const hint = await isFolder(join(folder, "onnx"))
    ? ". It is an exported folder: openExported reads it, and generate-text with --exported=float32"
    : "";
  throw new DataError(
    `Cannot use the model in ${folder}: there is no ${missing.join(", no ")}${hint}`,
  );
}

/** The snapshot of what the revision meant last, if everything required is in it. */
async function fromCache({ revision, cache, wanted }: HubModel): Promise<string | undefined> {
  const commit = await cache.readRef(revision);
  if (commit === undefined) return undefined;
  const folder = cache.snapshotFolder(commit);
  return (await getFiles(wanted, folderPlace(folder))).length === 0 ? folder : undefined;
}

async function refuseOffline({ id, revision, cache, wanted }: HubModel): Promise<never> {
  const commit = await cache.readRef(revision);
  const missing = commit === undefined
    ? [...wanted.required, ...wanted.weights ? ["weights"] : []]
    : await getFiles(wanted, folderPlace(cache.snapshotFolder(commit)));
  throw new RemoteError(
    `Cannot use the model ${id} offline: revision ${revision} in ${cache.folder} has no ` +
      `${
        missing.join(", no ")
      }. Run the same once without offline (HF_HUB_OFFLINE) to download it, ` +
      "or give the folder of a copy",
  );
}

/** The snapshot of a commit for which every wanted file is there, or known not to exist. */
async function knownCommit({ revision, cache, wanted }: HubModel): Promise<string | undefined> {
  const commit = await cache.readRef(revision);
  if (commit !== revision) return undefined;
  const folder = cache.snapshotFolder(commit);
  let isKnown = true;
  const missing = await getFiles(wanted, {
    ...folderPlace(folder),
    async get(file): Promise<boolean> {
      const state = await cache.stateOf(commit, file);
      isKnown &&= state !== "unknown";
      return state === "there";
    },
  });
  return isKnown && missing.length === 0 ? folder : undefined;
}

/** The token of `HF_TOKEN`, or of the file that huggingface_hub keeps it in. */
function savedToken(): string | undefined {
  const env = (name: string) => Deno.env.get(name)?.trim() || undefined;
  const given = env("HF_TOKEN");
  if (given) return given;
  const home = env("HF_HOME") ?? (env("HOME") && join(env("HOME")!, ".cache", "huggingface"));
  const file = env("HF_TOKEN_PATH") ?? (home && join(home, "token"));
  try {
    return file && (Deno.readTextFileSync(file).trim() || undefined);
  } catch {
    return undefined; // nobody logged in
  }
}

function connect(options: FindModelOptions, hasCopy: boolean): Connection {
  const { retryDelaysMs = [500, 2000, 5000] } = options;
  const endpoint = (options.endpoint ?? (Deno.env.get("HF_ENDPOINT") || "https://huggingface.co"))
    .replace(/\/+$/, "");
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    throw new DataError(`Cannot use the Hub at ${JSON.stringify(endpoint)}: it is no web address`);
  }
  return {
    endpoint,
    token: options.token ?? savedToken(),
    fetch: options.fetch ?? fetch,
    signal: options.signal,
    // Who has a copy should not wait long for a network that is not there.
    retryDelaysMs: hasCopy ? retryDelaysMs.slice(0, 1) : retryDelaysMs,
    stallMs: options.stallMs ?? 60_000,
  };
}

async function fromHub(
  model: HubModel,
  connection: Connection,
  onProgress: FindModelOptions["onProgress"],
): Promise<string> {
  const { id, revision, cache, wanted } = model;
  const commit = await currentCommit(connection, model);
  const folder = cache.snapshotFolder(commit);
  const missing = await getFiles(wanted, {
    ...folderPlace(folder),
    get: (file) => getFile(connection, { id, commit, file, cache }, onProgress),
  });
  if (missing.length > 0) {
    throw new RemoteError(
      `Cannot use the model ${id} at revision ${revision} (${commit}): it has no ` +
        `${missing.join(", no ")}. Weights must be safetensors; look for another revision or a ` +
        `conversion at ${connection.endpoint}/${id}/discussions`,
    );
  }
  // Last, so that an interrupted download doesn't hide the complete older one.
  await cache.writeRef(revision, commit);
  return folder;
}

/** The commit that the revision means now. */
async function currentCommit(
  connection: Connection,
  { id, revision, wanted }: HubModel,
): Promise<string> {
  const [file = "config.json"] = [...wanted.required, ...wanted.optional ?? []];
  const { commit } = await lookUp(connection, { id, revision, file });
  if (commit !== undefined) return commit;
  throw new RemoteError(
    `Cannot get the model ${id} from ${connection.endpoint}: the server does not name the commit ` +
      `of ${revision} (X-Repo-Commit). Is this a Hub?`,
  );
}

interface CachedFile {
  id: string;
  commit: string;
  file: string;
  cache: ModelCache;
}

/** Makes a file of a commit available in the cache; false if the commit has none. */
async function getFile(
  connection: Connection,
  { id, commit, file, cache }: CachedFile,
  onProgress?: FindModelOptions["onProgress"],
): Promise<boolean> {
  const state = await cache.stateOf(commit, file);
  if (state !== "unknown") return state === "there";
  const address = { id, revision: commit, file };
  const { remote } = await lookUp(connection, address);
  if (!remote) {
    await cache.markMissing(commit, file);
    return false;
  }
  const { etag, sizeBytes: totalBytes } = remote;
  await downloadBlob(connection, {
    address,
    remote,
    blobPath: cache.blobPath(etag),
    lockPath: cache.lockPath(etag),
    onBytes: (doneBytes) => onProgress?.({ file, doneBytes, totalBytes }),
  });
  await cache.show(commit, file, etag);
  return true;
}
