/** NVIDIA GPUs. @module */
import { DeviceError } from "../../errors.ts";
import type { CublasLt } from "./cublas_lt.ts";
import type { CudaDriver, DeviceFacts, Handle } from "./cuda_driver.ts";
import { CudaKernel, CudaLaunches } from "./cuda_kernels.ts";
import { CudaProducts } from "./cuda_products.ts";
import { CudaReplay } from "./cuda_replay.ts";
import type {
  Device,
  DevicePointer,
  Kernel,
  KernelSignature,
  Launch,
  MatrixProduct,
  PreparedProduct,
  ProductPointers,
} from "./device.ts";
import { bytesOf } from "./host_memory.ts";
import type { KernelCache } from "./kernel_cache.ts";
import { COMPILE_OPTIONS, type Nvrtc } from "./nvrtc.ts";
import { PinnedStaging } from "./pinned_staging.ts";

const MIB = 1 << 20;

/** What a device is made of. */
export interface CudaParts {
  /** The driver. */
  readonly driver: CudaDriver;
  /** The compiler of kernels. */
  readonly nvrtc: Nvrtc;
  /** The matrix products, started. */
  readonly cublas: CublasLt;
  /** Compiled kernels. */
  readonly cache: KernelCache;
  /** The driver's number of the GPU. */
  readonly device: number;
  /** What the GPU is. */
  readonly facts: DeviceFacts;
  /** Its context. */
  readonly context: Handle;
  /** The stream that all work goes through. */
  readonly stream: Handle;
  /** Whether ways to compute products are timed. */
  readonly isTuned: boolean;
}

/** An NVIDIA GPU. All work goes through one stream; see {@link Device} for what each method does. */
export class CudaDevice implements Device {
  /** What it is called. */
  readonly name: string;
  /** `"sm_90"`. */
  readonly architecture: string;
  /** Number of multiprocessors. */
  readonly multiprocessors: number;
  readonly #parts: CudaParts;
  readonly #products: CudaProducts;
  readonly #allocated = new Set<DevicePointer>();
  readonly #modules = new Set<Handle>();
  readonly #replays = new Set<CudaReplay>();
  readonly #launches = new CudaLaunches(this);
  #staging?: PinnedStaging;
  #isRecording = false;
  #isDisposed = false;

  /** Use {@link openCudaDevice}. */
  constructor(parts: CudaParts) {
    this.#parts = parts;
    this.name = parts.facts.name;
    this.architecture = architectureOf(parts.facts);
    this.multiprocessors = parts.facts.multiprocessors;
    this.#products = new CudaProducts(parts.driver, parts.cublas, parts);
  }

  /** Allocations that were not freed. */
  get allocations(): number {
    return this.#allocated.size;
  }

