/** cuBLASLt: matrix products on the GPU. @module */
import { DeviceError } from "../../errors.ts";
import {
  ALGORITHM_BYTES,
  COMPUTE_TYPE,
  CUBLAS_SYMBOLS,
  DATA_TYPE,
  DESC_AUXILIARY,
  DESC_EPILOGUE,
  DESC_TRANSPOSE,
  EPILOGUE,
  LAYOUT_BATCH_COUNT,
  LAYOUT_BATCH_STRIDE,
  OPERATION,
  PREFERENCE_ALIGNMENTS,
  PREFERENCE_WORKSPACE,
  RESULT_BYTES,
  RESULT_STATE_AT,
  STATUS_NOT_SUPPORTED,
  STATUS_SUCCESS,
} from "./cublas_symbols.ts";
import type { MatrixProduct, ProductPointers } from "./device.ts";
import { type LibraryOptions, type OpenedLibrary, openLibrary } from "./find_libraries.ts";
import { integers, textAt, words } from "./host_memory.ts";
import {
  AUXILIARY_ALIGNMENT,
  auxiliaryStride,
  describeProduct,
  leadingDimension,
  storedMatrices,
  type StoredMatrix,
} from "./matrix_shapes.ts";

type Algorithm = Uint8Array<ArrayBuffer>;

/** Memory on the GPU that products may use while they run. */
export interface Workspace {
  /** Its address. */
  readonly pointer: bigint;
  /** Its size. */
  readonly bytes: number;
}

/** Ways to compute one product, the one expected to be fastest first. */
export interface ProductPlan {
  /** What is computed. */
  readonly product: MatrixProduct;
  /** cublasLtMatmulAlgo_t of each way. */
  readonly algorithms: readonly Algorithm[];
  /** cublasLtMatmulDesc_t. */
  readonly operation: bigint;
  /** cublasLtMatrixLayout_t of the three matrices. */
  readonly layouts: { readonly a: bigint; readonly b: bigint; readonly c: bigint };
}

const scale = (value: number) => new Float32Array(new ArrayBuffer(4)).fill(value);
const ONE = scale(1);
const ZERO = scale(0);

/**
 * The library. Its matrices are column-major, ours row-major: a row-major matrix read as a
 * column-major one is its transpose, so cᵀ = op(b)ᵀ · op(a)ᵀ is computed, with b as the library's A
 * and a as its B, each with its own transposition, and row strides as leading dimensions. The bits of
 * an epilogue are a column-major matrix like cᵀ, whose columns are rows of ours.
 */
export class CublasLt {
  /** File it was loaded from. */
  readonly path: string;
  /** Its version: `"13.1.1"`. */
  readonly version: string;
  readonly #library: OpenedLibrary<typeof CUBLAS_SYMBOLS>;
  readonly #c: OpenedLibrary<typeof CUBLAS_SYMBOLS>["symbols"];
  #handle = 0n;
  /** An attribute's value while it is set. */
  readonly #value = words(1);

