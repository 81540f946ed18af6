import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/errors.ts";
import {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
} from "../../../src/model/half.ts";

/** Every pattern of 16 bits. */
const ALL = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** Value of sign, exponent and fraction by IEEE 754, with `fractionBits` of fraction. */
function valueOf(bits: number, fractionBits: number): number {
  const exponentBits = 15 - fractionBits, bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

const FORMATS = [
  { name: "half precision", fractionBits: 10, decode: decodeFloat16, encode: encodeFloat16 },
  { name: "bfloat16", fractionBits: 7, decode: decodeBfloat16, encode: encodeBfloat16 },
];

for (const { name, fractionBits, decode, encode } of FORMATS) {
  const infinity = (2 ** (15 - fractionBits) - 1) << fractionBits;
  const encoded = (values: readonly number[]) => {
    const bits = new Uint16Array(values.length);
    encode(Float32Array.from(values), bits);
    return [...bits];
  };

  Deno.test(`${name}: every pattern has the value of IEEE 754, and comes back from it`, () => {
    const values = new Float32Array(ALL.length);
    decode(ALL, values);
    const back = new Uint16Array(ALL.length);
    encode(values, back);
    for (const bits of ALL) {
      const expected = valueOf(bits, fractionBits);
      if (!Object.is(values[bits], expected)) assertEquals(values[bits], expected, `${bits}`);
      const isRight = Number.isNaN(expected)
        ? Number.isNaN(valueOf(back[bits], fractionBits))
        : back[bits] === bits;
      if (!isRight) assertEquals(back[bits], bits);
    }
  });

  Deno.test(`${name}: between any two neighbours the nearer one wins, and even at a tie`, () => {
    const middles: number[] = [], expected: number[] = [];
    for (let bits = 0; bits < infinity; bits++) {
      const low = valueOf(bits, fractionBits);
      // Past the largest number, where the next one would be if there were more exponents.
      const gap = bits + 1 < infinity
        ? valueOf(bits + 1, fractionBits) - low
        : low - valueOf(bits - 1, fractionBits);
      // A middle with some more bits is a float32 too; its neighbours are nearer to one side.
      const middle = low + gap / 2, quarter = gap / 8;
      if (!Number.isFinite(Math.fround(middle + quarter))) continue;
      middles.push(middle, middle - quarter, middle + quarter, -middle);
      const even = bits % 2 === 0 ? bits : bits + 1;
      expected.push(even, bits, bits + 1, even | 0x8000);
    }
    assertEquals(middles, middles.map(Math.fround), "the numbers are float32");
    assertEquals(encoded(middles), expected);
  });

  Deno.test(`${name}: beyond the largest number infinity, NaN stays NaN, −0 stays −0`, () => {
    const most = 3.4028234663852886e38;
    assertEquals(encoded([most, -most, Infinity, -Infinity, -0]), [
      infinity,
      infinity | 0x8000,
      infinity,
      infinity | 0x8000,
      0x8000,
    ]);
    // Quiet, negative, and with set bits at the very end only, which rounding must not lose.
    const nans = new Float32Array(Uint32Array.of(0x7fc00000, 0xffc00000, 0x7f800001).buffer);
    const bits = new Uint16Array(3);
    encode(nans, bits);
    for (const x of bits) assertEquals(valueOf(x, fractionBits), NaN);
  });

  Deno.test(`${name}: part of an array, and lengths that differ`, () => {
    const values = new Float32Array(3), bits = Uint16Array.of(0, 0x3f80, 0x4000, 0);
    decode(bits.subarray(1, 3), values.subarray(1));
    assertEquals(values[0], 0);
    assertEquals([...values.subarray(1)], [0x3f80, 0x4000].map((x) => valueOf(x, fractionBits)));
    assertThrows(() => decode(bits, values), ShapeError, "4 numbers into 3 places");
    assertThrows(() => encode(values, bits), ShapeError, "3 numbers into 4 places");
  });
}
