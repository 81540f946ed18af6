/** What a machine can do: one function per question, each with an answer and a remedy. @module */
import { join } from "@std/path";
import { existsSync, statfsSync } from "node:fs";
import { RUNS_ROOT } from "../recipe/run_folder.ts";

/** The answer of a check. */
export interface Finding {
  /** What was asked. */
  readonly name: string;
  /** `ok`: all there; `limited`: works, but less well; `missing`: cannot be used. */
  readonly status: "ok" | "limited" | "missing";
  /** What was found. */
  readonly detail: string;
  /** How to get the rest. */
  readonly remedy?: string;
  /** Whether commands fail without it. */
  readonly isNeeded: boolean;
}

const GIB = 2 ** 30;
/** Bytes in words. */
export const gib = (bytes: number): string => `${(bytes / GIB).toFixed(1)} GiB`;

async function readText(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}

/** The version of Deno this package is developed and tested with. */
const TESTED_DENO = "2.9.6";

/** Is this Deno new enough? */
export function checkDeno(version: string = Deno.version.deno): Finding {
  const isOld = new Intl.Collator("en", { numeric: true }).compare(version, TESTED_DENO) < 0;
  return {
    name: "Deno",
    status: isOld ? "limited" : "ok",
    detail: `${version} on ${Deno.build.os} ${Deno.build.arch}`,
    remedy: isOld ? `tests run with ${TESTED_DENO}: npx --yes deno@${TESTED_DENO}` : undefined,
    isNeeded: true,
  };
}

/** How many cores, and which vector instructions? */
export async function checkCpu(): Promise<Finding> {
  const info = await readText("/proc/cpuinfo");
  const model = /^model name\s*: (.*)$/m.exec(info)?.[1].trim();
  const flags = new Set(/^flags\s*: (.*)$/m.exec(info)?.[1].split(" "));
  const wanted = ["avx2", "fma", "avx512f", "avx512_vnni", "amx_bf16"].filter((f) => flags.has(f));
  const cores = navigator.hardwareConcurrency;
  return {
    name: "CPU",
    status: cores > 1 ? "ok" : "limited",
    detail: [`${cores} core${cores > 1 ? "s" : ""}`, model, wanted.join(" ")].filter(Boolean)
      .join(", "),
    remedy: cores > 1 ? undefined : "training uses all cores; with one it takes longer",
    isNeeded: true,
  };
}

const ENOUGH_MEMORY_BYTES = 2 * GIB;

/** How much memory is free? */
export function checkMemory(): Finding {
  const { total, available } = Deno.systemMemoryInfo();
  const isEnough = available >= ENOUGH_MEMORY_BYTES;
  return {
    name: "Memory",
    status: isEnough ? "ok" : "limited",
    detail: `${gib(available)} of ${gib(total)} available`,
    remedy: isEnough
      ? undefined
      : "use a smaller model or batch: model=dsi_tiny, training.batch_size",
    isNeeded: true,
  };
}

/** A module with one function of the vector extension: `v128.const`, then drop. */
const SIMD_MODULE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version
  ...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00], // one type: () -> ()
  ...[0x03, 0x02, 0x01, 0x00], // one function of it
  ...[0x0a, 0x17, 0x01, 0x15, 0x00, 0xfd, 0x0c, ...new Array(16).fill(0), 0x1a, 0x0b],
]);

/** Does WebAssembly have vector instructions? The optimisers and the wasm executor use them. */
export function checkWasm(): Finding {
  const hasSimd = WebAssembly.validate(SIMD_MODULE);
  return {
    name: "WebAssembly SIMD",
    status: hasSimd ? "ok" : "missing",
    detail: hasSimd ? "available" : "not available on this processor",
    isNeeded: true,
  };
}

/** Does SQLite have full-text search? The document store and BM25 use it. */
export async function checkSqlite(): Promise<Finding> {
  const name = "SQLite FTS5";
  try {
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(":memory:");
    database.exec("CREATE VIRTUAL TABLE t USING fts5(x); INSERT INTO t VALUES ('otter')");
    const found = database.prepare("SELECT bm25(t) AS score FROM t WHERE t MATCH 'otter'").get();
    const version = database.prepare("SELECT sqlite_version() AS v").get()?.v;
    database.close();
    if (found) return { name, status: "ok", detail: `SQLite ${version}`, isNeeded: true };
    return { name, status: "missing", detail: "a search found nothing", isNeeded: true };
  } catch (error) {
    return { name, status: "missing", detail: (error as Error).message, isNeeded: true };
  }
}

const ENOUGH_DISK_BYTES = 2 * GIB;

/** Write and remove a file, and the folder if it was not there. @returns Free bytes */
function tryFolder(folder: string): number {
  const isNew = !existsSync(folder);
  Deno.mkdirSync(folder, { recursive: true });
  Deno.removeSync(Deno.makeTempFileSync({ dir: folder, prefix: ".doctor-", suffix: ".tmp" }));
  const { bavail, bsize } = statfsSync(folder);
  if (isNew) Deno.removeSync(folder);
  return bavail * bsize;
}

/** Can runs be written here, and is there room? */
export function checkDisk(folder: string = RUNS_ROOT): Finding {
  const name = `Folder ${folder}/`;
  let free: number;
  try {
    free = tryFolder(folder);
  } catch (error) {
    return {
      name,
      status: "missing",
      detail: `cannot be written: ${(error as Error).message}`,
      remedy: "run from a folder that is yours, or set output.dir",
      isNeeded: true,
    };
  }
  const isEnough = free >= ENOUGH_DISK_BYTES;
  return {
    name,
    status: isEnough ? "ok" : "limited",
    detail: `writable, ${gib(free)} free`,
    remedy: isEnough ? undefined : "make room: checkpoints of a large model need several GiB",
    isNeeded: true,
  };
}

/** Folders in which Jupyter looks for kernels, the user's first. */
function jupyterFolders(): string[] {
  const env = (name: string): string | undefined => Deno.env.get(name);
  const home = env("HOME") ?? env("USERPROFILE") ?? ".";
  const separator = Deno.build.os === "windows" ? ";" : ":";
  return [
    ...(env("JUPYTER_PATH")?.split(separator) ?? []),
    env("JUPYTER_DATA_DIR"),
    env("APPDATA") && join(env("APPDATA")!, "jupyter"),
    join(home, "Library/Jupyter"),
    join(env("XDG_DATA_HOME") ?? join(home, ".local/share"), "jupyter"),
    env("VIRTUAL_ENV") && join(env("VIRTUAL_ENV")!, "share/jupyter"),
    "/usr/local/share/jupyter",
    "/usr/share/jupyter",
  ].filter((folder): folder is string => Boolean(folder));
}

/** Is the Deno kernel for notebooks installed? */
export async function checkJupyter(folders: string[] = jupyterFolders()): Promise<Finding> {
  for (const folder of folders) {
    const path = join(folder, "kernels", "deno");
    if (await readText(join(path, "kernel.json"))) {
      return { name: "Jupyter kernel", status: "ok", detail: path, isNeeded: false };
    }
  }
  return {
    name: "Jupyter kernel",
    status: "missing",
    detail: "not installed; only notebooks need it",
    remedy: "deno jupyter --install",
    isNeeded: false,
  };
}
