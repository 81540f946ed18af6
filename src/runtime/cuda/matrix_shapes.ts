/** Sizes of matrix products: what is stored how, and how it is said. @module */
import { DeviceError } from "../../errors.ts";
import type { Matrix, MatrixProduct, MatrixType, ProductPointers } from "./device.ts";

/** Bytes of an element. */
export const ELEMENT_BYTES: Record<MatrixType, number> = { float32: 4, bfloat16: 2 };

/** A matrix as it is stored, row-major. */
export interface StoredMatrix {
  /** `"a"`, `"b"` or `"c"`. */
  readonly operand: "a" | "b" | "c";
  /** Element type and strides. */
  readonly matrix: Matrix;
  /** Rows in memory. */
  readonly rows: number;
  /** Columns in memory. */
  readonly columns: number;
}

/** How the operands and the result of a product are stored. */
export function storedMatrices(product: MatrixProduct): Record<"a" | "b" | "c", StoredMatrix> {
  const { m, n, k, transposeA, transposeB, a, b, c } = product;
  return {
    a: { operand: "a", matrix: a, rows: transposeA ? k : m, columns: transposeA ? m : k },
    b: { operand: "b", matrix: b, rows: transposeB ? n : k, columns: transposeB ? k : n },
    c: { operand: "c", matrix: c, rows: m, columns: n },
  };
}

/** Elements from one row to the next, also where there is only one row and the stride says nothing. */
export function leadingDimension({ matrix, rows, columns }: StoredMatrix): number {
  return rows > 1 ? matrix.rowStride : Math.max(matrix.rowStride, columns, 1);
}

/** Bytes from the first element of the first matrix to behind the last one of the last. */
export function extentBytes(stored: StoredMatrix, batch: number): number {
  const { matrix, rows, columns } = stored;
  const last = (batch - 1) * matrix.batchStride + (rows - 1) * leadingDimension(stored) + columns;
  return last * ELEMENT_BYTES[matrix.type];
}

/** For errors: `float32 product of 2 × ([3, 4] · [5, 4]ᵀ)`. */
export function describeProduct(product: MatrixProduct): string {
  const { a, b, c } = storedMatrices(product);
  const side = ({ rows, columns, matrix }: StoredMatrix, isTransposed: boolean) =>
    `[${rows}, ${columns}]${isTransposed ? "ᵀ" : ""} (row stride ${matrix.rowStride})`;
  const batch = product.batch === 1 ? "" : `${product.batch} × `;
  const types = `${a.matrix.type} to ${c.matrix.type} at ${product.precision} precision`;
  return `${batch}${side(a, product.transposeA)} · ${side(b, product.transposeB)}` +
    `${product.hasAddend ? " + addend" : ""}, ${types}` +
    (product.epilogue ? `, with ${product.epilogue}` : "");
}

/**
 * Refuse what no library computes.
 *
 * @throws {DeviceError} If the operands' types differ, rows overlap, matrices of the result do, or
 * there is an epilogue beside an addend
 */
export function checkProduct(product: MatrixProduct): void {
  const refuse = (state: string): never => {
    throw new DeviceError(`Cannot multiply ${describeProduct(product)}: ${state}`);
  };
  const { m, n, k, batch } = product;
  if (![m, n, k, batch].every((size) => Number.isSafeInteger(size) && size >= 0)) {
    refuse("its sizes are not whole numbers");
  }
  if (product.a.type !== product.b.type) refuse(`b is ${product.b.type}`);
  if (product.hasAddend && product.epilogue) refuse("it has an addend and an epilogue");
  for (const { operand, matrix, rows, columns } of Object.values(storedMatrices(product))) {
    if (rows > 1 && matrix.rowStride < columns) refuse(`rows of ${operand} overlap`);
    if (matrix.batchStride < 0) refuse(`the batch stride of ${operand} is negative`);
  }
  if (batch > 1 && m * n > 0 && product.c.batchStride < n) refuse("matrices of c overlap");
}

/** What the address of an epilogue's bits, and each row of them, is a multiple of. */
export const AUXILIARY_ALIGNMENT = 16;

/** Bits from one row of an epilogue's to the next: columns of c, rounded up to multiples of 128. */
export function auxiliaryStride({ n }: MatrixProduct): number {
  const bits = 8 * AUXILIARY_ALIGNMENT;
  return Math.ceil(n / bits) * bits;
}

/** Bytes of an epilogue's bits, which lie as {@link Epilogue} says; 0 without one. */
export function auxiliaryBytes(product: MatrixProduct): number {
  return product.epilogue ? product.batch * product.m * auxiliaryStride(product) / 8 : 0;
}

/**
 * Refuse addresses that a product cannot work on.
 *
 * @throws {DeviceError} If the addend or an epilogue's bits are missing, or the bits start anywhere
 */
export function checkPointers(product: MatrixProduct, pointers: ProductPointers): void {
  const refuse = (state: string): never => {
    throw new DeviceError(`Cannot multiply ${describeProduct(product)}: ${state}`);
  };
  const { addend, auxiliary } = pointers;
  if (product.hasAddend && addend === undefined) refuse("no addend was given");
  if (!product.epilogue) return;
  if (auxiliary === undefined) return refuse("no memory for the bits of its epilogue was given");
  if (auxiliary % BigInt(AUXILIARY_ALIGNMENT) !== 0n) {
    refuse(`the bits of its epilogue do not start at a multiple of ${AUXILIARY_ALIGNMENT} bytes`);
  }
}

/** The bytes that all of a product's rows start at multiples of: 16, or the size of an element. */
export function strideAlignment(product: MatrixProduct): number {
  const { a, b, c } = product;
  const isAligned = [a, b, c].every(({ type, rowStride, batchStride }) =>
    [rowStride, batchStride].every((stride) => stride * ELEMENT_BYTES[type] % WIDE === 0)
  );
  return isAligned ? WIDE : smallestElement(product);
}

/** What the addresses themselves are multiples of, up to 16. */
export function pointerAlignment(product: MatrixProduct, pointers: ProductPointers): number {
  const all = pointers.a | pointers.b | pointers.c | (pointers.addend ?? 0n);
  return (all & BigInt(WIDE - 1)) === 0n ? WIDE : smallestElement(product);
}

/** Bytes that a thread reads at once at most. */
const WIDE = 16;

function smallestElement({ a, c }: MatrixProduct): number {
  return Math.min(ELEMENT_BYTES[a.type], ELEMENT_BYTES[c.type]);
}
