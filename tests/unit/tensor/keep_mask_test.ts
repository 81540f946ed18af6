import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fillKeepMask } from "../../../src/tensor/keep_mask.ts";
import { KEEP_MASK_BASE64 } from "../../../src/tensor/keep_mask_wasm.ts";
import { type RandomKey, randomStream } from "../../../src/tensor/random.ts";
import { assemble } from "../optim/assemble_kernels.ts";

/** The definition, one word at a time. */
function drawn(length: number, key: RandomKey, site: number, keepProb: number): Float32Array {
  const stream = randomStream({ ...key, stream: `${key.stream}/${site}` });
  return Float32Array.from({ length }, () => stream.uint32() < keepProb * 2 ** 32 ? 1 : 0);
}

Deno.test("the committed bytes are what keep_mask.wat assembles to", async () => {
  assertEquals(KEEP_MASK_BASE64, await assemble("src/tensor/keep_mask"));
});

Deno.test("masks equal the random stream word for word, whatever key, length and probability", () => {
  fc.assert(fc.property(
    fc.maxSafeNat(),
    fc.string(),
    fc.maxSafeNat(),
    fc.nat(200),
    fc.nat(9),
    fc.double({ min: 0, max: 1, noNaN: true }),
    (seed, stream, step, length, site, keepProb) => {
      const key = { seed, stream, step };
      const mask = fillKeepMask(new Float32Array(length).fill(7), key, site, keepProb);
      assertEquals(mask, drawn(length, key, site, keepProb));
    },
  ));
});

Deno.test("masks longer than the working memory go on where they were", () => {
  const key = { seed: 2, stream: "dropout", step: 5 };
  for (const length of [65535, 65536, 65537, 200_003]) {
    assertEquals(fillKeepMask(new Float32Array(length), key, 1, 0.5), drawn(length, key, 1, 0.5));
  }
});

Deno.test("probability 1 keeps everything and 0 nothing", () => {
  const key = { seed: 2, stream: "dropout", step: 5 };
  const share = (keepProb: number): number =>
    fillKeepMask(new Float32Array(10_000), key, 0, keepProb).reduce((a, b) => a + b);
  assertEquals([share(1), share(0)], [10_000, 0]);
});
