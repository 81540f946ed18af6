/** Weights into a model folder, in one file or several. @module */
import { join } from "@std/path";
import { type StagedFile, stageFile, writeAtomically } from "../data/atomic_write.ts";
import { ConfigError, DataError } from "../errors.ts";
import { safetensorsChunks, storedBytes, type WeightType } from "../model/safetensors_chunks.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import { parseWeightIndex, WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from "./weight_index.ts";

/** How {@linkcode saveWeights} writes. */
export interface SaveWeightsOptions {
  /** Stored type of float32 tensors; `float32` if left out. */
  dtype?: WeightType;
  /** Tensor bytes of one file, at most, unless a single tensor has more; 5 GB if left out. */
  maxShardBytes?: number;
  /** Strings beside the tensors of every file; `{ format: "pt" }`, which transformers expects, if left out. */
  metadata?: Readonly<Record<string, string>>;
}

type Tensors = Readonly<Record<string, HostTensor>>;

const SHARD = /^model-\d{5}-of-\d{5}(\.[0-9a-f]{8}\.old)?\.safetensors$/;

/**
 * Writes tensors in transformers' layout: `model.safetensors`, or `model-00001-of-00003.safetensors`
 * and so on with `model.safetensors.index.json`.
 *
 * All new files are complete on disk before the first old one is touched, and at every moment the
 * folder holds either the old weights or the new ones. Files of an earlier save that are no longer
 * used are removed.
 *
 * @param folder Folder to write to; made if it is not there
 * @param tensors Tensors by name; not copied, so they must not change meanwhile
 * @returns Names of the files written
 * @throws {ConfigError} If `maxShardBytes` is not a positive number
 * @throws {CheckpointError} If a tensor contradicts its shape
 * @throws {DataError} If a file can't be written
 * @example
 * ```ts
 * import { saveWeights } from "./save_weights.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * const w = hostTensor("float32", new Float32Array(100), [100]);
 * assertEquals(await saveWeights(folder, { w }, { dtype: "bfloat16" }), ["model.safetensors"]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function saveWeights(
  folder: string,
  tensors: Readonly<Record<string, HostTensor>>,
  options: SaveWeightsOptions = {},
): Promise<string[]> {
  const { dtype = "float32", maxShardBytes = 5e9, metadata = { format: "pt" } } = options;
  if (!(maxShardBytes > 0)) {
    throw new ConfigError([{ key: "maxShardBytes", message: `${maxShardBytes} is not above 0` }]);
  }
  await makeFolder(folder);
  const files = shardsOf(tensors, dtype, maxShardBytes);
  const staged: StagedFile[] = [];
  try {
    for (const [name, part] of files) {
      const { chunks } = safetensorsChunks(part, { dtype, metadata });
      staged.push(await stageFile(join(folder, name), chunks));
    }
    if (files.size === 1) {
      await staged[0].commit();
      await removeStale(folder, new Set(files.keys()));
      return [...files.keys()];
    }
    staged.push(await stageFile(join(folder, WEIGHTS_INDEX_FILE), indexJson(files, dtype)));
    await setAside(folder, new Set(files.keys()));
    for (const file of staged) await file.commit();
  } finally {
    // What was committed stays.
    await Promise.all(staged.map((file) => file.discard()));
  }
  const names = [...files.keys(), WEIGHTS_INDEX_FILE];
  await removeStale(folder, new Set(names));
  return names;
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true });
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new DataError(`Cannot write weights to ${folder}: ${reason}`, {}, { cause });
  }
}

/** Tensors by file, filled in the order of the record. */
function shardsOf(tensors: Tensors, dtype: WeightType, maxBytes: number): Map<string, Tensors> {
  const shards: [string, HostTensor][][] = [[]];
  let used = 0;
  for (const entry of Object.entries(tensors)) {
    const size = storedBytes(entry[1], dtype);
    if (used + size > maxBytes && shards[shards.length - 1].length > 0) {
      shards.push([]);
      used = 0;
    }
    shards[shards.length - 1].push(entry);
    used += size;
  }
  if (shards.length === 1) return new Map([[WEIGHTS_FILE, tensors]]);
  const digits = (i: number) => `${i}`.padStart(5, "0");
  return new Map(shards.map((list, i) => [
    `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`,
    Object.fromEntries(list),
  ]));
}

function indexJson(files: ReadonlyMap<string, Tensors>, dtype: WeightType): string {
  let totalSize = 0;
  const places: [string, string][] = [];
  for (const [file, tensors] of files) {
    for (const [name, tensor] of Object.entries(tensors)) {
      totalSize += storedBytes(tensor, dtype);
      places.push([name, file]);
    }
  }
  places.sort(([a], [b]) => a < b ? -1 : 1);
  const index = {
    metadata: { total_size: totalSize },
    weight_map: Object.fromEntries(places),
  };
  return `${JSON.stringify(index, null, 2)}\n`;
}

/**
 * Shards are replaced one by one, so those in use that share a name with a new one are first given
 * a second name, and the old index is pointed to it. Without hard links the old index is removed:
 * a crash then leaves no weights, but never a mixture.
 */
async function setAside(folder: string, names: ReadonlySet<string>): Promise<void> {
  const path = join(folder, WEIGHTS_INDEX_FILE);
  let index: string;
  try {
    index = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  try {
    const { fileOf, files } = parseWeightIndex(index, path);
    const aside = `.${crypto.randomUUID().slice(0, 8)}.old.safetensors`;
    const moved = new Map<string, string>();
    for (const file of files.filter((file) => names.has(file))) {
      moved.set(file, file.replace(/\.safetensors$/, aside));
      await Deno.link(join(folder, file), join(folder, moved.get(file)!));
    }
    if (moved.size === 0) return;
    const places = [...fileOf].map(([name, file]) => [name, moved.get(file) ?? file]);
    const json = { ...JSON.parse(index), weight_map: Object.fromEntries(places) };
    await writeAtomically(path, JSON.stringify(json, null, 2));
  } catch {
    await Deno.remove(path);
  }
}

/** Weights of an earlier save that `keep` does not name. */
async function removeStale(folder: string, keep: ReadonlySet<string>): Promise<void> {
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  const isWeights = (name: string) =>
    name === WEIGHTS_FILE || name === WEIGHTS_INDEX_FILE || SHARD.test(name);
  const stale = names.filter((name) => isWeights(name) && !keep.has(name));
  for (const name of stale) {
    try {
      await Deno.remove(join(folder, name));
    } catch (cause) {
      throw new DataError(
        `Cannot remove ${join(folder, name)} of an earlier save: ${(cause as Error).message}`,
        { file: name },
        { cause },
      );
    }
  }
}
