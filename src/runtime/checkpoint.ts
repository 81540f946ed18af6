/**
 * Checkpoints: everything training needs to go on as if it had never stopped. A checkpoint is a
 * folder `step-<n>` of flat vectors and a manifest; it appears under its name complete or not at all.
 *
 * @module
 */
import { join } from "@std/path";
import { CheckpointError } from "../errors.ts";
import type { ScheduleConfig } from "../optim/mod.ts";
import {
  broken,
  type CheckpointManifest,
  encodeManifest,
  type JsonValue,
  MANIFEST,
  readManifest,
  readVector,
  syncFolder,
  writeFlushed,
  writeVector,
} from "./checkpoint_files.ts";
import type { Optimizer } from "./optimizer.ts";
import { listProblems, type ParameterStore } from "./parameter_store.ts";

/** Where training stands. */
export interface TrainingProgress {
  /** Steps done. */
  step: number;
  /** How good the parameters are, for keeping the best ones. */
  metric?: number;
  /** Seed of the run; all its random streams follow from it and the step. */
  seed?: number;
  /** Learning-rate schedule. */
  schedule?: ScheduleConfig;
  /** Where reading the data stands. */
  position?: JsonValue;
  /** Whatever else the loop needs to go on. */
  state?: JsonValue;
}

/** What to save, and how many checkpoints to keep. */
export interface SaveCheckpointOptions {
  /** The parameters. */
  store: ParameterStore;
  /** The optimiser, if training is to go on from here. */
  optimizer?: Optimizer;
  /** Keep this many of the latest checkpoints. Default 3. */
  keepLast?: number;
  /** Which metric is better; the best checkpoint is kept besides the latest. Default `"max"`. */
  better?: "max" | "min";
}

/** A checkpoint that was left aside, and why. */
export interface SkippedCheckpoint {
  /** Its folder. */
  readonly path: string;
  /** What is wrong with it. */
  readonly reason: string;
}

/** Complete under this name; `.step-<n>.replaced` was one until a newer one of the same step came. */
const NAME = /^(?:step-(\d+)|\.step-(\d+)\.replaced)$/;
const TEMPORARY = /^\.step-\d+\.[0-9a-f-]{36}\.tmp$/;

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map((e) => e.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Folders that may hold a checkpoint, latest step first. */
async function candidates(folder: string): Promise<{ path: string; step: number }[]> {
  const found = (await entriesOf(folder)).flatMap((name) => {
    const match = NAME.exec(name);
    if (!match) return [];
    return [{ path: join(folder, name), step: Number(match[1] ?? match[2]), hidden: !match[1] }];
  });
  return found.sort((a, b) => b.step - a.step || Number(a.hidden) - Number(b.hidden));
}

/** A checkpoint whose files were all found to be what its manifest says. */
export class Checkpoint {
  /** Its folder. */
  readonly path: string;
  /** What it says about itself. */
  readonly manifest: CheckpointManifest;

  /** Use {@linkcode openCheckpoint} or {@linkcode latestCheckpoint}. */
  constructor(path: string, manifest: CheckpointManifest) {
    this.path = path;
    this.manifest = manifest;
  }

  #checkLayout(store: ParameterStore): void {
    const saved = new Map(this.manifest.parameters.map((p) => [p.name, p]));
    const problems: string[] = [];
    for (const { name, shape, offset } of store.layout.segments) {
      const other = saved.get(name);
      saved.delete(name);
      if (!other) problems.push(`${name} is missing`);
      else if (other.shape.join() !== shape.join()) {
        problems.push(`${name} is [${other.shape.join(", ")}], not [${shape.join(", ")}]`);
      } else if (other.offset !== offset) problems.push(`${name} has another place`);
    }
    for (const name of saved.keys()) problems.push(`${name} is unexpected`);
    if (!problems.length) return;
    const head = `Cannot restore ${this.path}: ${problems.length} parameters do not fit the model`;
    throw new CheckpointError(listProblems(head, problems));
  }

  #refuse(why: string): never {
    throw new CheckpointError(`Cannot restore ${this.path}: ${why}`);
  }

  /**
   * Put the parameters back, to use them.
   *
   * @param store Receives them
   * @param options `average: true` takes the moving average for the parameters
   * @throws {CheckpointError} If parameters do not fit the store, or there is no moving average
   */
  async restoreParameters(
    store: ParameterStore,
    options: { average?: boolean } = {},
  ): Promise<void> {
    this.#checkLayout(store);
    const { params, average } = this.manifest.vectors;
    if (options.average && !average) this.#refuse("it holds no moving average");
    await readVector(this.path, options.average ? average! : params, store.flat);
  }

  /**
   * Put parameters and optimiser back, to train on.
   *
   * @param optimizer Receives them, and its store
   * @throws {CheckpointError} If anything does not fit
   */
  async restore(optimizer: Optimizer): Promise<void> {
    const { store } = optimizer, { vectors, optimizer: saved } = this.manifest;
    this.#checkLayout(store);
    const { rule, state, average } = store.training;
    if (!saved || !vectors.state) this.#refuse("it was saved without an optimiser");
    if (saved.name !== rule.name) {
      this.#refuse(`its optimiser is ${saved.name}, this run's is ${rule.name}`);
    }
    if (vectors.state.sizeBytes !== state.byteLength) {
      this.#refuse(
        `its optimiser state has ${vectors.state.sizeBytes} bytes, not ${state.byteLength}`,
      );
    }
    if (!!vectors.average !== !!average) {
      this.#refuse(`it was saved ${vectors.average ? "with" : "without"} a moving average`);
    }
    await readVector(this.path, vectors.params, store.flat);
    await readVector(this.path, vectors.state, state);
    if (vectors.average) await readVector(this.path, vectors.average, average);
    optimizer.resumeAt(saved.updates);
  }
}

