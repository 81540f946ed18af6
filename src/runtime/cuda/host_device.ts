/** A device that builds CUDA sources for this processor, to check kernels without a GPU. @module */
import { DeviceError } from "../../errors.ts";
import type {
  Device,
  DevicePointer,
  Kernel,
  KernelSignature,
  Launch,
  Matrix,
  MatrixProduct,
  PreparedProduct,
  ProductPointers,
  Replay,
} from "./device.ts";
import { findHostCompiler, type HostCompiler } from "./host_compiler.ts";
import { HOST_RUNTIME, HOST_SYMBOLS } from "./host_runtime.ts";
import { HOST_PRELUDE, launcherName, launcherText } from "./host_shim.ts";
import { auxiliaryBytes, auxiliaryStride, checkPointers } from "./matrix_shapes.ts";

/** How to open the host device. */
export interface HostDeviceOptions {
  /** C++ compiler. Default: `g++`. */
  readonly compiler?: string;
  /** Whether kernels are optimised (`-O1`); `false` compiles sooner. Default: true. */
  readonly optimise?: boolean;
  /** Bytes that allocations may take in all. Default: what this machine has. */
  readonly memoryLimit?: number;
}

/**
 * Open the host device: every kernel's arithmetic, checked without a GPU.
 *
 * Work is done when it is asked for, so that `launch` and `multiply` throw what `synchronize` would
 * throw on a GPU: a kernel whose threads wait for each other for ever, or that touches memory that is not
 * there. New memory is all ones (NaN). Departures from a GPU: blocks run one after another, threads of
 * a block take turns only where they wait, a float32 out of the range of an integer has another value.
 *
 * @throws {DeviceError} If there is no C++ compiler
 * @example
 * ```ts ignore
 * const device = await openHostDevice();
 * ```
 */
export async function openHostDevice(options: HostDeviceOptions = {}): Promise<Device> {
  const compiler = await findHostCompiler(options.compiler);
  const path = await compiler.build(HOST_RUNTIME, ["-O3", "-Wl,-z,nodelete"]);
  return new HostDevice(compiler, load(path, HOST_SYMBOLS), options);
}

type Runtime = Deno.DynamicLibrary<typeof HOST_SYMBOLS>;
type Launcher = (shape: BigInt64Array, parameters: BigUint64Array) => number;

const BIND = { parameters: ["pointer"], result: "void" } as const;
const LAUNCHER = { parameters: ["buffer", "buffer"], result: "i32" } as const;
const MOST_THREADS = 1024;
/** A GPU's limits of a grid. */
const MOST_BLOCKS = [2 ** 31 - 1, 65535, 65535];
const PRECISIONS = ["float32", "tf32", "bfloat16"];
const EPILOGUES = [undefined, "relu", "reluGradient"];

interface HostKernel extends Kernel {
  readonly launcher: Launcher;
}

class HostDevice implements Device {
  readonly name = `this processor (${Deno.build.arch})`;
  readonly architecture = "host";
  readonly multiprocessors = 4;
  readonly #compiler: HostCompiler;
  readonly #runtime: Runtime;
  readonly #options: HostDeviceOptions;
  readonly #kernels = new Set<Kernel>();
  readonly #closers: (() => void)[] = [];
  /** Bytes of each allocation. */
  readonly #memory = new Map<DevicePointer, number>();
  #usedBytes = 0;
  /** Pairs of pointer and bytes; made when needed. */
  #table?: BigUint64Array<ArrayBuffer>;
  #recording?: (() => void)[];
  #isOpen = true;

  constructor(compiler: HostCompiler, runtime: Runtime, options: HostDeviceOptions) {
    this.#compiler = compiler;
    this.#runtime = runtime;
    this.#options = options;
  }

  get allocations(): number {
    return this.#memory.size;
  }

