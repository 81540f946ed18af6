import { assert, assertEquals, assertRejects } from "@std/assert";
import * as fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import { readSafetensors, writeSafetensors } from "../../../src/model/safetensors.ts";
import { memorySource, openSafetensors } from "../../../src/model/safetensors_source.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";

const row = (n: number) =>
  hostTensor("float32", Float32Array.from({ length: n }, (_, i) => i), [n]);

/** A sound file with every kind of type that can be written. */
const SOUND = writeSafetensors(
  {
    "a.weight": hostTensor("float32", new Float32Array(6).fill(1.5), [2, 3]),
    "b.weight": row(4),
    ids: hostTensor("int32", Int32Array.of(1, 2), [2]),
    flag: hostTensor("bool", Uint8Array.of(1, 0), [2]),
  },
  { format: "pt" },
  "bfloat16",
);
const HEADER_BYTES = Number(new DataView(SOUND.buffer).getBigUint64(0, true));
const HEADER = new TextDecoder().decode(SOUND.subarray(8, 8 + HEADER_BYTES));
const DATA = SOUND.subarray(8 + HEADER_BYTES);

function withHeader(header: string, data: Uint8Array = DATA): Uint8Array {
  const json = new TextEncoder().encode(header);
  const length = new Uint8Array(BigUint64Array.of(BigInt(json.length)).buffer);
  return Uint8Array.of(...length, ...json, ...data);
}

const GIANTS = [
  "0",
  "-1",
  "-0",
  "0.5",
  "1e3",
  "1e400",
  "4294967296",
  "9007199254740991",
  "9007199254740993",
  "18446744073709551616",
  "null",
  '"4"',
  "[]",
  "[[[[[[]]]]]]",
  "{}",
  `[${"4294967296,".repeat(70)}0]`,
  "true",
];

/** Replaces one number of the header; a header has some dozen. */
const changeNumber = fc.tuple(fc.nat(), fc.constantFrom(...GIANTS)).map(([at, value]) => {
  const numbers = [...HEADER.matchAll(/\d+(?=[,\]])/g)];
  const { index, 0: text } = numbers[at % numbers.length];
  return withHeader(HEADER.slice(0, index) + value + HEADER.slice(index + text.length));
});
const changeShape = fc.tuple(fc.nat(), fc.array(fc.constantFrom(...GIANTS), { maxLength: 4 })).map(
  ([at, sizes]) => {
    const shapes = [...HEADER.matchAll(/"shape":\[[^\]]*\]/g)];
    const { index, 0: text } = shapes[at % shapes.length];
    const shape = `"shape":[${sizes.join()}]`;
    return withHeader(HEADER.slice(0, index) + shape + HEADER.slice(index + text.length));
  },
);
const TYPES = ["F32", "F64", "I64", "BOOL", "U8", "F16", "BF16", "F8_E5M2", "f32", "", "__proto__"];
const changeType = fc.tuple(fc.nat(), fc.constantFrom(...TYPES)).map(([at, type]) => {
  let count = at % 4;
  return withHeader(
    HEADER.replace(/"(F32|BF16|I32|BOOL)"/g, (old) => count-- === 0 ? `"${type}"` : old),
  );
});
const doubleKey = fc.tuple(
  fc.constantFrom("a.weight", "ids", "dtype", "shape", "__metadata__"),
  fc.boolean(),
)
  .map(([key, isFirst]) => {
    if (key === "dtype" || key === "shape") {
      return withHeader(HEADER.replace(`"${key}":`, `"${key}":[2],"${key}":`));
    }
    const extra = `"${key}":{"dtype":"I32","shape":[0],"data_offsets":[0,0]}`;
    return withHeader(
      isFirst ? `{${extra},${HEADER.slice(1)}` : HEADER.trimEnd().slice(0, -1) + `,${extra}}`,
    );
  });
const flipBits = fc.array(fc.tuple(fc.nat(8 + HEADER_BYTES - 1), fc.nat(7)), {
  minLength: 1,
  maxLength: 3,
})
  .map((flips) => {
    const bytes = SOUND.slice();
    for (const [at, bit] of flips) bytes[at] ^= 1 << bit;
    return bytes;
  });
