import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { DataError, RemoteError } from "../../../src/errors.ts";
import { findModel, type FindModelOptions } from "../../../src/hub/find_model.ts";
import { COMMIT, content, cut, gitHash, sha256, startHub, type TestHub } from "./_hub_server.ts";

const FILE = "big.bin";
/** Longer than what a connection may bring to earn another attempt, and not a multiple of anything. */
const bytes = crypto.getRandomValues(new Uint8Array(65_521));
const etag = await sha256(bytes);

interface Setting {
  hub: TestHub;
  blobs: string;
  find: (options?: FindModelOptions) => Promise<string>;
}

async function withHub(use: (setting: Setting) => Promise<void>, large = [FILE]): Promise<void> {
  const cacheDir = await Deno.makeTempDir();
  await using hub = startHub({ [FILE]: bytes }, large);
  const find = (options: FindModelOptions = {}) =>
    findModel("owner/model", {
      endpoint: hub.endpoint,
      cacheDir,
      offline: false,
      files: { required: [FILE] },
      retryDelaysMs: [1, 1],
      ...options,
    });
  try {
    await use({ hub, find, blobs: join(cacheDir, "models--owner--model", "blobs") });
  } finally {
    await Deno.remove(cacheDir, { recursive: true });
  }
}

const gets = ({ seen }: TestHub) =>
  seen.filter(({ method, path }) => method === "GET" && path === `/${FILE}`);
const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

Deno.test("a connection that breaks in the middle is taken up where it ended", () =>
  withHub(async ({ hub, find }) => {
    let calls = 0;
    hub.beforeCdn = (request) => {
      if (request.method !== "GET" || calls++ > 0) return undefined;
      return cut(bytes, 30_000);
    };
    const folder = await find();
    assertEquals(await Deno.readFile(join(folder, FILE)), bytes);
    assertEquals(gets(hub).map(({ range }) => range), [null, "bytes=30000-"]);
  }));

Deno.test("what came before the last attempt failed is kept for the next call", () =>
  withHub(async ({ hub, find, blobs }) => {
    hub.beforeCdn = (request) => {
      const start = Number(request.headers.get("range")?.slice(6, -1) ?? 0);
      const rest = bytes.slice(start);
      const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
      const part = cut(rest, 1000, start ? { "content-range": range } : {});
      return new Response(part.body, { status: start ? 206 : 200, headers: part.headers });
    };
    const error = await assertRejects(() => find(), RemoteError, "after 3000 of 65521 bytes");
    assertStringIncludes(error.message, "goes on from there");
    assertEquals(await names(blobs), [`${etag}.incomplete`]);
    assertEquals(await Deno.readFile(join(blobs, `${etag}.incomplete`)), bytes.slice(0, 3000));
    hub.beforeCdn = undefined;
    hub.seen.length = 0;
    assertEquals(await Deno.readFile(join(await find(), FILE)), bytes);
    assertEquals(gets(hub).map(({ range }) => range), ["bytes=3000-"]);
    assertEquals(await names(blobs), [etag]);
  }));

/** A partial file of an earlier attempt. */
async function leave(blobs: string, part: Uint8Array): Promise<void> {
  await Deno.mkdir(blobs, { recursive: true });
  await Deno.writeFile(join(blobs, `${etag}.incomplete`), part);
}

Deno.test("a server that ignores the range: the file is started over", () =>
  withHub(async ({ hub, find, blobs }) => {
    await leave(blobs, bytes.slice(0, 999));
    hub.beforeCdn = () => new Response(bytes.slice());
    assertEquals(await Deno.readFile(join(await find(), FILE)), bytes);
    assertEquals(gets(hub).length, 1);
  }));

const WRONG_PARTS: [string, number, Record<string, string>][] = [
  ["another start", 206, { "content-range": `bytes 0-65520/65521` }],
  ["another size", 206, { "content-range": `bytes 999-65520/70000` }],
  ["no range", 206, {}],
  ["no such range", 416, { "content-range": "bytes */65521" }],
];
for (const [what, status, headers] of WRONG_PARTS) {
  Deno.test(`a part with ${what} is not appended`, () =>
    withHub(async ({ hub, find, blobs }) => {
      await leave(blobs, bytes.slice(0, 999));
      hub.beforeCdn = (_, { range }) => range ? new Response("x", { status, headers }) : undefined;
      assertEquals(await Deno.readFile(join(await find(), FILE)), bytes);
      assertEquals(gets(hub).map(({ range }) => range), ["bytes=999-", null]);
    }));
}

Deno.test("a complete partial file is checked and not asked for again", () =>
  withHub(async ({ hub, find, blobs }) => {
    await leave(blobs, bytes);
    assertEquals(await Deno.readFile(join(await find(), FILE)), bytes);
    assertEquals(gets(hub), []);
  }));

Deno.test("a partial file that is too long is started over", () =>
  withHub(async ({ hub, find, blobs }) => {
    await leave(blobs, Uint8Array.of(...bytes, 1));
    assertEquals(await Deno.readFile(join(await find(), FILE)), bytes);
    assertEquals(gets(hub).map(({ range }) => range), [null]);
  }));

