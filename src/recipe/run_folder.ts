/** The folder of a run: its configuration, its metrics, and room for everything else. @module */
import { join } from "@std/path";
import { isThere, writeAtomically } from "../data/mod.ts";
import { CheckpointError, DataError } from "../errors.ts";

/** Folder under which runs are made by default. */
export const RUNS_ROOT = "outputs";

const CONFIG_FILE = "config.yaml";
const METRICS_FILE = "metrics.jsonl";
const RECENT_RUNS_SHOWN = 5;

/** One line of metrics.jsonl. Numbers that are not finite are written as null. */
export interface MetricsRecord {
  /** Steps done when the line was written. */
  readonly step: number;
  /** Anything else that JSON can hold. */
  readonly [name: string]: unknown;
}

/** Appends lines to metrics.jsonl; each is handed to the system whole, at once. */
export interface MetricsLog extends Disposable {
  /** Append one line. */
  append(record: MetricsRecord): void;
}

/** The folder of a run. */
export interface RunFolder {
  /** Path of the folder. */
  readonly path: string;
  /** The resolved configuration, as YAML. */
  readonly config: string;
  /** Path of a file in the folder. */
  file(name: string): string;
  /** All lines of metrics.jsonl, a torn last one left out. */
  readMetrics(): Promise<MetricsRecord[]>;
  /**
   * Open metrics.jsonl for appending.
   *
   * @param afterStep Keep the lines up to this step and drop the rest, as a resumed run writes them
   *   again. Default: keep all whole lines
   * @param phase Drop only lines whose `phase` is this one, where a run has several
   */
  openMetrics(afterStep?: number, phase?: string): Promise<MetricsLog>;
}

/** Choices of {@linkcode createRunFolder}. */
export interface CreateRunOptions {
  /** The resolved configuration, as YAML. */
  config: string;
  /** Folder to make or to use if it holds no run. Default: `<root>/<date>/<time>`. */
  dir?: string | null;
  /** Where runs are made by default. Default: {@linkcode RUNS_ROOT}. */
  root?: string;
  /** When the run starts. Default: now. */
  now?: Date;
}

const two = (n: number): string => String(n).padStart(2, "0");

