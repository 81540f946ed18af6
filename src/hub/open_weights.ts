/** The weights of a model folder, in one file or several. @module */
import { join } from "@std/path";
import { DataError } from "../errors.ts";
import {
  openSafetensors,
  type SafetensorsEntry,
  type SafetensorsReader,
} from "../model/safetensors_source.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import { type FileSource, openFileSource } from "./file_source.ts";
import { parseWeightIndex, WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from "./weight_index.ts";

/** A tensor that lies in a shard without being named by the index. */
export interface UnlistedTensor {
  /** Its name in the shard. */
  readonly tensor: string;
  /** Name of the shard. */
  readonly file: string;
}

/** Open weights: their headers are checked, tensors are read on demand. Closed by `await using`. */
export interface Weights extends AsyncDisposable {
  /** The folder they lie in. */
  readonly folder: string;
  /** Names of all tensors. */
  readonly names: readonly string[];
  /** Tensors of shards that the index doesn't name; they can't be read. */
  readonly unlisted: readonly UnlistedTensor[];
  /** What the author put beside the tensors, of all files together. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Is there a tensor of this name? */
  has(name: string): boolean;
  /**
   * Sizes of the axes of a tensor.
   *
   * @throws {DataError} If there is no such tensor
   */
  shapeOf(name: string): readonly number[];
  /**
   * Element type of a tensor as the format names it, such as `BF16`.
   *
   * @throws {DataError} If there is no such tensor
   */
  typeOf(name: string): string;
  /**
   * One tensor: F32, F16 and BF16 become float32, I32 and I64 int32, BOOL bool.
   *
   * @throws {DataError} If there is no such tensor, or its type or a value can't be read exactly
   */
  read(name: string): Promise<HostTensor>;
  /**
   * One floating-point tensor, into memory that is there already.
   *
   * @param name Name of the tensor
   * @param into Takes the elements; exactly as long as the tensor
   * @throws {DataError} If there is no such tensor or it has no floating-point type
   * @throws {ShapeError} If `into` has another length
   */
  readInto(name: string, into: Float32Array): Promise<void>;
}

/**
 * Opens `model.safetensors` of a folder, or the files of `model.safetensors.index.json`; the single
 * file wins where both are there, as in transformers.
 *
 * @param folder A model folder in Hugging Face's layout
 * @throws {DataError} If there are no weights, a file is missing or broken, or the index contradicts
 * the files: a tensor that is not where it should be, or is in two of them
 * @example
 * ```ts
 * import { openWeights } from "./open_weights.ts";
 * import { saveWeights } from "./save_weights.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const folder = await Deno.makeTempDir();
 * await saveWeights(folder, { w: hostTensor("float32", Float32Array.of(1, 2), [2]) });
 * {
 *   await using weights = await openWeights(folder);
 *   assertEquals([weights.names, weights.shapeOf("w")], [["w"], [2]]);
 * }
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function openWeights(folder: string): Promise<Weights> {
  const plan = await planOf(folder);
  await using opening = new AsyncDisposableStack();
  const readers = new Map<string, SafetensorsReader>();
  for (const file of plan.files) {
    const source: FileSource = opening.use(await openShard(folder, file, plan.fileOf));
    readers.set(file, await openSafetensors(source));
  }
  const { found, unlisted } = locate(folder, readers, plan.fileOf);
  const files = opening.move();

  function at(name: string): { reader: SafetensorsReader; entry: SafetensorsEntry } {
    const reader = found.get(name);
    if (!reader) {
      throw new DataError(`Cannot read tensor ${name}: the weights in ${folder} have none`);
    }
    return { reader, entry: reader.entries.get(name)! };
  }
  return {
    folder,
    names: [...found.keys()],
    unlisted,
    metadata: Object.assign({}, ...[...readers.values()].map((reader) => reader.metadata)),
    has: (name) => found.has(name),
    shapeOf: (name) => at(name).entry.shape,
    typeOf: (name) => at(name).entry.type,
    read: async (name) => await at(name).reader.read(name),
    readInto: async (name, into) => await at(name).reader.readInto(name, into),
    [Symbol.asyncDispose]: () => files.disposeAsync(),
  };
}

interface Plan {
  files: readonly string[];
  /** Undefined for a single file, which needs no index. */
  fileOf?: ReadonlyMap<string, string>;
}

async function planOf(folder: string): Promise<Plan> {
  const names = await namesIn(folder);
  if (names.includes(WEIGHTS_FILE)) return { files: [WEIGHTS_FILE] };
  if (names.includes(WEIGHTS_INDEX_FILE)) {
    const path = join(folder, WEIGHTS_INDEX_FILE);
    return parseWeightIndex(await Deno.readTextFile(path), path);
  }
  const hint = names.some((name) => /\.(bin|pt|pth|ckpt)$/.test(name))
    ? ". Its weights are in a format that can run code when read; have transformers save them " +
      "again, which writes safetensors"
    : "";
  throw new DataError(
    `Cannot read the weights in ${folder}: there is neither ${WEIGHTS_FILE} nor ` +
      `${WEIGHTS_INDEX_FILE}${hint}`,
  );
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound
      ? "there is no such folder"
      : (cause as Error).message;
    throw new DataError(`Cannot read the weights in ${folder}: ${reason}`, {}, { cause });
  }
}

async function openShard(
  folder: string,
  file: string,
  fileOf?: ReadonlyMap<string, string>,
): Promise<FileSource> {
  try {
    return await openFileSource(join(folder, file));
  } catch (cause) {
    if (!fileOf || !((cause as Error).cause instanceof Deno.errors.NotFound)) throw cause;
    const count = [...fileOf.values()].filter((shard) => shard === file).length;
    throw new DataError(
      `Cannot read the weights in ${folder}: ${file} is missing, which should hold ${count} of ` +
        `${fileOf.size} tensors. Download or copy it again`,
      { file: join(folder, file) },
      { cause },
    );
  }
}

/** The reader of every tensor; index and files must agree. */
function locate(
  folder: string,
  readers: ReadonlyMap<string, SafetensorsReader>,
  fileOf?: ReadonlyMap<string, string>,
): { found: Map<string, SafetensorsReader>; unlisted: UnlistedTensor[] } {
  const fail = (problem: string): never => {
    throw new DataError(`Cannot read the weights in ${folder}: ${problem}`);
  };
  const found = new Map<string, SafetensorsReader>();
  const first = new Map<string, string>();
  const unlisted: UnlistedTensor[] = [];
  for (const [file, reader] of readers) {
    for (const name of reader.entries.keys()) {
      const other = first.get(name);
      if (other !== undefined) fail(`tensor ${name} is in both ${other} and ${file}`);
      first.set(name, file);
      const expected = fileOf ? fileOf.get(name) : file;
      if (expected === undefined) unlisted.push({ tensor: name, file });
      else if (expected === file) found.set(name, reader);
      else fail(`tensor ${name} is in ${file}, but the index puts it into ${expected}`);
    }
  }
  for (const [name, file] of fileOf ?? []) {
    if (!found.has(name)) fail(`the index puts tensor ${name} into ${file}, which has none`);
  }
  return { found, unlisted };
}
