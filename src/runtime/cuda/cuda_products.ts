/** Matrix products on the GPU: which way to compute each, and those that are empty. @module */
import { DeviceError } from "../../errors.ts";
import type { CublasLt, ProductPlan, Workspace } from "./cublas_lt.ts";
import type { CudaDriver, Handle } from "./cuda_driver.ts";
import type { MatrixProduct, PreparedProduct, ProductPointers } from "./device.ts";
import {
  auxiliaryBytes,
  checkPointers,
  checkProduct,
  ELEMENT_BYTES,
  extentBytes,
  leadingDimension,
  pointerAlignment,
  storedMatrices,
  strideAlignment,
} from "./matrix_shapes.ts";

/** Hopper's kernels want 32 MiB at least. */
const WORKSPACE_BYTES = 64 << 20;
/** Ways that are timed where products are tuned. */
const CANDIDATES = 8;
/** Runs of each way: not timed, and timed. */
const WARM_UPS = 2;
const TIMED_RUNS = 5;

/** Prepares and enqueues products. */
export class CudaProducts {
  readonly #driver: CudaDriver;
  readonly #library: CublasLt;
  readonly #stream: Handle;
  readonly #isTuned: boolean;
  readonly #prepared = new Map<string, CudaProduct>();
  #workspace?: Workspace;

  /** @param options.isTuned Whether ways are timed; else the library's first choice is taken */
  constructor(
    driver: CudaDriver,
    library: CublasLt,
    options: { stream: Handle; isTuned: boolean },
  ) {
    this.#driver = driver;
    this.#library = library;
    this.#stream = options.stream;
    this.#isTuned = options.isTuned;
  }

  /** Whether there is a way to compute a product; of one that is not prepared nothing is kept. */
  canMultiply(product: MatrixProduct): boolean {
    const asked = new CudaProduct(product);
    if (this.#prepared.has(asked.key)) return true;
    checkProduct(product);
    if (asked.isEmpty) return true;
    const alignment = strideAlignment(product);
    try {
      this.#library.free(
        this.#library.plan(product, { alignment, workspaceBytes: WORKSPACE_BYTES, count: 1 }),
      );
      return true;
    } catch (error) {
      if (error instanceof DeviceError) return false;
      throw error;
    }
  }

  /**
   * Choose how to compute a product; equal ones are chosen for once.
   *
   * @param canWait Whether the GPU may be used to time ways: not while work is recorded
   */
  prepare(product: MatrixProduct, canWait: boolean): CudaProduct {
    const key = JSON.stringify(product);
    const known = this.#prepared.get(key);
    if (known) return known;
    checkProduct(product);
    const prepared = new CudaProduct(product);
    if (!prepared.isEmpty) {
      this.#workspace ??= this.#reserve();
      const alignment = strideAlignment(product);
      prepared.plans.set(alignment, this.#plan(product, alignment, canWait && this.#isTuned));
    }
    this.#prepared.set(key, prepared);
    return prepared;
  }

  #reserve(): Workspace {
    const pointer = this.#driver.allocate(WORKSPACE_BYTES);
    if (pointer !== undefined) return { pointer, bytes: WORKSPACE_BYTES };
    throw new DeviceError(
      `Cannot multiply matrices: ${WORKSPACE_BYTES >> 20} MiB of working memory are not free on ` +
        "the GPU. Take a smaller batch",
    );
  }