  private constructor(library: OpenedLibrary<typeof CUBLAS_SYMBOLS>) {
    this.#library = library;
    this.#c = library.symbols;
    this.path = library.path;
    const version = Number(this.#c.cublasLtGetVersion());
    const [major, minor, patch] = [version / 10000, version % 10000 / 100, version % 100];
    // CUDA 11's number has another form, which is shown as it is.
    this.version = version < 100_000
      ? String(version)
      : [major, minor, patch].map(Math.floor).join(".");
  }

  /** Load it. @throws {DeviceError} If it is not found */
  static open(options: LibraryOptions = {}): CublasLt {
    return new CublasLt(openLibrary("cublasLt", CUBLAS_SYMBOLS, options));
  }

  /** Start it for the context that is current. */
  start(): void {
    const handle = words(1);
    this.#check("start cuBLASLt", "cublasLtCreate", this.#c.cublasLtCreate(handle));
    this.#handle = handle[0]!;
  }

  /**
   * Ask for ways to compute a product with no empty dimension.
   *
   * @param alignment Bytes that all addresses are multiples of
   * @param count Ways asked for; at least one comes
   * @throws {DeviceError} If there is none
   */
  plan(
    product: MatrixProduct,
    options: { alignment: number; workspaceBytes: number; count: number },
  ): ProductPlan {
    const action = `multiply ${describeProduct(product)}`;
    const made: (() => void)[] = [];
    try {
      const operation = this.#operation(product, action, made);
      const layout = (stored: StoredMatrix) => this.#layout(stored, product.batch, action, made);
      const { a, b, c } = storedMatrices(product);
      const layouts = { a: layout(a), b: layout(b), c: layout(c) };
      const algorithms = this.#algorithms(operation, layouts, options, action);
      return { product, algorithms, operation, layouts };
    } catch (error) {
      made.forEach((free) => free());
      throw error;
    }
  }

  #operation(product: MatrixProduct, action: string, made: (() => void)[]): bigint {
    const operation = words(1);
    const compute = product.a.type === "bfloat16"
      ? COMPUTE_TYPE.float32
      : COMPUTE_TYPE[product.precision];
    this.#check(
      action,
      "cublasLtMatmulDescCreate",
      this.#c.cublasLtMatmulDescCreate(operation, compute, DATA_TYPE.float32),
    );
    const handle = operation[0]!;
    made.push(() => this.#c.cublasLtMatmulDescDestroy(handle));
    const set = (attribute: number, value: number, bytes: 4 | 8) => {
      const code = this.#set(handle, attribute, BigInt(value), bytes);
      this.#check(action, "cublasLtMatmulDescSetAttribute", code);
    };
    const transposition = (isTransposed: boolean) =>
      isTransposed ? OPERATION.transposed : OPERATION.asIs;
    set(DESC_TRANSPOSE.a, transposition(product.transposeB), 4);
    set(DESC_TRANSPOSE.b, transposition(product.transposeA), 4);
    if (!product.epilogue) return handle;
    const stride = auxiliaryStride(product);
    set(DESC_EPILOGUE, EPILOGUE[product.epilogue], 4);
    set(DESC_AUXILIARY.leadingDimension, stride, 8);
    if (product.batch > 1) set(DESC_AUXILIARY.batchStride, stride * product.m, 8);
    // Ways are looked for by how the address is aligned; it is another one where they are taken.
    set(DESC_AUXILIARY.pointer, AUXILIARY_ALIGNMENT, 8);
    return handle;
  }