/**
 * Open a checkpoint and prove that every file is what its manifest says.
 *
 * @param path Folder of the checkpoint
 * @throws {CheckpointError} If a file is missing, truncated or changed; the message names it
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const manifest = await readManifest(path);
  const floats = manifest.parameters.reduce(
    (n, p) => Math.max(n, p.offset + p.shape.reduce((a, b) => a * b, 1)),
    0,
  );
  const { params, average } = manifest.vectors;
  for (const vector of [params, average]) {
    if (vector && vector.sizeBytes < floats * 4) {
      throw broken(path, `${vector.file} is shorter than the parameters in ${MANIFEST}`);
    }
  }
  for (const vector of Object.values(manifest.vectors)) if (vector) await readVector(path, vector);
  return new Checkpoint(path, manifest);
}

/**
 * The complete checkpoint of a step, as one that was saved beside another.
 *
 * @param folder Folder of `step-<n>` folders
 * @param step Which one
 * @throws {CheckpointError} If there is none of that step, or it is not complete
 */
export async function checkpointOf(folder: string, step: number): Promise<Checkpoint> {
  const found = (await candidates(folder)).find((one) => one.step === step);
  if (found) return await openCheckpoint(found.path);
  throw new CheckpointError(
    `Cannot continue from ${folder}: it has no checkpoint of step ${step}, which belongs to the one ` +
      "beside it. Restore it, or start anew",
  );
}

/**
 * The latest complete checkpoint of a folder. Broken ones are left where they are and reported.
 *
 * @param folder Folder of `step-<n>` folders
 * @returns `checkpoint` is undefined if there is none at all
 * @throws {CheckpointError} If there are checkpoints but none of them is complete
 */
export async function latestCheckpoint(
  folder: string,
): Promise<{ checkpoint?: Checkpoint; skipped: SkippedCheckpoint[] }> {
  const skipped: SkippedCheckpoint[] = [];
  for (const { path } of await candidates(folder)) {
    try {
      return { checkpoint: await openCheckpoint(path), skipped };
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      skipped.push({ path, reason: error.message });
    }
  }
  if (!skipped.length) return { skipped };
  throw new CheckpointError(
    listProblems(
      `Cannot continue from ${folder}: none of its ${skipped.length} checkpoints is complete. ` +
        "Move the folder away to start anew.",
      skipped.map((s) => s.reason),
    ),
  );
}

/**
 * Remove what is neither among the latest up to `step`, just written, nor the best. Later ones stay:
 * they are broken, or somebody went back on purpose.
 */
