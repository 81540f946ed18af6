import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { CheckpointError, ConfigError, DataError, ShapeError } from "../../../src/errors.ts";
import { openFileSource } from "../../../src/hub/file_source.ts";
import { openWeights } from "../../../src/hub/open_weights.ts";
import { saveWeights } from "../../../src/hub/save_weights.ts";
import { writeSafetensors } from "../../../src/model/safetensors.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";

const row = (...values: number[]) =>
  hostTensor("float32", Float32Array.from(values), [values.length]);

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

async function readAll(folder: string): Promise<Record<string, HostTensor>> {
  await using weights = await openWeights(folder);
  const list: [string, HostTensor][] = [];
  for (const name of weights.names) list.push([name, await weights.read(name)]);
  return Object.fromEntries(list);
}

Deno.test("small weights are one file", () =>
  withFolder(async (folder) => {
    const tensors = { a: row(1, 2), n: hostTensor("int32", Int32Array.of(7), []) };
    assertEquals(await saveWeights(join(folder, "new"), tensors), ["model.safetensors"]);
    assertEquals(await readAll(join(folder, "new")), tensors);
    await using weights = await openWeights(join(folder, "new"));
    assertEquals(weights.metadata, { format: "pt" });
    assertEquals([weights.has("a"), weights.has("b")], [true, false]);
    assertEquals([weights.shapeOf("a"), weights.typeOf("n")], [[2], "I32"]);
    await assertRejects(() => weights.read("b"), DataError, "tensor b");
    await assertRejects(() => weights.readInto("a", new Float32Array(3)), ShapeError, "3 places");
    await assertRejects(() => weights.readInto("n", new Float32Array(1)), DataError, "I32");
  }));

Deno.test("large weights are split in order, with an index as transformers writes it", () =>
  withFolder(async (folder) => {
    // Stored as bfloat16: 4, 2, 6 and 2 bytes; at most 6 in a file.
    const tensors = { b: row(1, 2), a: row(3), big: row(4, 5, 6), z: row(7) };
    const files = await saveWeights(folder, tensors, { dtype: "bfloat16", maxShardBytes: 6 });
    assertEquals(files, [
      "model-00001-of-00003.safetensors",
      "model-00002-of-00003.safetensors",
      "model-00003-of-00003.safetensors",
      "model.safetensors.index.json",
    ]);
    assertEquals(await names(folder), files);
    assertEquals(
      await Deno.readTextFile(join(folder, "model.safetensors.index.json")),
      `{
  "metadata": {
    "total_size": 14
  },
  "weight_map": {
    "a": "model-00001-of-00003.safetensors",
    "b": "model-00001-of-00003.safetensors",
    "big": "model-00002-of-00003.safetensors",
    "z": "model-00003-of-00003.safetensors"
  }
}
`,
    );
    assertEquals(await readAll(folder), tensors);
    await using weights = await openWeights(folder);
    assertEquals(weights.typeOf("big"), "BF16");
    const big = new Float32Array(3);
    await weights.readInto("big", big);
    assertEquals(big, Float32Array.of(4, 5, 6));
  }));

Deno.test("files of an earlier save go, all others stay", () =>
  withFolder(async (folder) => {
    const tensors = { a: row(1), b: row(2), c: row(3) };
    await Deno.writeTextFile(join(folder, "model.txt"), "mine");
    await Deno.writeTextFile(join(folder, "model-00001-of-00002.safetensors.bak"), "mine");
    await saveWeights(folder, tensors, { maxShardBytes: 4 });
    await saveWeights(folder, tensors);
    const mine = ["model-00001-of-00002.safetensors.bak", "model.txt"];
    assertEquals(await names(folder), [...mine, "model.safetensors"].sort());
    await saveWeights(folder, tensors, { maxShardBytes: 8 });
    assertEquals((await names(folder)).length, 5);
    assertEquals(await readAll(folder), tensors);
  }));

