import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { CheckpointError, DataError } from "../../../src/errors.ts";
import { readSafetensors, writeSafetensors } from "../../../src/model/safetensors.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";

/** A file from its parts, for what the writer never writes. */
function file(header: string, data: Uint8Array | number[] = [], length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}
const entry = (dtype: string, shape: number[], begin: number, end: number) =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

const tensors: fc.Arbitrary<HostTensor> = fc
  .tuple(
    fc.constantFrom("float32", "int32", "bool"),
    fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  )
  .map(([dtype, shape, seed]) => {
    const n = sizeOf(shape);
    const numbers = Array.from({ length: n }, (_, i) => Math.imul(seed + i, 2654435761) | 0);
    if (dtype === "float32") {
      return hostTensor(
        dtype,
        Float32Array.from(numbers, (x) => x / 7),
        shape,
      );
    }
    if (dtype === "int32") return hostTensor(dtype, Int32Array.from(numbers), shape);
    return hostTensor("bool", Uint8Array.from(numbers, (x) => x & 1), shape);
  });
// No backslash: once JSON.parse of V8 15 has seen the key \\ it takes the key \" for it.
const names = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 })
    .filter((s) => s !== "__metadata__" && !s.includes("\\") && s.isWellFormed()),
  fc.constantFrom("a.weight", '"', "__proto__", "constructor", "ü", "{,:}"),
);
const files = fc.uniqueArray(fc.tuple(names, tensors), { selector: ([name]) => name, maxLength: 5 })
  .map((list) => Object.fromEntries(list));
const metadata = fc.dictionary(
  fc.string({ maxLength: 4 }).filter((s) => !s.includes("\\")),
  fc.string({ maxLength: 4 }),
  {
    maxKeys: 3,
  },
);

Deno.test("what is written is read back, names and metadata included", () => {
  fc.assert(fc.property(files, metadata, (tensors, metadata) => {
    const bytes = writeSafetensors(tensors, metadata);
    assertEquals(readSafetensors(bytes), { tensors, metadata: { ...metadata } });
    // From an odd offset of a larger buffer, where nothing is aligned.
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    assertEquals(readSafetensors(shifted.subarray(1)).tensors, tensors);
  }));
});

Deno.test("the bytes of a small file are those of the format", () => {
  const bytes = writeSafetensors({ w: hostTensor("float32", Float32Array.of(1), [1]) });
  const json = '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  const padded = json.padEnd(Math.ceil(json.length / 8) * 8, " ");
  assertEquals(bytes, file(padded, [0, 0, 0x80, 0x3f]));
});

Deno.test("wider elements come first, so that all are aligned", () => {
  const flag = hostTensor("bool", Uint8Array.of(1), [1]);
  const number = hostTensor("float32", Float32Array.of(2), [1]);
  const bytes = writeSafetensors({ flag, number });
  const { tensors } = readSafetensors(bytes);
  assertEquals(Object.keys(tensors), ["number", "flag"]);
  assert(tensors.number.data.buffer === bytes.buffer, "read in place");
});

