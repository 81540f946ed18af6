/** Opening NVIDIA GPUs. @module */
import { DeviceError } from "../../errors.ts";
import { CublasLt } from "./cublas_lt.ts";
import { architectureOf, CudaDevice, ignoringErrors } from "./cuda_device.ts";
import { CudaDriver, type DeviceFacts } from "./cuda_driver.ts";
import type { LibrarySystem } from "./find_libraries.ts";
import { kernelCacheFolder, openKernelCache } from "./kernel_cache.ts";
import { Nvrtc } from "./nvrtc.ts";

/** Which GPU to use, and how. */
export interface CudaOptions {
  /** Number of the GPU. Default: 0. */
  readonly index?: number;
  /** Folder of CUDA's libraries; several are parted as in PATH. Default: they are looked for. */
  readonly libraries?: string;
  /** Folder for compiled kernels; false: none. Default: see {@link kernelCacheFolder}. */
  readonly cache?: string | false;
  /**
   * Whether several ways to compute each matrix product are timed when it is prepared; which one
   * wins, and so the last bits of results, may differ between runs. Default: false.
   */
  readonly tune?: boolean;
  /** System to look for libraries on. Default: this one. */
  readonly system?: LibrarySystem;
}

/** The oldest compute capability whose kernels are correct: warps with independent threads. */
const OLDEST_CAPABILITY = 7;

/**
 * Open an NVIDIA GPU. Needs its driver, NVRTC and cuBLASLt (see {@link libraryPlaces}).
 *
 * @throws {DeviceError} If there is none, it is too old, or a library is missing
 */
export function openCudaDevice(options: CudaOptions = {}): Promise<CudaDevice> {
  // What is thrown becomes the promise's.
  return new Promise((resolve) => resolve(open(options)));
}

function open(options: CudaOptions): CudaDevice {
  const { index = 0, libraries: folder, cache, tune = false, system } = options;
  const undo: (() => void)[] = [];
  const opened = <T extends { close(): void }>(library: T): T => {
    undo.push(() => library.close());
    return library;
  };
  try {
    const driver = opened(CudaDriver.open({ folder, system }));
    const newest = Math.floor(driver.versionNumber / 1000);
    const nvrtc = opened(Nvrtc.open({ folder, system, newest }));
    const cublas = opened(CublasLt.open({ folder, system, newest }));
    const device = driver.device(checkedIndex(index, driver.deviceCount()));
    const facts = driver.facts(device);
    checkCapability(facts, nvrtc);
    const context = driver.retainContext(device);
    undo.push(() => driver.releaseContext(device));
    driver.setContext(context);
    const stream = driver.createStream();
    undo.push(() => driver.destroyStream(stream));
    undo.push(() => cublas.stop());
    cublas.start();
    const kernels = openKernelCache(cache ?? kernelCacheFolder());
    const parts = { driver, nvrtc, cublas, cache: kernels, device, facts, context, stream };
    return new CudaDevice({ ...parts, isTuned: tune });
  } catch (error) {
    undo.reverse().forEach(ignoringErrors);
    throw error;
  }
}

function checkedIndex(index: number, count: number): number {
  if (Number.isInteger(index) && index >= 0 && index < count) return index;
  throw new DeviceError(
    `Cannot use GPU ${index}: there ${count === 1 ? "is 1" : `are ${count}`}, counted from 0`,
  );
}

function checkCapability(facts: DeviceFacts, nvrtc: Nvrtc): void {
  const { name, capability: [major, minor] } = facts;
  if (major < OLDEST_CAPABILITY) {
    throw new DeviceError(
      `Cannot use ${name}: its compute capability is ${major}.${minor}, and ` +
        `${OLDEST_CAPABILITY}.0 is the least. Use another device`,
    );
  }
  const architecture = architectureOf(facts);
  if (nvrtc.architectures.includes(architecture)) return;
  throw new DeviceError(
    `Cannot use ${name}: it is ${architecture}, and NVRTC ${nvrtc.version} (${nvrtc.path}) ` +
      `compiles for ${nvrtc.architectures.join(", ")}. Install the version of CUDA made for it`,
  );
}