const truncate = fc.nat(SOUND.length - 1).map((length) => SOUND.slice(0, length));
const insert = fc.tuple(fc.nat(SOUND.length), fc.uint8Array({ minLength: 1, maxLength: 9 }))
  .map(([at, more]) => Uint8Array.of(...SOUND.subarray(0, at), ...more, ...SOUND.subarray(at)));
const changeLength = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map((length) =>
    Uint8Array.of(...new Uint8Array(BigUint64Array.of(length).buffer), ...SOUND.subarray(8))
  );

const mutants = fc.oneof(
  changeNumber,
  changeShape,
  changeType,
  doubleKey,
  flipBits,
  truncate,
  insert,
  changeLength,
);

/** Bytes of the largest array that is made while `use` runs, and what `use` gives. */
async function watchAllocations<T>(
  use: () => T | Promise<T>,
): Promise<{ largest: number; result: T }> {
  const names = ["Uint8Array", "Float32Array", "Int32Array", "Uint16Array"] as const;
  const before = names.map((name) => globalThis[name]);
  let largest = 0;
  names.forEach((name, i) => {
    const watched = new Proxy(before[i], {
      construct(Type, args, target): ArrayBufferView {
        const made = Reflect.construct(Type, args, target);
        // A view of memory that is there already allocates nothing.
        if (typeof args[0] === "number") largest = Math.max(largest, made.byteLength);
        return made;
      },
    });
    Object.assign(globalThis, { [name]: watched });
  });
  try {
    return { result: await use(), largest };
  } finally {
    names.forEach((name, i) => Object.assign(globalThis, { [name]: before[i] }));
  }
}

/** The tensors, by way of a source. */
async function stream(bytes: Uint8Array): Promise<Record<string, HostTensor>> {
  const reader = await openSafetensors(memorySource(bytes));
  const list: [string, HostTensor][] = [];
  for (const name of reader.entries.keys()) list.push([name, await reader.read(name)]);
  return Object.fromEntries(list);
}

const orDataError = (error: unknown): undefined => {
  if (!(error instanceof DataError)) throw error;
  assert(error.message.length < 1000, "a file must not decide how long a message is");
  return undefined;
};

Deno.test("any damaged file is a DataError or a sound file, and asks for no more than twice its size", async () => {
  let refused = 0, loaded = 0;
  const run = fc.asyncProperty(mutants, async (bytes) => {
    const { largest, result } = await watchAllocations(async () => {
      let whole;
      try {
        whole = readSafetensors(bytes).tensors;
      } catch (error) {
        orDataError(error);
      }
      return { whole, streamed: await stream(bytes).catch(orDataError) };
    });
    assert(largest <= 2 * bytes.length, `${largest} bytes for a file of ${bytes.length}`);
    assertEquals(result.streamed, result.whole);
    if (!result.whole) {
      refused++;
      return;
    }
    loaded++;
    let elements = 0;
    for (const { shape, data } of Object.values(result.whole)) {
      assertEquals(data.length, sizeOf(shape));
      elements += data.length;
    }
    assert(elements <= bytes.length);
  });
  await fc.assert(run, { numRuns: 2000, seed: 20_261_123 });
  assert(refused > 1000 && loaded > 20, `${refused} refused, ${loaded} loaded`);
});

Deno.test("sizes are refused where a zero or a one would hide that they are absurd", async () => {
  const CASES: [string, number, string][] = [
    ["[9007199254740991,9007199254740991,0]", 0, "more bytes than a file can have"],
    [`[${"9007199254740991,".repeat(40)}1]`, 4, "more bytes than a file can have"],
    [`[${"1,".repeat(64)}1]`, 4, "has 65 axes; at most 64"],
    ["[-0]", 0, "has shape"],
  ];
  for (const [shape, sizeBytes, message] of CASES) {
    const header = `{"x":{"dtype":"F32","shape":${shape},"data_offsets":[0,${sizeBytes}]}}`;
    const bytes = withHeader(header, new Uint8Array(sizeBytes));
    await assertRejects(() => stream(bytes), DataError, message);
  }
});