Deno.test("what can't be written leaves the earlier save as it was", () =>
  withFolder(async (folder) => {
    await saveWeights(folder, { a: row(1) });
    const before = await names(folder);
    const wrong = { a: row(2), b: { dtype: "float32", shape: [3], data: new Float32Array(2) } };
    for (const maxShardBytes of [4, 1000]) {
      await assertRejects(
        () => saveWeights(folder, wrong as Record<string, HostTensor>, { maxShardBytes }),
        CheckpointError,
        "tensor b: it has 2 elements, but [3] holds 3",
      );
    }
    assertEquals(await names(folder), before);
    assertEquals(await readAll(folder), { a: row(1) });
    await assertRejects(
      () => saveWeights(folder, {}, { maxShardBytes: 0 }),
      ConfigError,
      "above 0",
    );
    await Deno.writeTextFile(join(folder, "file"), "");
    await assertRejects(() => saveWeights(join(folder, "file"), {}), DataError, "Cannot write");
  }));

const LAYOUTS: [string, number, number][] = [
  ["one file to shards", 1000, 4],
  ["shards to one file", 4, 1000],
  ["shards to as many shards", 4, 4],
  ["shards to fewer shards", 4, 8],
  ["one file to one file", 1000, 1000],
];
for (const [what, oldBytes, newBytes] of LAYOUTS) {
  Deno.test(`a save cut short leaves the old weights or the new ones: ${what}`, async () => {
    const before = { a: row(1), b: row(2), c: row(3) }, after = { a: row(4), b: row(5), c: row(6) };
    const { rename, remove } = Deno;
    let isComplete = false;
    for (let steps = 0; !isComplete; steps++) {
      await withFolder(async (folder) => {
        await saveWeights(folder, before, { maxShardBytes: oldBytes });
        let left = steps;
        // From that step on nothing in the folder can be changed any more, as after a crash.
        const limited = <A extends unknown[]>(f: (...args: A) => Promise<void>) => (...args: A) =>
          left-- > 0 ? f(...args) : Promise.reject(new Deno.errors.Interrupted("crash"));
        Deno.rename = limited(rename);
        Deno.remove = limited(remove);
        try {
          await saveWeights(folder, after, { maxShardBytes: newBytes });
          isComplete = true;
        } catch (error) {
          assertStringIncludes((error as Error).message, "crash");
        } finally {
          Object.assign(Deno, { rename, remove });
        }
        const found = await readAll(folder);
        assertEquals(found, found.a.data[0] === 1 ? before : after, `after ${steps} steps`);
        assert(!isComplete || found.a.data[0] === 4);
        await saveWeights(folder, after, { maxShardBytes: newBytes });
        assertEquals(await readAll(folder), after, "the next save works");
        assertEquals((await names(folder)).filter((name) => name.includes(".old")), []);
      });
    }
  });
}

