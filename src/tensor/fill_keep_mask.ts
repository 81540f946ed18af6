/** Drawing the random masks of dropout: up to tens of millions of numbers in a training step. @module */
import { KEEP_MASK_BASE64 } from "./keep_mask_wasm.ts";
import { philoxWords, type RandomKey } from "./random.ts";

/** Floats drawn at a time: the memory of the WebAssembly module. */
const CHUNK = 65536;

interface Drawer {
  /** See `keep_mask.wat`. */
  fill(out: number, end: number, ...words: number[]): void;
  /** Where `fill` writes. */
  floats: Float32Array;
}

let loaded: Drawer | undefined;
function drawer(): Drawer {
  if (loaded) return loaded;
  const bytes = Uint8Array.from(atob(KEEP_MASK_BASE64), (c) => c.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  return loaded = {
    fill: exports.fill as Drawer["fill"],
    floats: new Float32Array((exports.memory as WebAssembly.Memory).buffer),
  };
}

/**
 * Fill `out` with the mask of site `site` of a run: element i is 1 if word i of the stream
 * `(seed, "<stream>/<site>", step)` is less than keepProb · 2³², else 0.
 *
 * @param out Receives ones and zeros
 * @param key Stream of the run
 * @param site Index of the call within the program, from 0
 * @param keepProb Probability of a one
 * @returns `out`
 * @example
 * ```ts
 * import { fillKeepMask } from "./fill_keep_mask.ts";
 * import { randomStream } from "./random.ts";
 * import { assertEquals } from "@std/assert";
 * const mask = fillKeepMask(new Float32Array(5), { seed: 1, stream: "dropout", step: 9 }, 0, 0.5);
 * const stream = randomStream({ seed: 1, stream: "dropout/0", step: 9 });
 * assertEquals(mask, mask.map(() => stream.uint32() < 2 ** 31 ? 1 : 0));
 * ```
 */
export function fillKeepMask(
  out: Float32Array,
  key: RandomKey,
  site: number,
  keepProb: number,
): Float32Array {
  // The largest word that keeps; a probability of 0 keeps none and has no such word.
  const last = Math.ceil(keepProb * 2 ** 32) - 1;
  if (!(last >= 0)) return out.fill(0);
  const { key: [key0, key1], step: [step0, step1] } = philoxWords({
    ...key,
    stream: `${key.stream}/${site}`,
  });
  const { fill, floats } = drawer();
  for (let done = 0; done < out.length; done += CHUNK) {
    const n = Math.min(CHUNK, out.length - done), block = done / 4;
    fill(0, n * 4, key0, key1, block, Math.floor(block / 2 ** 32), step0, step1, last);
    out.set(floats.subarray(0, n), done);
  }
  return out;
}
