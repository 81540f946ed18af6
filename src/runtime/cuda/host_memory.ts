/** Values and text that cross into C libraries. @module */

/** Memory that does not move: a small typed array of V8's may, while C still holds its address. */
export function words(count: number): BigUint64Array<ArrayBuffer> {
  return new BigUint64Array(new ArrayBuffer(8 * count));
}

/** As {@link words}, of 32 bits, signed. */
export function integers(count: number): Int32Array<ArrayBuffer> {
  return new Int32Array(new ArrayBuffer(4 * count));
}

/** Address of a buffer, for C; the buffer must be kept until C no longer needs it. */
export function addressOf(buffer: ArrayBufferView<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer as BufferSource));
}

/** Text as C wants it: UTF-8, ended by a zero. */
export function cText(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  const ended = new Uint8Array(new ArrayBuffer(bytes.length + 1));
  ended.set(bytes);
  return ended;
}

/** Text at an address; empty for address 0. */
export function textAt(address: bigint): string {
  const pointer = Deno.UnsafePointer.create(address);
  return pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
}

/** Text in a buffer, up to its first zero. */
export function textIn(bytes: Uint8Array<ArrayBuffer>): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** An array of addresses of texts, `char**`; `texts` must be kept as long as it. */
export function textTable(texts: readonly Uint8Array<ArrayBuffer>[]): BigUint64Array<ArrayBuffer> {
  const table = words(texts.length);
  texts.forEach((text, i) => table[i] = addressOf(text));
  return table;
}

/** The bytes of a view. */
export function bytesOf(view: ArrayBufferView): Uint8Array<ArrayBufferLike> {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** `13000` is version 13.0, as the driver and the runtime count. */
export function cudaVersion(number: number): string {
  return `${Math.floor(number / 1000)}.${Math.floor(number % 1000 / 10)}`;
}