Deno.test("any cut, added or changed byte is a DataError or another sound file", () => {
  fc.assert(
    fc.property(files, fc.nat(), fc.nat(255), fc.constantFrom("cut", "change", "append"), (
      tensors,
      at,
      value,
      how,
    ) => {
      const bytes = writeSafetensors(tensors, { format: "pt" });
      const i = at % bytes.length;
      const broken = how === "cut"
        ? bytes.slice(0, i)
        : how === "append"
        ? Uint8Array.of(...bytes, value)
        : bytes.with(i, value);
      try {
        const read = readSafetensors(broken).tensors;
        assertEquals(how, "change", "a file that was cut or grew must not load");
        for (const t of Object.values(read)) assertEquals(t.data.length, sizeOf(t.shape));
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("half precision and int64 are read exactly", () => {
  // 1, −2, 65504 (largest), 2^−24 (smallest), −0, ∞: patterns from IEEE 754-2008, table 3.5.
  const half = Uint8Array.of(
    0x00,
    0x3c,
    0x00,
    0xc0,
    0xff,
    0x7b,
    0x01,
    0x00,
    0x00,
    0x80,
    0x00,
    0x7c,
  );
  const f16 = readSafetensors(file(`{"x":${entry("F16", [6], 0, 12)}}`, half)).tensors.x;
  assertEquals([...f16.data], [1, -2, 65504, 2 ** -24, -0, Infinity]);
  const bf16 = readSafetensors(file(`{"x":${entry("BF16", [2], 0, 4)}}`, [0xc0, 0x3f, 0x49, 0x40]));
  assertEquals([...bf16.tensors.x.data], [1.5, 3.140625]);
  const longs = new Uint8Array(BigInt64Array.of(-5n, 2147483647n).buffer);
  const i64 = readSafetensors(file(`{"x":${entry("I64", [2], 0, 16)}}`, longs)).tensors.x;
  assertEquals([...i64.data], [-5, 2147483647]);
});

const F = entry("F32", [1], 0, 4);
const REFUSED: [string, Uint8Array, string][] = [
  ["no length", Uint8Array.of(1, 2, 3), "the file has 3 bytes"],
  ["an absurd length", file("{}", [], 2n ** 60n), "claims 1152921504606846976 bytes; at most"],
  ["a length beyond the end", file("{}", [], 3n), "claims 3 bytes but the file ends after 10"],
  ["no UTF-8", file("{}", [], undefined).with(8, 0xff), "not UTF-8"],
  ["no JSON", file("{x}"), "the header is not JSON"],
  ["an array", file("[]"), "does not start with {"],
  ["leading blanks", file(" {}"), "does not start with {"],
  ["a key twice", file(`{"a":${F},"\\u0061":${F}}`, [0, 0, 0, 0]), "the key a twice"],
  [
    "a field twice",
    file(`{"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}`, [0, 0, 0, 0]),
    "the key dtype twice",
  ],
  ["a number for a tensor", file(`{"a":3}`), "tensor a is 3"],
  ["an unknown type", file(`{"a":${entry("F31", [1], 0, 4)}}`, [0, 0, 0, 0]), 'dtype "F31"'],
  ["a type of Object", file(`{"a":${entry("constructor", [1], 0, 4)}}`, [0, 0, 0, 0]), "dtype"],
  ["a negative size", file(`{"a":${entry("F32", [-1], 0, 4)}}`, [0, 0, 0, 0]), "shape [-1]"],
  ["half a size", file(`{"a":${entry("F32", [0.5], 0, 2)}}`, [0, 0]), "shape [0.5]"],
  [
    "sizes that overflow",
    file(`{"a":${entry("F32", [2 ** 40, 2 ** 40], 0, 4)}}`, [0, 0, 0, 0]),
    "but takes 4",
  ],
  [
    "a wrong size",
    file(`{"a":${entry("F32", [2], 0, 4)}}`, [0, 0, 0, 0]),
    "F32 [2], 8 bytes, but takes 4",
  ],
  ["an unknown field", file(`{"a":${F.replace("}", ',"x":1}')}}`, [0, 0, 0, 0]), "unknown field x"],
  ["bytes out of range", file(`{"a":${F}}`, [0, 0]), "takes bytes 0 to 4 of 2"],
  ["bytes backwards", file(`{"a":${entry("F32", [0], 4, 0)}}`, [0, 0, 0, 0]), "bytes 4 to 0 of 4"],
  ["a hole", file(`{"a":${entry("F32", [1], 4, 8)}}`, new Uint8Array(8)), "starts at byte 4"],
  ["an overlap", file(`{"a":${F},"b":${F}}`, [0, 0, 0, 0]), "starts at byte 0, where 4"],
  ["bytes at the end", file(`{"a":${F}}`, [0, 0, 0, 0, 0]), "1 bytes at the end"],
  ["metadata that is no string", file(`{"__metadata__":{"a":1}}`), "__metadata__.a is 1"],
  [
    "a type that is not read",
    file(`{"a":${entry("F64", [1], 0, 8)}}`, new Uint8Array(8)),
    "its type is F64",
  ],
  ["BOOL of 2", file(`{"a":${entry("BOOL", [2], 0, 2)}}`, [1, 2]), "element 1 is 2"],
  [
    "int64 beyond int32",
    file(`{"a":${entry("I64", [1], 0, 8)}}`, new Uint8Array(BigInt64Array.of(2n ** 31n).buffer)),
    "element 0 is 2147483648, which does not fit int32",
  ],
];
for (const [what, bytes, message] of REFUSED) {
  Deno.test(`refused: ${what}`, () => {
    assertThrows(() => readSafetensors(bytes), DataError, message);
  });
}

Deno.test("the writer refuses the name the format reserves", () => {
  const t = hostTensor("float32", Float32Array.of(1), []);
  assertThrows(() => writeSafetensors({ __metadata__: t }), CheckpointError, "__metadata__");
  assert(writeSafetensors({}).length >= 10);
});
