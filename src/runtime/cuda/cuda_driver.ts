/** CUDA's driver API: each call checked. @module */
import { DeviceError } from "../../errors.ts";
import { type LibraryOptions, type OpenedLibrary, openLibrary } from "./find_libraries.ts";
import {
  ATTRIBUTE_CAPABILITY_MAJOR,
  ATTRIBUTE_CAPABILITY_MINOR,
  ATTRIBUTE_MULTIPROCESSORS,
  CAPTURE_RELAXED,
  DRIVER_SYMBOLS,
  EVENT_TIMED,
  EVENT_UNTIMED,
  OUT_OF_MEMORY,
  STREAM_NON_BLOCKING,
  SUCCESS,
} from "./driver_symbols.ts";
import { cText, cudaVersion, integers, textAt, textIn, words } from "./host_memory.ts";

/** A handle of the driver: a context, stream, event, module, function or graph. */
export type Handle = bigint;

/** What the driver says of a GPU. */
export interface DeviceFacts {
  /** `"NVIDIA H100 80GB HBM3"`. */
  readonly name: string;
  /** Compute capability: `[9, 0]`. */
  readonly capability: readonly [number, number];
  /** Number of multiprocessors. */
  readonly multiprocessors: number;
  /** Bytes of memory in all. */
  readonly memory: number;
}

/** CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES. */
const MAX_DYNAMIC_SHARED = 8;

/** NVIDIA's driver. Every method throws a DeviceError that names the call and the driver's code. */
export class CudaDriver {
  /** File it was loaded from. */
  readonly path: string;
  /** Newest version of CUDA it runs: 13000 for 13.0. */
  readonly versionNumber: number;
  readonly #library: OpenedLibrary<typeof DRIVER_SYMBOLS>;
  readonly #c: OpenedLibrary<typeof DRIVER_SYMBOLS>["symbols"];
  readonly #word = words(1);
  readonly #word2 = words(1);
  readonly #integer = integers(1);

