import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { DataError, RemoteError } from "../../../src/errors.ts";
import { findModel } from "../../../src/hub/find_model.ts";
import { COMMIT, OTHER_COMMIT, sha256 } from "./_hub_server.ts";
import { index, small, utf8, weights, withHub } from "./_with_hub.ts";

Deno.test("a model is downloaded into the layout of huggingface_hub", () =>
  withHub(small(), async ({ cacheDir, find }) => {
    const folder = await find();
    const repository = join(cacheDir, "models--owner--model");
    assertEquals(folder, join(repository, "snapshots", COMMIT));
    assertEquals(await Deno.readTextFile(join(repository, "refs", "main")), COMMIT);
    assertEquals(await Deno.readFile(join(folder, "model.safetensors")), weights);
    assertEquals(
      await Deno.readLink(join(folder, "model.safetensors")),
      `../../blobs/${await sha256(weights)}`,
    );
    // git hash-object of {}
    assertEquals(
      await Deno.readLink(join(folder, "tokenizer.json")),
      "../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b",
    );
    assert((await Deno.stat(join(repository, ".no_exist", COMMIT, "chat_template.jinja"))).isFile);
    const blobs = (await Array.fromAsync(Deno.readDir(join(repository, "blobs")))).length;
    assertEquals(blobs, 3, "nothing incomplete is left");
  }));

Deno.test("the token goes to the hub and not to the host it redirects to", () =>
  withHub(small(), async ({ hub, find }) => {
    await find();
    const hosts = Map.groupBy(hub.seen, ({ host }) => host);
    assertEquals(hosts.size, 2);
    for (const [host, requests] of hosts) {
      const expected = host === new URL(hub.endpoint).host ? "Bearer secret" : null;
      assertEquals(new Set(requests.map((r) => r.authorization)), new Set([expected]));
    }
  }));

Deno.test("a second call downloads nothing; with the commit it asks nothing", () =>
  withHub(small(), async ({ hub, find }) => {
    const folder = await find();
    hub.seen.length = 0;
    assertEquals(await find(), folder);
    assertEquals(hub.seen.map(({ method }) => method), ["HEAD"], "one, to learn the commit");
    hub.seen.length = 0;
    assertEquals(await find({ revision: COMMIT }), folder);
    assertEquals(hub.seen, []);
  }));

Deno.test("a branch that moved gives the new commit, and equal files are not sent again", () =>
  withHub(small(), async ({ hub, cacheDir, find }) => {
    await find();
    hub.refs.main = OTHER_COMMIT;
    hub.files["config.json"] = utf8('{"model_type":"gpt2"}');
    hub.seen.length = 0;
    const folder = await find();
    assertStringIncludes(folder, OTHER_COMMIT);
    assertStringIncludes(await Deno.readTextFile(join(folder, "config.json")), "gpt2");
    const sent = hub.seen.filter(({ method }) => method === "GET").map(({ path }) => path);
    assertEquals(sent, [`/owner/model/resolve/${OTHER_COMMIT}/config.json`]);
    const old = join(cacheDir, "models--owner--model/snapshots", COMMIT, "config.json");
    assertStringIncludes(await Deno.readTextFile(old), "t5");
  }));

Deno.test("a revision with slashes and a file in a folder", () =>
  withHub({ "onnx/a b.json": utf8("1") }, async ({ hub, cacheDir, find }) => {
    hub.refs["refs/pr/1"] = COMMIT;
    const folder = await find({ revision: "refs/pr/1", files: { required: ["onnx/a b.json"] } });
    assertEquals(await Deno.readTextFile(join(folder, "onnx", "a b.json")), "1");
    assertEquals(
      await Deno.readTextFile(join(cacheDir, "models--owner--model/refs/refs/pr/1")),
      COMMIT,
    );
    assertEquals(
      await Deno.readLink(join(folder, "onnx/a b.json")).then((x) => x.slice(0, 15)),
      "../../../blobs/",
    );
  }));