  /** Set an attribute of an operation to a number, or to its lower 4 bytes; gives the status. */
  #set(operation: bigint, attribute: number, value: bigint, bytes: 4 | 8): number {
    this.#value[0] = value;
    const size = BigInt(bytes);
    return this.#c.cublasLtMatmulDescSetAttribute(operation, attribute, this.#value, size);
  }

  #layout(
    stored: StoredMatrix,
    batch: number,
    action: string,
    made: (() => void)[],
  ): bigint {
    const { matrix, rows, columns } = stored;
    const layout = words(1);
    const code = this.#c.cublasLtMatrixLayoutCreate(
      layout,
      DATA_TYPE[matrix.type],
      BigInt(columns),
      BigInt(rows),
      BigInt(leadingDimension(stored)),
    );
    this.#check(action, "cublasLtMatrixLayoutCreate", code);
    const handle = layout[0]!;
    made.push(() => this.#c.cublasLtMatrixLayoutDestroy(handle));
    if (batch === 1) return handle;
    const count = integers(1);
    count[0] = batch;
    const stride = new BigInt64Array(new ArrayBuffer(8));
    stride[0] = BigInt(matrix.batchStride);
    const call = "cublasLtMatrixLayoutSetAttribute";
    this.#check(action, call, this.#c[call](handle, LAYOUT_BATCH_COUNT, count, 4n));
    this.#check(action, call, this.#c[call](handle, LAYOUT_BATCH_STRIDE, stride, 8n));
    return handle;
  }

  #algorithms(
    operation: bigint,
    { a, b, c }: ProductPlan["layouts"],
    options: { alignment: number; workspaceBytes: number; count: number },
    action: string,
  ): Algorithm[] {
    const preference = words(1);
    this.#check(
      action,
      "cublasLtMatmulPreferenceCreate",
      this.#c.cublasLtMatmulPreferenceCreate(preference),
    );
    const found = integers(1);
    const results = new Uint8Array(new ArrayBuffer(options.count * RESULT_BYTES));
    try {
      const set = "cublasLtMatmulPreferenceSetAttribute";
      const workspace = words(1);
      workspace[0] = BigInt(options.workspaceBytes);
      const code = this.#c[set](preference[0]!, PREFERENCE_WORKSPACE, workspace, 8n);
      this.#check(action, set, code);
      const alignment = integers(1);
      alignment[0] = options.alignment;
      for (const attribute of PREFERENCE_ALIGNMENTS) {
        this.#check(action, set, this.#c[set](preference[0]!, attribute, alignment, 4n));
      }
      const status = this.#c.cublasLtMatmulAlgoGetHeuristic(
        this.#handle,
        operation,
        b,
        a,
        c,
        c,
        preference[0]!,
        options.count,
        results,
        found,
      );
      if (status !== STATUS_NOT_SUPPORTED) {
        this.#check(action, "cublasLtMatmulAlgoGetHeuristic", status);
      }
    } finally {
      this.#c.cublasLtMatmulPreferenceDestroy(preference[0]!);
    }
    const state = new DataView(results.buffer);
    const starts = Array.from({ length: found[0]! }, (_, i) => i * RESULT_BYTES)
      .filter((start) => state.getInt32(start + RESULT_STATE_AT, true) === STATUS_SUCCESS);
    if (starts.length === 0) {
      throw new DeviceError(`Cannot ${action}: cuBLASLt ${this.version} has no way to compute it`);
    }
    return starts.map((start) =>
      new Uint8Array(results.buffer.slice(start, start + ALGORITHM_BYTES))
    );
  }

  /** Enqueue a product, computed in one of the ways of its plan. */
  multiply(
    plan: ProductPlan,
    algorithm: Algorithm,
    pointers: ProductPointers,
    workspace: Workspace,
    stream: bigint,
  ): void {
    const { product, layouts: { a, b, c } } = plan;
    const check = (call: string, code: number) => {
      if (code !== STATUS_SUCCESS) this.#check(`multiply ${describeProduct(product)}`, call, code);
    };
    if (product.epilogue) {
      // It is read when the product is enqueued, so that the next one may have another.
      const code = this.#set(plan.operation, DESC_AUXILIARY.pointer, pointers.auxiliary!, 8);
      check("cublasLtMatmulDescSetAttribute", code);
    }
    const code = this.#c.cublasLtMatmul(
      this.#handle,
      plan.operation,
      ONE,
      pointers.b,
      b,
      pointers.a,
      a,
      product.hasAddend ? ONE : ZERO,
      product.hasAddend ? pointers.addend! : pointers.c,
      c,
      pointers.c,
      c,
      algorithm,
      workspace.pointer,
      BigInt(workspace.bytes),
      stream,
    );
    check("cublasLtMatmul", code);
  }

  /** Free a plan. */
  free({ operation, layouts }: ProductPlan): void {
    this.#c.cublasLtMatmulDescDestroy(operation);
    for (const layout of Object.values(layouts)) this.#c.cublasLtMatrixLayoutDestroy(layout);
  }

  #check(action: string, call: string, code: number): void {
    if (code === STATUS_SUCCESS) return;
    const describe = this.#c.cublasLtGetStatusString as ((code: number) => bigint) | null;
    const text = describe ? textAt(describe(code)) : "";
    throw new DeviceError(`Cannot ${action}: ${call} gave status ${code}${text && ` (${text})`}`);
  }

  /** Stop it, while its context is still there. */
  stop(): void {
    if (this.#handle !== 0n) this.#c.cublasLtDestroy(this.#handle);
    this.#handle = 0n;
  }

  /** Give the library back. */
  close(): void {
    this.#library.close();
  }
}
