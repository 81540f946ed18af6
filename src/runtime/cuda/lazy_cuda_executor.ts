/** Executors whose GPU is opened when it is first needed. @module */
import { DeviceError } from "../../errors.ts";
import type { Program } from "../../graph/mod.ts";
import type { CompileOptions, Executable, Executor } from "../executor.ts";
import type { ParameterStore } from "../parameter_store.ts";
import type { ResidentParameters } from "../resident.ts";
import type { Device, MatrixPrecision } from "./device.ts";
import type { CudaOptions } from "./open_cuda_device.ts";

/** Choices of {@linkcode cudaExecutor}. */
export interface CudaExecutorOptions extends CudaOptions {
  /** Precision of matrix products, and with bfloat16 of what feeds them. Default float32. */
  readonly precision?: MatrixPrecision;
}

/** The executor of a GPU that is open. */
export interface CudaExecutor extends Executor {
  /** The GPU: its name, `"sm_90"`, and bytes of its memory. */
  readonly device: {
    readonly name: string;
    readonly architecture: string;
    memory(): { free: number; total: number };
  };
  /** Precision of matrix products. */
  readonly precision: MatrixPrecision;
  /** Close the GPU, for all executors that share it, and free all that lives on it. */
  dispose(): void;
}

/** An executor that opens what it runs on when a program is first compiled, or earlier. */
export interface LazyExecutor<E extends Executor = Executor> extends Executor {
  /** Open it now, or again after that failed. @throws {DeviceError} If it can't be used here */
  open(): Promise<E>;
}

/** GPUs that are open, by how. */
const devices = new Map<string, Promise<Device>>();
/** Executors on them, by how and by precision: they share kernels, and know what lives on the GPU. */
const executors = new Map<string, Promise<CudaExecutor>>();

/** What is there, or is being made, under a key; what could not be made is made anew the next time. */
function shared<T>(all: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = all.get(key) ?? make();
  all.set(key, known);
  known.catch(() => all.delete(key));
  return known;
}

async function openShared({ precision, ...options }: CudaExecutorOptions): Promise<CudaExecutor> {
  const { openCudaDevice } = await import("./open_cuda_device.ts");
  const { deviceExecutor } = await import("./cuda_executor.ts");
  const { index, libraries, cache, tune, system } = options;
  // Another system is a test's: what it opens is the test's own.
  if (system) return deviceExecutor(await openCudaDevice(options), { precision });
  const key = JSON.stringify([index ?? 0, libraries ?? null, cache ?? null, tune ?? false]);
  return await shared(executors, `${key} ${precision ?? "float32"}`, async () => {
    const device = await shared(devices, key, () => openCudaDevice(options));
    const executor = deviceExecutor(device, { precision });
    return { ...executor, dispose: () => (forget(key), executor.dispose()) };
  });
}

/** A GPU is about to be closed: open it again the next time. */
function forget(key: string): void {
  devices.delete(key);
  for (const one of executors.keys()) if (one.startsWith(`${key} `)) executors.delete(one);
}

/**
 * Runs programs on an NVIDIA GPU with kernels that are generated for them (docs/cuda.md).
 *
 * The GPU is opened when the first program is compiled, or by `open`; executors of equal options share
 * it until the process ends. Nothing is loaded before, so that this can be made on any machine.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { cudaExecutor } from "./lazy_cuda_executor.ts";
 * const executor = cudaExecutor({ precision: "bfloat16" });
 * assertEquals(executor.name, "cuda"); // also where there is no GPU: none was looked for
 * ```
 */
export function cudaExecutor(options: CudaExecutorOptions = {}): LazyExecutor<CudaExecutor> {
  return lazily("cuda", () => openShared(options));
}

let isSaid = false;

/**
 * Runs programs on an NVIDIA GPU if one can be used here, and on another executor if not. Which, and
 * why, is said once on stderr, when it is first known.
 *
 * @param options As for {@linkcode cudaExecutor}
 * @param otherwise What runs them without a GPU
 */
export function cudaOr(options: CudaExecutorOptions, otherwise: Executor): LazyExecutor {
  const cuda = cudaExecutor(options);
  return lazily("auto", async () => {
    let chosen: Executor = otherwise, news: string;
    try {
      const opened = await cuda.open();
      chosen = opened;
      news = `programs run on cuda: ${opened.device.name}, ${opened.precision}`;
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      // The first line of several ends before a list of places.
      const [reason, ...places] = error.message.split("\n");
      const rest = places.length ? " the places that doctor names" : "";
      news = `programs run on ${otherwise.name}, not on cuda: ${reason}${rest}`;
    }
    if (!isSaid) console.warn(news);
    isSaid = true;
    return chosen;
  });
}

/** An executor under a name of its own until another one has been opened. */
function lazily<E extends Executor>(name: string, start: () => Promise<E>): LazyExecutor<E> {
  let opening: Promise<E> | undefined, opened: E | undefined;
  const open = async (): Promise<E> => {
    opening ??= start();
    try {
      return opened = await opening;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  };
  return {
    get name(): string {
      return opened?.name ?? name;
    },
    open,
    async compile(program: Program, options?: CompileOptions): Promise<Executable> {
      return await (await open()).compile(program, options);
    },
    reside(store: ParameterStore): ResidentParameters | undefined {
      return opened?.reside?.(store);
    },
  };
}