Deno.test("sharded weights: the index and the files it names", async () => {
  const files = small();
  delete files["model.safetensors"];
  files["model.safetensors.index.json"] = index({ a: "1.safetensors", b: "2.safetensors" });
  files["1.safetensors"] = utf8("first");
  files["2.safetensors"] = utf8("second");
  await withHub(files, async ({ hub, find }) => {
    const folder = await find();
    assertEquals(await Deno.readTextFile(join(folder, "2.safetensors")), "second");
    hub.seen.length = 0;
    await find({ revision: COMMIT });
    assertEquals(hub.seen, []);
    assertEquals(await find({ offline: true }), folder);
    // A cache of huggingface_hub need not say that there is no single file.
    await Deno.remove(join(folder, "../../.no_exist"), { recursive: true });
    await find({ revision: COMMIT, files: { required: ["config.json"], weights: true } });
    assertEquals(hub.seen, []);
  });
  await withHub(
    { ...files, "model.safetensors.index.json": index({ a: "../x.safetensors" }) },
    async (s) => {
      await assertRejects(() => s.find(), DataError, "../x.safetensors");
    },
  );
});

Deno.test("offline: the cache alone, and what to do when it lacks something", () =>
  withHub(small(), async ({ hub, find }) => {
    const error = await assertRejects(() => find({ offline: true }), RemoteError);
    for (const part of ["owner/model", "main", "config.json", "models--owner--model", "HF_HUB"]) {
      assertStringIncludes(error.message, part);
    }
    const folder = await find();
    hub.seen.length = 0;
    assertEquals(await find({ offline: true }), folder);
    assertEquals(await find({ offline: true, revision: COMMIT }), folder);
    await Deno.remove(join(folder, "model.safetensors"));
    await assertRejects(() => find({ offline: true }), RemoteError, "no model.safetensors or");
    assertEquals(hub.seen, []);
  }));

Deno.test("a redirect on the same host is followed with the token", () =>
  withHub(small(), async ({ hub, find }) => {
    hub.before = (request) => {
      const { pathname } = new URL(request.url);
      if (!pathname.startsWith("/old/")) return undefined;
      return new Response(null, {
        status: 307,
        headers: { location: pathname.replace("/old/name", "/owner/model") },
      });
    };
    const cacheDir = await Deno.makeTempDir();
    const folder = await findModel("old/name", {
      endpoint: `${hub.endpoint}/`,
      cacheDir,
      token: "secret",
      offline: false,
    });
    assertStringIncludes(folder, "models--old--name");
    const own = hub.seen.filter(({ host }) => hub.endpoint.endsWith(host));
    assert(own.every(({ authorization }) => authorization === "Bearer secret"));
    await Deno.remove(cacheDir, { recursive: true });
    await find();
  }));

Deno.test("progress counts up to the size of every file", () =>
  withHub(small(), async ({ find }) => {
    const last = new Map<string, [number, number | undefined]>();
    await find({
      onProgress: ({ file, doneBytes, totalBytes }) => last.set(file, [doneBytes, totalBytes]),
    });
    assertEquals(last.get("model.safetensors"), [weights.length, weights.length]);
    assertEquals(last.get("config.json"), [19, 19]);
  }));

Deno.test("a folder is taken as it is, if the required files are in it", async () => {
  const folder = await Deno.makeTempDir();
  await assertRejects(() => findModel(folder), DataError, "there is no config.json");
  await Deno.writeTextFile(join(folder, "config.json"), "{}");
  await assertRejects(() => findModel(folder), DataError, "no model.safetensors or");
  await Deno.writeFile(join(folder, "model.safetensors"), weights);
  assertEquals(await findModel(folder), folder);
  await assertRejects(() => findModel(`${folder}/none`), DataError, "there is no such folder");
  await assertRejects(() => findModel("./none"), DataError, "there is no such folder");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the environment gives the token, the cache and the wish to stay offline", () =>
  withHub(small(), async ({ hub, cacheDir }) => {
    const names = ["HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"];
    const before = names.map((name) => Deno.env.get(name));
    try {
      Deno.env.set("HF_TOKEN", " from-env ");
      Deno.env.set("HF_HUB_CACHE", cacheDir);
      Deno.env.delete("HF_HUB_OFFLINE");
      const folder = await findModel("owner/model", { endpoint: hub.endpoint });
      assertEquals(hub.seen[0].authorization, "Bearer from-env");
      assertStringIncludes(folder, cacheDir);
      Deno.env.set("HF_HUB_OFFLINE", "1");
      hub.seen.length = 0;
      assertEquals(await findModel("owner/model", { endpoint: hub.endpoint }), folder);
      assertEquals(hub.seen, []);
    } finally {
      names.forEach((name, i) =>
        before[i] === undefined ? Deno.env.delete(name) : Deno.env.set(name, before[i])
      );
    }
  }));
