import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { DataError, RemoteError } from "../../../src/errors.ts";
import { findModel, type FindModelOptions } from "../../../src/hub/find_model.ts";
import { COMMIT } from "./_hub_server.ts";
import { small, utf8, weights, withHub } from "./_with_hub.ts";

Deno.test("a hub out of reach: the cache is used, and a note says so", () =>
  withHub(small(), async ({ hub, find }) => {
    const folder = await find();
    await hub.stop();
    const notes: string[] = [];
    assertEquals(await find({ onNote: (note) => notes.push(note) }), folder);
    assertEquals(notes.length, 1);
    assertStringIncludes(notes[0], `Using the copy in ${folder}`);
    await assertRejects(() => find({ revision: "v2" }), RemoteError, "Cannot reach 127.0.0.1");
  }));

Deno.test("503 twice, then an answer; 503 for ever is an error", () =>
  withHub(small(), async ({ hub, find }) => {
    let left = 2;
    hub.before = () => left-- > 0 ? new Response(null, { status: 503 }) : undefined;
    await find();
    left = Infinity;
    await assertRejects(() => find({ revision: "v2" }), RemoteError, "status 503 (3 attempts)");
  }));

Deno.test("a server that never answers is given up", () =>
  withHub(small(), async ({ hub, find }) => {
    const blocked = Promise.withResolvers<void>();
    hub.before = async () => {
      await blocked.promise;
      return undefined;
    };
    await assertRejects(
      () => find({ stallMs: 50, retryDelaysMs: [] }),
      RemoteError,
      "nothing came for 0.05 seconds",
    );
    blocked.resolve();
  }));

const REFUSALS: [string, number, Record<string, string>, string][] = [
  ["gated", 403, { "x-error-code": "GatedRepo" }, "accept its terms at"],
  ["gated without a token", 401, { "x-error-code": "GatedRepo" }, "accept its terms at"],
  [
    "private or not there",
    401,
    { "x-error-code": "RepoNotFound" },
    "no such model, or it is private",
  ],
  ["a hub of few words", 404, {}, "no such model, or it is private"],
  [
    "no such revision",
    404,
    { "x-error-code": "RevisionNotFound" },
    "no branch, tag or commit main",
  ],
  ["something else", 418, {}, "status 418"],
  ["no etag", 200, { "x-repo-commit": COMMIT }, "its etag is missing"],
  ["an etag that leads elsewhere", 200, { "x-repo-commit": COMMIT, etag: '"../../x"' }, "etag is"],
  ["no commit", 200, { etag: '"abc"' }, "does not name the commit"],
  ["a commit that leads elsewhere", 200, { etag: '"abc"', "x-repo-commit": "../x" }, "the commit"],
];
for (const [what, status, headers, message] of REFUSALS) {
  Deno.test(`refused: ${what}`, () =>
    withHub(small(), async ({ hub, find, cacheDir }) => {
      hub.before = () => new Response(null, { status, headers });
      await assertRejects(() => find(), RemoteError, message);
      assertEquals(await Array.fromAsync(Deno.readDir(cacheDir)), [], "nothing was written");
    }));
}

Deno.test("a required file that the model lacks is named", async () => {
  await withHub({ "config.json": utf8("{}") }, async ({ find, cacheDir }) => {
    await assertRejects(
      () => find(),
      RemoteError,
      "no model.safetensors or model.safetensors.index",
    );
    const refs = join(cacheDir, "models--owner--model", "refs");
    await assertRejects(
      () => Deno.stat(refs),
      Deno.errors.NotFound,
      undefined,
      "no ref is written",
    );
  });
  await withHub({ "model.safetensors": weights }, async ({ find }) => {
    await assertRejects(() => find(), RemoteError, "it has no config.json");
  });
});

Deno.test("redirects without end", () =>
  withHub(small(), async ({ hub, find }) => {
    hub.before = (request) =>
      new Response(null, { status: 302, headers: { location: request.url } });
    await assertRejects(() => find(), RemoteError, "from one address to the next");
  }));

Deno.test("a link whose content was deleted is repaired", () =>
  withHub(small(), async ({ find }) => {
    const folder = await find();
    await Deno.remove(await Deno.realPath(join(folder, "config.json")));
    await assertRejects(() => find({ offline: true }), RemoteError, "config.json");
    assertEquals(await find(), folder);
    assertStringIncludes(await Deno.readTextFile(join(folder, "config.json")), "t5");
  }));

Deno.test("without symbolic links the content is copied", () =>
  withHub(small(), async ({ find }) => {
    const { symlink } = Deno;
    Deno.symlink = () => Promise.reject(new Deno.errors.NotSupported("no links"));
    try {
      const folder = await find();
      const { isSymlink, size } = await Deno.lstat(join(folder, "model.safetensors"));
      assertEquals([isSymlink, size], [false, weights.length]);
    } finally {
      Deno.symlink = symlink;
    }
  }));

Deno.test("a hub that gives no length and no hash", () =>
  withHub(small(), async ({ hub, find }) => {
    hub.before = (request, { path }) => {
      if (!path.endsWith("config.json")) return undefined;
      const etag = '"not-a-hash"', headers = { "x-repo-commit": COMMIT, etag };
      if (request.method === "HEAD") return new Response(null, { headers });
      return new Response(new Blob([hub.files["config.json"].slice()]).stream(), { headers });
    };
    const folder = await find();
    assertStringIncludes(await Deno.readTextFile(join(folder, "config.json")), "t5");
  }));

Deno.test("what is no id, revision, file or address is refused before any request", async () => {
  const options: FindModelOptions = {
    cacheDir: "none",
    offline: false,
    fetch: () => {
      throw new TypeError("a request was sent");
    },
  };
  const refused = (id: string, more: FindModelOptions, message: string) =>
    assertRejects(() => findModel(id, { ...options, ...more }), DataError, message);
  await refused("a/b/c", {}, '"a/b/c"');
  await refused("a b", {}, '"a b"');
  await refused("a/b", { revision: "../main" }, '"../main"');
  await refused("a/b", { files: { required: ["../x"] } }, '"../x"');
  await refused("a/b", { files: { required: [], optional: ["/etc/x"] } }, '"/etc/x"');
  await refused("a/b", { endpoint: "file:///x" }, "file:///x");
});
