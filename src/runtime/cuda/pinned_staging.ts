/** Copies into the GPU's memory whose source may change at once. @module */
import type { CudaDriver, Handle } from "./cuda_driver.ts";

/** Bytes of each half. */
const HALF_BYTES = 4 << 20;
/** Uploads start at multiples of this in the staging memory. */
const ALIGNMENT = 256;

/**
 * Page-locked memory through which uploads go: what is uploaded is copied there first, and the GPU
 * fetches it from there in stream order, so an upload neither waits for the GPU nor needs its source
 * afterwards. (What CUDA promises for copies straight from JavaScript's memory differs between
 * systems.) It is used in two halves; a half is written anew once all copies from it are done.
 */
export class PinnedStaging {
  readonly #driver: CudaDriver;
  readonly #stream: Handle;
  readonly #address: bigint;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #isFetched: readonly [Handle, Handle];
  #half: 0 | 1 = 0;
  #used = 0;

  /** Reserves the memory. */
  constructor(driver: CudaDriver, stream: Handle) {
    this.#driver = driver;
    this.#stream = stream;
    this.#isFetched = [driver.createEvent(false), driver.createEvent(false)];
    this.#address = driver.allocateHost(2 * HALF_BYTES);
    const pointer = Deno.UnsafePointer.create(this.#address)!;
    this.#bytes = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 2 * HALF_BYTES));
  }

  /** Enqueue a copy to the GPU's memory. */
  upload(to: bigint, data: Uint8Array<ArrayBufferLike>): void {
    for (let done = 0; done < data.length;) {
      if (this.#used >= HALF_BYTES) this.#turn();
      const count = Math.min(data.length - done, HALF_BYTES - this.#used);
      const at = this.#half * HALF_BYTES + this.#used;
      this.#bytes.set(data.subarray(done, done + count), at);
      this.#used = Math.ceil((this.#used + count) / ALIGNMENT) * ALIGNMENT;
      this.#driver.copyIn(to + BigInt(done), this.#address + BigInt(at), count, this.#stream);
      done += count;
    }
  }

  #turn(): void {
    this.#driver.recordEvent(this.#isFetched[this.#half], this.#stream);
    this.#half = this.#half === 0 ? 1 : 0;
    this.#driver.waitForEvent(this.#isFetched[this.#half]);
    this.#used = 0;
  }

  /** What frees it, to be done after all work. */
  disposers(): (() => void)[] {
    return [
      () => this.#driver.freeHost(this.#address),
      ...this.#isFetched.map((event) => () => this.#driver.destroyEvent(event)),
    ];
  }
}