const file = (tensors: Record<string, HostTensor>) => writeSafetensors(tensors);
const map = (weight_map: unknown) => JSON.stringify({ metadata: {}, weight_map });
const INDEX = "model.safetensors.index.json";
const REFUSED: [string, Record<string, string | Uint8Array>, string][] = [
  ["no weights", { "config.json": "{}" }, "neither model.safetensors nor"],
  ["weights of another kind", { "pytorch_model.bin": "x" }, "have transformers save them again"],
  ["a broken file", { "model.safetensors": "x" }, "model.safetensors: Cannot read safetensors"],
  ["an index that is no JSON", { [INDEX]: "{" }, "it is not JSON"],
  ["an index without a map", { [INDEX]: "{}" }, "it has no weight_map"],
  ["an index with a list", { [INDEX]: map([]) }, "it has no weight_map"],
  ["an empty index", { [INDEX]: map({}) }, "empty"],
  ["a path upwards", { [INDEX]: map({ a: "../1.safetensors" }) }, 'a into "../1.safetensors"'],
  ["an absolute path", { [INDEX]: map({ a: "/1.safetensors" }) }, 'a into "/1.safetensors"'],
  ["a path of Windows", { [INDEX]: map({ a: "x\\1.safetensors" }) }, "not the name of a safe"],
  ["a drive", { [INDEX]: map({ a: "c:1.safetensors" }) }, "not the name of a safetensors"],
  ["no file name", { [INDEX]: map({ a: 1 }) }, "a into 1"],
  ["another kind of file", { [INDEX]: map({ a: "a.bin" }) }, 'a into "a.bin"'],
  [
    "a missing shard",
    {
      [INDEX]: map({ a: "1.safetensors", b: "2.safetensors", c: "2.safetensors" }),
      "1.safetensors": file({ a: row(1) }),
    },
    "2.safetensors is missing, which should hold 2 of 3 tensors",
  ],
  [
    "a tensor that is nowhere",
    {
      [INDEX]: map({ a: "1.safetensors", b: "1.safetensors" }),
      "1.safetensors": file({ a: row(1) }),
    },
    "the index puts tensor b into 1.safetensors, which has none",
  ],
  [
    "a tensor in another shard",
    {
      [INDEX]: map({ a: "1.safetensors", b: "2.safetensors", c: "1.safetensors" }),
      "1.safetensors": file({ b: row(1), c: row(1) }),
      "2.safetensors": file({ a: row(1) }),
    },
    "tensor b is in 1.safetensors, but the index puts it into 2.safetensors",
  ],
  [
    "a tensor in two shards",
    {
      [INDEX]: map({ a: "1.safetensors", b: "2.safetensors" }),
      "1.safetensors": file({ a: row(1), x: row(1) }),
      "2.safetensors": file({ b: row(1), x: row(1) }),
    },
    "tensor x is in both 1.safetensors and 2.safetensors",
  ],
];
for (const [what, files, message] of REFUSED) {
  Deno.test({
    name: `refused, with every file closed again: ${what}`,
    sanitizeResources: true,
    fn: () =>
      withFolder(async (folder) => {
        for (const [name, content] of Object.entries(files)) {
          const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
          await Deno.writeFile(join(folder, name), bytes);
        }
        await assertRejects(() => openWeights(folder), DataError, message);
      }),
  });
}

Deno.test("tensors that the index doesn't name are told and not read", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, INDEX), map({ a: "1.safetensors" }));
    await Deno.writeFile(join(folder, "1.safetensors"), file({ a: row(1), x: row(2) }));
    await using weights = await openWeights(folder);
    assertEquals(weights.names, ["a"]);
    assertEquals(weights.unlisted, [{ tensor: "x", file: "1.safetensors" }]);
    await assertRejects(() => weights.read("x"), DataError, "tensor x");
  }));

Deno.test("a single file wins over an index, as in transformers", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, INDEX), map({ a: "1.safetensors" }));
    await Deno.writeFile(join(folder, "model.safetensors"), file({ a: row(9) }));
    assertEquals(await readAll(folder), { a: row(9) });
  }));

Deno.test("reads that overlap get what they asked for", () =>
  withFolder(async (folder) => {
    const tensors = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`t${i}`, row(...new Float32Array(500).fill(i))]),
    );
    await saveWeights(folder, tensors, { dtype: "float16", maxShardBytes: 9000 });
    await using weights = await openWeights(folder);
    const read = await Promise.all(weights.names.map((name) => weights.read(name)));
    assertEquals(Object.fromEntries(weights.names.map((name, i) => [name, read[i]])), tensors);
  }));

Deno.test("a file that is missing, a folder, or shorter than it was", () =>
  withFolder(async (folder) => {
    const path = join(folder, "x");
    await assertRejects(() => openFileSource(path), DataError, `${path}: Cannot read this file`);
    await assertRejects(() => openFileSource(folder), DataError, "folder");
    await Deno.writeFile(path, new Uint8Array(10));
    await using source = await openFileSource(path);
    await Deno.truncate(path, 5);
    await assertRejects(() => source.read(3, new Uint8Array(4)), DataError, "ends after 5 bytes");
    await source.read(0, new Uint8Array(5));
  }));