  memory(): { free: number; total: number } {
    this.#mustBeOpen("read its memory");
    const { memoryLimit } = this.#options;
    if (memoryLimit !== undefined) {
      return { free: Math.max(0, memoryLimit - this.#usedBytes), total: memoryLimit };
    }
    const { available, total } = Deno.systemMemoryInfo();
    return { free: available, total };
  }

  allocate(bytes: number): DevicePointer {
    this.#mustNotRecord("allocate");
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new DeviceError(`Cannot allocate memory: ${bytes} is not a number of bytes`);
    }
    const { free } = this.memory();
    const pointer = bytes > free ? 0n : this.#runtime.symbols.deeprag_allocate(BigInt(bytes));
    if (pointer === 0n) {
      throw new DeviceError(
        `Cannot allocate ${mebibytes(bytes)} MiB: ${
          mebibytes(free)
        } MiB are free on ${this.name}. ` +
          "Use a smaller batch or shorter sequences, or free what is not needed.",
      );
    }
    this.#memory.set(pointer, bytes);
    this.#usedBytes += bytes;
    this.#table = undefined;
    return pointer;
  }

  free(pointer: DevicePointer): void {
    this.#mustNotRecord("free");
    const bytes = this.#memory.get(pointer);
    if (bytes === undefined) {
      throw new DeviceError(
        `Cannot free ${address(pointer)}: it is not the start of an allocation`,
      );
    }
    const zones = new BigUint64Array([pointer, BigInt(bytes)]);
    const isDamaged = this.#runtime.symbols.deeprag_damaged(zones, 1n) >= 0n;
    this.#forget(pointer, bytes);
    if (isDamaged) throw damage(pointer, bytes);
  }

  upload(to: DevicePointer, data: ArrayBufferView): void {
    this.#mustNotRecord("upload");
    this.#mustHold("upload", to, data.byteLength);
    this.#runtime.symbols.deeprag_upload(to, bytesOf(data), BigInt(data.byteLength));
  }

  download(from: DevicePointer, into: ArrayBufferView): void {
    this.#mustNotRecord("download");
    this.#mustHold("download", from, into.byteLength);
    this.#runtime.symbols.deeprag_download(bytesOf(into), from, BigInt(into.byteLength));
  }

  copy(to: DevicePointer, from: DevicePointer, bytes: number): void {
    this.#enqueue(() => {
      this.#mustHold("copy", to, bytes);
      this.#mustHold("copy", from, bytes);
      this.#runtime.symbols.deeprag_move(to, from, BigInt(bytes));
    });
  }

  clear(pointer: DevicePointer, bytes: number): void {
    this.#enqueue(() => {
      this.#mustHold("clear", pointer, bytes);
      this.#runtime.symbols.deeprag_clear(pointer, BigInt(bytes));
    });
  }

  async compile(source: string, kernels: readonly KernelSignature[]): Promise<Kernel[]> {
    this.#mustBeOpen("compile kernels");
    const text = [HOST_PRELUDE + source, '#line 1 "launchers"', ...kernels.map(launcherText), ""];
    const level = this.#options.optimise ?? true ? "-O1" : "-O0";
    const path = await this.#compiler.build(text.join("\n"), [level]);
    const symbols: { [name: string]: typeof LAUNCHER } = Object.fromEntries(
      kernels.map(({ name }) => [launcherName(name), LAUNCHER]),
    );
    const library = load(path, { ...symbols, deeprag_bind: BIND });
    if (!this.#isOpen) library.close();
    this.#mustBeOpen("compile kernels");
    this.#closers.push(() => library.close());
    library.symbols.deeprag_bind(this.#runtime.symbols.deeprag_host());
    const launchers = library.symbols as unknown as Readonly<Record<string, Launcher>>;
    return kernels.map((signature) => {
      const kernel: HostKernel = { signature, launcher: launchers[launcherName(signature.name)] };
      this.#kernels.add(kernel);
      return kernel;
    });
  }

  launch({ kernel, grid, threads, parameters }: Launch): void {
    const { name, parameters: kinds } = kernel.signature;
    const refuse = (state: string): DeviceError =>
      new DeviceError(`Cannot run kernel ${name}: ${state}`);
    if (!this.#kernels.has(kernel)) throw refuse("another device compiled it");
    const { launcher } = kernel as HostKernel;
    if (grid.some((n, i) => !isCount(n) || n < 1 || n > MOST_BLOCKS[i])) {
      throw refuse(`a grid of [${grid}] blocks is not between [1,1,1] and [${MOST_BLOCKS}]`);
    }
    if (!isCount(threads) || threads < 1 || threads > MOST_THREADS) {
      throw refuse(`${threads} threads are not between 1 and ${MOST_THREADS}`);
    }
    if (parameters.length !== kinds.length) {
      throw refuse(`it has ${kinds.length} parameters, not ${parameters.length}`);
    }
    const shape = BigInt64Array.of(...grid.map(BigInt), BigInt(threads));
    const slots = BigUint64Array.from(parameters, (p) => BigInt.asUintN(64, BigInt(p)));
    this.#enqueue(() => {
      kinds.forEach((kind, i) => {
        if (kind !== "pointer" || slots[i] === 0n || this.#allocationAt(slots[i])) return;
        throw refuse(`parameter ${i}, ${address(slots[i])}, is not in any allocation`);
      });
      if (launcher(shape, slots) !== 0) throw refuse(this.#message());
    });
  }

  canMultiply(product: MatrixProduct): boolean {
    this.prepareProduct(product);
    return true;
  }

  prepareProduct(product: MatrixProduct): PreparedProduct {
    const { m, n, k, batch, a, b, c, transposeA, transposeB, precision } = product;
    const refuse = (state: string): DeviceError =>
      new DeviceError(`Cannot prepare a matrix product: ${state}`);
    if (![m, n, k, batch].every(isCount)) throw refuse(`[m,n,k,batch] = [${[m, n, k, batch]}]`);
    if (a.type !== b.type) throw refuse(`a is ${a.type} and b is ${b.type}`);
    if (a.type === "bfloat16" && precision !== "bfloat16") {
      throw refuse(`operands are bfloat16, and its precision is ${precision}`);
    }
    if (product.hasAddend && product.epilogue) throw refuse("it has an addend and an epilogue");
    const widths: [string, Matrix, number][] = [
      ["a", a, transposeA ? m : k],
      ["b", b, transposeB ? k : n],
      ["c", c, n],
    ];
    for (const [name, { rowStride, batchStride }, width] of widths) {
      if (!isCount(rowStride) || rowStride < width || !isCount(batchStride)) {
        throw refuse(`${name} has rows of ${width} and strides ${rowStride}, ${batchStride}`);
      }
    }
    if (batch > 1 && c.batchStride === 0) throw refuse("every matrix of c is the same one");
    return { product };
  }

  multiply({ product }: PreparedProduct, pointers: ProductPointers): void {
    const { m, n, k, batch, a, b, c, transposeA, transposeB, precision, hasAddend } = product;
    const { addend, auxiliary } = pointers;
    checkPointers(product, pointers);
    if (m === 0 || n === 0 || batch === 0) return;
    const shape = BigInt64Array.from(
      [
        ...[m, n, k, batch, Number(transposeA), Number(transposeB)],
        ...[Number(a.type === "bfloat16"), Number(c.type === "bfloat16")],
        PRECISIONS.indexOf(precision),
        ...[a, b, c].flatMap(({ rowStride, batchStride }) => [rowStride, batchStride]),
        EPILOGUES.indexOf(product.epilogue),
        auxiliaryStride(product),
      ],
      BigInt,
    );
    const extents: [DevicePointer, number][] = [
      [pointers.c, extent(c, m, n, batch)],
      ...hasAddend ? [[addend!, extent(c, m, n, batch)] as [DevicePointer, number]] : [],
      [auxiliary ?? 0n, auxiliaryBytes(product)],
    ];
    if (k > 0) {
      extents.push([pointers.a, transposeA ? extent(a, k, m, batch) : extent(a, m, k, batch)]);
      extents.push([pointers.b, transposeB ? extent(b, n, k, batch) : extent(b, k, n, batch)]);
    }
    const values = [
      ...[pointers.a, pointers.b, pointers.c],
      hasAddend ? addend! : 0n,
      auxiliary ?? 0n,
    ] as const;
    this.#enqueue(() => {
      for (const [pointer, bytes] of extents) this.#mustHold("multiply", pointer, bytes);
      if (this.#runtime.symbols.deeprag_multiply(shape, ...values) !== 0) {
        throw new DeviceError(`Cannot multiply: no memory for operands of [${[m, n, k]}]`);
      }
    });
  }

  record(f: () => void): Replay {
    this.#mustNotRecord("record again");
    const steps: (() => void)[] = [];
    this.#recording = steps;
    try {
      f();
    } finally {
      this.#recording = undefined;
    }
    let isThere = true;
    return {
      launch: () => {
        if (!isThere) throw new DeviceError("Cannot replay: the recording was disposed of");
        for (const step of steps) this.#enqueue(step);
      },
      dispose: () => {
        isThere = false;
        steps.length = 0;
      },
    };
  }

  synchronize(): void {
    this.#mustNotRecord("synchronize");
    this.#checkZones();
  }

  dispose(): void {
    this.#mustNotRecord("dispose of it");
    try {
      this.#checkZones();
    } finally {
      for (const [pointer, bytes] of this.#memory) this.#forget(pointer, bytes);
      for (const close of this.#closers) close();
      this.#isOpen = false;
      this.#runtime.symbols.deeprag_close();
      this.#runtime.close();
    }
  }

  #enqueue(step: () => void): void {
    this.#mustBeOpen("enqueue work");
    if (this.#recording) this.#recording.push(step);
    else step();
  }

  #checkZones(): void {
    this.#table ??= BigUint64Array.from(
      [...this.#memory].flatMap(([pointer, bytes]) => [pointer, BigInt(bytes)]),
    );
    const i = Number(
      this.#runtime.symbols.deeprag_damaged(this.#table, BigInt(this.#memory.size)),
    );
    if (i >= 0) throw damage(this.#table[2 * i], Number(this.#table[2 * i + 1]));
  }

  #forget(pointer: DevicePointer, bytes: number): void {
    this.#runtime.symbols.deeprag_free(pointer);
    this.#memory.delete(pointer);
    this.#usedBytes -= bytes;
    this.#table = undefined;
  }

  /** The allocation that holds an address, or its end. */
  #allocationAt(pointer: DevicePointer): { start: DevicePointer; bytes: number } | undefined {
    const whole = this.#memory.get(pointer);
    if (whole !== undefined) return { start: pointer, bytes: whole };
    for (const [start, bytes] of this.#memory) {
      if (pointer >= start && pointer <= start + BigInt(bytes)) return { start, bytes };
    }
    return undefined;
  }

  #mustHold(action: string, pointer: DevicePointer, bytes: number): void {
    if (bytes === 0) return;
    const found = this.#allocationAt(pointer);
    const left = found ? found.bytes - Number(pointer - found.start) : 0;
    if (bytes <= left) return;
    throw new DeviceError(
      `Cannot ${action} ${bytes} bytes at ${address(pointer)}: ` +
        (found
          ? `${left} bytes are left of the allocation of ${found.bytes}`
          : "it is not in any allocation"),
    );
  }

  #mustBeOpen(action: string): void {
    if (!this.#isOpen) throw new DeviceError(`Cannot ${action}: the device was disposed of`);
  }

  #mustNotRecord(action: string): void {
    this.#mustBeOpen(action);
    if (this.#recording) throw new DeviceError(`Cannot ${action}: the device is recording`);
  }

  #message(): string {
    const bytes = new Uint8Array(512);
    this.#runtime.symbols.deeprag_message(bytes, BigInt(bytes.length));
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }
}

/** Load a library from a file that nobody else has, which is removed. */
function load<S extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: S,
): Deno.DynamicLibrary<S> {
  try {
    return Deno.dlopen(path, symbols);
  } finally {
    Deno.removeSync(path);
  }
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

function address(pointer: DevicePointer): string {
  return `0x${pointer.toString(16)}`;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Bytes from the first to the last element of a batch of matrices. */
function extent(
  { type, rowStride, batchStride }: Matrix,
  rows: number,
  columns: number,
  batch: number,
): number {
  const elements = (batch - 1) * batchStride + (rows - 1) * rowStride + columns;
  return elements * (type === "bfloat16" ? 2 : 4);
}

function damage(pointer: DevicePointer, bytes: number): DeviceError {
  return new DeviceError(
    `Cannot go on: something wrote outside the allocation of ${bytes} bytes at ${
      address(pointer)
    }. ` +
      "Look for an index out of range in the kernels that use it.",
  );
}
