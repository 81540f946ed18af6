/** Float32 vectors in one WebAssembly memory, and the SIMD loops over them. @module */
import { DeepragError, ShapeError } from "../errors.ts";
import { KERNELS_BASE64 } from "./kernels_wasm.ts";

const PAGE_BYTES = 65536;
/** Vectors start on cache lines of 16 floats. */
const ALIGN_FLOATS = 16;
/** The last page of the 4 GiB stays unused, so that no address computation wraps around. */
const MAX_PAGES = 65535;

/** Most float32 values one {@linkcode VectorMemory} can hold: 4 GiB less a page. */
export const MAX_VECTOR_FLOATS: number = MAX_PAGES * PAGE_BYTES / 4;

/** What the assembled module exports; pointers and ends are byte addresses. */
interface KernelExports {
  axpy(y: number, end: number, x: number, a: number): void;
  lerp(y: number, end: number, x: number, rate: number): void;
  sum_of_squares(x: number, end: number): number;
  adamw(p: number, end: number, g: number, m: number, v: number, ...scalars: number[]): void;
  row_squares(g: number, end: number, column: number, scale: number, epsilon: number): number;
  row_update_squares(g: number, end: number, c: number, k: number): number;
  row_apply(
    p: number,
    end: number,
    g: number,
    c: number,
    k: number,
    rate: number,
    keep: number,
  ): void;
}

let compiled: WebAssembly.Module | undefined;
function kernelModule(): WebAssembly.Module {
  return compiled ??= new WebAssembly.Module(
    Uint8Array.from(atob(KERNELS_BASE64), (c) => c.charCodeAt(0)),
  );
}

/** Length of a vector as it is stored: a whole number of cache lines of 16 floats. */
export function paddedLength(floats: number): number {
  return Math.ceil(floats / ALIGN_FLOATS) * ALIGN_FLOATS;
}

/** The numbers one fused AdamW pass needs, corrections already computed. */
export interface AdamwScalars {
  /** The gradient is multiplied with this first: clipping and accumulation in one. */
  scale: number;
  /** Decay of the first moment. */
  beta1: number;
  /** Decay of the second moment. */
  beta2: number;
  /** lr / (1 − β₁ᵗ). */
  rate: number;
  /** 1 / √(1 − β₂ᵗ). */
  correction: number;
  /** Added to the denominator. */
  epsilon: number;
  /** 1 − lr · decay. */
  keep: number;
}

/**
 * Float32 vectors in one WebAssembly memory that never grows after construction, so that other
 * native code may keep views on it. Vectors are handed out once and never freed; unused pages cost
 * address space only. Kernels are single-threaded, so equal inputs give equal bits.
 *
 * Padding behind a vector belongs to it, is zero at first and stays zero under every kernel here.
 *
 * @example
 * ```ts
 * import { VectorMemory } from "./vector_memory.ts";
 * import { assertEquals } from "@std/assert";
 * const memory = new VectorMemory(32);
 * const x = memory.allocate(16).fill(2);
 * assertEquals(memory.sumOfSquares(x), 64);
 * ```
 */
export class VectorMemory {
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: KernelExports;
  #used = 0;