/** `2026-01-31` and `09-05-07`, in local time. */
function dateAndTime(now: Date): [string, string] {
  return [
    [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join("-"),
    [two(now.getHours()), two(now.getMinutes()), two(now.getSeconds())].join("-"),
  ];
}

/** Make `<root>/<date>/<time>`, or `<time>-2` and so on where another run started that second. */
async function makeDatedFolder(root: string, now: Date): Promise<string> {
  const [date, time] = dateAndTime(now);
  await Deno.mkdir(join(root, date), { recursive: true });
  for (let count = 1;; count++) {
    const path = join(root, date, count === 1 ? time : `${time}-${count}`);
    try {
      await Deno.mkdir(path);
      return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/**
 * Make the folder of a new run and write its configuration.
 *
 * @throws {DataError} If the folder already holds a run, or cannot be written
 * @example
 * ```ts
 * import { createRunFolder } from "./run_folder.ts";
 * import { assertEquals } from "@std/assert";
 * const root = await Deno.makeTempDir();
 * const run = await createRunFolder({ config: "seed: 1\n", root });
 * {
 *   using metrics = await run.openMetrics();
 *   metrics.append({ step: 10, loss: 2.5 });
 * }
 * assertEquals(await run.readMetrics(), [{ step: 10, loss: 2.5 }]);
 * await Deno.remove(root, { recursive: true });
 * ```
 */
export async function createRunFolder(options: CreateRunOptions): Promise<RunFolder> {
  const { config, dir, root = RUNS_ROOT, now = new Date() } = options;
  const wanted = dir ?? root;
  let path: string;
  try {
    if (dir) await Deno.mkdir(dir, { recursive: true });
    path = dir ?? await makeDatedFolder(root, now);
    // Of two runs that want one folder, one creates the file and the other one fails.
    await Deno.writeTextFile(join(path, CONFIG_FILE), config, { createNew: true });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw new DataError(
        `Cannot start a run in ${wanted}: it already holds one. Choose another output.dir, leave it ` +
          `out, or continue that run with training.resume=${wanted}`,
        {},
        { cause },
      );
    }
    throw new DataError(`Cannot make a run folder in ${wanted}: ${(cause as Error).message}`, {}, {
      cause,
    });
  }
  return runFolder(path, config);
}

/**
 * Open the folder of an earlier run.
 *
 * @param path The folder
 * @param root Where to look for runs to suggest. Default: {@linkcode RUNS_ROOT}
 * @throws {CheckpointError} If there is no run; the message lists the most recent ones
 */
export async function openRunFolder(path: string, root: string = RUNS_ROOT): Promise<RunFolder> {
  try {
    return runFolder(path, await Deno.readTextFile(join(path, CONFIG_FILE)));
  } catch (cause) {
    const reason = !(cause instanceof Deno.errors.NotFound)
      ? (cause as Error).message
      : await isFolder(path)
      ? `it has no ${CONFIG_FILE}`
      : "there is no such folder";
    const recent = (await listRuns(root)).slice(0, RECENT_RUNS_SHOWN);
    const remedy = recent.length
      ? `The most recent runs are\n${recent.map((run) => `  ${run}`).join("\n")}`
      : `There are no runs in ${root}; train-dsi makes one`;
    throw new CheckpointError(`Cannot open the run ${path}: ${reason}. ${remedy}`, { cause });
  }
}

/** A run that may not have been opened. */
export type RunLocation = Pick<RunFolder, "file">;

/**
 * The latest run that has what is wanted.
 *
 * @param isWanted Looks into the folder of a run
 */
export async function latestRun(
  isWanted: (run: RunLocation) => Promise<boolean>,
): Promise<RunFolder | undefined> {
  for (const path of await listRuns()) {
    if (await isWanted({ file: (name) => join(path, name) })) return await openRunFolder(path);
  }
  return undefined;
}

/** Paths of the runs under `root`, the latest first. */
export async function listRuns(root: string = RUNS_ROOT): Promise<string[]> {
  const runs: string[] = [];
  for (const date of await subfolders(root)) {
    for (const time of await subfolders(join(root, date))) {
      const path = join(root, date, time);
      if (/^\d{4}-\d\d-\d\d$/.test(date) && await isThere(join(path, CONFIG_FILE))) runs.push(path);
    }
  }
  const inOrder = new Intl.Collator("en", { numeric: true });
  return runs.sort((a, b) => inOrder.compare(b, a));
}

async function subfolders(path: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(path));
    return entries.filter((entry) => entry.isDirectory).map((entry) => entry.name);
  } catch {
    return [];
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, () => false);
}

function runFolder(path: string, config: string): RunFolder {
  const metricsPath = join(path, METRICS_FILE);
  const readMetrics = async (): Promise<MetricsRecord[]> => {
    if (!await isThere(metricsPath)) return [];
    const lines = (await Deno.readTextFile(metricsPath)).split("\n");
    return lines.slice(0, -1).map((line, i) =>
      parseRecord(line, { file: metricsPath, line: i + 1 })
    );
  };
  return {
    path,
    config,
    file: (name) => join(path, name),
    readMetrics,
    async openMetrics(afterStep = Infinity, phase): Promise<MetricsLog> {
      const kept = (await readMetrics()).filter((record) =>
        record.step <= afterStep || (phase !== undefined && record.phase !== phase)
      );
      await writeAtomically(metricsPath, kept.map((record) => `${JSON.stringify(record)}\n`));
      return openLog(metricsPath);
    },
  };
}

function parseRecord(text: string, location: { file: string; line: number }): MetricsRecord {
  let record: MetricsRecord | undefined;
  try {
    record = JSON.parse(text);
  } catch {
    // Reported below, with the place.
  }
  if (typeof record?.step !== "number") {
    throw new DataError("Cannot read the metrics: the line is no record with a step", location);
  }
  return record;
}

function openLog(path: string): MetricsLog {
  const file = Deno.openSync(path, { append: true });
  const encoder = new TextEncoder();
  return {
    append(record): void {
      const bytes = encoder.encode(`${JSON.stringify(record)}\n`);
      for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    },
    [Symbol.dispose](): void {
      file.syncDataSync();
      file.close();
    },
  };
}