  #plan(product: MatrixProduct, alignment: number, isTimed: boolean): ProductPlan {
    const workspaceBytes = this.#workspace!.bytes;
    const count = isTimed ? CANDIDATES : 1;
    const plan = this.#library.plan(product, { alignment, workspaceBytes, count });
    return isTimed && plan.algorithms.length > 1 ? this.#fastest(plan) : plan;
  }

  /** Enqueue a product. */
  multiply(prepared: PreparedProduct, pointers: ProductPointers): void {
    const { product } = prepared;
    if (!(prepared instanceof CudaProduct) || this.#prepared.get(prepared.key) !== prepared) {
      throw new DeviceError("Cannot multiply: the product was prepared for another device");
    }
    checkPointers(product, pointers);
    if (prepared.isEmpty) return this.#multiplyEmpty(product, pointers);
    const alignment = Math.min(
      strideAlignment(product),
      pointerAlignment(product, pointers),
    );
    let plan = prepared.plans.get(alignment);
    if (!plan) {
      // Operands that start in the middle of others need a way that reads less at once.
      plan = this.#plan(product, alignment, false);
      prepared.plans.set(alignment, plan);
    }
    const [algorithm] = plan.algorithms;
    this.#library.multiply(plan, algorithm!, pointers, this.#workspace!, this.#stream);
  }

  /** A sum of nothing is 0, which is not positive: c is cleared, or is the addend. */
  #multiplyEmpty(product: MatrixProduct, { c, addend, auxiliary }: ProductPointers): void {
    const { m, n, batch, hasAddend } = product;
    if (m * n * batch === 0 || (hasAddend && addend === c)) return;
    if (product.epilogue === "relu") {
      this.#driver.clear(auxiliary!, auxiliaryBytes(product), this.#stream);
    }
    const size = ELEMENT_BYTES[product.c.type];
    const isDense = leadingDimension(storedMatrices(product).c) === n;
    const [rows, bytes] = isDense ? [1, m * n * size] : [m, n * size];
    for (let b = 0; b < batch; b++) {
      for (let row = 0; row < rows; row++) {
        const at = BigInt((b * product.c.batchStride + row * product.c.rowStride) * size);
        if (hasAddend) this.#driver.copyWithin(c + at, addend! + at, bytes, this.#stream);
        else this.#driver.clear(c + at, bytes, this.#stream);
      }
    }
  }

  /** Time each way on memory of its own; the plan as it is if there is no room for that. */
  #fastest(plan: ProductPlan): ProductPlan {
    const driver = this.#driver;
    const stored = storedMatrices(plan.product);
    const sizes = [stored.a, stored.b, stored.c].map((s) => extentBytes(s, plan.product.batch));
    const bits = auxiliaryBytes(plan.product);
    if (bits > 0) sizes.push(bits);
    const memory = sizes.map((bytes) => driver.allocate(bytes));
    const events = [driver.createEvent(true), driver.createEvent(true)] as const;
    try {
      if (memory.some((pointer) => pointer === undefined)) return plan;
      const [a, b, c, auxiliary] = memory as [bigint, bigint, bigint, bigint?];
      memory.forEach((pointer, i) => driver.clear(pointer!, sizes[i]!, this.#stream));
      const timed = plan.algorithms.map((algorithm) => {
        const run = () =>
          this.#library.multiply(
            plan,
            algorithm,
            { a, b, c, addend: c, auxiliary },
            this.#workspace!,
            this.#stream,
          );
        for (let i = 0; i < WARM_UPS; i++) run();
        driver.recordEvent(events[0], this.#stream);
        for (let i = 0; i < TIMED_RUNS; i++) run();
        driver.recordEvent(events[1], this.#stream);
        driver.waitForEvent(events[1]);
        return { algorithm, ms: driver.elapsedMs(events[0], events[1]) };
      });
      const algorithms = timed.sort((x, y) => x.ms - y.ms).map(({ algorithm }) => algorithm);
      return { ...plan, algorithms };
    } finally {
      driver.synchronize(this.#stream);
      for (const pointer of memory) if (pointer !== undefined) driver.free(pointer);
      events.forEach((event) => driver.destroyEvent(event));
    }
  }

  /** What frees all of it, to be done after all work. */
  disposers(): (() => void)[] {
    const plans = [...this.#prepared.values()].flatMap(({ plans }) => [...plans.values()]);
    const workspace = this.#workspace;
    return [
      ...plans.map((plan) => () => this.#library.free(plan)),
      () => workspace && this.#driver.free(workspace.pointer),
    ];
  }
}

/** A product that was prepared for the GPU. */
class CudaProduct implements PreparedProduct {
  readonly product: MatrixProduct;
  /** What tells it from others. */
  readonly key: string;
  /** Ways to compute it, by the alignment of its operands in bytes. */
  readonly plans: Map<number, ProductPlan> = new Map();

  constructor(product: MatrixProduct) {
    this.product = product;
    this.key = JSON.stringify(product);
  }

  /** Whether there is nothing to multiply. */
  get isEmpty(): boolean {
    const { m, n, k, batch } = this.product;
    return m * n * k * batch === 0;
  }
}
