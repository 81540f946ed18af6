import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CheckpointError, DataError, ShapeError } from "../../../src/errors.ts";
import { readSafetensors, writeSafetensors } from "../../../src/model/safetensors.ts";
import { safetensorsChunks, type WeightType } from "../../../src/model/safetensors_chunks.ts";
import { memorySource, openSafetensors } from "../../../src/model/safetensors_source.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";

/** More than one piece of 1 MiB in every type, and no whole number of them. */
const LONG = 600_001;

/** Small whole numbers: exact in every type. */
const long = (): HostTensor<"float32"> =>
  hostTensor("float32", Float32Array.from({ length: LONG }, (_, i) => i % 251 - 125), [LONG]);
const tensors: Record<string, HostTensor> = {
  flag: hostTensor("bool", Uint8Array.of(1, 0, 1), [3]),
  long: long(),
  empty: hostTensor("float32", new Float32Array(), [0, 5]),
  count: hostTensor("int32", Int32Array.of(-1, 7), [2, 1]),
  scalar: hostTensor("float32", Float32Array.of(0.5), []),
};

for (const dtype of ["float32", "float16", "bfloat16"] as WeightType[]) {
  Deno.test(`${dtype}: written in pieces, read whole and tensor by tensor`, async () => {
    const { sizeBytes, chunks } = safetensorsChunks(tensors, { dtype, metadata: { k: "v" } });
    const bytes = new Uint8Array(sizeBytes);
    let at = 0, largest = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
      largest = Math.max(largest, chunk.length);
    }
    assertEquals(at, sizeBytes);
    assertEquals(bytes, writeSafetensors(tensors, { k: "v" }, dtype));
    assert(dtype === "float32" || largest <= 1 << 20, `${largest} bytes at once`);
    const reader = await openSafetensors(memorySource(bytes, "x.safetensors"));
    assertEquals([reader.name, reader.metadata], ["x.safetensors", { k: "v" }]);
    assertEquals(reader.entries.get("long"), {
      type: { float32: "F32", float16: "F16", bfloat16: "BF16" }[dtype],
      shape: [LONG],
      sizeBytes: LONG * (dtype === "float32" ? 4 : 2),
    });
    const whole = readSafetensors(bytes).tensors;
    assertEquals([...reader.entries.keys()], Object.keys(whole));
    for (const name of Object.keys(tensors)) {
      assertEquals(await reader.read(name), tensors[name]);
      assertEquals(whole[name], tensors[name]);
    }
    const into = new Float32Array(LONG + 2).fill(9);
    await reader.readInto("long", into.subarray(1, -1));
    assertEquals([into[0], into[LONG + 1]], [9, 9], "nothing beside it is touched");
    assertEquals(into.slice(1, -1), tensors.long.data);
    // From an odd position in memory, in pieces.
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    assertEquals(readSafetensors(shifted.subarray(1)).tensors, whole);
  });
}

Deno.test("halves in the file are the rounded numbers, by hand", () => {
  // 1 + 2^-8 lies between the bfloat16 numbers 1 and 1 + 2^-7, a tie: even is 1.
  const t = { x: hostTensor("float32", Float32Array.of(1 + 2 ** -8, -2, 1e30), [3]) };
  const last6 = (dtype: WeightType) => [...writeSafetensors(t, {}, dtype).slice(-6)];
  assertEquals(last6("bfloat16"), [0x80, 0x3f, 0x00, 0xc0, 0x4a, 0x71]);
  assertEquals(last6("float16"), [0x04, 0x3c, 0x00, 0xc0, 0x00, 0x7c]);
});

Deno.test("only the header and what is asked for is read, in pieces of at most 1 MiB", async () => {
  const bytes = writeSafetensors(tensors, {}, "bfloat16");
  const asked: [number, number][] = [];
  const memory = memorySource(bytes);
  const reader = await openSafetensors({
    ...memory,
    read(at, into): Promise<void> {
      asked.push([at, into.length]);
      return memory.read(at, into);
    },
  });
  const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  assertEquals(asked, [[0, 8], [8, headerBytes]]);
  asked.length = 0;
  await reader.readInto("long", new Float32Array(LONG));
  assertEquals(asked.map(([, length]) => length), [1 << 20, 2 * LONG - (1 << 20)]);
});

Deno.test("two reads at the same time do not share a buffer", async () => {
  const other = hostTensor("float32", new Float32Array(LONG).fill(3), [LONG]);
  const memory = memorySource(writeSafetensors({ a: long(), b: other }, {}, "float16"));
  const reader = await openSafetensors({
    ...memory,
    async read(at, into): Promise<void> {
      await memory.read(at, into);
      await new Promise((resolve) => setTimeout(resolve, 1));
    },
  });
  for (let i = 0; i < 2; i++) {
    const [a, b] = await Promise.all([reader.read("a"), reader.read("b")]);
    assertEquals([a, b], [long(), other]);
  }
});

Deno.test("what can't be read is told with file and tensor", async () => {
  const reader = await openSafetensors(memorySource(writeSafetensors(tensors), "m.safetensors"));
  await assertRejects(
    () => reader.read("none"),
    DataError,
    "m.safetensors: Cannot read tensor none",
  );
  await assertRejects(
    () => reader.readInto("count", new Float32Array(2)),
    DataError,
    "count as floating-point numbers: its type is I32",
  );
  await assertRejects(
    () => reader.readInto("scalar", new Float32Array(2)),
    ShapeError,
    "scalar [] into 2 places",
  );
  await assertRejects(() => openSafetensors(memorySource(Uint8Array.of(1), "s")), DataError, "s: ");
});

Deno.test("a tensor that contradicts its shape is not written", () => {
  const wrong = { dtype: "float32", shape: [2], data: new Float32Array(3) } as HostTensor;
  assertThrows(() => safetensorsChunks({ wrong }), CheckpointError, "3 elements, but [2] holds 2");
});
