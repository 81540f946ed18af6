import { assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { DataError } from "../../../src/errors.ts";
import { hashFile } from "../../../src/hub/content_hash.ts";
import { defaultCacheDir, ModelCache } from "../../../src/hub/model_cache.ts";
import { checkFileName, checkRevision, isModelId } from "../../../src/hub/model_id.ts";

Deno.test("ids that huggingface_hub's validate_repo_id takes and refuses", () => {
  const long = "a".repeat(96);
  for (const id of ["foo", "foo/bar", "123", "Foo-BAR_foo.bar123", "_x", long, `${long}/${long}`]) {
    assertEquals(isModelId(id), true, id);
  }
  const refused = ["", "datasets/foo/bar", ".repo_id", "foo--bar", "foo.git", "a..b", "-a", "a-"];
  for (const id of [...refused, "a/", "/a", "a b", "café", "a\\b", `${long}a`, "a/.b", "a\n"]) {
    assertEquals(isModelId(id), false, id);
  }
});

Deno.test("revisions and files that could lead out of the cache are refused", () => {
  for (const name of ["main", "refs/pr/1", "v1.0", "feature-x"]) checkRevision(name);
  for (const name of ["config.json", "onnx/model.onnx", ".gitattributes"]) checkFileName(name);
  for (const name of ["", "..", "a/../b", "/a", "a/", "a//b", "./a", "a\\b", "c:x", "a\0"]) {
    assertThrows(() => checkRevision(name), DataError, JSON.stringify(name));
    assertThrows(() => checkFileName(name), DataError, JSON.stringify(name));
  }
});

/** Runs with exactly these of the variables that decide where models are. */
function withEnv(env: Record<string, string>, use: () => void): void {
  const names = ["HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME", "USERPROFILE"];
  const before = names.map((name) => Deno.env.get(name));
  const set = (name: string, value?: string) =>
    value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  try {
    for (const name of names) set(name, env[name]);
    use();
  } finally {
    names.forEach((name, i) => set(name, before[i]));
  }
}

Deno.test("the cache is where huggingface_hub has it", () => {
  const HOME = "/home/me";
  const CASES: [Record<string, string>, string][] = [
    [{ HOME, HF_HUB_CACHE: "/c", HF_HOME: "/h", XDG_CACHE_HOME: "/x" }, "/c"],
    [{ HOME, HF_HOME: "~/h", XDG_CACHE_HOME: "/x" }, "/home/me/h/hub"],
    [{ HOME, XDG_CACHE_HOME: "/x", HF_HOME: "" }, "/x/huggingface/hub"],
    [{ HOME }, "/home/me/.cache/huggingface/hub"],
    [{ USERPROFILE: "/users/me" }, "/users/me/.cache/huggingface/hub"],
  ];
  for (const [env, expected] of CASES) {
    withEnv(env, () => assertEquals(defaultCacheDir(), join(expected)));
  }
  withEnv({}, () => assertThrows(() => defaultCacheDir(), DataError, "Set HF_HUB_CACHE"));
  assertEquals(new ModelCache("c", "t5-small").folder, join("c", "models--t5-small"));
  assertEquals(new ModelCache("c", "a/b").lockPath("e"), join("c/.locks/models--a--b/e.lock"));
});

Deno.test("hashes of a file that git and sha256sum know", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "hello\n");
  // echo hello | git hash-object --stdin; echo hello | sha256sum
  const git = "ce013625030ba8dba906f756967f9e9ca394464a";
  const sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
  assertEquals((await hashFile(path, git))?.actual, git);
  assertEquals((await hashFile(path, sha))?.actual, sha);
  assertEquals(await hashFile(path, "abc"), undefined);
  await Deno.remove(path);
});