  private constructor(library: OpenedLibrary<typeof DRIVER_SYMBOLS>) {
    this.#library = library;
    this.#c = library.symbols;
    this.path = library.path;
    this.#check("start the driver", "cuInit", this.#c.cuInit(0));
    this.#check(
      "ask for the driver's version",
      "cuDriverGetVersion",
      this.#c.cuDriverGetVersion(this.#integer),
    );
    this.versionNumber = this.#integer[0]!;
  }

  /**
   * Load and start the driver.
   *
   * @throws {DeviceError} If there is none, or it finds no GPU
   */
  static open(options: LibraryOptions = {}): CudaDriver {
    const library = openLibrary("cuda", DRIVER_SYMBOLS, options);
    try {
      return new CudaDriver(library);
    } catch (error) {
      library.close();
      throw error;
    }
  }

  /** Newest version of CUDA it runs: `"13.0"`. */
  get version(): string {
    return cudaVersion(this.versionNumber);
  }

  #check(action: string, call: string, code: number): void {
    if (code !== SUCCESS) throw new DeviceError(`Cannot ${action}: ${this.#describe(call, code)}`);
  }

  #describe(call: string, code: number): string {
    const text = (code2: number) => code2 === SUCCESS ? textAt(this.#word[0]!) : "";
    this.#word[0] = 0n;
    const name = text(this.#c.cuGetErrorName(code, this.#word)) || "an unknown error";
    this.#word[0] = 0n;
    const meaning = text(this.#c.cuGetErrorString(code, this.#word));
    return `${call} gave ${name} (${code}${meaning ? `: ${meaning}` : ""})`;
  }

  /** Number of GPUs. */
  deviceCount(): number {
    this.#check("count the GPUs", "cuDeviceGetCount", this.#c.cuDeviceGetCount(this.#integer));
    return this.#integer[0]!;
  }

  /** The driver's number of the GPU at `index`. */
  device(index: number): number {
    this.#check(`use GPU ${index}`, "cuDeviceGet", this.#c.cuDeviceGet(this.#integer, index));
    return this.#integer[0]!;
  }

  /** What a GPU is. */
  facts(device: number): DeviceFacts {
    const name = new Uint8Array(new ArrayBuffer(256));
    const action = "ask what the GPU is";
    this.#check(action, "cuDeviceGetName", this.#c.cuDeviceGetName(name, 256, device));
    this.#check(action, "cuDeviceTotalMem", this.#c.cuDeviceTotalMem_v2(this.#word, device));
    const memory = Number(this.#word[0]!);
    const attribute = (which: number): number => {
      const code = this.#c.cuDeviceGetAttribute(this.#integer, which, device);
      this.#check(action, "cuDeviceGetAttribute", code);
      return this.#integer[0]!;
    };
    return {
      name: textIn(name),
      capability: [attribute(ATTRIBUTE_CAPABILITY_MAJOR), attribute(ATTRIBUTE_CAPABILITY_MINOR)],
      multiprocessors: attribute(ATTRIBUTE_MULTIPROCESSORS),
      memory,
    };
  }

  /** The context that all libraries of this process share. */
  retainContext(device: number): Handle {
    const code = this.#c.cuDevicePrimaryCtxRetain(this.#word, device);
    this.#check("use the GPU", "cuDevicePrimaryCtxRetain", code);
    return this.#word[0]!;
  }

  /** Give the context back. */
  releaseContext(device: number): void {
    const code = this.#c.cuDevicePrimaryCtxRelease_v2(device);
    this.#check("give the GPU back", "cuDevicePrimaryCtxRelease", code);
  }

  /** Make a context the one that this thread's calls are for. */
  setContext(context: Handle): void {
    this.#check("use the GPU", "cuCtxSetCurrent", this.#c.cuCtxSetCurrent(context));
  }

  /** Bytes of memory, free and in all. */
  memory(): { free: number; total: number } {
    const code = this.#c.cuMemGetInfo_v2(this.#word, this.#word2);
    this.#check("ask for free memory", "cuMemGetInfo", code);
    return { free: Number(this.#word[0]!), total: Number(this.#word2[0]!) };
  }

  /** Reserve memory; undefined if there is not enough. */
  allocate(bytes: number): Handle | undefined {
    const code = this.#c.cuMemAlloc_v2(this.#word, BigInt(bytes));
    if (code === OUT_OF_MEMORY) return undefined;
    this.#check("reserve memory", "cuMemAlloc", code);
    return this.#word[0]!;
  }

  /** Give memory back. */
  free(pointer: bigint): void {
    this.#check("free memory", "cuMemFree", this.#c.cuMemFree_v2(pointer));
  }

  /** Reserve memory of the host that the GPU reads by itself; gives its address. */
  allocateHost(bytes: number): bigint {
    const code = this.#c.cuMemHostAlloc(this.#word, BigInt(bytes), 0);
    this.#check("reserve memory of the host", "cuMemHostAlloc", code);
    return this.#word[0]!;
  }

  /** Give memory of the host back. */
  freeHost(address: bigint): void {
    this.#check("free memory of the host", "cuMemFreeHost", this.#c.cuMemFreeHost(address));
  }

  /** Enqueue a copy from the host's memory; it must stay as it is until the copy is done. */
  copyIn(to: bigint, fromHost: bigint, bytes: number, stream: Handle): void {
    const code = this.#c.cuMemcpyHtoDAsync_v2(to, fromHost, BigInt(bytes), stream);
    this.#check("copy to the GPU", "cuMemcpyHtoDAsync", code);
  }

  /** Enqueue a copy into the host's memory; the bytes are there once the stream has been waited for. */
  copyOut(into: Uint8Array<ArrayBufferLike>, from: bigint, stream: Handle): void {
    const code = this.#c.cuMemcpyDtoHAsync_v2(into, from, BigInt(into.byteLength), stream);
    this.#check("copy from the GPU", "cuMemcpyDtoHAsync", code);
  }

  /** Enqueue a copy within the GPU. */
  copyWithin(to: bigint, from: bigint, bytes: number, stream: Handle): void {
    const code = this.#c.cuMemcpyDtoDAsync_v2(to, from, BigInt(bytes), stream);
    this.#check("copy within the GPU", "cuMemcpyDtoDAsync", code);
  }

  /** Enqueue setting bytes to 0. */
  clear(pointer: bigint, bytes: number, stream: Handle): void {
    const code = this.#c.cuMemsetD8Async(pointer, 0, BigInt(bytes), stream);
    this.#check("clear memory", "cuMemsetD8Async", code);
  }

  /** A stream that does not wait for other ones. */
  createStream(): Handle {
    const code = this.#c.cuStreamCreate(this.#word, STREAM_NON_BLOCKING);
    this.#check("make a stream", "cuStreamCreate", code);
    return this.#word[0]!;
  }

  /** Free a stream. */
  destroyStream(stream: Handle): void {
    this.#check("free a stream", "cuStreamDestroy", this.#c.cuStreamDestroy_v2(stream));
  }

  /** Wait for all work of a stream; the error may be that of any work before. */
  synchronize(stream: Handle): void {
    const code = this.#c.cuStreamSynchronize(stream);
    this.#check("finish the GPU's work", "cuStreamSynchronize", code);
  }

  /** Record what is enqueued on a stream from here on instead of doing it. */
  beginCapture(stream: Handle): void {
    const code = this.#c.cuStreamBeginCapture_v2(stream, CAPTURE_RELAXED);
    this.#check("record work", "cuStreamBeginCapture", code);
  }

  /** End a recording. */
  endCapture(stream: Handle): Handle {
    this.#word[0] = 0n;
    const code = this.#c.cuStreamEndCapture(stream, this.#word);
    const graph = this.#word[0]!;
    this.#check("record work", "cuStreamEndCapture", code);
    return graph;
  }

  /** Number of kernels, copies and clears in a recording. */
  nodeCount(graph: Handle): number {
    const code = this.#c.cuGraphGetNodes(graph, null, this.#word);
    this.#check("count recorded work", "cuGraphGetNodes", code);
    return Number(this.#word[0]!);
  }

  /** Make a recording ready to run; the recording itself is no longer needed. */
  instantiate(graph: Handle): Handle {
    const code = this.#c.cuGraphInstantiateWithFlags(this.#word, graph, 0n);
    this.#check("prepare recorded work", "cuGraphInstantiateWithFlags", code);
    return this.#word[0]!;
  }

  /** Enqueue recorded work. */
  launchGraph(executable: Handle, stream: Handle): void {
    this.#check("repeat recorded work", "cuGraphLaunch", this.#c.cuGraphLaunch(executable, stream));
  }

  /** Free a recording. */
  destroyGraph(graph: Handle): void {
    this.#check("free a recording", "cuGraphDestroy", this.#c.cuGraphDestroy(graph));
  }

  /** Free a recording that was made ready. */
  destroyExecutable(executable: Handle): void {
    this.#check("free a recording", "cuGraphExecDestroy", this.#c.cuGraphExecDestroy(executable));
  }

  /** Load compiled kernels. */
  loadModule(image: Uint8Array<ArrayBuffer>): Handle {
    const code = this.#c.cuModuleLoadData(this.#word, image);
    this.#check("load compiled kernels", "cuModuleLoadData", code);
    return this.#word[0]!;
  }

  /** Unload compiled kernels. */
  unloadModule(module: Handle): void {
    this.#check("unload kernels", "cuModuleUnload", this.#c.cuModuleUnload(module));
  }

  /** Find a kernel, and load it now rather than at its first launch, which may be recorded. */
  function(module: Handle, name: string): Handle {
    const code = this.#c.cuModuleGetFunction(this.#word, module, cText(name));
    this.#check(`find the kernel ${name}`, "cuModuleGetFunction", code);
    const found = this.#word[0]!;
    const load = this.#c.cuFuncLoad as ((handle: bigint) => number) | null;
    if (load) this.#check(`load the kernel ${name}`, "cuFuncLoad", load(found));
    return found;
  }

  /** Allow a kernel so many bytes of dynamic shared memory. */
  allowShared(kernel: { readonly handle: Handle; readonly name: string }, bytes: number): void {
    const code = this.#c.cuFuncSetAttribute(kernel.handle, MAX_DYNAMIC_SHARED, bytes);
    this.#check(`give ${kernel.name} ${bytes} bytes of shared memory`, "cuFuncSetAttribute", code);
  }

  /** Enqueue a kernel; `parameters` is `void**`, read before this returns. */
  launch(
    kernel: { readonly handle: Handle; readonly name: string },
    grid: readonly [number, number, number],
    threads: number,
    { parameters, sharedBytes = 0, stream }: {
      parameters: BigUint64Array<ArrayBuffer>;
      sharedBytes?: number;
      stream: Handle;
    },
  ): void {
    const [x, y, z] = grid;
    const code = this.#c.cuLaunchKernel(
      kernel.handle,
      x,
      y,
      z,
      threads,
      1,
      1,
      sharedBytes,
      stream,
      parameters,
      null,
    );
    if (code !== SUCCESS) {
      const size = `${x}×${y}×${z} blocks of ${threads} threads`;
      this.#check(`launch ${kernel.name} as ${size}`, "cuLaunchKernel", code);
    }
  }

  /** An event; one that takes the time is slower. */
  createEvent(isTimed: boolean): Handle {
    const code = this.#c.cuEventCreate(this.#word, isTimed ? EVENT_TIMED : EVENT_UNTIMED);
    this.#check("make an event", "cuEventCreate", code);
    return this.#word[0]!;
  }

  /** Have an event happen once all work enqueued so far is done. */
  recordEvent(event: Handle, stream: Handle): void {
    this.#check("mark work", "cuEventRecord", this.#c.cuEventRecord(event, stream));
  }

  /** Wait for an event; returns at once for one that was never recorded. */
  waitForEvent(event: Handle): void {
    this.#check("wait for work", "cuEventSynchronize", this.#c.cuEventSynchronize(event));
  }

  /** Milliseconds between two events that have happened. */
  elapsedMs(start: Handle, end: Handle): number {
    const time = new Float32Array(new ArrayBuffer(4));
    const code = this.#c.cuEventElapsedTime(time, start, end);
    this.#check("time work", "cuEventElapsedTime", code);
    return time[0]!;
  }

  /** Free an event. */
  destroyEvent(event: Handle): void {
    this.#check("free an event", "cuEventDestroy", this.#c.cuEventDestroy_v2(event));
  }

  /** Give the library back; the driver itself stays loaded until the process ends. */
  close(): void {
    this.#library.close();
  }
}