async function removeOld(
  folder: string,
  step: number,
  { keepLast = 3, better = "max" }: SaveCheckpointOptions,
): Promise<void> {
  const isReplaced = ({ path }: { path: string }): boolean => path.endsWith(".replaced");
  const found = await candidates(folder);
  const all = found.filter((c) => !isReplaced(c));
  const later = all.filter((c) => c.step > step).length;
  const keep = new Set(all.slice(0, later + Math.max(1, keepLast)).map((c) => c.path));
  const rated = (await Promise.all(all.map(async ({ path }) => {
    const manifest = await readManifest(path).catch(() => undefined);
    return manifest?.metric === undefined ? [] : [{ path, metric: manifest.metric }];
  }))).flat();
  const sign = better === "max" ? 1 : -1;
  const best = rated.reduce<{ path: string; metric: number } | undefined>(
    (a, b) => !a || sign * b.metric > sign * a.metric ? b : a,
    undefined,
  );
  if (best) keep.add(best.path);
  for (const { path, step } of found) {
    if (keep.has(path)) continue;
    // Renamed first: a folder that is being removed must not look like a checkpoint.
    const doomed = join(folder, `.step-${step}.${crypto.randomUUID()}.tmp`);
    await Deno.rename(path, doomed);
    await Deno.remove(doomed, { recursive: true });
  }
}

/**
 * Write a checkpoint `step-<n>` into `folder`, flushed to the disk, then remove old ones. Killing
 * the process at any moment leaves the earlier checkpoints and this one whole or absent.
 *
 * Do not train while it is being written: await it.
 *
 * @param folder Made if it does not exist; one process at a time may write to it
 * @param progress Where training stands
 * @param options What to save, and how many to keep
 * @returns Path of the checkpoint
 * @throws {CheckpointError} If it cannot be written, or the moving average stands in the place of the
 *   parameters
 * @example Save, and put it back into another store
 * ```ts
 * import { latestCheckpoint, Optimizer, ParameterStore, saveCheckpoint } from "./mod.ts";
 * import { adamw } from "../optim/mod.ts";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * const specs = { w: { shape: [3], init: { kind: "normal", std: 1 } } } as const;
 * const store = new ParameterStore(specs, { rule: adamw() });
 * store.initialise(1);
 * const optimizer = new Optimizer(store);
 * await saveCheckpoint(folder, { step: 5, position: { epoch: 1 } }, { store, optimizer });
 *
 * const { checkpoint } = await latestCheckpoint(folder);
 * assertEquals(checkpoint?.manifest.step, 5);
 * const other = new ParameterStore(specs, { rule: adamw() });
 * await checkpoint?.restore(new Optimizer(other));
 * assertEquals(other.params, store.params);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function saveCheckpoint(
  folder: string,
  progress: TrainingProgress,
  options: SaveCheckpointOptions,
): Promise<string> {
  const { store, optimizer } = options, { step } = progress;
  const path = join(folder, `step-${step}`);
  if (optimizer?.isAverageInPlace) {
    throw new CheckpointError(
      `Cannot write ${path}: the moving average is in the place of the parameters`,
    );
  }
  const temporary = join(folder, `.step-${step}.${crypto.randomUUID()}.tmp`);
  try {
    await Deno.mkdir(folder, { recursive: true });
    for (const name of await entriesOf(folder)) {
      if (TEMPORARY.test(name)) await Deno.remove(join(folder, name), { recursive: true });
    }
    await Deno.mkdir(temporary);
    const training = optimizer && store.training;
    const manifest: CheckpointManifest = {
      format: "deeprag-checkpoint",
      version: 1,
      ...(progress as Omit<TrainingProgress, "position" | "state">),
      optimizer: training && {
        name: training.rule.name,
        options: { ...training.rule.options },
        updates: optimizer.updates,
      },
      parameters: store.layout.segments.map(({ name, shape, offset }) => ({
        name,
        shape: [...shape],
        offset,
      })),
      vectors: {
        params: await writeVector(temporary, "params", store.flat),
        state: training && await writeVector(temporary, "state", training.state),
        average: training?.average && await writeVector(temporary, "average", training.average),
      },
    };
    await writeFlushed(join(temporary, MANIFEST), encodeManifest(manifest));
    await syncFolder(temporary);
    await replace(folder, temporary, step);
    await removeOld(folder, step, options);
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError(`Cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
  return path;
}

/** Give a complete folder its name. One that has it already is found under another until then. */
async function replace(folder: string, complete: string, step: number): Promise<void> {
  const path = join(folder, `step-${step}`), aside = join(folder, `.step-${step}.replaced`);
  const names = await entriesOf(folder);
  if (names.includes(`step-${step}`)) {
    if (names.includes(`.step-${step}.replaced`)) await Deno.remove(aside, { recursive: true });
    await Deno.rename(path, aside);
  }
  await Deno.rename(complete, path);
  await syncFolder(folder);
}