  /**
   * Reserve the memory; nothing is handed out yet.
   *
   * @param floats How many float32 values all vectors together need, paddings included
   * @throws {DeepragError} If that is more than one WebAssembly memory can address
   */
  constructor(floats: number) {
    const pages = Math.max(1, Math.ceil(floats * 4 / PAGE_BYTES));
    if (pages > MAX_PAGES) {
      throw new DeepragError(
        `Cannot allocate ${floats} float32 values: one WebAssembly memory holds ` +
          `${MAX_VECTOR_FLOATS} (4 GiB). Use an optimiser with less state (Adafactor), no moving ` +
          `average, no gradient accumulation, or a smaller model.`,
      );
    }
    try {
      this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    } catch (cause) {
      throw new DeepragError(
        `Cannot allocate ${pages * PAGE_BYTES} bytes: the system refused`,
        { cause },
      );
    }
    const instance = new WebAssembly.Instance(kernelModule(), { env: { memory: this.#memory } });
    this.#kernels = instance.exports as unknown as KernelExports;
  }

  /** Bytes of the whole memory. */
  get sizeBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /**
   * A new vector of zeros.
   *
   * @param length Number of elements
   * @throws {ShapeError} If the memory was made for less
   */
  allocate(length: number): Float32Array<ArrayBuffer> {
    const padded = paddedLength(length);
    const capacity = this.#memory.buffer.byteLength / 4;
    if (this.#used + padded > capacity) {
      throw new ShapeError(
        `Cannot allocate ${length} floats: ${capacity - this.#used} of ${capacity} are free`,
      );
    }
    const vector = new Float32Array(this.#memory.buffer as ArrayBuffer, this.#used * 4, length);
    this.#used += padded;
    return vector;
  }

  #check(...vectors: Float32Array[]): void {
    const [first] = vectors;
    for (const v of vectors) {
      if (v.buffer !== this.#memory.buffer) {
        throw new ShapeError("Cannot run a kernel: a vector was not allocated by this memory");
      }
      if (v.length !== first.length) {
        throw new ShapeError(
          `Cannot run a kernel: vectors have ${first.length} and ${v.length} elements`,
        );
      }
    }
  }

  /** End address of a vector with the part of its padding that the last SIMD lane covers. */
  #end(v: Float32Array): number {
    return v.byteOffset + Math.ceil(v.length / 4) * 16;
  }

  /** y ← y + a·x. Whole vectors only, as {@linkcode VectorMemory.allocate} made them. */
  axpy(y: Float32Array, x: Float32Array, a: number): void {
    this.#check(y, x);
    this.#kernels.axpy(y.byteOffset, this.#end(y), x.byteOffset, a);
  }

  /** y ← y + rate·(x − y): one step of an exponential moving average. */
  lerp(y: Float32Array, x: Float32Array, rate: number): void {
    this.#check(y, x);
    this.#kernels.lerp(y.byteOffset, this.#end(y), x.byteOffset, rate);
  }

  /** Σ x², squared and summed in float64. */
  sumOfSquares(x: Float32Array): number {
    this.#check(x);
    return this.#kernels.sum_of_squares(x.byteOffset, this.#end(x));
  }

  /** One fused AdamW pass over parameters, gradients and both moments. */
  adamw(
    vectors: { p: Float32Array; g: Float32Array; m: Float32Array; v: Float32Array },
    scalars: AdamwScalars,
  ): void {
    const { p, g, m, v } = vectors;
    this.#check(p, g, m, v);
    const { scale, beta1, beta2, rate, correction, epsilon, keep } = scalars;
    this.#kernels.adamw(
      p.byteOffset,
      this.#end(p),
      g.byteOffset,
      m.byteOffset,
      v.byteOffset,
      scale,
      1 - beta1,
      beta2,
      1 - beta2,
      rate,
      correction,
      epsilon,
      keep,
    );
  }

  /** column ← column + (scale·g)² + epsilon; returns the sum of what was added. Any length. */
  rowSquares(g: Float32Array, column: Float32Array, scale: number, epsilon: number): number {
    this.#check(g, column);
    const end = g.byteOffset + g.byteLength;
    return this.#kernels.row_squares(g.byteOffset, end, column.byteOffset, scale, epsilon);
  }

  /** Σ (k·g·c)². Any length. */
  rowUpdateSquares(g: Float32Array, c: Float32Array, k: number): number {
    this.#check(g, c);
    const end = g.byteOffset + g.byteLength;
    return this.#kernels.row_update_squares(g.byteOffset, end, c.byteOffset, k);
  }

  /** p ← keep·p − rate·(k·g·c). Any length. */
  rowApply(
    vectors: { p: Float32Array; g: Float32Array; c: Float32Array },
    scalars: { k: number; rate: number; keep: number },
  ): void {
    const { p, g, c } = vectors;
    this.#check(p, g, c);
    const { k, rate, keep } = scalars;
    const end = p.byteOffset + p.byteLength;
    this.#kernels.row_apply(p.byteOffset, end, g.byteOffset, c.byteOffset, k, rate, keep);
  }
}
