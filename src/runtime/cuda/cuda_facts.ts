/** What there is of CUDA on this machine, for `doctor`. @module */
import { DeviceError } from "../../errors.ts";
import { CublasLt } from "./cublas_lt.ts";
import { CudaDriver, type DeviceFacts } from "./cuda_driver.ts";
import type { LibrarySystem } from "./find_libraries.ts";
import { Nvrtc } from "./nvrtc.ts";

/** A library that was found. */
export interface LibraryFacts {
  /** Its version: `"13.0"`. */
  readonly version: string;
  /** File it was loaded from. */
  readonly path: string;
}

/** What was found, or why not. */
export interface CudaFacts {
  /** The driver; its version is that of the newest CUDA it runs. */
  readonly driver: LibraryFacts | DeviceError;
  /** The GPUs. */
  readonly devices: readonly DeviceFacts[] | DeviceError;
  /** The compiler of kernels, and what it compiles for. */
  readonly nvrtc: LibraryFacts & { readonly architectures: readonly string[] } | DeviceError;
  /** The matrix products. */
  readonly cublasLt: LibraryFacts | DeviceError;
}

/**
 * Look for each part of CUDA; what is missing is not an error but told.
 *
 * @param options.libraries Folder of CUDA's libraries; several are parted as in PATH
 * @param options.system System to look on. Default: this one
 */
export function cudaFacts(
  options: { libraries?: string; system?: LibrarySystem } = {},
): CudaFacts {
  const { libraries: folder, system } = options;
  const driver = attempt(() => CudaDriver.open({ folder, system }));
  const isThere = !(driver instanceof DeviceError);
  const newest = isThere ? Math.floor(driver.versionNumber / 1000) : undefined;
  const search = { folder, system, newest };
  try {
    return {
      driver: isThere ? { version: driver.version, path: driver.path } : driver,
      devices: isThere ? attempt(() => devicesOf(driver)) : driver,
      nvrtc: attempt(() => {
        const { version, path, architectures } = closing(Nvrtc.open(search));
        return { version, path, architectures };
      }),
      cublasLt: attempt(() => {
        const { version, path } = closing(CublasLt.open(search));
        return { version, path };
      }),
    };
  } finally {
    if (isThere) driver.close();
  }
}

function devicesOf(driver: CudaDriver): DeviceFacts[] {
  return Array.from(
    { length: driver.deviceCount() },
    (_, index) => driver.facts(driver.device(index)),
  );
}

function closing<T extends { close(): void }>(library: T): T {
  library.close();
  return library;
}

function attempt<T>(f: () => T): T | DeviceError {
  try {
    return f();
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
}
