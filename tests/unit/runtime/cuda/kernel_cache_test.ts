/** Compiled kernels on disk: round trips, and everything that may be wrong with the files. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { join } from "@std/path";
import {
  kernelCacheFolder,
  type KernelKey,
  openKernelCache,
} from "../../../../src/runtime/cuda/kernel_cache.ts";

const KEY: KernelKey = { source: "a", architecture: "sm_90", compiler: "nvrtc 13.0", options: [] };
const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

async function withFolder(f: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await f(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const filesIn = (folder: string) => [...Deno.readDirSync(folder)].map((entry) => entry.name);

Deno.test("what was put is got, by a new cache too; nothing else is", async () => {
  await withFolder(async (root) => {
    const folder = join(root, "new", "folder");
    const cache = openKernelCache(folder);
    assertEquals(await cache.get(KEY), undefined);
    await cache.put(KEY, CONTENT);
    assertEquals(await openKernelCache(folder).get(KEY), CONTENT);
    assertEquals(filesIn(folder).length, 1);
    const others: KernelKey[] = [
      { ...KEY, source: "b" },
      { ...KEY, architecture: "sm_80" },
      { ...KEY, compiler: "nvrtc 12.8" },
      { ...KEY, options: ["--x"] },
    ];
    for (const other of others) assertEquals(await cache.get(other), undefined);
  });
});

Deno.test("a damaged file is ignored and replaced", async () => {
  await withFolder(async (folder) => {
    const cache = openKernelCache(folder);
    await cache.put(KEY, CONTENT);
    const path = join(folder, filesIn(folder)[0]!);
    const good = await Deno.readFile(path);
    const changed = (at: number) => good.map((byte, i) => i === at ? byte ^ 1 : byte);
    const damaged = [
      changed(0),
      changed(10),
      changed(200),
      good.slice(0, 40),
      good.slice(0, -1),
      new Uint8Array(0),
    ];
    for (const bytes of damaged) {
      await Deno.writeFile(path, bytes);
      assertEquals(await cache.get(KEY), undefined);
      await cache.put(KEY, CONTENT);
      assertEquals(await cache.get(KEY), CONTENT);
    }
  });
});

Deno.test("a folder that cannot be made, and none at all, only mean no cache", async () => {
  await withFolder(async (root) => {
    const file = join(root, "file");
    await Deno.writeTextFile(file, "");
    for (const folder of [join(file, "below"), false, undefined] as const) {
      const cache = openKernelCache(folder);
      await cache.put(KEY, CONTENT);
      assertEquals(await cache.get(KEY), undefined);
    }
  });
});

Deno.test("the files used longest ago go when there are too many bytes", async () => {
  await withFolder(async (folder) => {
    const cache = openKernelCache(folder, 3500);
    const keys = [0, 1, 2].map((i) => ({ ...KEY, source: String(i) }));
    for (const key of keys) {
      const before = new Set(filesIn(folder));
      await cache.put(key, CONTENT);
      const made = filesIn(folder).find((name) => !before.has(name))!;
      const time = new Date(2020, 0, 1 + Number(key.source));
      await Deno.utime(join(folder, made), time, time);
    }
    await Deno.writeTextFile(join(folder, "of someone else"), "x".repeat(5000));
    assertEquals(await cache.get(keys[0]!), CONTENT);
    await cache.put(KEY, CONTENT);
    assertEquals(await cache.get(keys[1]!), undefined);
    for (const key of [keys[0]!, keys[2]!, KEY]) assertEquals(await cache.get(key), CONTENT);
    assertEquals(filesIn(folder).includes("of someone else"), true);
  });
});

Deno.test("the folder is what DEEPRAG_CACHE says, else in the user's caches", () => {
  const folder = (variables: Record<string, string>) =>
    kernelCacheFolder((name) => variables[name]);
  const all = { DEEPRAG_CACHE: "/mine", XDG_CACHE_HOME: "/caches", HOME: "/me" };
  assertEquals(folder(all), "/mine");
  assertEquals(folder({ ...all, DEEPRAG_CACHE: "" }), "/caches/deeprag/kernels");
  assertEquals(folder({ HOME: "/me" }), "/me/.cache/deeprag/kernels");
  assertEquals(folder({}), undefined);
  assertNotEquals(kernelCacheFolder(), "");
});