Deno.test("wrong bytes are found by SHA-256 and removed, also behind a partial file", () =>
  withHub(async ({ hub, find, blobs }) => {
    hub.beforeCdn = (request) => content(request, bytes.with(77, bytes[77] ^ 1));
    const error = await assertRejects(() => find(), RemoteError, "its SHA-256 is");
    assertStringIncludes(error.message, etag);
    assertEquals(await names(blobs), []);
    hub.beforeCdn = undefined;
    await leave(blobs, new Uint8Array(100));
    await assertRejects(() => find(), RemoteError, "its SHA-256 is");
    assertEquals(await names(blobs), []);
    assertEquals(await Deno.readFile(join(await find(), FILE)), bytes);
  }));

Deno.test("wrong bytes of a small file are found by git's hash", () =>
  withHub(async ({ hub, find, blobs }) => {
    const gitEtag = await gitHash(bytes);
    hub.before = (request) =>
      request.method === "GET"
        ? new Response(bytes.with(0, bytes[0] ^ 1))
        : content(request, bytes, { etag: `"${gitEtag}"`, "x-repo-commit": COMMIT });
    const error = await assertRejects(() => find(), RemoteError, "its git SHA-1 is");
    assertStringIncludes(error.message, gitEtag);
    assertEquals(await names(blobs), []);
  }, []));

Deno.test("more or fewer bytes than announced are refused and removed", () =>
  withHub(async ({ hub, find, blobs }) => {
    hub.beforeCdn = (request) => content(request, Uint8Array.of(...bytes, 1));
    await assertRejects(() => find(), RemoteError, "has 65521 bytes, but 65522 are sent");
    assertEquals(await names(blobs), []);
    hub.beforeCdn = (request) => content(request, bytes.slice(1));
    await assertRejects(() => find(), RemoteError, "has 65521 bytes, but 65520 are sent");
    hub.beforeCdn = () => new Response(new Blob([bytes.slice(), "x"]).stream());
    await assertRejects(() => find(), RemoteError, "more came than the 65521 bytes");
    assertEquals(await names(blobs), []);
  }));

Deno.test("a host that refuses the content", () =>
  withHub(async ({ hub, find }) => {
    hub.beforeCdn = () => new Response(null, { status: 403 });
    await assertRejects(() => find(), RemoteError, "access is refused (status 403)");
  }));

Deno.test("an answer that stalls is given up and resumed", () =>
  withHub(async ({ hub, find }) => {
    let calls = 0;
    const done = Promise.withResolvers<void>();
    hub.beforeCdn = () => {
      if (calls++ > 0) return undefined;
      let isSent = false;
      return new Response(
        new ReadableStream({
          async pull(controller): Promise<void> {
            if (!isSent) {
              isSent = true;
              return controller.enqueue(bytes.slice(0, 500));
            }
            await done.promise;
            controller.close();
          },
        }),
        { headers: { "content-length": `${bytes.length}` } },
      );
    };
    assertEquals(await Deno.readFile(join(await find({ stallMs: 100 }), FILE)), bytes);
    assertEquals(gets(hub).map(({ range }) => range), [null, "bytes=500-"]);
    done.resolve();
  }));

Deno.test("a signal ends a download at once, with its own reason, and what came is kept", () =>
  withHub(async ({ hub, find, blobs }) => {
    const controller = new AbortController();
    hub.beforeCdn = () => cut(bytes, 20_000);
    const error = await assertRejects(
      () =>
        find({
          signal: controller.signal,
          onProgress: ({ doneBytes }) => doneBytes > 0 && controller.abort(new Error("enough")),
        }),
      Error,
    );
    assertEquals(error.message, "enough");
    assertEquals(gets(hub).length, 1, "no further attempt");
    const { size } = await Deno.stat(join(blobs, `${etag}.incomplete`));
    assert(size > 0 && size <= 20_000);
  }));

Deno.test("two at once download the content once", () =>
  withHub(async ({ hub, find, blobs }) => {
    hub.beforeCdn = async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return undefined;
    };
    const folders = await Promise.all([find(), find(), find()]);
    assertEquals(new Set(folders).size, 1);
    assertEquals(await Deno.readFile(join(folders[0], FILE)), bytes);
    assertEquals(gets(hub).length, 1);
    assertEquals(await names(blobs), [etag]);
  }));

Deno.test("whoever waits for another download can be stopped", () =>
  withHub(async ({ hub, find }) => {
    const blocked = Promise.withResolvers<void>();
    hub.beforeCdn = async () => {
      await blocked.promise;
      return undefined;
    };
    const first = find();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const controller = new AbortController();
    const second = assertRejects(() => find({ signal: controller.signal }), Error, "enough");
    await new Promise((resolve) => setTimeout(resolve, 50));
    controller.abort(new Error("enough"));
    await second;
    blocked.resolve();
    await first;
  }));

Deno.test({
  name: "a full disk is told, with the remedy",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withHub(async ({ find, blobs }) => {
      await Deno.mkdir(blobs, { recursive: true });
      // Every write to this device fails as on a full disk.
      await Deno.symlink("/dev/full", join(blobs, `${etag}.incomplete`));
      const error = await assertRejects(() => find(), DataError, "No space left");
      assertStringIncludes(error.message, "make room");
    }),
});

Deno.test("an empty file", async () => {
  const cacheDir = await Deno.makeTempDir();
  await using hub = startHub({ "empty.txt": new Uint8Array() });
  const folder = await findModel("owner/model", {
    endpoint: hub.endpoint,
    cacheDir,
    offline: false,
    files: { required: ["empty.txt"] },
  });
  assertEquals((await Deno.stat(join(folder, "empty.txt"))).size, 0);
  await Deno.remove(cacheDir, { recursive: true });
});