  /** The driver and the stream, once it is sure that `action` can be done. */
  #for(action: string, { whileRecording = false } = {}): { driver: CudaDriver; stream: Handle } {
    if (this.#isDisposed) {
      throw new DeviceError(`Cannot ${action}: the GPU was given back (dispose was called)`);
    }
    if (this.#isRecording && !whileRecording) {
      throw new DeviceError(
        `Cannot ${action} while work is recorded: only kernels, products, copies within the GPU ` +
          "and clears can be. Do it before",
      );
    }
    const { driver, context, stream } = this.#parts;
    // Other libraries in this thread may have made theirs the current one.
    driver.setContext(context);
    return { driver, stream };
  }

  /** Bytes of memory: free now, and in all. */
  memory(): { free: number; total: number } {
    return this.#for("ask for free memory", { whileRecording: true }).driver.memory();
  }

  /** Reserve memory; of 0 bytes, too, there is an address. */
  allocate(bytes: number): DevicePointer {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new DeviceError(`Cannot reserve ${bytes} bytes: that is not a size`);
    }
    const { driver } = this.#for("reserve memory");
    const pointer = driver.allocate(Math.max(bytes, 1));
    if (pointer === undefined) {
      const { free, total } = driver.memory();
      const mib = (count: number) => `${Math.ceil(count / MIB)} MiB`;
      throw new DeviceError(
        `Cannot reserve ${mib(bytes)} on ${this.name}: ${mib(free)} of ${mib(total)} are free. ` +
          "Take a smaller batch, shorter sequences or bfloat16, or end other programs on this GPU",
      );
    }
    this.#allocated.add(pointer);
    return pointer;
  }

  /** Give memory back, after all work. */
  free(pointer: DevicePointer): void {
    const { driver, stream } = this.#for("free memory");
    if (!this.#allocated.has(pointer)) {
      throw new DeviceError(`Cannot free memory: 0x${pointer.toString(16)} is not reserved`);
    }
    driver.synchronize(stream);
    driver.free(pointer);
    this.#allocated.delete(pointer);
  }

  /** Copy in, in the order of the work. */
  upload(to: DevicePointer, data: ArrayBufferView): void {
    const { driver, stream } = this.#for("copy to the GPU");
    if (data.byteLength === 0) return;
    this.#staging ??= new PinnedStaging(driver, stream);
    this.#staging.upload(to, bytesOf(data));
  }

  /** Copy out, after all work. */
  download(from: DevicePointer, into: ArrayBufferView): void {
    const { driver, stream } = this.#for("copy from the GPU");
    if (into.byteLength > 0) driver.copyOut(bytesOf(into), from, stream);
    driver.synchronize(stream);
  }

  /** Copy within the GPU. */
  copy(to: DevicePointer, from: DevicePointer, bytes: number): void {
    const { driver, stream } = this.#for("copy within the GPU", { whileRecording: true });
    if (bytes > 0 && to !== from) driver.copyWithin(to, from, bytes, stream);
  }

  /** Set bytes to 0. */
  clear(pointer: DevicePointer, bytes: number): void {
    const { driver, stream } = this.#for("clear memory", { whileRecording: true });
    if (bytes > 0) driver.clear(pointer, bytes, stream);
  }

  /** Compile CUDA C++, or take what was compiled before. */
  async compile(source: string, kernels: readonly KernelSignature[]): Promise<Kernel[]> {
    this.#for("compile kernels");
    const { nvrtc, cache } = this.#parts;
    const key = {
      source,
      architecture: this.architecture,
      compiler: `nvrtc ${nvrtc.version}`,
      options: COMPILE_OPTIONS,
    };
    let cubin = await cache.get(key);
    if (!cubin) {
      this.#for("compile kernels");
      cubin = nvrtc.compile(source, this.architecture);
      await cache.put(key, cubin);
    }
    const { driver } = this.#for("load compiled kernels");
    const module = driver.loadModule(cubin);
    this.#modules.add(module);
    return kernels.map((signature) => {
      const handle = driver.function(module, signature.name);
      const kernel = new CudaKernel(this, signature, handle);
      if (signature.sharedBytes) driver.allowShared(kernel, signature.sharedBytes);
      return kernel;
    });
  }

  /** Enqueue a kernel; a grid of no blocks is nothing. */
  launch(launch: Launch): void {
    const { driver, stream } = this.#for("launch a kernel", { whileRecording: true });
    this.#launches.run(launch, driver, stream);
  }

  /** Whether cuBLASLt has a way to compute a product. */
  canMultiply(product: MatrixProduct): boolean {
    this.#for("ask for a matrix product", { whileRecording: true });
    return this.#products.canMultiply(product);
  }

  /** Choose how to compute a product. */
  prepareProduct(product: MatrixProduct): PreparedProduct {
    this.#for("prepare a matrix product", { whileRecording: true });
    return this.#products.prepare(product, !this.#isRecording);
  }

  /** Enqueue a product. */
  multiply(prepared: PreparedProduct, pointers: ProductPointers): void {
    this.#for("multiply matrices", { whileRecording: true });
    this.#products.multiply(prepared, pointers);
  }

  /** Record what `f` enqueues; nothing stays recorded if it throws. */
  record(f: () => void): CudaReplay {
    const { driver, stream } = this.#for("record work");
    driver.beginCapture(stream);
    this.#isRecording = true;
    try {
      f();
    } catch (error) {
      this.#endFailed(driver, stream);
      throw error;
    } finally {
      this.#isRecording = false;
    }
    const graph = driver.endCapture(stream);
    try {
      const nodes = driver.nodeCount(graph);
      const replay = new CudaReplay({
        nodes,
        executable: driver.instantiate(graph),
        enter: (action) => this.#for(action),
        forget: (gone) => this.#replays.delete(gone),
      });
      this.#replays.add(replay);
      return replay;
    } finally {
      driver.destroyGraph(graph);
    }
  }

  /** The error of what was recorded is what counts, not that of a recording that is broken by it. */
  #endFailed(driver: CudaDriver, stream: Handle): void {
    try {
      driver.destroyGraph(driver.endCapture(stream));
    } catch {
      // The recording was already given up.
    }
  }

  /** Wait for all work. */
  synchronize(): void {
    const { driver, stream } = this.#for("wait for the GPU");
    driver.synchronize(stream);
  }

  /** Free everything, whatever fails on the way. */
  dispose(): void {
    if (this.#isDisposed) return;
    const { driver, nvrtc, cublas, context, device, stream } = this.#parts;
    const steps: (() => void)[] = [
      () => driver.setContext(context),
      () => driver.synchronize(stream),
      ...[...this.#replays].map((replay) => () => replay.dispose()),
      ...[...this.#allocated].map((pointer) => () => driver.free(pointer)),
      ...this.#products.disposers(),
      ...this.#staging?.disposers() ?? [],
      ...[...this.#modules].map((module) => () => driver.unloadModule(module)),
      () => cublas.stop(),
      () => driver.destroyStream(stream),
      () => driver.releaseContext(device),
      () => cublas.close(),
      () => nvrtc.close(),
      () => driver.close(),
    ];
    for (const step of steps) ignoringErrors(step);
    this.#allocated.clear();
    this.#modules.clear();
    this.#isDisposed = true;
  }
}

/** `"sm_90"`. */
export function architectureOf({ capability: [major, minor] }: DeviceFacts): string {
  return `sm_${major}${minor}`;
}

/** Run what frees something: freeing goes on where a step fails, as after a kernel's fault each does. */
export function ignoringErrors(step: () => void): void {
  try {
    step();
  } catch {
    // The process's end frees the rest.
  }
}
