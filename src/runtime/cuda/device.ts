/**
 * What a device must be able to do to run lowered programs: memory, kernels from CUDA C++ source,
 * matrix products, and replaying a recorded sequence of them. The GPU is one implementation; the
 * other builds the same sources as C++ for this processor, so that every kernel can be checked without
 * a GPU.
 *
 * @module
 */

/** An address in the device's memory. */
export type DevicePointer = bigint;

/** How the parameters of a kernel are passed: `long long` for an integer. */
export type KernelParameter = "pointer" | "integer";

/** What a source must contain to be found in it. */
export interface KernelSignature {
  /** Name of the `extern "C" __global__` function. */
  readonly name: string;
  /** Its parameters in order: any pointer type, or `long long`. */
  readonly parameters: readonly KernelParameter[];
  /** Whether threads of a block wait for each other: `__syncthreads` or a warp shuffle. */
  readonly hasBarriers: boolean;
  /** Bytes of shared memory that a launch asks for, beside what the source reserves itself. Default 0. */
  readonly sharedBytes?: number;
}

/** A compiled kernel; only its device knows what it is. */
export interface Kernel {
  /** What it was compiled from. */
  readonly signature: KernelSignature;
}

/** One launch, prepared once and repeated. */
export interface Launch {
  /** What to run. */
  readonly kernel: Kernel;
  /** Blocks: x, y, z. */
  readonly grid: readonly [number, number, number];
  /** Threads of a block: x. */
  readonly threads: number;
  /** Arguments in the order of the parameters. */
  readonly parameters: readonly (bigint | number)[];
}

/** Element types of a matrix in memory. */
export type MatrixType = "float32" | "bfloat16";

/** A matrix operand, row-major. */
export interface Matrix {
  /** Element type. */
  readonly type: MatrixType;
  /** Elements from one row to the next. */
  readonly rowStride: number;
  /** Elements from one matrix of the batch to the next; 0: the same one for all. */
  readonly batchStride: number;
}

/** Precision of a product: what its operands are rounded to inside it. Sums are always float32. */
export type MatrixPrecision = "float32" | "tf32" | "bfloat16";

/**
 * What is done to a product on its way to c. `"relu"`: c = max(product, 0), and one bit for each element
 * says whether it was positive. `"reluGradient"`: c = product where such a bit is set, elsewhere 0.
 *
 * The bits are read by `"reluGradient"` with a product of the same m, n and batch. Those of a row
 * follow each other, the lowest of a byte first; rows start at multiples of 128 bits, matrices of a
 * batch lie one after the other, and bits behind the last column are anything. Whether an element that
 * is 0 has its bit set, and what becomes of a NaN, is up to the device: cuBLASLt makes it 0.
 */
export type Epilogue = "relu" | "reluGradient";

/** c[b] = op(a[b]) · op(b[b]) (+ addend[b]), for every matrix of a batch. */
export interface MatrixProduct {
  /** Rows of c. */
  readonly m: number;
  /** Columns of c. */
  readonly n: number;
  /** Length of the sums. */
  readonly k: number;
  /** Number of matrices. */
  readonly batch: number;
  /** Whether a is stored as [k, m]. */
  readonly transposeA: boolean;
  /** Whether b is stored as [n, k]. */
  readonly transposeB: boolean;
  /** Left operand. */
  readonly a: Matrix;
  /** Right operand; of the same element type. */
  readonly b: Matrix;
  /** Result. */
  readonly c: Matrix;
  /** Precision of the product; bfloat16 operands have only that one. */
  readonly precision: MatrixPrecision;
  /** Whether an addend, stored as c is, is added to the product. */
  readonly hasAddend: boolean;
  /** What is done to the result; not together with an addend. Default: nothing. */
  readonly epilogue?: Epilogue;
}

/** Addresses that a product works on. */
export interface ProductPointers {
  /** Left operand. */
  readonly a: DevicePointer;
  /** Right operand. */
  readonly b: DevicePointer;
  /** Result. */
  readonly c: DevicePointer;
  /** What is added; may be `c`. */
  readonly addend?: DevicePointer;
  /** Bits of an epilogue, `auxiliaryBytes` of them from a multiple of 16 on. */
  readonly auxiliary?: DevicePointer;
}

/** A prepared matrix product; only its device knows what it is. */
export interface PreparedProduct {
  /** What it computes. */
  readonly product: MatrixProduct;
}

/** A recorded sequence of launches, products, copies and clears. */
export interface Replay {
  /** Enqueue all of it again. */
  launch(): void;
  /** Free it. */
  dispose(): void;
}

/** Work is done in the order in which it is asked for; only `download` and `synchronize` wait. */
export interface Device {
  /** What it is called: `"NVIDIA H100 80GB HBM3"`. */
  readonly name: string;
  /** `"sm_90"`, or `"host"`. */
  readonly architecture: string;
  /** Blocks that can run at the same time, roughly: 132 on an H100. */
  readonly multiprocessors: number;
  /** Bytes of memory: free now, and in all. */
  memory(): { free: number; total: number };
  /**
   * Reserve memory, aligned to 256 bytes; its content is undefined.
   *
   * @throws {DeviceError} If there is not enough; the message says how much was wanted and is free
   */
  allocate(bytes: number): DevicePointer;
  /** Give memory back, after all work that was asked for. */
  free(pointer: DevicePointer): void;
  /** Allocations that were not freed; for tests. */
  readonly allocations: number;
  /** Copy in; `data` may be changed as soon as this returns. */
  upload(to: DevicePointer, data: ArrayBufferView): void;
  /** Copy out; waits for all work. */
  download(from: DevicePointer, into: ArrayBufferView): void;
  /** Copy within the device. */
  copy(to: DevicePointer, from: DevicePointer, bytes: number): void;
  /** Set bytes to 0. */
  clear(pointer: DevicePointer, bytes: number): void;
  /**
   * Compile CUDA C++.
   *
   * @param source Self-contained: no headers
   * @param kernels What to find in it
   * @throws {DeviceError} If it does not compile; the message holds the compiler's log
   */
  compile(source: string, kernels: readonly KernelSignature[]): Promise<Kernel[]>;
  /** Enqueue a kernel. */
  launch(launch: Launch): void;
  /**
   * Whether there is a way to compute a product, as there may be none with an epilogue; nothing is kept.
   *
   * @throws {DeviceError} If there is none on any device, as of operands of two types
   */
  canMultiply(product: MatrixProduct): boolean;
  /** Choose how to compute a product. @throws {DeviceError} If there is no way */
  prepareProduct(product: MatrixProduct): PreparedProduct;
  /** Enqueue a product. An addend and the bits of an epilogue are needed if it has them. */
  multiply(prepared: PreparedProduct, pointers: ProductPointers): void;
  /**
   * Record what `f` enqueues instead of doing it, to be replayed.
   *
   * @param f Enqueues kernels, products, device copies and clears only
   */
  record(f: () => void): Replay;
  /** Wait for all work. @throws {DeviceError} If any of it failed */
  synchronize(): void;
  /** Free everything that was not freed, and the device itself. */
  dispose(): void;
}
